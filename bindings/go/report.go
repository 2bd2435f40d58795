// SPDX-License-Identifier: MIT

package tidegate

import "encoding/json"

// Report are the figures of a gate since it was opened. JSON is all of it as the library writes it,
// with every counter, also those that are younger than this type: tests/stats/schema.json in
// tidegate's repository is its schema, under "report".
type Report struct {
	Version   string `json:"version"` // of the library
	Allowed   int64  `json:"allowed"`
	Denied    int64  `json:"denied"`
	WouldDeny int64  `json:"would_deny"`
	// Decisions are counts by source (see [Source]) and outcome: "allowed", "denied", "would_deny".
	Decisions map[string]map[string]int64 `json:"decisions"`
	Limiters  map[string]LimiterReport    `json:"limiters"` // by name
	Durations struct {
		Decisions  Durations `json:"decisions"`   // of checks by a server
		RoundTrips Durations `json:"round_trips"` // to the server
	} `json:"durations"`
	JSON json.RawMessage `json:"-"`
}

// LimiterReport are the figures of a limiter's name: they stay when it is closed.
type LimiterReport struct {
	Allowed   int64                       `json:"allowed"`
	Denied    int64                       `json:"denied"`
	WouldDeny int64                       `json:"would_deny"`
	Cost      int64                       `json:"cost"`     // what was charged
	Limited   int64                       `json:"limited"`  // callers who cannot pass now
	Complete  bool                        `json:"complete"` // false: stats_bytes left no room
	Decisions map[string]map[string]int64 `json:"decisions"`
}

// Durations say how long something took, in microseconds; what half, 90 and 99 of 100 kept to is
// the upper bound of its bucket.
type Durations struct {
	Count   int64      `json:"count"`
	SumUS   int64      `json:"sum_us"`
	P50US   int64      `json:"p50_us"`
	P90US   int64      `json:"p90_us"`
	P99US   int64      `json:"p99_us"`
	MaxUS   int64      `json:"max_us"`
	Buckets [][2]int64 `json:"buckets"` // at most so long, how many
}

// Series says what happened when, step by step, the oldest first. The last point is under way.
type Series struct {
	Limiter string  `json:"limiter"` // "": the sum of all
	FromUS  int64   `json:"from_us"` // of the first point, since 1970
	StepUS  int64   `json:"step_us"`
	Allowed []int64 `json:"allowed"`
	Denied  []int64 `json:"denied"`
	Cost    []int64 `json:"cost"`
}

// TopCaller is one of those that a limiter denied most often, or that cost it most: the other
// figure is 0.
type TopCaller struct {
	Caller string `json:"caller"` // as the option "labels" shows him
	Denied int64  `json:"denied,omitempty"`
	Cost   int64  `json:"cost,omitempty"`
}

// LimitedCaller was denied last and cannot pass yet.
type LimitedCaller struct {
	Caller       string `json:"caller"`
	Denied       int64  `json:"denied"`
	RetryAfterUS int64  `json:"retry_after_us"`
}

// CallerReport is what each limiter would say to a caller.
type CallerReport struct {
	Caller   string              `json:"caller"`
	Limiters map[string]Standing `json:"limiters"` // by name
	More     int                 `json:"more"`     // how many limiters were left out
}

// Standing is what one limiter would say to a request of cost 1, or the Error of asking it.
type Standing struct {
	Allowed bool           `json:"allowed"`
	Source  string         `json:"source"` // who was asked: see [Source]
	Denied  int64          `json:"denied"` // how often he was, about
	Rates   []RateStanding `json:"rates"`
	Error   string         `json:"error,omitempty"`
}

// RateStanding is how one rate of a limiter stands. -1 is unknown; of RetryAfterUS, where the rate
// was asked, that no wait is long enough.
type RateStanding struct {
	Policy       string `json:"policy"` // the rate's name in fields
	Allowed      bool   `json:"allowed"`
	Limit        int64  `json:"limit"`
	Remaining    int64  `json:"remaining"`
	RetryAfterUS int64  `json:"retry_after_us"`
	NextUS       int64  `json:"next_us"`
	ResetAfterUS int64  `json:"reset_after_us"`
	WindowUS     int64  `json:"window_us"`
	Capacity     int64  `json:"capacity"`
}

// EventPage are some of the last 1,000 events, the oldest first.
type EventPage struct {
	Events   []LoggedEvent `json:"events"`
	Next     int64         `json:"next"`     // where [Gate.Events] goes on
	Unlisted int64         `json:"unlisted"` // callers who began to be limited and are not listed
}

// LoggedEvent is an event that a gate remembers.
type LoggedEvent struct {
	ID      int64  `json:"id"`
	WallUS  int64  `json:"wall_us"` // when, since 1970
	Kind    string `json:"kind"`    // "denied": a caller begins to be limited; "state"; "evicted"
	Level   string `json:"level"`   // "info", "warning" or "error"
	Code    Code   `json:"code"`    // behind it, or 0
	Text    string `json:"text"`    // one line
	Limiter string `json:"limiter,omitempty"`
	Caller  string `json:"caller,omitempty"`
}
