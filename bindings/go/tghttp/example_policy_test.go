// SPDX-License-Identifier: MIT

package tghttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
)

// A policy around all routes: tiers, a cost of the request, and one that the answer settles.
func ExampleConfig_policy() {
	gate, err := tidegate.Connect("memory://", tidegate.UsePolicy(`
version: 1
limiters: {basic: 2/hour, tokens: 1000/hour overdraft 1000}
rules:
  - {when: {path: /chat}, limit: tokens, cost: 100, settle: "{tokens_used}"}
  - {limit: basic}
callers: {k_evil: {ban: true}}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()
	limit, err := tghttp.New(tghttp.Config{
		Gate:     gate, // its policy
		Identity: func(r *http.Request) string { return r.Header.Get("X-Api-Key") },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tghttp.Settle(r.Context(), "tokens_used", 350)
	}))
	for _, key := range []string{"k_1", "k_1", "k_1", "k_evil"} {
		request := httptest.NewRequest("POST", "/chat", nil)
		request.Header.Set("X-Api-Key", key)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		fmt.Println(key, answer.Code, answer.Header().Get("RateLimit"))
	}
	// Output:
	// k_1 200 "tokens";r=900;t=4, "basic";r=1;t=1800
	// k_1 200 "tokens";r=550;t=4, "basic";r=0;t=1800
	// k_1 429 "tokens";r=300;t=4, "basic";r=0;t=1800
	// k_evil 403
}
