// SPDX-License-Identifier: MIT

package tidegatetest_test

import (
	"context"
	"fmt"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

func ExampleFakeClock() {
	clock := tidegatetest.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	gate, err := tidegate.Connect("memory://", tidegate.UseClock(clock))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gate.Close()
	api, err := gate.Limiter("1/hour")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		decision, err := api.Consume(context.Background(), "user:42")
		fmt.Println(clock.Now().UTC().Format(time.TimeOnly), decision.Allowed, err)
		clock.Advance(30 * time.Minute)
	}
	// Output:
	// 00:00:00 true <nil>
	// 00:30:00 false <nil>
	// 01:00:00 true <nil>
}
