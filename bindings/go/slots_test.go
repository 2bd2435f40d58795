// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

func take(
	t testing.TB, l *tidegate.Limiter, key string, options ...tidegate.CallOption,
) *tidegate.Slot {
	t.Helper()
	slot, d, err := l.Slot(ctx, key, options...)
	if err != nil || (slot != nil) != d.Allowed {
		t.Fatal(slot, d, err)
	}
	return slot
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within 20 s: " + what)
		}
	}
}

func isLost(s *tidegate.Slot) bool {
	select {
	case <-s.Lost():
		return true
	default:
		return false
	}
}

func TestSlotsAreTakenAndGivenBack(t *testing.T) {
	gate, _ := manual(t)
	jobs := limiter(t, gate, "3 at once", tidegate.Lease(time.Minute))
	one, two := take(t, jobs, "k"), take(t, jobs, "k", tidegate.Cost(2))
	none, d, err := jobs.Slot(ctx, "k")
	if none != nil || err != nil || d.Allowed || d.RetryAfter != time.Minute || d.Remaining != 0 {
		t.Errorf("%v %v %v", none, d, err)
	}
	if none.Held() || none.Release() != nil || none.Lost() != nil || none.ID() != [16]byte{} {
		t.Error("a nil slot")
	}
	if take(t, jobs, "other") == nil || one.ID() == two.ID() || !one.Held() {
		t.Error("another key, or an id used twice")
	}
	if err := errors.Join(two.Release(), two.Release()); err != nil || two.Held() || isLost(two) ||
		remaining(t, jobs, "k") != 2 {
		t.Error(err, remaining(t, jobs, "k"))
	}
}

func TestWhatCannotBeASlot(t *testing.T) {
	gate, _ := manual(t)
	jobs := limiter(t, gate, "3 at once", tidegate.Name("jobs"))
	rate := limiter(t, gate, "3/minute", tidegate.Name("rate"))
	both := limiter(t, gate, "3 at once; 5/minute", tidegate.Name("both"))
	slot := func(l *tidegate.Limiter, options ...tidegate.CallOption) error {
		s, _, err := l.Slot(ctx, "k", options...)
		if s != nil {
			t.Error("a slot of " + l.Name())
		}
		return err
	}
	acquire := func(id string) error {
		_, err := jobs.Acquire(ctx, "k", id)
		return err
	}
	_, noID := jobs.Consume(ctx, "k")
	_, lease := gate.Limiter("5 at once", tidegate.Lease(0))
	_, noSlots := gate.Limiter("5/minute", tidegate.Lease(time.Second))
	for title, c := range map[string]struct {
		err  error
		code tidegate.Code
	}{
		"a rate": {slot(rate), tidegate.CodeInvalid}, "both": {slot(both), tidegate.CodeInvalid},
		"no slots": {slot(jobs, tidegate.Cost(0)), tidegate.CodeCost},
		"an id":    {slot(jobs, tidegate.ID("x")), tidegate.CodeInvalid},
		"no id":    {noID, tidegate.CodeID}, "an empty id": {acquire(""), tidegate.CodeID},
		"17 bytes":     {acquire("seventeen letters"), tidegate.CodeID},
		"a lease of 0": {lease, tidegate.CodeRate}, "a lease of a rate": {noSlots, tidegate.CodeRate},
	} {
		var e *tidegate.Error
		if !errors.As(c.err, &e) || e.Code != c.code || !errors.Is(c.err, tidegate.ErrConfig) {
			t.Errorf("%s: %v, expected %s", title, c.err, c.code.Name())
		}
	}
	if remaining(t, jobs, "k") != 3 {
		t.Error("something was taken")
	}
}

func TestSlotsUnderIDsOfTheProgram(t *testing.T) {
	gate, clock := manual(t)
	jobs := limiter(t, gate, "2 at once", tidegate.Lease(time.Minute))
	acquire := func(id string) (allowed, renewed bool) {
		d, err := jobs.Acquire(ctx, "k", id)
		if err != nil {
			t.Fatal(err)
		}
		return d.Allowed, d.Parts[0].Renewed
	}
	if ok, renewed := acquire("a"); !ok || renewed {
		t.Error("a")
	}
	d, err := gate.Consume(ctx, jobs.For("k", tidegate.ID([16]byte{'b'})))
	if err != nil || !d.Allowed || d.Parts[0].Renewed {
		t.Error(d, err)
	}
	if ok, renewed := acquire("b"); !ok || !renewed {
		t.Error("an id is filled up with zeros")
	}
	if ok, _ := acquire("c"); ok {
		t.Error("a third of two")
	}
	if err := jobs.Change("1 at once"); err != nil {
		t.Fatal(err)
	}
	if ok, renewed := acquire("a"); !ok || !renewed {
		t.Error("who holds may renew when there are fewer")
	}
	err = errors.Join(jobs.Release(ctx, "k", "a"), jobs.Release(ctx, "k", "a"),
		jobs.Release(ctx, "k", "nobody"))
	if ok, _ := acquire("c"); err != nil || ok {
		t.Error("one of one, and another came in:", err)
	}
	clock.Advance(time.Minute)
	if d, err := jobs.Renew(ctx, "k", "b"); err != nil || !d.Allowed || d.Parts[0].Renewed {
		t.Error("renewed after the lease:", d, err)
	}
}

