// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"context"
	"fmt"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// examplePolicy could be a file: tidegate.UsePolicy("limits.yaml").
const examplePolicy = `
version: 1
limiters: {basic: 2/hour, pro: 500/hour, images: 10/hour}
tiers: {basic: [basic], pro: [pro]}
default_tier: basic
rules:
  - {when: {path: /health}, exempt: true}
  - {when: {path: /v1/images/*}, limit: images, cost: "{images}"}
  - {limit: tier}
callers: {k_evil: {ban: true}}
`

func ExampleGate_Check() {
	gate, err := tidegate.Connect("memory://", tidegate.UsePolicy(examplePolicy))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()
	for _, request := range []tidegate.Attributes{
		{"method": "POST", "path": "/v1/images/new", "identity": "k_1", "images": 4},
		{"path": "/v1/images/new", "identity": "k_2", "images": 11},
		{"path": "/", "identity": "k_1", "tier": "pro"},
		{"path": "/", "identity": "k_evil"},
		{"path": "/health", "address": "203.0.113.7"},
	} {
		d, err := gate.Check(context.Background(), request)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(d.Status(), d.Verdict(), d.Name, len(d.Parts))
	}
	// Output:
	// 200 limits basic 2
	// 429 limits images 2
	// 200 limits pro 1
	// 403 banned  0
	// 200 exempt  0
}

// A ban, other numbers and an explanation, while the program serves.
func ExampleGatePolicy_SetCaller() {
	gate, err := tidegate.Connect("memory://", tidegate.UsePolicy(examplePolicy))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()
	ctx := context.Background()
	rules := gate.Policy().By("support")
	_, err = rules.SetCaller(ctx, "k_1", tidegate.LiveCaller{
		Ban: true, For: time.Hour, Reason: "scraping",
	})
	if err == nil {
		_, err = rules.SetLimit(ctx, "basic", tidegate.LiveLimit{Rate: "7/hour"})
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, who := range []string{"k_1", "k_2"} {
		why, err := rules.Explain(ctx, tidegate.Attributes{"path": "/", "identity": who})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(who, why.Verdict)
		for _, entry := range why.Entries {
			fmt.Println("  said of", entry.Name, "live:", entry.Live)
		}
		for _, state := range why.States {
			fmt.Println(" ", state.Policy, *state.Remaining, "of", *state.Limit)
		}
	}
	// Output:
	// k_1 banned
	//   said of k_1 live: true
	// k_2 limits
	//   basic 7 of 7
}
