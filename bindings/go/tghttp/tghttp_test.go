// SPDX-License-Identifier: MIT

package tghttp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
)

func gate(t *testing.T, url string, options ...tidegate.ConnectOption) *tidegate.Gate {
	t.Helper()
	g, err := tidegate.Connect(url, append(options, tidegate.OnEvent(func(tidegate.Event) {}))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func limit(t *testing.T, config tghttp.Config) func(http.Handler) http.Handler {
	t.Helper()
	m, err := tghttp.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func apiKey(r *http.Request) string { return r.Header.Get("X-Api-Key") }

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok")
})

func TestTheSameLimiterMetTwiceIsChargedOnce(t *testing.T) {
	g := gate(t, "memory://")
	headers := tidegate.Standard | tidegate.LegacyDelta
	outer := limit(t, tghttp.Config{Gate: g, Limit: "10/hour", Name: "api", Headers: headers})
	strict := limit(t, tghttp.Config{Gate: g, Limit: "2/hour", Name: "strict", Headers: headers})
	url := serve(t, outer(outer(strict(ok))))
	response, _ := get(t, url)
	if list := response.Header["Ratelimit"]; len(list) != 1 ||
		list[0] != `"api";r=9;t=360, "strict";r=1;t=1800` {
		t.Errorf("RateLimit: %q", list)
	}
	if left := response.Header.Get("X-RateLimit-Remaining"); left != "1" {
		t.Errorf("%s left, expected the least", left)
	}
	get(t, url)
	response, body := get(t, url)
	if response.StatusCode != 429 || response.Header.Get("X-RateLimit-Limit") != "2" ||
		!strings.Contains(body, `["strict"]`) {
		t.Errorf("%d %v %s", response.StatusCode, response.Header, body)
	}
}

func TestAReverseProxyThatDeletesItsUpstreamsFields(t *testing.T) {
	g := gate(t, "memory://")
	upstream := serve(t, limit(t, tghttp.Config{Gate: g, Limit: "9/hour", Name: "upstream"})(ok))
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			for _, name := range []string{"Limit", "Remaining", "Reset"} {
				r.Header.Del("X-RateLimit-" + name)
			}
			return nil
		},
	}
	edge := limit(t, tghttp.Config{Gate: g, Limit: "5/hour", Name: "edge"})
	response, body := get(t, serve(t, edge(proxy)))
	got := response.Header.Values("X-RateLimit-Limit")
	if len(got) != 1 || got[0] != "5" || body != "ok" {
		t.Errorf("%q %q", got, body)
	}
	// What it did not delete is the answer's own, and stands.
	for _, name := range []string{"RateLimit", "RateLimit-Policy"} {
		lists := response.Header.Values(name)
		if len(lists) != 1 || !strings.HasPrefix(lists[0], `"upstream";`) {
			t.Errorf("%s: %q", name, lists)
		}
	}
}

func TestTiersByALimiterOfTheRequest(t *testing.T) {
	g := gate(t, "memory://")
	tiers := map[string]*tidegate.Limiter{}
	for name, rate := range map[string]string{"basic": "1/hour", "pro": "3/hour"} {
		l, err := g.Limiter(rate, tidegate.Name(name))
		if err != nil {
			t.Fatal(err)
		}
		tiers[name] = l
	}
	url := serve(t, limit(t, tghttp.Config{
		Gate: g,
		For: func(r *http.Request) []*tidegate.Limiter {
			return []*tidegate.Limiter{tiers[r.Header.Get("Tier")]}
		},
		Key: apiKey,
	})(ok))
	for tier, quota := range map[string]int{"basic": 1, "pro": 3, "none": 5} {
		for i := range 5 {
			response, _ := get(t, url, "Tier", tier, "X-Api-Key", "k_"+tier)
			if (response.StatusCode == 200) != (i < quota) {
				t.Errorf("%s, request %d: %d", tier, i, response.StatusCode)
			}
		}
	}
}

