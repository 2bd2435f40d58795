// SPDX-License-Identifier: MIT

package tghttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
)

// from sends a request as if from an address, and returns the status.
func from(handler http.Handler, address, path string, headers ...string) int {
	request := httptest.NewRequest("GET", path, nil)
	request.RemoteAddr = address + ":1234"
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Code
}

func address(i int) string { return fmt.Sprint("192.0.2.", i) }

// left is what a key of a limiter of that name has left.
func left(t *testing.T, g *tidegate.Gate, rate, name, key string) int64 {
	t.Helper()
	l, err := g.Limiter(rate, tidegate.Name(name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return d.Remaining
}

func TestTheSameLimiterByAnotherKeyIsAnotherLimit(t *testing.T) {
	g := gate(t, "memory://")
	perAddress := limit(t, tghttp.Config{Gate: g, Limit: "3/hour"})
	perKey := limit(t, tghttp.Config{Gate: g, Limit: "3/hour", Key: apiKey})
	handler := perAddress(perKey(ok))
	for i := range 20 { // one key from twenty addresses
		if status := from(handler, address(i), "/", "X-Api-Key", "k_1"); (status == 200) != (i < 3) {
			t.Errorf("request %d: %d", i, status)
		}
	}
	for i := range 5 { // many keys from one address
		key := fmt.Sprint("other", i)
		if status := from(handler, address(99), "/", "X-Api-Key", key); (status == 200) != (i < 3) {
			t.Errorf("key %d: %d", i, status)
		}
	}
}

func TestTheLargerCostCountsOnce(t *testing.T) {
	g := gate(t, "memory://")
	cost := func(tokens int64) func(*http.Request) int64 {
		return func(*http.Request) int64 { return tokens }
	}
	all := limit(t, tghttp.Config{Gate: g, Limit: "10/hour", Name: "api"})
	cheap := limit(t, tghttp.Config{Gate: g, Limit: "10/hour", Name: "api", Cost: cost(0)})
	dear := limit(t, tghttp.Config{Gate: g, Limits: []tghttp.Limit{
		{Rate: "10/hour", Name: "api", Cost: cost(2)}, {Rate: "10/hour", Name: "api", Cost: cost(4)},
		{Rate: "10/hour", Name: "api"},
	}})
	for i, c := range []struct {
		handler http.Handler
		expect  int64
	}{
		{dear(ok), 6},
		{all(cheap(dear(dear(ok)))), 6},
		{dear(all(ok)), 6},
	} {
		if status := from(c.handler, address(i), "/"); status != 200 {
			t.Fatal(status)
		}
		if tokens := left(t, g, "10/hour", "api", "@"+address(i)); tokens != c.expect {
			t.Errorf("%d: %d of 10 left, expected %d", i, tokens, c.expect)
		}
	}
}

func checkNothingIsPaidForWhatIsRefused(t *testing.T, g *tidegate.Gate) {
	everybody := limit(t, tghttp.Config{Gate: g, Limits: []tghttp.Limit{
		{Rate: "100/hour", Name: "everybody", Per: tghttp.Everyone}, {Rate: "50/hour", Name: "address"},
	}})
	shadow := limit(t, tghttp.Config{Gate: g, Limit: "1/hour", Name: "shadow",
		Options: []tidegate.LimiterOption{tidegate.Mode("shadow")}})
	strict := limit(t, tghttp.Config{Gate: g, Limit: "2/hour", Name: "strict", Key: apiKey})
	handler := everybody(shadow(strict(ok)))
	for i := range 20 {
		if status := from(handler, address(1), "/", "X-Api-Key", "k"); (status == 200) != (i < 2) {
			t.Errorf("request %d: %d", i, status)
		}
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		all, one := left(t, g, "100/hour", "everybody", "@everyone"),
			left(t, g, "50/hour", "address", "@"+address(1))
		if all == 98 && one == 48 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of 100 and %d of 50 left, expected 98 and 48", all, one)
		}
	}
}

func TestWhatAnInnerMiddlewareRefusesCostsNothing(t *testing.T) {
	checkNothingIsPaidForWhatIsRefused(t, gate(t, "memory://"))
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		checkNothingIsPaidForWhatIsRefused(t, gate(t, s.URL("timeout_ms=5000")))
	})
}

