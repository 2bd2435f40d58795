// SPDX-License-Identifier: MIT

package tghttp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

const service = `
version: 1
limiters:
  logins: 5/minute
  tokens: 1000/minute overdraft 1000
  jobs: {rate: 1 at once, lease: 10s}
  app: 100/minute
rules:
  - {when: {path: /v1/login}, limit: logins, count: failed}
  - {when: {path: /v1/chat}, limit: tokens, cost: 100, settle: "{used}"}
  - {when: {route: "/v1/jobs/{id}"}, limit: jobs}
  - {when: {tenant: acme}, limit: app, cost: 50}
callers:
  k_evil: {ban: true}
`

// eventually asks until a key of a limiter has that many left: settling waits for nobody.
func eventually(t *testing.T, g *tidegate.Gate, rate, name, key string, expect int64) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		tokens := left(t, g, rate, name, key)
		if tokens == expect {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s of %s: %d left, expected %d", name, key, tokens, expect)
		}
	}
}

func checkAPolicysSettlements(t *testing.T, g *tidegate.Gate) {
	t.Helper()
	mux := http.NewServeMux()
	around := limit(t, tghttp.Config{Gate: g, Policy: service, Identity: apiKey, Mount: "/v1"})
	inner := limit(t, tghttp.Config{Gate: g, Policy: service, Identity: apiKey, Mount: "/v1"})
	status := http.StatusOK
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, _ *http.Request) {
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	})
	mux.Handle("POST /chat", inner(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hello")
		tghttp.Settle(r.Context(), "used", 350)
	})))
	url := serve(t, http.StripPrefix("/v1", around(mux)))
	post := func(path string) int {
		t.Helper()
		request, err := http.NewRequest("POST", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Api-Key", "k")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0
		}
		response.Body.Close()
		return response.StatusCode
	}
	for _, status = range []int{200, 401, 204, 0} { // 0: it panics, and fails so
		if got := post("/v1/login"); got != status {
			t.Errorf("%d, expected %d", got, status)
		}
	}
	eventually(t, g, "5/minute", "logins", "k", 3)
	if got := post("/v1/chat"); got != 200 {
		t.Error(got)
	}
	eventually(t, g, "1000/minute overdraft 1000", "tokens", "k", 650)
}

func TestTheAnswerSettlesWhatAPolicySays(t *testing.T) {
	still := tidegatetest.NewClock(time.UnixMicro(1_763_683_200_000_000))
	checkAPolicysSettlements(t, gate(t, "memory://", tidegate.UseClock(still)))
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		checkAPolicysSettlements(t, gate(t, s.URL("timeout_ms=5000"), tidegate.UseClock(still),
			tidegate.Set("testing", "1"), tidegate.Namespace("tgtest")))
	})
}

// A slot is held until the stream's end, renewed meanwhile, and given back also by a panic.
func TestSlotsAreHeldUntilTheAnswerIsSent(t *testing.T) {
	clock := tidegatetest.NewClock(time.UnixMicro(1_763_683_200_000_000))
	g := gate(t, "memory://", tidegate.UseClock(clock))
	began, goOn := make(chan struct{}), make(chan struct{})
	end := sync.OnceFunc(func() { close(goOn) })
	defer end()
	mux := http.NewServeMux()
	running := limit(t, tghttp.Config{Gate: g, Identity: apiKey, Limit: "1 at once",
		Options: []tidegate.LimiterOption{tidegate.Lease(10 * time.Second)}})
	// What is exempt further in leaves what is held.
	free := limit(t, tghttp.Config{Gate: g, Limit: "1/minute", Skip: func(*http.Request) bool { return true }})
	mux.Handle("GET /jobs/{id}", running(free(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("id") == "panic" {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, "first ")
			if r.PathValue("id") == "stream" {
				_ = http.NewResponseController(w).Flush()
				began <- struct{}{}
				<-goOn
			}
			_, _ = io.WriteString(w, "last")
		}))))
	around := limit(t, tghttp.Config{Gate: g, Limit: "100/minute", Exempt: []string{"/jobs/exempt"}})
	url := serve(t, around(mux))
	streamed := make(chan string)
	go func() {
		response, err := http.Get(url + "/jobs/stream")
		if err != nil {
			streamed <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		streamed <- string(body)
	}()
	<-began
	for range 12 { // a minute: six leases
		clock.Advance(5 * time.Second)
		time.Sleep(5 * time.Millisecond) // for the renewal
		if response, _ := get(t, url+"/jobs/1"); response.StatusCode != 429 {
			t.Fatalf("%s while the slot is held", response.Status)
		}
	}
	end()
	if body := <-streamed; body != "first last" {
		t.Error(body)
	}
	_, _ = http.Get(url + "/jobs/panic")
	for i := range 3 {
		if response, body := get(t, url+"/jobs/1"); response.StatusCode != 200 {
			t.Errorf("%d: %s %s", i, response.Status, body)
		}
	}
}

func TestThePolicyIsTheGatesUnlessGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	if err := os.WriteFile(path, []byte(service), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gate(t, "memory://", tidegate.UsePolicy(path))
	tenant := func(r *http.Request) tidegate.Attributes {
		return tidegate.Attributes{"tenant": r.Header.Get("Tenant")}
	}
	url := serve(t, limit(t, tghttp.Config{Gate: g, Key: apiKey, Attributes: tenant})(ok))
	for i, expect := range []int{200, 200, 429} {
		response, _ := get(t, url, "X-Api-Key", "k", "Tenant", "acme")
		if response.StatusCode != expect {
			t.Errorf("%d: %s", i, response.Status)
		}
	}
	response, body := get(t, url, "X-Api-Key", "k_evil")
	if response.StatusCode != 403 || !strings.Contains(body, "banned") ||
		response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s", response.Status, body)
	}
	for _, policy := range []string{"version: 1\nrules: [{limit: a}]\n", strings.Replace(service,
		"k_evil: {ban: true}", "k_other: {ban: true}", 1)} {
		if faulty := g.Policy().Load(policy) != nil; faulty != (policy[:3] == "ver") {
			t.Errorf("%s: %v", policy, faulty)
		}
	}
	later := serve(t, limit(t, tghttp.Config{Gate: g, Key: apiKey, Headers: tidegate.Standard})(ok))
	for _, url := range []string{url, later} {
		for key, expect := range map[string]int{"k_evil": 200, "k_other": 403} {
			if response, _ := get(t, url, "X-Api-Key", key); response.StatusCode != expect {
				t.Errorf("%s: %s", key, response.Status)
			}
		}
	}
	message := tghttp.Config{Gate: g, Key: apiKey, Message: "slow down",
		Attributes: func(*http.Request) tidegate.Attributes { return tidegate.Attributes{"x": 1.5} }}
	response, body = get(t, serve(t, limit(t, message)(ok)))
	if response.StatusCode != 500 || body == "ok" {
		t.Errorf("a mistake of the program: %s", response.Status)
	}
}

// Functions that read who is calling are not for preflights and exempt paths.
func TestWhatIsExemptIsNotAskedWhoItIs(t *testing.T) {
	asked := 0
	config := tghttp.Config{
		Gate: gate(t, "memory://"), Limit: "9/hour", Exempt: []string{"/health"}, Mount: "/v1",
		Key: func(*http.Request) string { asked++; return "k" },
	}
	for i := range 1000 { // more than a check has attributes
		config.Exempt = append(config.Exempt, fmt.Sprint("/exempt/", i))
	}
	handler := limit(t, config)(ok)
	preflight := httptest.NewRequest("OPTIONS", "/", nil)
	preflight.Header.Set("Origin", "https://a.example")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	for _, r := range []*http.Request{
		preflight, httptest.NewRequest("GET", "/health", nil), httptest.NewRequest("GET", "/exempt/999", nil),
	} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		if recorder.Code != 200 || asked != 0 || recorder.Header().Get("RateLimit") != "" {
			t.Errorf("%s: %d %v, asked %d times", r.URL, recorder.Code, recorder.Header(), asked)
		}
	}
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("OPTIONS", "/", nil))
	if asked != 1 {
		t.Errorf("asked %d times, expected 1", asked)
	}
}