func TestStreamsAndHijackedConnectionsAreUntouched(t *testing.T) {
	gone := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d, ok := tghttp.FromContext(r.Context()); !ok || !d.Allowed || d.Name != "api" {
			t.Errorf("%v %v", d, ok)
		}
		if r.URL.Path == "/hijack" {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\nraw")
				conn.Close()
			}
			return
		}
		fmt.Fprintln(w, "first")
		w.(http.Flusher).Flush()
		<-gone
		fmt.Fprintln(w, "second")
	})
	config := tghttp.Config{Gate: gate(t, "memory://"), Limit: "9/hour", Name: "api"}
	url := serve(t, limit(t, config)(handler))
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	first, _ := lines.ReadString('\n')
	close(gone)
	second, _ := lines.ReadString('\n')
	if first+second != "first\nsecond\n" {
		t.Errorf("%q %q", first, second)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
	if raw, _ := io.ReadAll(conn); !strings.HasSuffix(string(raw), "raw") {
		t.Errorf("%q", raw)
	}
}

func TestHTTP2(t *testing.T) {
	config := tghttp.Config{Gate: gate(t, "memory://"), Limit: "1/hour", Name: "api"}
	server := httptest.NewUnstartedServer(limit(t, config)(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			_, _, err := w.(http.Hijacker).Hijack()
			push := w.(http.Pusher).Push("/style.css", nil)
			flush := http.NewResponseController(w).Flush()
			fmt.Fprint(w, r.ProtoMajor, err != nil, push != nil, flush == nil)
		})))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for i, expect := range []string{"2 true true true", `{"type":`} {
		response, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != []int{200, 429}[i] || !strings.HasPrefix(string(body), expect) ||
			response.Header.Get("RateLimit") != `"api";r=0;t=3600` {
			t.Errorf("%s %v %s", response.Status, response.Header, body)
		}
	}
}

func TestWhatTheUserAnswersInstead(t *testing.T) {
	g := gate(t, "memory://")
	var failure error
	url := serve(t, limit(t, tghttp.Config{
		Gate: g, Limit: "1/hour",
		Cost: func(r *http.Request) int64 { return int64(len(r.URL.Query())) - 1 },
		Skip: func(r *http.Request) bool { return r.URL.Path == "/free" },
		OnDenied: func(w http.ResponseWriter, _ *http.Request, d tidegate.Decision) {
			w.WriteHeader(418)
			fmt.Fprint(w, d.RetryAfter == tidegate.Never)
		},
		OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
			failure = err
			w.WriteHeader(501)
		},
	})(ok))
	if response, body := get(t, url+"/?a=1&b=2&c=3"); response.StatusCode != 418 || body != "true" {
		t.Errorf("denied: %d %s", response.StatusCode, body)
	}
	response, _ := get(t, url)
	if response.StatusCode != 501 || !errors.Is(failure, tidegate.ErrConfig) {
		t.Errorf("a negative cost: %d %v", response.StatusCode, failure)
	}
	if response, _ := get(t, url+"/free"); response.StatusCode != 200 {
		t.Errorf("skipped: %d", response.StatusCode)
	}
	closed := gate(t, "memory://")
	url = serve(t, limit(t, tghttp.Config{Gate: closed, Limit: "1/hour"})(ok))
	closed.Close()
	if response, _ := get(t, url); response.StatusCode != 500 {
		t.Errorf("a closed gate: %d", response.StatusCode)
	}
}

var magic = []tidegate.LimiterOption{tidegate.Algorithm("magic")}

