// SPDX-License-Identifier: MIT

package tghttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
)

// Per key and per address in one atomic check around all routes, and a limit of one route.
func Example() {
	gate, err := tidegate.Connect("memory://")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()
	around, err := tghttp.New(tghttp.Config{
		Gate: gate,
		Key:  func(r *http.Request) string { return r.Header.Get("X-Api-Key") },
		Limits: []tghttp.Limit{
			{Rate: "1000/minute", Name: "per-key"},
			{Rate: "3/hour", Name: "per-address", Per: tghttp.Address},
		},
		Exempt: []string{"/health"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	route, err := tghttp.New(tghttp.Config{Gate: gate, Limit: "1/hour"}) // its name: POST.login
	if err != nil {
		fmt.Println(err)
		return
	}
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux := http.NewServeMux()
	mux.Handle("GET /", served)
	mux.Handle("POST /login", route(served))
	handler := around(mux)

	for _, method := range []string{"POST", "POST", "GET", "GET", "GET"} {
		path := map[string]string{"POST": "/login", "GET": "/"}[method]
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
		fmt.Println(method, path, answer.Code)
	}
	// Output:
	// POST /login 200
	// POST /login 429
	// GET / 200
	// GET / 200
	// GET / 429
}

// Tiers: limiters that are opened once, chosen for each request.
func ExampleConfig_tiers() {
	gate, err := tidegate.Connect("memory://")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()
	tiers := map[string]*tidegate.Limiter{}
	for tier, rate := range map[string]string{"basic": "1/hour", "pro": "1000/hour"} {
		if tiers[tier], err = gate.Limiter(rate, tidegate.Name(tier)); err != nil {
			fmt.Println(err)
			return
		}
	}
	limit, err := tghttp.New(tghttp.Config{
		Gate: gate,
		Key:  func(r *http.Request) string { return r.Header.Get("X-Api-Key") },
		For: func(r *http.Request) []*tidegate.Limiter {
			return []*tidegate.Limiter{tiers[r.Header.Get("X-Tier")]} // none of that name: no limit
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		decision, _ := tghttp.FromContext(r.Context())
		fmt.Fprint(w, decision.Remaining, " left of ", decision.Name)
	}))
	for _, tier := range []string{"basic", "basic", "pro"} {
		request := httptest.NewRequest("GET", "/", nil)
		request.Header.Set("X-Tier", tier)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		fmt.Println(tier, answer.Code, answer.Header().Get("RateLimit"))
	}
	// Output:
	// basic 200 "basic";r=0;t=3600
	// basic 429 "basic";r=0;t=3600
	// pro 200 "pro";r=999;t=4
}
