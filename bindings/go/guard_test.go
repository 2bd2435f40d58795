// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
)

func ask(t *testing.T, guard *tidegate.Guard, scope string, pairs ...string) tidegate.Decision {
	t.Helper()
	var list tidegate.AttributeList
	for i := 0; i < len(pairs); i += 2 {
		list.Add(pairs[i], pairs[i+1])
	}
	d, err := guard.Check(t.Context(), list, scope)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func guard(t *testing.T, g *tidegate.Gate, config tidegate.GuardConfig) *tidegate.Guard {
	t.Helper()
	u, err := g.Guard(config)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What adapters of frameworks do: a scope goes from check to check.
func TestChecksWithinChecks(t *testing.T) {
	eachStore(t, func(t *testing.T, url string, options ...tidegate.ConnectOption) {
		g, _ := policed(t, url, "version: 1\nlimiters: {app: 10/minute}\nrules: [{limit: app}]\n", options...)
		u := guard(t, g, tidegate.GuardConfig{Headers: tidegate.Standard})
		for i, expect := range []string{
			`"app";r=9;t=6, "POST.login";r=0;t=60`, `"app";r=8;t=6, "POST.login";r=0;t=60`,
		} {
			outer := ask(t, u, "", "identity", "k", "path", "/login")
			d := ask(t, u, outer.Scope(), "identity", "k", "path", "/login", "@limit", "1/minute",
				"@place", tidegate.PlaceName("", "POST", "/login"))
			if d.Allowed != (i == 0) || field(d, "RateLimit") != expect || field(d, "X-RateLimit-Limit") != "" {
				t.Errorf("%d: %v %q", i, d, d.Headers())
			}
			if err := d.Finish(t.Context(), d.Status(), nil); err != nil {
				t.Error(err)
			}
		}
		d := ask(t, u, "", "identity", "k")
		if d.Remaining != 8 { // the denied one was given back
			t.Error(d)
		}
		if err := d.GiveBack(t.Context()); err != nil {
			t.Error(err)
		}
		if d := ask(t, u, "", "identity", "k"); d.Remaining != 8 {
			t.Error(d)
		}
	})
}

func TestLimitsOfTheProgramBesideThePolicys(t *testing.T) {
	g, _ := manual(t)
	api := limiter(t, g, "5/minute", tidegate.Name("api"))
	u := guard(t, g, tidegate.GuardConfig{Headers: tidegate.LegacyDelta, TrustedProxies: "1"})
	var list tidegate.AttributeList
	list.Add("@peer", "198.51.100.1:80")
	list.Add("@forwarded_for", "203.0.113.7")
	list.AddLimiter(api)
	list.Add("@cost", "2")
	list.AddLimit("9/minute", tidegate.Name("all"), tidegate.Mode("shadow"))
	list.Add("@per", "everyone")
	d, err := u.Check(t.Context(), list, "")
	if err != nil || d.Caller() != "@203.0.113.7" || len(d.Parts) != 2 || d.Parts[0].Limiter != api ||
		d.Parts[0].Remaining != 3 || !d.Parts[1].Shadow || d.Parts[1].Name != "all" ||
		field(d, "X-RateLimit-Remaining") != "3" || field(d, "RateLimit") != "" {
		t.Errorf("%v %v %q", d, err, d.Headers())
	}
	if rates := d.Parts[1].Limiter.Rates(); len(rates) != 1 || rates[0].Mode != "shadow" {
		t.Errorf("%+v", rates)
	}
	for expect, pairs := range map[string][2]string{
		"TG_ERATE": {"@limit", "lots"}, "TG_EHANDLE": {"@limiter", strings.Repeat("\x01", 8)},
		"TG_EATTRIBUTE": {"@unheard", "of"},
	} {
		var list tidegate.AttributeList
		list.Add(pairs[0], pairs[1])
		_, err := u.Check(t.Context(), list, "")
		var e *tidegate.Error
		if !errors.As(err, &e) || e.Code.Name() != expect {
			t.Errorf("%q: %v", pairs, err)
		}
	}
	if _, err := u.Check(t.Context(), nil, "no scope of ours"); !errors.Is(err, tidegate.ErrConfig) {
		t.Error(err)
	}
	if _, err := u.Check(t.Context(), tidegate.AttributeList("x"), ""); !errors.Is(err, tidegate.ErrConfig) {
		t.Error(err)
	}
}

func TestEqualGuardsAreOne(t *testing.T) {
	g, _ := policed(t, "memory://", limits)
	none := tidegate.GuardConfig{Headers: tidegate.NoHeaders}
	one, two := guard(t, g, none), guard(t, g, none)
	other := guard(t, g, tidegate.GuardConfig{Headers: tidegate.NoHeaders, IPv6Prefix: 128})
	if one != two || one == other || one.Gate() != g {
		t.Error(one, two, other)
	}
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if d := ask(t, two, "", "identity", "k"); d.Headers() != nil || d.Limit != 3 {
		t.Errorf("%v %q", d, d.Headers())
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	if _, err := two.Check(t.Context(), nil, ""); !errors.Is(err, tidegate.ErrLimiterClosed) {
		t.Error(err)
	}
	if three := guard(t, g, none); three == two || ask(t, three, "", "identity", "k").Limit != 3 {
		t.Error("opened anew")
	}
	for _, config := range []tidegate.GuardConfig{
		{TrustedProxies: "proxy.example"}, {IPv6Prefix: 129}, {Policy: "version: 2\n"}, {Policy: ""},
	} {
		if _, err := g.Guard(config); !errors.Is(err, tidegate.ErrConfig) {
			t.Errorf("%+v: %v", config, err)
		}
	}
}

// More limits than a gate keeps, each named by the request: what is known of them stays bounded, and
// right.
func TestRatesOfRequestsAreKeptWhileTheyAreUsed(t *testing.T) {
	g, _ := manual(t)
	u := guard(t, g, tidegate.GuardConfig{})
	for i := range 10_000 {
		rate := int64(i%5_000 + 1)
		var list tidegate.AttributeList
		list.AddLimit(fmt.Sprintf("%d/minute", rate))
		d, err := u.Check(t.Context(), list, "")
		if err != nil || d.Limit != rate || d.Parts[0].Limiter.Name() != fmt.Sprintf("%d-per-60s", rate) {
			t.Fatalf("%d: %v %v", rate, d, err)
		}
	}
}

func TestAChangeReachesEveryGateOfTheStore(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		connect := func() *tidegate.Gate {
			return open(t, s.URL("timeout_ms=5000"), tidegate.UsePolicy(limits),
				tidegate.OnEvent(func(tidegate.Event) {}))
		}
		one, two := connect(), connect()
		admin := open(t, s.URL("timeout_ms=5000"), tidegate.OnEvent(func(tidegate.Event) {}))
		request := attributes{"path": "/", "identity": "k"}
		if d := checkOf(t, one, request); !d.Allowed {
			t.Fatal(d)
		}
		ban := tidegate.LiveCaller{Ban: true, For: time.Hour}
		if _, err := admin.Policy().By("support").SetCaller(t.Context(), "k", ban); err != nil {
			t.Fatal(err)
		}
		for _, g := range []*tidegate.Gate{one, two, connect()} {
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				d := checkOf(t, g, request)
				if d.Status() == 403 && d.RetryAfter <= time.Hour && d.RetryAfter > 58*time.Minute {
					break
				}
				if time.Now().After(end) {
					t.Fatal("the ban did not come:", d)
				}
			}
		}
	})
}

func TestAPolicysLimitWhileTheStoreIsAway(t *testing.T) {
	for on, expect := range map[string]int{"closed": 503, "open": 200, "local": 200} {
		g := open(t, "redis://127.0.0.1:1?timeout_ms=200", tidegate.UsePolicy(
			"version: 1\nlimiters: {a: {rate: 1/hour, on_failure: "+on+"}}\nrules: [{limit: a}]\n"),
			tidegate.OnEvent(func(tidegate.Event) {}))
		d := checkOf(t, g, attributes{"path": "/"})
		if d.Status() != expect || (d.Problem() != "") != (expect == 503) || d.Verdict() != "limits" {
			t.Errorf("%s: %d %v %s", on, d.Status(), d, d.Problem())
		}
		if err := d.Finish(t.Context(), 200, nil); err != nil {
			t.Error(on, err)
		}
	}
}