func TestLimitsWithKeysOfTheirOwnAreOneCheck(t *testing.T) {
	g := gate(t, "memory://")
	handler := limit(t, tghttp.Config{Gate: g, Key: apiKey, Headers: tidegate.Standard,
		Limits: []tghttp.Limit{
			{Rate: "9/hour", Name: "key"},
			{Rate: "4/hour", Name: "address", Per: tghttp.Address},
			{Rate: "6/hour", Name: "all", Per: tghttp.Everyone},
			{Rate: "90/hour", Name: "tenant",
				Key:  func(r *http.Request) string { return r.Header.Get("Tenant") },
				Cost: func(*http.Request) int64 { return 10 }},
		}})(ok)
	for i, expect := range []int{200, 200, 200, 200, 429, 429} { // the address's
		status := from(handler, address(1), "/", "X-Api-Key", fmt.Sprint("k", i), "Tenant", "t")
		if status != expect {
			t.Errorf("request %d: %d", i, status)
		}
	}
	for i, expect := range []int{200, 200, 429} { // everyone's
		status := from(handler, address(10+i), "/", "X-Api-Key", "k0", "Tenant", "t")
		if status != expect {
			t.Errorf("address %d: %d", i, status)
		}
	}
	for _, c := range []struct {
		rate, name, key string
		expect          int64
	}{
		{"9/hour", "key", "k0", 6}, {"9/hour", "key", "k4", 9}, {"4/hour", "address", "@192.0.2.1", 0},
		{"4/hour", "address", "@192.0.2.12", 4}, {"6/hour", "all", "@everyone", 0},
		{"90/hour", "tenant", "t", 30},
	} {
		if got := left(t, g, c.rate, c.name, c.key); got != c.expect {
			t.Errorf("%s of %s: %d left, expected %d", c.name, c.key, got, c.expect)
		}
	}
}

// names sends a request through a mux and says which limits it met.
func names(t *testing.T, handler http.Handler, method, path string) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, "http://host.test"+path, nil))
	var names []string
	for _, word := range strings.Split(recorder.Header().Get("RateLimit-Policy"), ", ") {
		name, _, _ := strings.Cut(word, ";")
		names = append(names, strings.Trim(name, `"`))
	}
	return strings.Join(names, " ")
}

func TestALimitWithoutANameIsCalledByWhereItStands(t *testing.T) {
	g := gate(t, "memory://")
	route := limit(t, tghttp.Config{Gate: g, Limit: "50/hour"})
	v1 := limit(t, tghttp.Config{Gate: g, Limit: "50/hour", Mount: "/v1/"})
	mux, inner := http.NewServeMux(), http.NewServeMux()
	for _, pattern := range []string{
		"POST /login", "GET /items/{id}", "/any/{$}", "/docs/", "GET /files/{path...}", "GET /{$}",
		"api.test/", "GET host.test/here", "GET /a b/c", "GET /" + strings.Repeat("long/", 20) + "x",
	} {
		mux.Handle(pattern, route(ok))
	}
	inner.Handle("GET /items/{id}", v1(ok))
	mux.Handle("/v1/", http.StripPrefix("/v1", inner))
	for _, c := range []struct{ method, path, expect string }{
		{"POST", "/login", "POST.login"},
		{"GET", "/items/1", "GET.items-id"},
		{"HEAD", "/items/2", "GET.items-id"},
		{"GET", "/v1/items/3", "v1.GET.items-id"},
		{"PUT", "/any/", "PUT.any"},
		{"HEAD", "/any/", "GET.any"},
		{"EVIL1", "/any/", "OTHER.any"},
		{"EVIL2", "/any/", "OTHER.any"},
		{"DELETE", "/docs/x/y", "docs"},
		{"GET", "/files/a/b", "GET.files-path"},
		{"GET", "/", "GET"},
		{"GET", "/here", "host..test.GET.here"},
		{"GET", "/a%20b/c", "GET.a_b.c-643fdaa0"},
		{"GET", "/" + strings.Repeat("long/", 20) + "x",
			"GET.long.long.long.long.long.long.long.long.long.long.l-6ae67def"},
	} {
		if got := names(t, mux, c.method, c.path); got != c.expect {
			t.Errorf("%s %s is %q, expected %q", c.method, c.path, got, c.expect)
		}
	}
	around := limit(t, tghttp.Config{Gate: g, Limit: "60/hour"})(mux)
	if got := names(t, around, "GET", "/items/1"); got != "60-per-3600s GET.items-id" {
		t.Errorf("around everything: %q", got)
	}
	if got := names(t, around, "GET", "/nowhere"); got != "60-per-3600s" {
		t.Errorf("around what is not found: %q", got)
	}
}