func TestBadConfigurationsFailAtTheStart(t *testing.T) {
	g, other := gate(t, "memory://"), gate(t, "memory://")
	foreign, err := other.Limiter("1/hour")
	if err != nil {
		t.Fatal(err)
	}
	of := func(limits ...tghttp.Limit) tghttp.Config { return tghttp.Config{Gate: g, Limits: limits} }
	mine := &tidegate.Limiter{}
	key := func(*http.Request) string { return "" }
	for expect, config := range map[string]tghttp.Config{
		"Limit, Limits, Limiters or For": {Gate: g},
		"one of them":                    {Gate: g, Store: "memory://", Limit: "1/hour"},
		"fortnight":                      {Gate: g, Limit: "1/fortnight"},
		"the middleware's gate":          {Gate: g, Limiters: []*tidegate.Limiter{foreign}},
		"expected no nil":                {Gate: g, Limiters: []*tidegate.Limiter{nil}},
		"proxy.example":                  {Gate: g, Limit: "1/hour", TrustedProxies: "proxy.example"},
		"unsupported type":               {Gate: g, Limit: "1/hour", Message: make(chan int)},
		"expected memory://":             {Store: "nowhere", Limit: "1/hour"},
		"17 limits":                      of(make([]tghttp.Limit, 17)...),
		"limit 1: tidegate: rate":        of(tghttp.Limit{Rate: "1/hour"}, tghttp.Limit{}),
		"Per is 7":                       of(tghttp.Limit{Rate: "1/hour", Per: 7}),
		"Per and Key":                    of(tghttp.Limit{Rate: "1/hour", Per: tghttp.Address, Key: key}),
		"Limiter and Rate":               of(tghttp.Limit{Rate: "1/hour", Limiter: mine}),
		"magic":                          of(tghttp.Limit{Rate: "1/hour", Options: magic}),
		"rules[0].limit":                 {Gate: g, Policy: "version: 1\nrules: [{limit: a}]"},
		"an empty policy":                {Gate: g, Policy: ""},
	} {
		if _, err := tghttp.New(config); !errors.Is(err, tidegate.ErrConfig) ||
			!strings.Contains(err.Error(), expect) {
			t.Errorf("%v, expected %q", err, expect)
		}
	}
}

func TestCallersOfAUnixSocketAndStrangeKeys(t *testing.T) {
	config := tghttp.Config{Gate: gate(t, "memory://"), Limit: "1/hour", Key: apiKey}
	handler := limit(t, config)(ok)
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}
	for i, expect := range []int{200, 429, 200, 429} {
		request, _ := http.NewRequest("GET", "http://unix/", nil)
		if i >= 2 {
			request.Header.Set("X-Api-Key", strings.Repeat("k", 10_000))
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != expect {
			t.Errorf("request %d: %d, expected %d", i, response.StatusCode, expect)
		}
	}
}

func TestTwoServicesShareALimitAndSurviveTheirStore(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		var urls [2]string
		for i := range urls {
			config := tghttp.Config{
				Gate: gate(t, s.URL("timeout_ms=300")), Limit: "10/hour", Name: "api",
				Exempt: []string{"/health"}, Key: apiKey,
			}
			urls[i] = serve(t, limit(t, config)(ok))
		}
		admitted := 0
		for i := range 30 {
			if response, _ := get(t, urls[i%2], "X-Api-Key", "k_1"); response.StatusCode == 200 {
				admitted++
			}
		}
		if admitted != 10 {
			t.Errorf("%d admitted, expected 10", admitted)
		}
		s.Stop()
		for _, path := range []string{"/health", "/", "/"} {
			begin := time.Now()
			response, _ := get(t, urls[0]+path, "X-Api-Key", "k_2")
			if took := time.Since(begin); response.StatusCode != 200 || took > 2*time.Second {
				t.Errorf("stopped: %s answered %d after %v", path, response.StatusCode, took)
			}
		}
		s.Continue()
		s.Kill()
		for range 3 {
			if response, _ := get(t, urls[1], "X-Api-Key", "k_3"); response.StatusCode != 200 {
				t.Errorf("killed: %d", response.StatusCode)
			}
		}
	})
}

func TestWithoutAGateTheProcessSharesOnePerStore(t *testing.T) {
	t.Cleanup(tghttp.CloseShared)
	config := tghttp.Config{Store: "memory://", Limit: "1/hour", Name: "shared"}
	first, second := serve(t, limit(t, config)(ok)), serve(t, limit(t, config)(ok))
	t.Setenv("TIDEGATE_URL", "memory://")
	third := serve(t, limit(t, tghttp.Config{Limit: "1/hour", Name: "shared"})(ok))
	for i, url := range []string{first, second, third} {
		if response, _ := get(t, url); (response.StatusCode == 200) != (i == 0) {
			t.Error(i, response.Status)
		}
	}
	tghttp.CloseShared()
	if response, _ := get(t, first); response.StatusCode != 500 {
		t.Error("closed:", response.Status)
	}
	if response, _ := get(t, serve(t, limit(t, config)(ok))); response.StatusCode != 200 {
		t.Error("made anew:", response.Status)
	}
}
