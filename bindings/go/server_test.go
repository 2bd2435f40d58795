// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
)

func quiet() tidegate.ConnectOption { return tidegate.OnEvent(func(tidegate.Event) {}) }

// eachWay runs f on every server, with the network poller and with a thread that waits in C.
func eachWay(
	t *testing.T, f func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption),
) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		t.Run("poller", func(t *testing.T) { f(t, s, quiet()) })
		s.Restart(t)
		t.Run("thread", func(t *testing.T) { f(t, s, quiet(), tidegate.CgoWait()) })
	})
}

func TestOneKeyFromManyGoroutinesAdmitsExactlyTheQuota(t *testing.T) {
	eachWay(t, func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption) {
		const quota, goroutines, each = 1000, 64, 40
		gates := []*tidegate.Gate{
			open(t, s.URL("timeout_ms=10000"), way...),
			open(t, s.URL("timeout_ms=10000"), way...),
		}
		var allowed atomic.Int64
		var wait sync.WaitGroup
		for i := range goroutines {
			api := limiter(t, gates[i%2], fmt.Sprint(quota, "/day"), tidegate.Name("api"))
			wait.Add(1)
			go func() {
				defer wait.Done()
				for range each {
					d, err := api.Consume(ctx, "k")
					if err != nil || d.Source != tidegate.SourceStore {
						t.Error(d, err)
						return
					}
					if d.Allowed {
						allowed.Add(1)
					}
				}
			}()
		}
		wait.Wait()
		if allowed.Load() != quota {
			t.Errorf("%d allowed, expected %d", allowed.Load(), quota)
		}
		if stats, _ := gates[0].Stats(); stats.ByStore != goroutines*each/2 ||
			stats.Batches >= stats.ByStore {
			t.Errorf("nothing was batched: %+v", stats)
		}
	})
}

func TestSeveralPartsAndTheOtherOperationsOnAServer(t *testing.T) {
	eachWay(t, func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption) {
		gate := open(t, s.URL("timeout_ms=5000"), way...)
		if err := gate.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		ip := limiter(t, gate, "10/hour", tidegate.Name("ip"))
		key := limiter(t, gate, "1/hour", tidegate.Name("key"))
		for i, expect := range []bool{true, false} {
			d, err := gate.Consume(ctx, ip.For("1.2.3.4"), key.For("k"))
			if err != nil || d.Allowed != expect || len(d.Parts) != 2 {
				t.Fatal(i, d, err)
			}
		}
		if d, err := ip.Peek(ctx, "1.2.3.4"); err != nil || d.Remaining != 9 {
			t.Error("a denied request was charged:", d, err)
		}
		if err := errors.Join(ip.Refund(ctx, "1.2.3.4", 1), key.Reset(ctx, "k")); err != nil {
			t.Fatal(err)
		}
		d, err := gate.Peek(ctx, ip.For("1.2.3.4"), key.For("k"))
		if err != nil || d.Parts[0].Remaining != 10 || !d.Allowed {
			t.Error(d, err)
		}
		_, err = ip.Consume(ctx, "")
		_, huge := ip.Consume(ctx, "k", tidegate.Cost(-5))
		if !errors.Is(err, tidegate.ErrConfig) || !errors.Is(huge, tidegate.ErrConfig) {
			t.Error(err, huge)
		}
	})
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	short, cancel := context.WithTimeout(ctx, d)
	t.Cleanup(cancel)
	return short
}

func TestAContextsDeadlineAndCancellation(t *testing.T) {
	eachWay(t, func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption) {
		gate := open(t, s.URL("timeout_ms=20000", "breaker_failures=1000"), way...)
		local := limiter(t, gate, "1/hour", tidegate.Name("local"))
		closed := limiter(t, gate, "1/hour", tidegate.Name("closed"),
			tidegate.OnFailure(tidegate.Closed))
		consume(t, local, "warm")
		s.Stop()
		defer s.Continue()

		short := within(t, 100*time.Millisecond)
		begin := time.Now()
		d, err := local.Consume(short, "k")
		if took := time.Since(begin); err != nil || d.Source != tidegate.SourceFallback ||
			!d.Allowed || took < 90*time.Millisecond || took > 2*time.Second {
			t.Errorf("deadline: %v %v after %v", d, err, took)
		}
		if _, err := local.Consume(short, "k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an expired context: %v", err)
		}
		d, err = closed.Consume(within(t, 50*time.Millisecond), "k")
		if err != nil || d.Allowed || d.Source != tidegate.SourceFailClosed || d.Status() != 503 {
			t.Errorf("closed: %v %v", d, err)
		}
		waited, err := closed.Wait(within(t, 50*time.Millisecond), "k")
		if !errors.Is(err, tidegate.ErrDenied) || waited.Source != tidegate.SourceFailClosed {
			t.Errorf("a wait for what is closed: %v %v", waited, err)
		}
		if err := gate.Ping(within(t, 50*time.Millisecond)); !errors.Is(err, tidegate.ErrStore) ||
			!errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ping: %v", err)
		}

		stopped, stop := context.WithCancel(ctx)
		var wait sync.WaitGroup
		for i := range 32 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				_, err := local.Consume(stopped, fmt.Sprint("c", i))
				if !errors.Is(err, context.Canceled) {
					t.Errorf("cancelled: %v", err)
				}
			}()
		}
		time.Sleep(50 * time.Millisecond)
		begin = time.Now()
		stop()
		wait.Wait()
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("cancelling took %v", took)
		}
	})
}

