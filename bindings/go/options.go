// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// A ConnectOption says how a gate reaches and treats its store. It wins over the URL's query.
type ConnectOption interface{ connect(*settings) }

// A LimiterOption says what a limiter is besides its rates.
type LimiterOption interface{ limiter(*spec) }

// A CallOption belongs to one call. Unset: [Cost](1).
type CallOption struct {
	cost    int64
	costSet bool
	source  Source
	idSize  int
	id      [16]byte
}

type setting struct{ name, value string }

type settings struct {
	table   []setting
	clock   Clock
	events  func(Event)
	logger  *slog.Logger
	cgoWait bool

	policy    any
	hasPolicy bool
}

type spec struct{ rates, name, algorithm, mode, onFailure, lease string }

type connectOption func(*settings)

func (f connectOption) connect(s *settings) { f(s) }

type limiterOption func(*spec)

func (f limiterOption) limiter(s *spec) { f(s) }

// Set gives any option of the library its value, as text: see [OptionsHelp].
func Set(name, value string) ConnectOption {
	return connectOption(func(s *settings) { s.table = append(s.table, setting{name, value}) })
}

func milliseconds(name string, d time.Duration) ConnectOption {
	return Set(name, strconv.FormatInt((d+time.Millisecond-1).Milliseconds(), 10))
}

// Timeout is the deadline of a check, 100 ms unless given, in whole milliseconds (rounded up).
func Timeout(d time.Duration) ConnectOption { return milliseconds("timeout_ms", d) }

// ConnectTimeout is the deadline of a connect, its TLS handshake and login included; 1 s unless
// given.
func ConnectTimeout(d time.Duration) ConnectOption {
	return milliseconds("connect_timeout_ms", d)
}

// Namespace is the first word of every key in the store, "tg" unless given.
func Namespace(word string) ConnectOption { return Set("namespace", word) }

// UseClock gives the gate a clock of the program's own (package tidegatetest has one). Deadlines do
// not follow it. On a server it needs Set("testing", "1") and a namespace of its own.
func UseClock(clock Clock) ConnectOption {
	return connectOption(func(s *settings) {
		s.clock = clock
		s.table = append(s.table, setting{"clock", "manual"})
	})
}

// OnEvent is called, one event at a time, in a goroutine of the gate's, instead of the logger.
func OnEvent(f func(Event)) ConnectOption {
	return connectOption(func(s *settings) { s.events = f })
}

// Logger receives events where no [OnEvent] is given; slog.Default() unless given.
func Logger(logger *slog.Logger) ConnectOption {
	return connectOption(func(s *settings) { s.logger = logger })
}

// CgoWait makes a thread of its own wait for the store's answers instead of Go's network poller. It
// is slower, but answers come in time also where CPU-bound goroutines occupy every P, which starves
// the poller.
func CgoWait() ConnectOption {
	return connectOption(func(s *settings) { s.cgoWait = true })
}

// Policy says who answers while the store cannot: "local" (this process, the default), "open"
// (everything passes) or "closed" (nothing does). It is an option of a gate and of a limiter.
type Policy string

// The failure policies.
const (
	Local  Policy = "local"
	Open   Policy = "open"
	Closed Policy = "closed"
)

// OnFailure chooses the failure policy of a gate, or of one limiter.
func OnFailure(policy Policy) Policy { return policy }

func (p Policy) connect(s *settings) {
	s.table = append(s.table, setting{"on_failure", string(p)})
}

func (p Policy) limiter(s *spec) { s.onFailure = string(p) }

// Name keeps the callers' states when the numbers change: 1 to 64 of A-Z a-z 0-9 _ . and -. Unset,
// a limiter is called by its numbers.
func Name(name string) LimiterOption { return limiterOption(func(s *spec) { s.name = name }) }

// Algorithm is "token_bucket" (the default; also "gcra", "leaky_bucket"), "fixed_window",
// "sliding_window" or "sliding_log".
func Algorithm(name string) LimiterOption {
	return limiterOption(func(s *spec) { s.algorithm = name })
}

// Mode is "enforce" (the default), "shadow" (never blocks, see [Decision.WouldDeny]) or "off" (asks
// nobody).
func Mode(mode string) LimiterOption { return limiterOption(func(s *spec) { s.mode = mode }) }

// Lease is how long slots are held that nobody renews, 1 ms to 1 day in whole microseconds (rounded
// up); 30 s unless given. It belongs to slots ("5 at once"): see [Limiter.Slot].
func Lease(d time.Duration) LimiterOption {
	us := d / time.Microsecond
	if d%time.Microsecond > 0 {
		us++
	}
	return limiterOption(func(s *spec) { s.lease = strconv.FormatInt(int64(us), 10) + "us" })
}

// ID says whose the slots are that a charge takes or gives back: 1 to 16 bytes, a shorter id is
// filled up with zeros.
func ID[T string | [16]byte](id T) CallOption {
	switch id := any(id).(type) {
	case [16]byte:
		return CallOption{id: id, idSize: 16}
	default:
		text := id.(string)
		call := CallOption{idSize: max(len(text), 1)} // an empty one is none, and the library says so
		copy(call.id[:], text)
		return call
	}
}

// Cost is how many tokens a request takes, 0 or more.
func Cost(tokens int64) CallOption { return CallOption{cost: tokens, costSet: true} }

// DecidedBy sends a refund or debit to the engine that charged: the decision's [Decision.Source].
func DecidedBy(source Source) CallOption { return CallOption{source: source} }

func callOf(options []CallOption) CallOption {
	call := CallOption{cost: 1}
	for _, o := range options {
		if o.costSet {
			call.cost, call.costSet = o.cost, true
		}
		if o.source != SourceNone {
			call.source = o.source
		}
		if o.idSize != 0 {
			call.id, call.idSize = o.id, o.idSize
		}
	}
	return call
}

// Clock is the time of a gate opened with [UseClock].
type Clock interface {
	// Now is the time, of which whole microseconds count; it may step back.
	Now() time.Time
	// Sleep returns when d has passed on this clock, or ctx is done, with its error.
	Sleep(ctx context.Context, d time.Duration) error
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// timeoutOf finds the deadline of a check where the library finds it: an argument, the URL's query,
// its default.
func timeoutOf(url string, table []setting) time.Duration {
	found := "100"
	_, query, _ := strings.Cut(url, "?")
	for _, pair := range strings.Split(query, "&") {
		if value, ok := strings.CutPrefix(pair, "timeout_ms="); ok {
			found = value
		}
	}
	for _, s := range table {
		if s.name == "timeout_ms" {
			found = s.value
		}
	}
	ms, err := strconv.Atoi(found)
	if err != nil { // the library refuses it
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}
