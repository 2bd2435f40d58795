// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

const limits = `
version: 1
limiters:
  basic: 3/minute
  pro: 100/minute
  images: {rate: 10/minute, mode: shadow}
  everybody: 1000/minute
tiers: {basic: [basic], pro: [pro]}
default_tier: basic
rules:
  - {when: {path: /health}, exempt: true}
  - {when: {path: /v1/images/*}, limit: images, cost: "{images}"}
  - limit: tier
  - {limit: everybody, per: everyone}
callers:
  k_pro: {tier: pro}
  k_evil: {ban: true, reason: scraping}
  k_soon: {ban: true, until: 2025-11-21T00:01:00Z}
`

type attributes = tidegate.Attributes

// eachStore runs f on the embedded store and on every server, with a clock of its own.
func eachStore(t *testing.T, f func(t *testing.T, url string, options ...tidegate.ConnectOption)) {
	t.Run("embedded", func(t *testing.T) { f(t, "memory://") })
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		f(t, s.URL("timeout_ms=20000"), tidegate.Set("testing", "1"), tidegate.Namespace("tgtest"))
	})
}

func policed(
	t *testing.T, url, policy string, options ...tidegate.ConnectOption,
) (*tidegate.Gate, *tidegatetest.FakeClock) {
	t.Helper()
	clock := tidegatetest.NewClock(time.UnixMicro(1_763_683_200_000_000))
	options = append(options, tidegate.UseClock(clock), tidegate.UsePolicy(policy),
		tidegate.OnEvent(func(tidegate.Event) {}))
	g, err := tidegate.Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g, clock
}