func TestClosingEndsWhatIsInFlight(t *testing.T) {
	eachWay(t, func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption) {
		before := descriptors(t)
		gate := open(t, s.URL("timeout_ms=20000"), way...)
		api := limiter(t, gate, "1/hour")
		consume(t, api, "warm")
		s.Stop()
		defer s.Continue()
		var wait sync.WaitGroup
		for i := range 100 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				if _, err := api.Consume(ctx, fmt.Sprint(i)); !errors.Is(err, tidegate.ErrClosed) {
					t.Error(err)
				}
			}()
		}
		time.Sleep(50 * time.Millisecond)
		gate.Close()
		wait.Wait()
		if after := descriptors(t); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestAForgottenGateIsCollected(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		open(t, s.URL()).Close()
		goroutines, before := runtime.NumGoroutine(), descriptors(t)
		for range 5 {
			gate, err := tidegate.Connect(s.URL("timeout_ms=5000"))
			if err != nil {
				t.Fatal(err)
			}
			consume(t, limiter(t, gate, "5/hour"), "k")
		}
		end := time.Now().Add(10 * time.Second)
		for descriptors(t) > before || runtime.NumGoroutine() > goroutines {
			if time.Now().After(end) {
				t.Fatalf("%d descriptors before, %d after; %d goroutines, %d", before,
					descriptors(t), goroutines, runtime.NumGoroutine())
			}
			runtime.GC()
			time.Sleep(10 * time.Millisecond)
		}
	})
}

func TestAStoreThatIsDownStoppedAndBack(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		s.Kill()
		var mu sync.Mutex
		var events []tidegate.Event
		gate := open(t, s.URL("timeout_ms=50"), tidegate.OnEvent(func(e tidegate.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		}))
		api := limiter(t, gate, "1000/hour", tidegate.Name("api"))
		open := limiter(t, gate, "1/hour", tidegate.Name("open"), tidegate.OnFailure(tidegate.Open))
		if err := gate.Ping(ctx); !errors.Is(err, tidegate.ErrStore) {
			t.Errorf("ping while it is down: %v", err)
		}
		if d := consume(t, api, "k"); d.Source != tidegate.SourceFallback || !d.Allowed {
			t.Errorf("down: %v", d)
		}
		if d := consume(t, open, "k"); d.Source != tidegate.SourceFailOpen ||
			d.Remaining != tidegate.Unknown || len(d.Headers()) != 0 {
			t.Errorf("open: %+v", d)
		}
		s.Restart(t)
		end := time.Now().Add(15 * time.Second)
		for consume(t, api, "k").Source != tidegate.SourceStore {
			time.Sleep(20 * time.Millisecond)
			if time.Now().After(end) {
				t.Fatal("the store came back unnoticed")
			}
		}
		s.Stop()
		begin := time.Now()
		d := consume(t, api, "k")
		if took := time.Since(begin); d.Source != tidegate.SourceFallback || took > time.Second {
			t.Errorf("stopped: %v after %v", d, took)
		}
		s.Continue()
		mu.Lock()
		defer mu.Unlock()
		if len(events) == 0 || events[0].Text == "" || events[0].Level < slog.LevelWarn ||
			time.Since(events[0].Time) > time.Minute {
			t.Errorf("events: %+v", events)
		}
	})
}

func TestEventsReachSlog(t *testing.T) {
	var mu sync.Mutex
	var b strings.Builder
	logger := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	}), nil))
	gate := open(t, "redis://127.0.0.1:1?timeout_ms=200", tidegate.Logger(logger))
	consume(t, limiter(t, gate, "5/hour"), "k")
	gate.Close()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		text := b.String()
		mu.Unlock()
		if strings.Contains(text, "source=tidegate") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the log has %q", text)
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestMoreCallersThanTheRingHolds(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		const callers = 20_000
		api := limiter(t, open(t, s.URL("timeout_ms=60000"), quiet()), "100/day",
			tidegate.Name("api"))
		var allowed atomic.Int64
		var wait sync.WaitGroup
		for range callers {
			wait.Add(1)
			go func() {
				defer wait.Done()
				d, err := api.Consume(ctx, "k")
				if err != nil || d.Source != tidegate.SourceStore {
					t.Error(d, err)
				} else if d.Allowed {
					allowed.Add(1)
				}
			}()
		}
		wait.Wait()
		if allowed.Load() != 100 {
			t.Errorf("%d allowed, expected 100", allowed.Load())
		}
	})
}

func TestAReaderOfSmallPiecesLosesNoWakeUp(t *testing.T) {
	eachWay(t, func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption) {
		url := s.URL("timeout_ms=30000", "testing=1", "read_bytes=64", "namespace=small")
		gate := open(t, url, way...)
		api := limiter(t, gate, "100/day", tidegate.Name("api"))
		var wait sync.WaitGroup
		for i := range 32 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for j := range 300 {
					if d, err := api.Consume(ctx, fmt.Sprint(i, ":", j)); err != nil ||
						d.Source != tidegate.SourceStore {
						t.Error(d, err)
						return
					}
				}
			}()
		}
		wait.Wait()
	})
}
