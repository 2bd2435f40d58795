// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

func Example() {
	gate, err := tidegate.Connect("memory://") // "redis://localhost": shared by all services
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()
	api, err := gate.Limiter("2/minute", tidegate.Name("api"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		decision, err := api.Consume(context.Background(), "user:42")
		if err != nil {
			fmt.Println(err)
			return
		}
		if !decision.Allowed {
			fmt.Println("come back in", decision.RetryAfter.Round(time.Second))
			continue
		}
		fmt.Println(decision.Remaining, "left")
	}
	// Output:
	// 1 left
	// 0 left
	// come back in 30s
}

// example opens a gate whose clock stands still, and a limiter.
func example(rates, name string) (*tidegate.Gate, *tidegate.Limiter, *tidegatetest.FakeClock) {
	clock := tidegatetest.NewClock(time.UnixMicro(0))
	gate, err := tidegate.Connect("memory://", tidegate.UseClock(clock))
	if err != nil {
		panic(err)
	}
	limiter, err := gate.Limiter(rates, tidegate.Name(name))
	if err != nil {
		panic(err)
	}
	return gate, limiter, clock
}

// Several parts are one atomic request: all are charged, or none.
func ExampleGate_Consume() {
	gate, perAddress, _ := example("10/minute", "address")
	defer gate.Close()
	perKey, err := gate.Limiter("1/minute", tidegate.Name("key"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		decision, err := gate.Consume(context.Background(),
			perAddress.For("203.0.113.7", tidegate.Cost(2)), perKey.For("k_1"))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(decision, "- the address has", decision.Parts[0].Remaining, "left")
	}
	// Output:
	// allowed by key (memory), 0 of 1 left - the address has 8 left
	// denied by key (memory), 0 of 1 left, retry after 1m0s - the address has 8 left
}

// As with golang.org/x/time/rate: what follows runs only within the limit.
func ExampleLimiter_Wait() {
	gate, api, _ := example("1/minute", "api")
	defer gate.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for range 2 {
		_, err := api.Wait(ctx, "user:42")
		var denied *tidegate.DeniedError
		if errors.As(err, &denied) { // a minute is longer than the context has
			fmt.Println("not before", denied.Decision.RetryAfter)
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("work")
	}
	// Output:
	// work
	// not before 1m0s
}

// New numbers apply at once, to the states that are there.
func ExampleLimiter_Change() {
	gate, api, _ := example("5/minute", "api")
	defer gate.Close()
	ctx := context.Background()
	if _, err := api.Consume(ctx, "user:42", tidegate.Cost(5)); err != nil {
		fmt.Println(err)
		return
	}
	if err := api.Change("8/minute"); err != nil {
		fmt.Println(err)
		return
	}
	decision, err := api.Peek(ctx, "user:42")
	fmt.Println(decision.Remaining, err)
	// Output: 3 <nil>
}

// An error says what was given, where it is wrong, and what was expected.
func ExampleError() {
	gate, _, _ := example("5/minute", "api")
	defer gate.Close()
	_, err := gate.Limiter("5/fortnight")
	var e *tidegate.Error
	fmt.Println(errors.Is(err, tidegate.ErrConfig), errors.As(err, &e), e.Code.Name(), e.Position)
	// Output: true true TG_ERATE 2
}

func ExampleDecision_MarshalJSON() {
	gate, api, _ := example("2/minute", "api")
	defer gate.Close()
	decision, err := api.Consume(context.Background(), "user:42", tidegate.Cost(3))
	if err != nil {
		fmt.Println(err)
		return
	}
	decision.Parts = nil // of a limit with one rate they say the same
	text, err := json.MarshalIndent(decision, "", "  ")
	fmt.Println(string(text), err)
	// Output:
	// {
	//   "allowed": false,
	//   "would_deny": false,
	//   "name": "api",
	//   "limit": 2,
	//   "remaining": 2,
	//   "retry_after_us": "never",
	//   "reset_after_us": 0,
	//   "source": "memory",
	//   "parts": []
	// } <nil>
}

// The fields that a middleware would send.
func ExampleDecision_Headers() {
	gate, api, _ := example("100/minute burst 20", "api")
	defer gate.Close()
	decision, err := api.Consume(context.Background(), "user:42")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, field := range decision.Headers(tidegate.Standard) {
		fmt.Printf("%s: %s\n", field.Name, field.Value)
	}
	// Output:
	// RateLimit-Policy: "api";q=100;w=60;burst=20
	// RateLimit: "api";r=19;t=1
}

// A request that was not served after all costs nothing.
func ExampleGate_Refund() {
	gate, api, _ := example("10/minute", "api")
	defer gate.Close()
	ctx := context.Background()
	charge := api.For("user:42", tidegate.Cost(4))
	decision, err := gate.Consume(ctx, charge)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := gate.Refund(ctx, decision.Source, charge); err != nil {
		fmt.Println(err)
		return
	}
	decision, err = api.Peek(ctx, "user:42")
	fmt.Println(decision.Remaining, err)
	// Output: 10 <nil>
}

// An LLM proxy knows the tokens of an answer when it is there: it charges an estimate, and settles.
func ExampleLimiter_Reserve() {
	gate, tokens, _ := example("1000/minute overdraft 500", "tokens")
	defer gate.Close()
	ctx := context.Background()
	generate := func(estimate, used int64) error {
		reservation, err := tokens.Reserve(ctx, "user:42", estimate)
		if err != nil {
			return err
		}
		defer reservation.Release() // gives all back where the work fails
		if !reservation.Allowed() {
			return reservation.Decision.Err()
		}
		settled, err := reservation.Settle(ctx, used)
		fmt.Println(settled.Returned, "given back,", settled.Debited, "debited")
		return err
	}
	for _, used := range []int64{300, 1000, 100} {
		if err := generate(600, used); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 300 given back, 0 debited
	// 0 given back, 400 debited
	// tidegate: denied by tokens (memory), 0 of 1000 left, retry after 54s
}

// Two generations at once for each user, over all processes.
func ExampleLimiter_Slot() {
	gate, generations, _ := example("2 at once", "generations")
	defer gate.Close()
	ctx := context.Background()
	generate := func(during func()) error {
		slot, decision, err := generations.Slot(ctx, "user:42")
		if err != nil {
			return err
		}
		if slot == nil {
			return decision.Err()
		}
		defer slot.Release()
		fmt.Println("generating,", decision.Remaining, "more may")
		during()
		return nil
	}
	err := generate(func() {
		err := generate(func() {
			fmt.Println(generate(nil))
		})
		fmt.Println(err)
	})
	fmt.Println(err)
	// Output:
	// generating, 1 more may
	// generating, 0 more may
	// tidegate: denied by generations (memory), 0 of 2 left, retry after 30s
	// <nil>
	// <nil>
}

// Slots and rates in one atomic request, under an id of the program's own.
func ExampleID() {
	gate, tokens, _ := example("1000/minute", "tokens")
	defer gate.Close()
	ctx := context.Background()
	running, err := gate.Limiter("1 at once", tidegate.Lease(time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, job := range []string{"job-7", "job-8", "job-7"} {
		decision, err := gate.Consume(ctx, tokens.For("user:42", tidegate.Cost(100)),
			running.For("user:42", tidegate.ID(job)))
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(job, decision.Allowed, decision.Parts[1].Renewed, decision.Parts[0].Remaining)
	}
	fmt.Println(running.Release(ctx, "user:42", "job-7"))
	// Output:
	// job-7 true false 900
	// job-8 false false 900
	// job-7 true true 800
	// <nil>
}

func ExampleCallers() {
	callers, err := tidegate.NewCallers("10.0.0.0/8", 0) // our proxies' network
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(callers.Key("", "10.0.0.1:4711", "203.0.113.7"))
	fmt.Println(callers.Key("", "198.51.100.9:4711", "203.0.113.7")) // whoever says so himself
	fmt.Println(callers.Key("k_1", "198.51.100.9:4711", ""))
	// Output:
	// @203.0.113.7
	// @198.51.100.9
	// k_1
}