// What chi and gin set, and what says too little.
func TestPatternsOfOtherRouters(t *testing.T) {
	handler := limit(t, tghttp.Config{Gate: gate(t, "memory://"), Limit: "50/hour"})(ok)
	for pattern, expect := range map[string]string{
		"":                   "50-per-3600s",
		"/":                  "50-per-3600s",
		"/*":                 "50-per-3600s",
		"/v1/*":              "v1",
		"/items/{id}":        "POST.items-id",
		"/items/:id":         "POST.items-id",
		"/files/*path":       "POST.files-path",
		"/n/{id:[0-9]+}":     "POST.n-id__0_9__-1575f8db",
		"/n/{id:[a-z]+}":     "POST.n-id__a_z__-f934ab3f",
		"/a-{from}/b-{to}":   "POST.a--_from_.b--_to_-7c330028",
		"POST  /two/spaces":  "POST.two.spaces",
		"/caf\u00e9":         "POST.caf_-c88ab5aa",
		"host.test/x/":       "host..test.x",
		"POST host.test/x/y": "host..test.POST.x.y",
	} {
		request := httptest.NewRequest("POST", "/", nil)
		request.Pattern = pattern
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		got, _, _ := strings.Cut(recorder.Header().Get("RateLimit-Policy"), ";")
		if got = strings.Trim(got, `"`); got != expect {
			t.Errorf("%q is %q, expected %q", pattern, got, expect)
		}
	}
}

// Whichever request comes first, each limit has the name that it has in every process.
func TestWhatIsSkippedKeepsItsName(t *testing.T) {
	for _, first := range []string{"/x?internal", "/x"} {
		g := gate(t, "memory://")
		internal := func(r *http.Request) bool { return r.URL.RawQuery == "internal" }
		outer := limit(t, tghttp.Config{Gate: g, Limit: "50/hour", Skip: internal})
		inner := limit(t, tghttp.Config{Gate: g, Limit: "60/hour"})
		mux := http.NewServeMux()
		mux.Handle("GET /x", outer(inner(ok)))
		names(t, mux, "GET", first)
		if got := names(t, mux, "GET", "/x"); got != "GET.x GET.x.60-per-3600s" {
			t.Errorf("%s first: %q", first, got)
		}
	}
}

func TestSeveralLimitsInOnePlaceAreToldApartByTheirNumbers(t *testing.T) {
	g := gate(t, "memory://")
	shadow := []tidegate.LimiterOption{tidegate.Mode("shadow")}
	named := []tidegate.LimiterOption{tidegate.Name("mine")}
	first := limit(t, tghttp.Config{Gate: g, Limit: "5/hour"})
	same := limit(t, tghttp.Config{Gate: g, Limit: "5/hour", Key: apiKey})
	other := limit(t, tghttp.Config{Gate: g, Limit: "7/minute"})
	inShadow := limit(t, tghttp.Config{Gate: g, Limit: "7/minute", Options: shadow})
	several := limit(t, tghttp.Config{Gate: g, Limit: "8/hour", Limits: []tghttp.Limit{
		{Rate: "9/hour"}, {Rate: "9/hour", Options: shadow}, {Rate: "3/hour", Options: named},
	}})
	handler := first(same(other(inShadow(several(ok)))))
	mux := http.NewServeMux()
	mux.Handle("GET /x", handler)
	expect := "GET.x GET.x.7-per-60s GET.x.8-per-3600s GET.x.9-per-3600s mine"
	if got := names(t, mux, "GET", "/x"); got != expect {
		t.Errorf("%q, expected %q", got, expect)
	}
	for i := 2; i <= 4; i++ { // everyone has one name, whatever was met first
		if status := from(mux, address(1), "/x"); (status == 200) != (i <= 3) {
			t.Errorf("request %d: %d", i, status)
		}
	}
	if tokens := left(t, g, "9/hour", "GET.x.9-per-3600s", "@"+address(1)); tokens != 6 {
		t.Errorf("%d left, expected 6", tokens)
	}
}

func TestStrangersMakeNoLimiters(t *testing.T) {
	g := gate(t, "memory://")
	mux := http.NewServeMux()
	route := limit(t, tghttp.Config{Gate: g, Limit: "1000000/hour"})
	mux.Handle("/items/{id}", route(ok))
	mux.Handle("/", route(ok))
	for i := range 70_000 { // more than a gate has limiters
		request := httptest.NewRequest("M"+strconv.Itoa(i), "/items/"+strconv.Itoa(i), nil)
		if i%2 == 1 {
			request.URL.Path = "/scan/" + strconv.Itoa(i)
		}
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, request)
		if recorder.Code != 200 {
			t.Fatalf("request %d: %d %s", i, recorder.Code, recorder.Body)
		}
	}
	if stats, err := g.Stats(); err != nil || stats.Keys != 2 {
		t.Errorf("%d states of one caller, expected 2: %v", stats.Keys, err)
	}
}
