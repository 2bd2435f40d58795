// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

// Who is limited, and what Prometheus is told.
func ExampleGate_Top() {
	ctx := context.Background()
	clock := tidegatetest.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) // for the example
	gate, err := tidegate.Connect("memory://", tidegate.UseClock(clock),
		tidegate.Set("labels", "clear"))
	if err != nil {
		log.Fatal(err)
	}
	defer gate.Close()
	api, err := gate.Limiter("2/minute", tidegate.Name("api"))
	if err != nil {
		log.Fatal(err)
	}
	for range 5 {
		if _, err := api.Consume(ctx, "user:42"); err != nil {
			log.Fatal(err)
		}
	}

	top, err := gate.Top("api", tidegate.ByDenied, 20)
	fmt.Println(top[0].Caller, top[0].Denied, err)
	caller, err := gate.LookUp(ctx, "user:42")
	fmt.Println(caller.Limiters["api"].Rates[0].RetryAfterUS, err)

	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		text, err := gate.Metrics()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprint(w, text)
	})
	// Output:
	// user:42 3 <nil>
	// 30000000 <nil>
}