func TestASlotIsRenewedWhileItIsHeld(t *testing.T) {
	both := func(t *testing.T, url string) {
		gate := open(t, url, quiet())
		jobs := limiter(t, gate, "1 at once", tidegate.Lease(2*time.Second))
		slot := take(t, jobs, "k")
		for end, last := time.Now().Add(3*time.Second), time.Now(); time.Now().Before(end); {
			if take(t, jobs, "k") != nil {
				t.Fatalf("it was not renewed; this goroutine slept %v for 20 ms", time.Since(last))
			}
			last = time.Now()
			time.Sleep(20 * time.Millisecond)
		}
		if !slot.Held() || slot.Release() != nil || take(t, jobs, "k") == nil {
			t.Error("lost, or not given back")
		}
	}
	t.Run("embedded", func(t *testing.T) { both(t, "memory://") })
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		both(t, s.URL("timeout_ms=5000"))
	})
}

func TestManySlotsAreRenewedByOneGoroutineThatEnds(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		gate := open(t, s.URL("timeout_ms=5000"), quiet())
		jobs := limiter(t, gate, "500 at once", tidegate.Lease(3*time.Second))
		before := runtime.NumGoroutine()
		var slots []*tidegate.Slot
		for range 500 {
			slots = append(slots, take(t, jobs, "k"))
		}
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
			// 64 at once; on a busy machine some of those before them have not quite ended.
			if n := runtime.NumGoroutine(); n > before+1+64+32 {
				t.Fatalf("%d goroutines before, %d while 500 slots are held", before, n)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for i, slot := range slots {
			if !slot.Held() || slot.Release() != nil {
				t.Fatal("lost:", i)
			}
		}
		if left := remaining(t, jobs, "k"); left != 500 {
			t.Errorf("%d free of 500", left)
		}
		eventually(t, "the goroutine ends", func() bool { return runtime.NumGoroutine() <= before })
	})
}

