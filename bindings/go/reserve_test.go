// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
)

func remaining(t testing.TB, l *tidegate.Limiter, key string) int64 {
	t.Helper()
	d, err := l.Peek(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	return d.Remaining
}

func reserve(t testing.TB, l *tidegate.Limiter, key string, n int64) *tidegate.Reservation {
	t.Helper()
	r, err := l.Reserve(ctx, key, n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestADebitGoesIntoDebtAndNoFurther(t *testing.T) {
	gate, clock := manual(t)
	api := limiter(t, gate, "10/minute overdraft 5", tidegate.Name("api"))
	if rates := api.Rates(); rates[0].Overdraft != 5 {
		t.Errorf("%+v", rates)
	}
	d, err := api.Debit(ctx, "k", 12)
	if err != nil || !d.Allowed || d.Remaining != 0 || d.Parts[0].Shortfall != 0 ||
		d.RetryAfter != 18*time.Second {
		t.Errorf("%+v %v", d, err)
	}
	d, err = api.Debit(ctx, "k", 1<<52-1)
	if err != nil || d.Parts[0].Shortfall != 1<<52-1-3 {
		t.Errorf("%+v %v", d, err)
	}
	if d := consume(t, api, "k"); d.Allowed || d.RetryAfter != 36*time.Second {
		t.Errorf("in debt: %v", d)
	}
	clock.Advance(36 * time.Second)
	if d := consume(t, api, "k"); !d.Allowed {
		t.Errorf("the debt is paid: %v", d)
	}
	for _, cost := range []int64{-1, 1 << 52} {
		var e *tidegate.Error
		if _, err := api.Debit(ctx, "k", cost); !errors.As(err, &e) || e.Code != tidegate.CodeCost {
			t.Errorf("a debit of %d: %v", cost, err)
		}
	}
	if _, err := gate.Limiter("1/minute overdraft 9999999999999"); !errors.Is(err, tidegate.ErrConfig) {
		t.Errorf("an overdraft that is too large: %v", err)
	}
}

func TestSeveralPartsAreDebitedGivenBackAndReset(t *testing.T) {
	gate, _ := manual(t)
	a := limiter(t, gate, "10/hour", tidegate.Name("a"))
	b := limiter(t, gate, "100/hour overdraft 10", tidegate.Name("b"))
	d, err := gate.Debit(ctx, tidegate.SourceNone,
		a.For("k", tidegate.Cost(30)), b.For("k", tidegate.Cost(30)))
	if err != nil || d.Parts[0].Shortfall != 20 || d.Parts[1].Shortfall != 0 ||
		d.Parts[1].Remaining != 70 {
		t.Errorf("%+v %v", d, err)
	}
	err = gate.Refund(ctx, d.Source, a.For("k", tidegate.Cost(4)), b.For("k", tidegate.Cost(5)))
	if err != nil || remaining(t, a, "k") != 4 || remaining(t, b, "k") != 75 {
		t.Error(err, remaining(t, a, "k"), remaining(t, b, "k"))
	}
	if err := gate.Reset(ctx, a.For("k"), b.For("k")); err != nil ||
		remaining(t, a, "k") != 10 || remaining(t, b, "k") != 100 {
		t.Error(err, remaining(t, a, "k"), remaining(t, b, "k"))
	}
}

func TestAReservationIsSettledOnce(t *testing.T) {
	gate, _ := manual(t)
	api := limiter(t, gate, "100/hour overdraft 50", tidegate.Name("api"))
	for _, c := range []struct{ used, left, returned, debited int64 }{
		{30, 70, 50, 0}, {80, 20, 0, 0}, {95, 5, 0, 15}, {0, 100, 80, 0},
	} {
		r := reserve(t, api, "k", 80)
		if !r.Allowed() || remaining(t, api, "k") != 20 {
			t.Fatalf("%+v", r)
		}
		if _, err := r.Settle(ctx, -1); !errors.Is(err, tidegate.ErrConfig) {
			t.Errorf("used -1: %v", err)
		}
		s, err := r.Settle(ctx, c.used)
		if err != nil || !s.Done || s.Returned != c.returned || s.Debited != c.debited {
			t.Errorf("%d used: %+v %v", c.used, s, err)
		}
		if _, err := r.Settle(ctx, c.used); !errors.Is(err, tidegate.ErrSettled) {
			t.Errorf("settled twice: %v", err)
		}
		if err := r.Release(); err != nil || remaining(t, api, "k") != c.left {
			t.Errorf("%d used: %v, %d left", c.used, err, remaining(t, api, "k"))
		}
		if err := api.Reset(ctx, "k"); err != nil {
			t.Fatal(err)
		}
	}
	r := reserve(t, api, "k", 80)
	if err := errors.Join(r.Release(), r.Release()); err != nil || remaining(t, api, "k") != 100 {
		t.Error(err, remaining(t, api, "k"))
	}
	if _, err := r.Settle(ctx, 1); !errors.Is(err, tidegate.ErrSettled) {
		t.Errorf("settled after the release: %v", err)
	}
}

func TestADeniedReservationHoldsNothing(t *testing.T) {
	gate, _ := manual(t)
	api := limiter(t, gate, "10/hour", tidegate.Name("api"))
	r := reserve(t, api, "k", 11)
	if _, err := r.Settle(ctx, 3); r.Allowed() || !errors.Is(err, tidegate.ErrDenied) {
		t.Errorf("%+v %v", r, err)
	}
	consume(t, api, "k")
	if err := r.Release(); err != nil || remaining(t, api, "k") != 9 {
		t.Error("released what it did not have:", err, remaining(t, api, "k"))
	}
	var none *tidegate.Reservation
	if _, err := none.Settle(ctx, 1); !errors.Is(err, tidegate.ErrConfig) || none.Release() != nil {
		t.Error("nil:", err)
	}
}

func TestAReservationOfSeveralParts(t *testing.T) {
	gate, _ := manual(t)
	requests := limiter(t, gate, "10/second; 10/hour", tidegate.Name("requests"))
	tokens := limiter(t, gate, "100/hour overdraft 50", tidegate.Name("tokens"))
	shadow := limiter(t, gate, "5/hour", tidegate.Name("shadow"), tidegate.Mode("shadow"))
	running := limiter(t, gate, "2 at once", tidegate.Name("running"))
	r, err := gate.Reserve(ctx, requests.For("k"), tokens.For("a", tidegate.Cost(60)),
		tokens.For("b", tidegate.Cost(60)), shadow.For("k", tidegate.Cost(9)),
		running.For("k", tidegate.ID("job")))
	if err != nil || !r.Allowed() {
		t.Fatal(err)
	}
	if _, err := r.SettleEach(ctx, 1, 70); !errors.Is(err, tidegate.ErrConfig) {
		t.Errorf("two numbers for five parts: %v", err)
	}
	s, err := r.SettleEach(ctx, 1, 70, 50, 2, 0)
	if err != nil || s.Debited != 10 || s.Returned != 10 || s.Decision.Parts[0].Remaining != 30 {
		t.Errorf("%+v %v", s, err)
	}
	for _, c := range []struct {
		of   *tidegate.Limiter
		key  string
		left int64
	}{
		{requests, "k", 9}, {tokens, "a", 30}, {tokens, "b", 50}, {shadow, "k", 5}, {running, "k", 2},
	} {
		if left := remaining(t, c.of, c.key); left != c.left {
			t.Errorf("%s of %s: %d left, expected %d", c.key, c.of.Name(), left, c.left)
		}
	}
	// What a shadow did not take is not given back either.
	if d := consume(t, shadow, "k", tidegate.Cost(3)); d.WouldDeny {
		t.Fatal(d)
	}
	r = reserve(t, shadow, "k", 4)
	if err := r.Release(); err != nil || remaining(t, shadow, "k") != 2 {
		t.Error(err, remaining(t, shadow, "k"))
	}
}

func TestWhereAReservationWasMadeThereItIsSettled(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		s.Kill()
		gate := open(t, s.URL("timeout_ms=2000"), quiet())
		local := limiter(t, gate, "100/hour overdraft 50", tidegate.Name("local"))
		free := limiter(t, gate, "100/hour", tidegate.Name("free"), tidegate.OnFailure(tidegate.Open))
		less, more := reserve(t, local, "k", 60), reserve(t, local, "k", 20)
		nobody := reserve(t, free, "k", 60)
		if _, err := free.Debit(ctx, "k", 5); !errors.Is(err, tidegate.ErrStore) {
			t.Errorf("a debit that nobody can take: %v", err)
		}
		s.Restart(t)
		for end := time.Now().Add(15 * time.Second); gate.Ping(ctx) != nil; {
			time.Sleep(20 * time.Millisecond)
			if time.Now().After(end) {
				t.Fatal("the store came back unnoticed")
			}
		}
		if settled, err := nobody.Settle(ctx, 70); err != nil || settled.Done {
			t.Errorf("nothing was reserved: %+v %v", settled, err)
		}
		_, first := less.Settle(ctx, 10)
		settled, second := more.Settle(ctx, 30)
		if err := errors.Join(first, second); err != nil ||
			settled.Decision.Source != tidegate.SourceFallback ||
			settled.Decision.Remaining != 60 {
			t.Errorf("%+v %v", settled, err)
		}
		if left := remaining(t, local, "k"); left != 100 {
			t.Errorf("the store has %d left, expected what nobody touched", left)
		}
		made := reserve(t, local, "k", 60)
		s.Stop()
		_, err := made.Settle(within(t, 50*time.Millisecond), 10)
		s.Continue()
		if !errors.Is(err, tidegate.ErrStore) || made.Decision.Source != tidegate.SourceStore {
			t.Errorf("the store is away: %v", err)
		}
		if _, err := made.Settle(ctx, 10); !errors.Is(err, tidegate.ErrSettled) {
			t.Errorf("a settlement that failed is not repeated: %v", err)
		}
	})
}

func TestAReservationOfACancelledRequestIsReleased(t *testing.T) {
	gate, _ := manual(t)
	api := limiter(t, gate, "10/hour")
	request, cancel := context.WithCancel(ctx)
	err := func() error {
		r, err := api.Reserve(request, "k", 4)
		if err != nil {
			return err
		}
		defer r.Release()
		cancel()
		_, err = r.Settle(ctx, -5) // refused: no settlement
		return err
	}()
	if !errors.Is(err, tidegate.ErrConfig) || remaining(t, api, "k") != 10 {
		t.Error(err, remaining(t, api, "k"))
	}
	if _, err := api.Reserve(request, "k", 4); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