func checkOf(t *testing.T, g *tidegate.Gate, request attributes) tidegate.Decision {
	t.Helper()
	d, err := g.Check(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func field(d tidegate.Decision, name string) string {
	for _, f := range d.Headers() {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func TestACheckIsOneDecisionOfAllThatItMeets(t *testing.T) {
	eachStore(t, func(t *testing.T, url string, options ...tidegate.ConnectOption) {
		g, _ := policed(t, url, limits, options...)
		request := attributes{"method": "GET", "path": "/", "identity": "k_1"}
		for i := range 3 {
			d := checkOf(t, g, request)
			expect := fmt.Sprintf(`"basic";r=%d;t=20, "everybody";r=%d;t=1`, 2-i, 999-i)
			if !d.Allowed || d.Status() != 200 || d.Verdict() != "limits" || len(d.Parts) != 2 ||
				d.Parts[0].Name != "basic" || d.Parts[1].Limiter.Name() != "everybody" ||
				d.Remaining != int64(2-i) || field(d, "RateLimit") != expect || d.Problem() != "" {
				t.Errorf("%d: %v %q", i, d, d.Headers())
			}
		}
		d := checkOf(t, g, request)
		if d.Allowed || d.Status() != 429 || d.RetryAfter != 20*time.Second || d.Name != "basic" ||
			field(d, "Retry-After") != "20" || d.Caller() != "k_1" ||
			!strings.Contains(d.Problem(), `"violated-policies":["basic"]`) ||
			!errors.Is(d.Err(), tidegate.ErrDenied) {
			t.Errorf("%v %q %s", d, d.Headers(), d.Problem())
		}
		if pro := checkOf(t, g, attributes{"path": "/", "identity": "k_pro"}); pro.Name != "pro" {
			t.Error(pro)
		}
		legacy := checkOf(t, g, attributes{"path": "/", "address": "203.0.113.7"})
		if legacy.Caller() != "@203.0.113.7" || len(legacy.Headers(tidegate.LegacyDelta)) != 3 {
			t.Errorf("%v %q", legacy, legacy.Headers(tidegate.LegacyDelta))
		}
	})
}

func TestBansAndExemptionsAskNobody(t *testing.T) {
	g, clock := policed(t, "memory://", limits)
	d := checkOf(t, g, attributes{"path": "/", "identity": "k_evil"})
	if d.Allowed || d.Status() != 403 || d.Verdict() != "banned" || d.Reason() != "scraping" ||
		d.Source != tidegate.SourcePolicy || d.RetryAfter != tidegate.Never ||
		d.String() != "denied (policy), never" || strings.Contains(d.Problem(), "scraping") ||
		!strings.Contains(d.Problem(), `"status":403`) {
		t.Errorf("%v %s %q", d, d.Problem(), d.Headers())
	}
	d = checkOf(t, g, attributes{"path": "/", "identity": "k_soon"})
	if d.RetryAfter != time.Minute || field(d, "Retry-After") != "60" {
		t.Errorf("%v %q", d, d.Headers())
	}
	clock.Advance(time.Minute)
	if d := checkOf(t, g, attributes{"path": "/", "identity": "k_soon"}); !d.Allowed {
		t.Error(d)
	}
	d = checkOf(t, g, attributes{"path": "/health"})
	if !d.Allowed || d.Verdict() != "exempt" || d.Status() != 200 || len(d.Headers()) != 0 ||
		d.Finish(t.Context(), 200, nil) != nil {
		t.Errorf("%v %q", d, d.Headers())
	}
	stats, err := g.Stats()
	if err != nil || stats.Allowed != 1 {
		t.Errorf("%+v %v", stats, err)
	}
}

func TestMistakesOfTheProgram(t *testing.T) {
	g, _ := policed(t, "memory://", limits)
	for expect, request := range map[string]attributes{
		`"gold"`:         {"path": "/", "tier": "gold"},
		"rules[1]":       {"path": "/v1/images/x", "images": "many"},
		"images: a []in": {"path": "/v1/images/x", "images": []int{4}},
	} {
		_, err := g.Check(t.Context(), request)
		var e *tidegate.Error
		if !errors.As(err, &e) || e.Code != tidegate.CodeAttribute ||
			!errors.Is(err, tidegate.ErrConfig) || !strings.Contains(e.Message, expect) {
			t.Errorf("%v: %v", request, err)
		}
	}
	if _, err := open(t, "memory://").Check(t.Context(), nil); !errors.Is(err, tidegate.ErrConfig) {
		t.Error("no policy:", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Check(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	g.Close()
	if _, err := g.Check(t.Context(), nil); !errors.Is(err, tidegate.ErrClosed) {
		t.Error(err)
	}
	if _, err := g.Policy().SetCaller(t.Context(), "k", tidegate.LiveCaller{Ban: true}); !errors.Is(
		err, tidegate.ErrClosed) {
		t.Error(err)
	}
}

func TestAFaultyPolicyIsFoundAtTheStart(t *testing.T) {
	for expect, policy := range map[string]any{
		"rules[0].limit": "version: 1\nlimiters: {a: 5/minute}\nrules: [{limit: b}]\n",
		"nowhere.yaml":   filepath.Join(t.TempDir(), "nowhere.yaml"),
		"empty policy":   "",
	} {
		_, err := tidegate.Connect("memory://", tidegate.UsePolicy(policy))
		var e *tidegate.Error
		if !errors.As(err, &e) || e.Code != tidegate.CodePolicy || !errors.Is(err, tidegate.ErrConfig) ||
			!strings.Contains(e.Message, expect) {
			t.Errorf("%v, expected %s", err, expect)
		}
	}
}

func TestAFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	write := func(rate string) {
		text := "version: 1\nlimiters: {a: " + rate + "}\nrules: [{limit: a}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("5/minute")
	g, err := tidegate.Connect("memory://", tidegate.UsePolicy(path),
		tidegate.OnEvent(func(tidegate.Event) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if d := checkOf(t, g, attributes{"path": "/"}); d.Limit != 5 {
		t.Error(d)
	}
	write("7/minute")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if d := checkOf(t, g, attributes{"path": "/"}); d.Limit == 7 && d.Parts[0].Limiter.Rates()[0].Limit == 7 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the file was not read again")
		}
	}
	write("lots")
	if faults, err := g.Policy().Validate(path); err != nil || len(faults) != 1 ||
		faults[0].Path != "limiters.a" || faults[0].Line != 2 {
		t.Errorf("%+v %v", faults, err)
	}
	if d := checkOf(t, g, attributes{"path": "/"}); d.Limit != 7 {
		t.Error(d)
	}
	if err := g.Policy().Load("version: 1\nlimiters: {a: 9/minute}\nrules: [{limit: a}]\n"); err != nil {
		t.Error(err)
	}
	if d := checkOf(t, g, attributes{"path": "/"}); d.Limit != 9 {
		t.Error(d)
	}
}

func TestALiveDocumentIsSaidOverThePolicy(t *testing.T) {
	eachStore(t, func(t *testing.T, url string, options ...tidegate.ConnectOption) {
		g, clock := policed(t, url, limits, options...)
		p, ctx := g.Policy().By("support"), t.Context()
		version := int64(0)
		changed := func(now int64, err error) {
			t.Helper()
			if err != nil || now <= version {
				t.Fatalf("version %d, expected more than %d: %v", now, version, err)
			}
			version = now
		}
		is := func(identity string, status int, limit int64) {
			t.Helper()
			d := checkOf(t, g, attributes{"path": "/", "identity": identity})
			if d.Status() != status || status == 200 && d.Limit != limit {
				t.Errorf("%s: %d %v, expected %d, of %d", identity, d.Status(), d, status, limit)
			}
		}
		is("k", 200, 3)
		changed(p.SetCaller(ctx, "k", tidegate.LiveCaller{Ban: true, For: time.Hour, Reason: "now"}))
		is("k", 403, 0)
		clock.Advance(time.Hour)
		is("k", 200, 3)
		changed(p.SetLimit(ctx, "basic", tidegate.LiveLimit{
			Rate: "7/minute", Mode: "enforce", OnFailure: tidegate.Closed,
			Until: clock.Now().Add(time.Minute),
		}))
		is("j", 200, 7)
		clock.Advance(time.Minute)
		is("j", 200, 3)
		changed(p.SetTier(ctx, "basic", tidegate.LiveTier{Limiters: []string{"pro"}}))
		is("i", 200, 100)
		changed(p.SetCaller(ctx, "k_evil", tidegate.LiveCaller{Pardon: true, Tier: "pro",
			NotExempt: true, Limits: map[string]string{"pro": "50/minute"}}))
		is("k_evil", 200, 50)
		v, document, err := p.Live()
		if err != nil || v != version || !strings.Contains(string(document), `"k_evil"`) {
			t.Errorf("%d %s %v", v, document, err)
		}
		changed(p.Clear(ctx, "k_evil"))
		is("k_evil", 403, 0)
		changed(p.ClearTier(ctx, "basic"))
		is("h", 200, 3)
		changed(p.ClearLimit(ctx, "basic"))
		changed(p.Replace(ctx, map[string]any{"callers": map[string]any{
			"m": map[string]any{"exempt": true}}}))
		if d := checkOf(t, g, attributes{"path": "/", "identity": "m"}); d.Verdict() != "exempt" {
			t.Error(d)
		}
		changed(p.Replace(ctx, "{}"))
		is("m", 200, 3)
		_, err = p.SetLimit(ctx, "unheard", tidegate.LiveLimit{Rate: "7/minute"})
		var e *tidegate.Error
		if !errors.As(err, &e) || e.Code != tidegate.CodePolicy {
			t.Error(err)
		}
	})
}

func TestExplain(t *testing.T) {
	g, _ := policed(t, "memory://", limits)
	request := attributes{"path": "/v1/images/x", "identity": "k_pro", "images": 4}
	checkOf(t, g, request)
	e, err := g.Policy().Explain(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if e.Verdict != "limits" || len(e.Parts) != 3 || e.Parts[0].Cost != 4 || e.Caller != "k_pro" ||
		*e.Tier != "pro" || *e.TierFrom != "caller" || len(e.States) != 3 || e.Source != "memory" ||
		*e.States[0].Remaining != 6 || *e.States[1].Remaining != 99 || e.Entries[0].Name != "k_pro" ||
		*e.Why[0].Matched || e.Why[0].Unmet != "path" || !*e.Why[1].Matched {
		t.Errorf("%+v", e)
	}
	e, err = g.Policy().Explain(t.Context(), attributes{"path": "/", "identity": "k_evil"})
	if err != nil || e.Verdict != "banned" || *e.Reason != "scraping" || e.States != nil {
		t.Errorf("%+v %v", e, err)
	}
}

func TestWhatTheAnswerSettles(t *testing.T) {
	eachStore(t, func(t *testing.T, url string, options ...tidegate.ConnectOption) {
		g, clock := policed(t, url, `
version: 1
limiters: {logins: 5/minute, tokens: 1000/minute overdraft 1000, jobs: {rate: 2 at once, lease: 10s}}
rules:
  - {when: {path: /login}, limit: logins, count: failed}
  - {when: {path: /chat}, limit: tokens, cost: 100, settle: "{used}"}
  - {when: {path: /job}, limit: jobs}
`, options...)
		request := func(path string) attributes { return attributes{"path": path, "identity": "k"} }
		finish := func(d tidegate.Decision, status int, said attributes) {
			t.Helper()
			if err := d.Finish(t.Context(), status, said); err != nil {
				t.Error(err)
			}
		}
		for _, status := range []int{200, 401} {
			finish(checkOf(t, g, request("/login")), status, nil)
		}
		if d := checkOf(t, g, request("/login")); d.Remaining != 3 {
			t.Error(d)
		}
		finish(checkOf(t, g, request("/chat")), 200, attributes{"used": 350})
		if d := checkOf(t, g, request("/chat")); d.Remaining != 550 {
			t.Error(d)
		}
		one, two := checkOf(t, g, request("/job")), checkOf(t, g, request("/job"))
		if one.RenewWithin() != 5*time.Second || checkOf(t, g, request("/job")).Allowed {
			t.Error(one, one.RenewWithin())
		}
		clock.Advance(8 * time.Second)
		if err := two.Renew(t.Context()); err != nil {
			t.Error(err)
		}
		clock.Advance(8 * time.Second) // one's lease is over, two's is not
		three := checkOf(t, g, request("/job"))
		if !three.Allowed || checkOf(t, g, request("/job")).Allowed {
			t.Error(three)
		}
		finish(two, 200, nil)
		if d := checkOf(t, g, request("/job")); !d.Allowed {
			t.Error(d)
		}
	})
}

func TestManyGoroutinesShareAGuard(t *testing.T) {
	eachStore(t, func(t *testing.T, url string, options ...tidegate.ConnectOption) {
		g, _ := policed(t, url, limits, options...)
		var wait sync.WaitGroup
		var mu sync.Mutex
		admitted := 0
		for range 8 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for range 25 {
					d, err := g.Check(t.Context(), attributes{"path": "/", "identity": "k_pro"})
					if err != nil || d.Caller() != "k_pro" || len(d.Parts) != 2 {
						t.Error(d, err)
					}
					mu.Lock()
					if d.Allowed {
						admitted++
					}
					mu.Unlock()
				}
			}()
		}
		wait.Wait()
		if admitted != 100 {
			t.Errorf("%d admitted, expected 100", admitted)
		}
	})
}