func TestSlotsOfAClosedGate(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, close := range []func(*tidegate.Gate, *tidegate.Limiter){
		func(g *tidegate.Gate, _ *tidegate.Limiter) { g.Close() },
		func(_ *tidegate.Gate, l *tidegate.Limiter) { l.Close() },
	} {
		gate := open(t, "memory://")
		jobs := limiter(t, gate, "1 at once", tidegate.Lease(300*time.Millisecond))
		slot := take(t, jobs, "k")
		close(gate, jobs)
		eventually(t, "nobody renews it: it is lost", func() bool { return isLost(slot) })
		if err := slot.Release(); err == nil || slot.Held() {
			t.Error("released, and nobody was there")
		}
		gate.Close()
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

func TestASlotThatIsLost(t *testing.T) {
	gate, clock := manual(t)
	jobs := limiter(t, gate, "1 at once", tidegate.Lease(time.Minute))
	slot := take(t, jobs, "k")
	clock.Advance(20 * time.Second)
	eventually(t, "a third of the lease: renewed", func() bool {
		d, err := jobs.Peek(ctx, "k", tidegate.ID("x"))
		return err == nil && d.RetryAfter == time.Minute
	})
	if isLost(slot) {
		t.Fatal("lost")
	}
	if err := jobs.Reset(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	other := take(t, jobs, "k")
	clock.Advance(20 * time.Second)
	eventually(t, "denied: lost", func() bool { return isLost(slot) })
	if slot.Held() || slot.Release() != nil || !other.Held() || remaining(t, jobs, "k") != 0 {
		t.Error("it gave back what another holds")
	}
	if err := jobs.Reset(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	clock.Advance(20 * time.Second)
	eventually(t, "taken anew: lost", func() bool { return isLost(other) })
	if remaining(t, jobs, "k") != 0 || other.Release() != nil || remaining(t, jobs, "k") != 1 {
		t.Error("what was taken anew is held until it is released")
	}
}

func TestSlotsThatBlockNobodyAreNotLost(t *testing.T) {
	clock := tidegatetest.NewClock(time.UnixMicro(1_000_000_000))
	gate := open(t, "memory://", tidegate.UseClock(clock))
	away := open(t, "redis://127.0.0.1:1?timeout_ms=200", quiet())
	lease := tidegate.Lease(300 * time.Millisecond)
	for title, jobs := range map[string]*tidegate.Limiter{
		"shadow": limiter(t, gate, "1 at once", tidegate.Name("s"), tidegate.Mode("shadow"), lease),
		"off":    limiter(t, gate, "1 at once", tidegate.Name("o"), tidegate.Mode("off"), lease),
		"open":   limiter(t, away, "1 at once", tidegate.OnFailure(tidegate.Open), lease),
	} {
		first, second := take(t, jobs, "k"), take(t, jobs, "k")
		for range 10 {
			clock.Advance(100 * time.Millisecond)
			time.Sleep(50 * time.Millisecond)
		}
		if !first.Held() || !second.Held() || first.Release() != nil || second.Release() != nil {
			t.Errorf("%s: %v %v", title, first.Held(), second.Held())
		}
	}
}

func TestAForgottenSlotIsReleased(t *testing.T) {
	gate := open(t, "memory://")
	jobs := limiter(t, gate, "1 at once")
	take(t, jobs, "k")
	eventually(t, "it is collected", func() bool {
		runtime.GC()
		return remaining(t, jobs, "k") == 1
	})
}

func TestWaitingForASlot(t *testing.T) {
	gate := open(t, "memory://")
	jobs := limiter(t, gate, "2 at once", tidegate.Name("jobs"))
	var running, most, done atomic.Int64
	var wait sync.WaitGroup
	for range 20 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			slot, d, err := jobs.WaitSlot(within(t, 20*time.Second), "k")
			if err != nil || slot == nil {
				t.Error(d, err)
				return
			}
			defer slot.Release()
			if n := running.Add(1); n > 2 {
				most.Store(n)
			}
			time.Sleep(5 * time.Millisecond)
			running.Add(-1)
			done.Add(1)
		}()
	}
	wait.Wait()
	if most.Load() != 0 || done.Load() != 20 {
		t.Errorf("%d at once of 2, %d done of 20", most.Load(), done.Load())
	}
	hold := take(t, jobs, "k", tidegate.Cost(2))
	begin := time.Now()
	slot, d, err := jobs.WaitSlot(within(t, 100*time.Millisecond), "k")
	if took := time.Since(begin); slot != nil || !errors.Is(err, tidegate.ErrDenied) || d.Allowed ||
		took > time.Second {
		t.Error(slot, d, err, took)
	}
	if _, _, err := jobs.WaitSlot(ctx, "k", tidegate.Cost(3)); !errors.Is(err, tidegate.ErrDenied) {
		t.Error("three of two:", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, _, err := jobs.WaitSlot(canceled, "k"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := hold.Release(); err != nil || remaining(t, jobs, "k") != 2 {
		t.Error(err, remaining(t, jobs, "k"))
	}
}

// With a clock that stands still only the release itself can end the wait.
func TestAReleaseWakesWhoWaits(t *testing.T) {
	gate, _ := manual(t)
	jobs := limiter(t, gate, "1 at once")
	slot := take(t, jobs, "k")
	time.AfterFunc(30*time.Millisecond, func() { slot.Release() })
	next, d, err := jobs.WaitSlot(within(t, 20*time.Second), "k")
	if err != nil || !next.Held() {
		t.Error(d, err)
	}
}

func TestACancelledAcquisitionHoldsNothing(t *testing.T) {
	eachWay(t, func(t *testing.T, s *servertest.Server, way ...tidegate.ConnectOption) {
		gate := open(t, s.URL("timeout_ms=20000"), way...)
		jobs := limiter(t, gate, "4 at once", tidegate.Lease(time.Hour))
		if err := take(t, jobs, "k").Release(); err != nil {
			t.Fatal(err)
		}
		s.Stop()
		stopped, cancel := context.WithCancel(ctx)
		var wait sync.WaitGroup
		for range 4 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				if slot, _, err := jobs.Slot(stopped, "k"); slot != nil ||
					!errors.Is(err, context.Canceled) {
					t.Error(slot, err)
				}
			}()
		}
		time.Sleep(50 * time.Millisecond)
		cancel()
		wait.Wait()
		s.Continue()
		eventually(t, "all are free", func() bool {
			d, err := jobs.Peek(ctx, "k", tidegate.ID("x"))
			return err == nil && d.Source == tidegate.SourceStore && d.Remaining == 4
		})
	})
}

func TestSlotsWhileTheStoreIsAway(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		gate := open(t, s.URL("timeout_ms=100"), quiet())
		jobs := limiter(t, gate, "1 at once", tidegate.Lease(3*time.Second))
		here := func() int64 { // what this process would still give
			d := consume(t, jobs, "k", tidegate.Cost(0), tidegate.ID("x"))
			if d.Source != tidegate.SourceFallback {
				return -1
			}
			return d.Remaining
		}
		slot := take(t, jobs, "k")
		began := time.Now()
		s.Stop()
		eventually(t, "a renewal was answered here", func() bool { return here() == 0 })
		if isLost(slot) {
			t.Errorf("lost %v after a lease of 3 s", time.Since(began))
		}
		eventually(t, "the lease is over", func() bool { return isLost(slot) })
		if took := time.Since(began); took < 2*time.Second || took > 10*time.Second {
			t.Errorf("lost after %v", took)
		}
		if err := slot.Release(); !errors.Is(err, tidegate.ErrStore) || here() != 1 {
			t.Errorf("%v, and %d free here", err, here())
		}

		second := take(t, jobs, "k") // by this process
		s.Continue()
		eventually(t, "the store has it", func() bool {
			d, err := jobs.Peek(ctx, "k", tidegate.ID(second.ID()))
			return err == nil && d.Source == tidegate.SourceStore && d.Remaining == 0
		})
		if !second.Held() || second.Release() != nil {
			t.Error("it was lost on the way")
		}
		d, err := jobs.Peek(ctx, "k", tidegate.ID("x"))
		if err != nil || d.Source != tidegate.SourceStore || d.Remaining != 1 {
			t.Error("not given back:", d, err)
		}
	})
}

const holdsVariable = "TIDEGATE_TEST_HOLDS"

// holds is the child: it takes two slots, says so, and holds them until it is killed.
func holds(url string) {
	gate, err := tidegate.Connect(url)
	if err != nil {
		panic(err)
	}
	jobs, err := gate.Limiter("2 at once", tidegate.Name("jobs"), tidegate.Lease(2*time.Second))
	if err != nil {
		panic(err)
	}
	slot, d, err := jobs.Slot(ctx, "k", tidegate.Cost(2))
	fmt.Println("holds", slot.Held(), d.Source, err)
	if os.Getenv(holdsVariable+"_EXIT") != "" {
		return // with the slots held
	}
	time.Sleep(time.Minute)
	runtime.KeepAlive(slot)
}

func child(t *testing.T, url string, variables ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAKilledWorkersSlots$")
	cmd.Env = append(append(os.Environ(), holdsVariable+"="+url), variables...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "holds true store <nil>" {
		t.Fatal(line, err)
	}
	return cmd
}

func TestAKilledWorkersSlots(t *testing.T) {
	if url := os.Getenv(holdsVariable); url != "" {
		holds(url)
		return
	}
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		gate := open(t, s.URL("timeout_ms=5000"), quiet())
		jobs := limiter(t, gate, "2 at once", tidegate.Name("jobs"), tidegate.Lease(2*time.Second))
		worker := child(t, s.URL("timeout_ms=5000"))
		for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); {
			if d := consume(t, jobs, "k", tidegate.ID("x")); d.Allowed {
				t.Fatal("the worker does not renew them")
			}
			time.Sleep(50 * time.Millisecond)
		}
		asked := time.Now()
		before := consume(t, jobs, "k", tidegate.ID("x"))
		if err := worker.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = worker.Wait()
		free := asked.Add(before.RetryAfter) // or later, where it renewed them meanwhile
		for !consume(t, jobs, "k", tidegate.ID("x")).Allowed {
			if time.Since(asked) > 10*time.Second {
				t.Fatal("they never came back")
			}
			time.Sleep(2 * time.Millisecond)
		}
		if now := time.Now(); now.Before(free) || now.Sub(asked) > 5*time.Second {
			t.Errorf("free %v after the kill, the lease had %v left", now.Sub(asked), before.RetryAfter)
		}
	})
}

func TestAProcessEndsWithSlotsHeld(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		worker := child(t, s.URL("timeout_ms=5000"), holdsVariable+"_EXIT=1")
		ended := make(chan error, 1)
		go func() { ended <- worker.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("it hangs")
		}
	})
}