func TestFieldsOfTheHandlerStandWithTheirFamily(t *testing.T) {
	g := gate(t, "memory://")
	around := limit(t, tghttp.Config{Gate: g, Limit: "9/hour", Name: "api"})
	for title, c := range map[string]struct {
		handler func(http.ResponseWriter)
		expect  map[string][]string
	}{
		"set": {
			func(w http.ResponseWriter) { w.Header().Set("RateLimit", `"mine";r=1`) },
			map[string][]string{"RateLimit": {`"mine";r=1`}, "RateLimit-Policy": nil, "X-RateLimit-Limit": {"9"}},
		},
		"added, as a proxy does": {
			func(w http.ResponseWriter) { w.Header().Add("X-RateLimit-Used", "1") },
			map[string][]string{"X-RateLimit-Used": {"1"}, "X-RateLimit-Limit": nil, "RateLimit-Policy": {`"api";q=9;w=3600`}},
		},
		"deleted": {
			func(w http.ResponseWriter) { w.Header().Del("X-RateLimit-Limit") },
			map[string][]string{"X-RateLimit-Limit": nil, "RateLimit-Policy": {`"api";q=9;w=3600`}},
		},
		"in an early hint": {
			func(w http.ResponseWriter) { w.WriteHeader(103) },
			map[string][]string{"X-RateLimit-Limit": {"9"}},
		},
	} {
		handler := around(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.handler(w)
			if r.URL.Path == "/file" {
				_, _ = io.Copy(w, strings.NewReader("copied"))
			}
		}))
		for _, path := range []string{"/", "/file"} {
			response, _ := get(t, serve(t, handler)+path)
			for name, expect := range c.expect {
				if got := response.Header.Values(name); strings.Join(got, "|") != strings.Join(expect, "|") {
					t.Errorf("%s, %s: %s is %q, expected %q", title, path, name, got, expect)
				}
			}
		}
	}
}

// Two gates know nothing of each other's limiters.
func TestTwoGatesOnOneRequest(t *testing.T) {
	one, two := gate(t, "memory://"), gate(t, "memory://")
	outer := limit(t, tghttp.Config{Gate: one, Limit: "9/hour", Name: "one"})
	middle := limit(t, tghttp.Config{Gate: two, Limit: "1/hour", Name: "two"})
	again := limit(t, tghttp.Config{Gate: one, Limit: "9/hour", Name: "one"})
	handler := outer(middle(again(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if d, ok := tghttp.FromContext(r.Context()); !ok || d.Name != "two" {
			t.Errorf("%v %v", d, ok)
		}
	}))))
	for i, expect := range []int{200, 429} {
		if status := from(handler, address(1), "/"); status != expect {
			t.Errorf("%d: %d", i, status)
		}
	}
	if tokens := left(t, two, "1/hour", "two", "@"+address(1)); tokens != 0 {
		t.Errorf("%d left", tokens)
	}
	eventually(t, one, "9/hour", "one", "@"+address(1), 8)
}

func TestAHandlerThatGoesOnBehindItsAnswer(t *testing.T) {
	g := gate(t, "memory://")
	gone := make(chan struct{})
	late := limit(t, tghttp.Config{Gate: g, Limit: "5 at once", Name: "late"})
	around := limit(t, tghttp.Config{Gate: g, Limit: "9/hour", Name: "api"})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-gone
		late(ok).ServeHTTP(w, r.WithContext(context.WithoutCancel(r.Context())))
		close(gone)
	})
	url := serve(t, around(http.TimeoutHandler(slow, 10*time.Millisecond, "too late")))
	if response, body := get(t, url); response.StatusCode != 503 || body != "too late" {
		t.Errorf("%s %s", response.Status, body)
	}
	gone <- struct{}{}
	<-gone
}

// No spelling escapes its limit, and what a router has decoded once is not decoded again.
func TestAPathIsHandedOverAsItCame(t *testing.T) {
	config := tghttp.Config{Gate: gate(t, "memory://"), Policy: `
version: 1
limiters: {a: 1000/minute, b: 1000/minute}
rules:
  - {when: {path: [/health, /free/**]}, exempt: true}
  - {when: {path: /v1/a/b}, limit: b}
  - {limit: a}
`}
	url := serve(t, limit(t, config)(ok))
	for path, expect := range map[string]string{
		"/health": "", "/%68ealth": "", "/%2568ealth": "a", "/free/x": "", "/free/../x": "a",
		"/free%2Fx": "a", "/v1/a/b": "b a", "/v1/a%2Fb": "a", "//v1/./a//b": "b a",
	} {
		request, err := http.NewRequest("GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.URL.Opaque = path // as it is
		if strings.HasPrefix(path, "//") {
			request.URL.Opaque = url + path
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		var names []string
		for _, one := range strings.Split(response.Header.Get("RateLimit-Policy"), ", ") {
			if name, _, found := strings.Cut(one, ";"); found {
				names = append(names, strings.Trim(name, `"`))
			}
		}
		if got := strings.Join(names, " "); response.StatusCode != 200 || got != expect {
			t.Errorf("%s: %s, %q, expected %q", path, response.Status, got, expect)
		}
	}
}
