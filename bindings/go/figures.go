// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"time"
	"unsafe"
)

// TopBy says what puts the callers of [Gate.Top] in order.
type TopBy uint32

// The orders of [Gate.Top].
const (
	ByDenied TopBy = C.TG_BY_DENIED // how often they were denied
	ByCost   TopBy = C.TG_BY_COST   // what they cost
)

// LastEvents is where [Gate.Events] begins when only the last ones are wanted.
const LastEvents = -1

const mostLimited = 256 // callers that one limiter knows to be limited

// writer is a function of the library that puts a text into a buffer, and returns its length or a
// code.
type writer = func(c *C.tg_client, buffer *C.char, size C.size_t, e *C.tg_error) C.int64_t

// ask reads a text of any length that the library writes, or its error.
func (g *Gate) ask(write writer) (string, error) {
	if !g.core.enter() {
		return "", errClosed
	}
	defer runtime.KeepAlive(g)
	defer g.core.leave()
	if err := g.setTime(); err != nil {
		return "", err
	}
	var e C.tg_error
	var status C.int64_t
	said := text(func(buffer *C.char, size C.size_t) int64 {
		status = write(g.core.client, buffer, size, &e)
		return int64(status)
	})
	g.core.lookForEvents()
	switch {
	case status >= 0:
		return said, nil
	case e.code < 0:
		return "", fromC(&e)
	default: // it has no words for what is wrong
		return "", failed(int32(status), "")
	}
}

// askJSON reads what the library says into out.
func (g *Gate) askJSON(out any, write writer) error {
	said, err := g.ask(write)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(said), out)
}

// Report are all figures of this gate, and of each limiter. They are this process's: nobody is
// asked. The option "stats" says what is kept.
func (g *Gate) Report() (Report, error) {
	var report Report
	said, err := g.ask(func(
		c *C.tg_client, buffer *C.char, size C.size_t, _ *C.tg_error,
	) C.int64_t {
		return C.tg_client_report(c, buffer, size)
	})
	if err != nil {
		return report, err
	}
	report.JSON = json.RawMessage(said)
	return report, json.Unmarshal(report.JSON, &report)
}

// Series says what was allowed, denied and charged, step by step, of a limiter or ("") of all
// together. period is at most 48 hours (0: an hour); step is a multiple of 10 s, beyond an hour of
// a minute (0: a minute).
func (g *Gate) Series(limiter string, period, step time.Duration) (Series, error) {
	var series Series
	words := [3]string{limiter, timeWord(period), timeWord(step)}
	var sizes [3]C.uint64_t
	for i, w := range words {
		sizes[i] = C.uint64_t(len(w))
	}
	all := words[0] + words[1] + words[2]
	err := g.askJSON(&series, func(
		c *C.tg_client, buffer *C.char, size C.size_t, e *C.tg_error,
	) C.int64_t {
		return C.tgo_series(c, &sizes[0], bytesOf(all), buffer, size, e)
	})
	return series, err
}

// timeWord is a time as the library reads it; 0 is its default.
func timeWord(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprint(d.Microseconds(), "us")
}

// Top are the callers that the limiter denied most often (ByDenied), or that cost it most (ByCost),
// heaviest first: n of 128 at most. They are shown as the option "labels" says: masked, unless it
// says otherwise.
func (g *Gate) Top(limiter string, by TopBy, n int) ([]TopCaller, error) {
	var top struct{ Callers []TopCaller }
	err := g.askJSON(&top, func(
		c *C.tg_client, buffer *C.char, size C.size_t, e *C.tg_error,
	) C.int64_t {
		return C.tgo_top(c, bytesOf(limiter), C.size_t(len(limiter)), C.uint32_t(by), count(n),
			buffer, size, e)
	})
	return top.Callers, err
}

// LimitedNow are those that the limiter denied last and that cannot pass yet, most denials first:
// 256 at most.
func (g *Gate) LimitedNow(limiter string) ([]LimitedCaller, error) {
	var limited struct{ Callers []LimitedCaller }
	err := g.askJSON(&limited, func(
		c *C.tg_client, buffer *C.char, size C.size_t, e *C.tg_error,
	) C.int64_t {
		return C.tgo_limited_now(c, bytesOf(limiter), C.size_t(len(limiter)), mostLimited,
			buffer, size, e)
	})
	return limited.Callers, err
}

// LookUp finds a caller by his key: what each open limiter (the first 1,000 by name) would say to
// him now. Nothing is charged. On a server it waits for the answers, at most [Timeout]; who cancels
// ctx does not.
func (g *Gate) LookUp(ctx context.Context, key string) (CallerReport, error) {
	if err := ctx.Err(); err != nil {
		return CallerReport{}, err
	}
	if g.core.ring == nil || ctx.Done() == nil {
		return g.lookUp(key)
	}
	type answer struct {
		report CallerReport
		err    error
	}
	done := make(chan answer, 1) // nobody may be there to take it
	go func() {
		report, err := g.lookUp(key)
		done <- answer{report, err}
	}()
	select {
	case a := <-done:
		return a.report, a.err
	case <-ctx.Done():
		return CallerReport{}, ctx.Err()
	}
}

func (g *Gate) lookUp(key string) (CallerReport, error) {
	var report CallerReport
	err := g.askJSON(&report, func(
		c *C.tg_client, buffer *C.char, size C.size_t, e *C.tg_error,
	) C.int64_t {
		return C.tg_client_look_up(c, unsafe.Pointer(unsafe.StringData(key)), C.size_t(len(key)),
			buffer, size, e)
	})
	return report, err
}

// Events are limit of the last 1,000 events, the oldest first; they may be read any number of
// times. after is the Next of the page before, 0 for the oldest, or [LastEvents].
func (g *Gate) Events(after int64, limit int) (EventPage, error) {
	var page EventPage
	err := g.askJSON(&page, func(
		c *C.tg_client, buffer *C.char, size C.size_t, e *C.tg_error,
	) C.int64_t {
		return C.tg_client_events(c, C.int64_t(after), count(limit), buffer, size, e)
	})
	return page, err
}

// Metrics is what Prometheus scrapes: its text format 0.0.4, of content type "text/plain;
// version=0.0.4".
func (g *Gate) Metrics() (string, error) { return g.metrics(0) }

// OpenMetrics is the same as OpenMetrics, of content type "application/openmetrics-text;
// version=1.0.0".
func (g *Gate) OpenMetrics() (string, error) { return g.metrics(C.TG_METRICS_OPENMETRICS) }

func (g *Gate) metrics(flags C.uint32_t) (string, error) {
	return g.ask(func(c *C.tg_client, buffer *C.char, size C.size_t, _ *C.tg_error) C.int64_t {
		return C.tg_client_metrics_as(c, flags, buffer, size)
	})
}

// count is a number as the library takes it; one below 0 stays one, which it refuses.
func count(n int) C.int32_t {
	return C.int32_t(max(min(n, math.MaxInt32), -1))
}
