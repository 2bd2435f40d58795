// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

var ctx = context.Background()

func open(t testing.TB, url string, options ...tidegate.ConnectOption) *tidegate.Gate {
	t.Helper()
	gate, err := tidegate.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close() })
	return gate
}

func limiter(
	t testing.TB, gate *tidegate.Gate, rates string, options ...tidegate.LimiterOption,
) *tidegate.Limiter {
	t.Helper()
	l, err := gate.Limiter(rates, options...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func consume(
	t testing.TB, l *tidegate.Limiter, key string, options ...tidegate.CallOption,
) tidegate.Decision {
	t.Helper()
	d, err := l.Consume(ctx, key, options...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func manual(t testing.TB) (*tidegate.Gate, *tidegatetest.FakeClock) {
	clock := tidegatetest.NewClock(time.UnixMicro(1_000_000_000))
	return open(t, "memory://", tidegate.UseClock(clock)), clock
}

func TestTheFiguresOfADecision(t *testing.T) {
	gate, clock := manual(t)
	api := limiter(t, gate, "2/minute", tidegate.Name("api"))
	d := consume(t, api, "a")
	if !d.Allowed || d.Name != "api" || d.Limit != 2 || d.Remaining != 1 || d.RetryAfter != 0 ||
		d.ResetAfter != 30*time.Second || d.Source != tidegate.SourceMemory || len(d.Parts) != 1 {
		t.Errorf("%+v", d)
	}
	consume(t, api, "a")
	d = consume(t, api, "a")
	if d.Allowed || d.RetryAfter != 30*time.Second || d.Remaining != 0 ||
		d.Parts[0].NextAfter != 30*time.Second {
		t.Errorf("%+v", d)
	}
	if text := d.String(); text != "denied by api (memory), 0 of 2 left, retry after 30s" {
		t.Error(text)
	}
	clock.Advance(30*time.Second - time.Microsecond)
	if consume(t, api, "a").Allowed {
		t.Error("allowed a microsecond too early")
	}
	clock.Advance(time.Microsecond)
	if !consume(t, api, "a").Allowed {
		t.Error("denied after RetryAfter")
	}
}

func TestACostAboveTheCapacityIsNever(t *testing.T) {
	gate, _ := manual(t)
	d := consume(t, limiter(t, gate, "2/minute"), "a", tidegate.Cost(3))
	if d.Allowed || d.RetryAfter != tidegate.Never || !strings.HasSuffix(d.String(), "never") {
		t.Errorf("%+v", d)
	}
	for _, f := range d.Headers() {
		if f.Name == "Retry-After" {
			t.Errorf("Retry-After: %s of never", f.Value)
		}
	}
	if !consume(t, limiter(t, gate, "2/minute"), "a", tidegate.Cost(0)).Allowed {
		t.Error("cost 0 was denied")
	}
}

func TestSeveralPartsAreAllOrNothing(t *testing.T) {
	gate, _ := manual(t)
	ip := limiter(t, gate, "10/second; 20/hour", tidegate.Name("ip"))
	key := limiter(t, gate, "1/hour", tidegate.Name("key"))
	first, err := gate.Consume(ctx, ip.For("1.2.3.4"), key.For("k"))
	if err != nil || !first.Allowed || len(first.Parts) != 3 ||
		first.Parts[1].Name != "ip-3600s" {
		t.Fatalf("%+v %v", first, err)
	}
	second, err := gate.Consume(ctx, ip.For("1.2.3.4", tidegate.Cost(3)), key.For("k"))
	if err != nil || second.Allowed || second.Name != "key" || !second.Parts[0].Allowed ||
		second.Parts[2].Allowed {
		t.Fatalf("%+v %v", second, err)
	}
	d, err := gate.Peek(ctx, ip.For("1.2.3.4"))
	if err != nil || d.Parts[1].Remaining != 19 {
		t.Errorf("a denied request was charged: %+v %v", d, err)
	}
}

func TestShadowAndOff(t *testing.T) {
	gate, _ := manual(t)
	shadow := limiter(t, gate, "1/minute", tidegate.Name("shadow"), tidegate.Mode("shadow"))
	off := limiter(t, gate, "1/minute", tidegate.Name("off"), tidegate.Mode("off"))
	consume(t, shadow, "a")
	if d := consume(t, shadow, "a"); !d.Allowed || !d.WouldDeny || !d.Parts[0].Shadow ||
		len(d.Headers()) != 0 {
		t.Errorf("%+v", d)
	}
	for range 3 {
		d := consume(t, off, "a")
		if !d.Allowed || d.Remaining != tidegate.Unknown || d.ResetAfter != tidegate.Unknown ||
			!d.Parts[0].Off {
			t.Errorf("%+v", d)
		}
	}
}

func TestRefundResetAndChange(t *testing.T) {
	gate, _ := manual(t)
	api := limiter(t, gate, "5/minute", tidegate.Name("api"))
	d := consume(t, api, "a", tidegate.Cost(5))
	if err := api.Refund(ctx, "a", 2, tidegate.DecidedBy(d.Source)); err != nil {
		t.Fatal(err)
	}
	if d, _ := api.Peek(ctx, "a"); d.Remaining != 2 {
		t.Errorf("after the refund: %v", d)
	}
	if err := api.Change("10/minute"); err != nil {
		t.Fatal(err)
	}
	if d, _ := api.Peek(ctx, "a"); d.Limit != 10 || d.Remaining != 7 ||
		api.Rates()[0].Limit != 10 {
		t.Errorf("after the change: %v", d)
	}
	if err := api.Reset(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if d, _ := api.Peek(ctx, "a"); d.Remaining != 10 {
		t.Errorf("after the reset: %v", d)
	}
	again := limiter(t, gate, "10/minute", tidegate.Name("api"))
	if again != api {
		t.Error("the same name and numbers gave another limiter")
	}
	if err := api.Close(); err != nil {
		t.Fatal(err)
	}
	var e *tidegate.Error
	_, err := api.Consume(ctx, "a")
	if !errors.As(err, &e) || e.Code != tidegate.CodeHandle ||
		!errors.Is(err, tidegate.ErrLimiterClosed) || errors.Is(err, tidegate.ErrConfig) {
		t.Errorf("of a closed limiter: %v", err)
	}
}

func TestWaitFollowsTheClockAndKnowsWhenItIsUseless(t *testing.T) {
	gate, clock := manual(t)
	api := limiter(t, gate, "1/minute")
	consume(t, api, "a")
	ended := make(chan tidegate.Decision)
	go func() {
		d, _ := api.Wait(ctx, "a")
		ended <- d
	}()
	select {
	case d := <-ended:
		t.Fatalf("did not wait: %v", d)
	case <-time.After(20 * time.Millisecond):
	}
	clock.Advance(time.Minute)
	if d := <-ended; !d.Allowed {
		t.Errorf("%v", d)
	}
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	begin := time.Now()
	d, err := api.Wait(short, "a")
	if took := time.Since(begin); !errors.Is(err, tidegate.ErrDenied) || d.Allowed ||
		took > 500*time.Millisecond {
		t.Errorf("longer than the time left: %v %v after %v", d, err, took)
	}
	var denied *tidegate.DeniedError
	if !errors.As(err, &denied) || denied.Decision.RetryAfter != d.RetryAfter ||
		err.Error() != "tidegate: "+d.String() {
		t.Errorf("the denial as an error: %v", err)
	}
	d, err = api.Wait(ctx, "a", tidegate.Cost(2))
	if !errors.Is(err, tidegate.ErrDenied) || d.RetryAfter != tidegate.Never {
		t.Errorf("never: %v %v", d, err)
	}
	stopped, stop := context.WithCancel(ctx)
	time.AfterFunc(20*time.Millisecond, stop)
	if _, err := api.Wait(stopped, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	real := limiter(t, open(t, "memory://"), "20/second burst 1")
	consume(t, real, "a")
	if d, err := real.Wait(ctx, "a"); err != nil || !d.Allowed {
		t.Errorf("on the system's clock: %v %v", d, err)
	}
}

func TestMisuseIsAClearError(t *testing.T) {
	gate := open(t, "memory://")
	api := limiter(t, gate, "5/minute", tidegate.Name("api"))
	foreign := limiter(t, open(t, "memory://"), "5/minute", tidegate.Name("foreign")).For("k")
	many := make([]tidegate.Charge, 17)
	for i := range many {
		many[i] = api.For("k")
	}
	of := func(_ any, err error) error { return err }
	done, cancel := context.WithCancel(ctx)
	cancel()
	for _, c := range []struct {
		title  string
		err    error
		code   tidegate.Code
		at     int
		expect string
	}{
		{"a rate", of(gate.Limiter("5/fortnight")), tidegate.CodeRate, 2, "fortnight"},
		{"a name", of(gate.Limiter("5/m", tidegate.Name("a b"))), tidegate.CodeName, -1, "a b"},
		{"an algorithm", of(gate.Limiter("5/m", tidegate.Algorithm("magic"))), 0, -1, "magic"},
		{"a mode", of(gate.Limiter("5/m", tidegate.Mode("soft"))), 0, -1, "soft"},
		{"a policy", of(gate.Limiter("5/m", tidegate.OnFailure("maybe"))), 0, -1, "maybe"},
		{"a taken name", of(gate.Limiter("6/minute", tidegate.Name("api"))),
			tidegate.CodeConflict, -1, "api"},
		{"an option", of(tidegate.Connect("memory://", tidegate.Set("timeout", "1"))),
			tidegate.CodeOption, -1, "timeout_ms"},
		{"a NUL", of(tidegate.Connect("memory://", tidegate.Set("namespace", "a\x00b"))),
			tidegate.CodeOption, -1, "NUL"},
		{"a URL", of(tidegate.Connect("http://localhost")), tidegate.CodeURL, 0, "expected memory://"},
		{"an empty key", of(api.Consume(ctx, "")), tidegate.CodeKey, -1, ""},
		{"a negative cost", of(api.Consume(ctx, "k", tidegate.Cost(-1))), tidegate.CodeCost, -1, "-1"},
		{"a huge cost", of(api.Consume(ctx, "k", tidegate.Cost(math.MaxInt64))),
			tidegate.CodeCost, -1, "9223372036854775807"},
		{"17 parts", of(gate.Consume(ctx, many...)), tidegate.CodeInvalid, -1, "17"},
		{"no part", of(gate.Consume(ctx)), tidegate.CodeInvalid, -1, "1 to 16"},
		{"a charge of nothing", of(gate.Consume(ctx, tidegate.Charge{})),
			tidegate.CodeInvalid, -1, "Limiter.For"},
		{"another gate's limiter", of(gate.Consume(ctx, foreign)),
			tidegate.CodeInvalid, -1, "limiter foreign is of another gate"},
	} {
		var e *tidegate.Error
		if !errors.As(c.err, &e) || !errors.Is(c.err, tidegate.ErrConfig) ||
			errors.Is(c.err, tidegate.ErrStore) {
			t.Errorf("%s: %v", c.title, c.err)
			continue
		}
		if c.code != 0 && e.Code != c.code || c.at >= 0 && e.Position != c.at ||
			!strings.Contains(e.Message, c.expect) {
			t.Errorf("%s: %d at %d: %s", c.title, e.Code, e.Position, e.Message)
		}
	}
	if _, err := api.Consume(done, "k"); !errors.Is(err, context.Canceled) {
		t.Errorf("of a cancelled context: %v", err)
	}
	for _, key := range []string{"a\x00b", "a\nb", strings.Repeat("k", 10_000), "\xff\xfe", "é"} {
		if d := consume(t, api, key); !d.Allowed || d.Remaining != 4 {
			t.Errorf("key %.10q: %v", key, d)
		}
	}
}

func TestAPasswordIsNeverShown(t *testing.T) {
	gate := open(t, "redis://me:s3cret@127.0.0.1:1/0")
	if url := gate.URL(); strings.Contains(url, "s3cret") || !strings.Contains(url, "***") {
		t.Error(url)
	}
	_, err := tidegate.Connect("redis://me:s3cret@host:port")
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}

func TestGoroutinesShareALimitExactly(t *testing.T) {
	api := limiter(t, open(t, "memory://"), "1000/day")
	var allowed atomic.Int64
	var wait sync.WaitGroup
	for range 16 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 200 {
				if d, err := api.Consume(ctx, "k"); err != nil {
					t.Error(err)
				} else if d.Allowed {
					allowed.Add(1)
				}
			}
		}()
	}
	wait.Wait()
	if allowed.Load() != 1000 {
		t.Errorf("%d allowed, expected 1000", allowed.Load())
	}
	stats, err := api.Gate().Stats()
	if err != nil || stats.Allowed != 1000 || stats.Denied != 2200 || stats.ByMemory != 3200 ||
		stats.Keys != 1 {
		t.Errorf("%+v %v", stats, err)
	}
}

func TestAClosedGate(t *testing.T) {
	gate := open(t, "memory://")
	api := limiter(t, gate, "5/minute")
	d := consume(t, api, "k")
	var wait sync.WaitGroup
	for range 8 { // calls under way meet the close
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				if _, err := api.Consume(ctx, "k"); err != nil {
					if !errors.Is(err, tidegate.ErrClosed) {
						t.Error(err)
					}
					return
				}
			}
		}()
	}
	time.Sleep(5 * time.Millisecond)
	for range 2 { // the second changes nothing
		if err := gate.Close(); err != nil {
			t.Error(err)
		}
	}
	wait.Wait()
	_, err := gate.Limiter("1/m")
	_, statsErr := gate.Stats()
	for _, err := range []error{err, statsErr, api.Change("1/m"), api.Close(), gate.Ping(ctx)} {
		if !errors.Is(err, tidegate.ErrClosed) || errors.Is(err, tidegate.ErrConfig) {
			t.Error(err)
		}
	}
	if d.Headers() != nil || d.Problem() != "" || gate.URL() != "" {
		t.Error("a closed gate was asked")
	}
}

func TestTheEnvironmentNamesTheStore(t *testing.T) {
	t.Setenv("TIDEGATE_URL", "redis://127.0.0.1:1/3")
	if url := open(t, "").URL(); !strings.HasPrefix(url, "redis://127.0.0.1:1") {
		t.Error(url)
	}
	if open(t, "memory://").URL() != "memory://" {
		t.Error("the argument did not win")
	}
}

func TestVersionAndOptions(t *testing.T) {
	header, err := os.ReadFile("../../capi/include/tidegate.h")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(header), `#define TG_VERSION "`+tidegate.Version()+`"`) {
		t.Error(tidegate.Version())
	}
	if help := tidegate.OptionsHelp(); !strings.Contains(help, "timeout_ms\tinteger\t") ||
		len(strings.Split(help, "\n")) < 15 {
		t.Error(help)
	}
}

func TestWithoutCgoTheCompilerSaysWhatToDo(t *testing.T) {
	command := exec.Command("go", "build", ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := command.CombinedOutput()
	if err == nil ||
		!strings.Contains(string(out), "tidegate_needs_cgo__build_with_CGO_ENABLED_1") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheEmbeddedCallAllocatesLittle(t *testing.T) {
	api := limiter(t, open(t, "memory://"), "500000000/day")
	if n := testing.AllocsPerRun(1000, func() { consume(t, api, "user:42") }); n > 1 &&
		!raceEnabled {
		t.Errorf("%v allocations a decision, expected the parts alone", n)
	}
}

func BenchmarkEmbeddedConsume(b *testing.B) {
	api := limiter(b, open(b, "memory://"), "500000000/day")
	b.ReportAllocs()
	for b.Loop() {
		if d, err := api.Consume(ctx, "user:42"); err != nil || !d.Allowed {
			b.Fatal(d, err)
		}
	}
}

// lateClock sleeps longer than it was asked to, as on a busy machine.
type lateClock struct{ *tidegatetest.FakeClock }

func (c lateClock) Sleep(ctx context.Context, d time.Duration) error {
	time.Sleep(30 * time.Millisecond)
	return nil
}

func TestWhoSleepsPastHisDeadlineWasDenied(t *testing.T) {
	clock := lateClock{tidegatetest.NewClock(time.UnixMicro(1_000_000_000))}
	g := open(t, "memory://", tidegate.UseClock(clock))
	rate, jobs := limiter(t, g, "1/ms"), limiter(t, g, "1 at once", tidegate.Name("jobs"))
	slot, _, err := jobs.Slot(ctx, "k")
	if err != nil || slot == nil {
		t.Fatal(err)
	}
	defer slot.Release()
	consume(t, rate, "k")
	if d, err := rate.Wait(within(t, 20*time.Millisecond), "k"); d.Limit != 1 || !errors.Is(err, tidegate.ErrDenied) {
		t.Error(d, err)
	}
	s, d, err := jobs.WaitSlot(within(t, 20*time.Millisecond), "k")
	if s != nil || d.Limit != 1 || !errors.Is(err, tidegate.ErrDenied) {
		t.Error(s, d, err)
	}
}
