// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"time"
)

const (
	// Never is a wait that no wait is long enough for.
	Never = time.Duration(math.MaxInt64)
	// Unknown stands for a figure that nobody was asked for.
	Unknown = -1
)

// Source says who decided.
type Source uint8

// The sources of decisions.
const (
	SourceNone       Source = C.TG_SOURCE_NONE
	SourceMemory     Source = C.TG_SOURCE_MEMORY      // the embedded store
	SourceStore      Source = C.TG_SOURCE_STORE       // the server
	SourceFallback   Source = C.TG_SOURCE_FALLBACK    // this process, while the store could not answer
	SourceFailOpen   Source = C.TG_SOURCE_FAIL_OPEN   // the policy "open"
	SourceFailClosed Source = C.TG_SOURCE_FAIL_CLOSED // the policy "closed"
	SourcePolicy     Source = C.TG_SOURCE_POLICY      // a ban, an exemption
	SourceNear       Source = C.TG_SOURCE_NEAR        // a copy in this process
)

const sourceMask = 15 // of TG_SOURCE, which is a macro

// sourceNames are those of every language.
var sourceNames = [...]string{
	"none", "memory", "store", "fallback", "fail_open", "fail_closed", "policy", "near",
}

// String is the source's name, the same in every language.
func (s Source) String() string {
	if int(s) < len(sourceNames) {
		return sourceNames[s]
	}
	return fmt.Sprintf("Source(%d)", uint8(s))
}

// Decision is the answer to one request. Its figures are those of the part that speaks for the
// request.
type Decision struct {
	Allowed   bool // always true of a debit, which may leave the key owing: see RetryAfter
	WouldDeny bool // a shadow limiter would have refused
	// Name is the limit's: the limiter's, followed by the window where it has several rates.
	Name       string
	Limit      int64         // tokens per window; Unknown where nobody was asked
	Remaining  int64         // tokens that could be spent at this instant, or Unknown
	RetryAfter time.Duration // 0 when allowed, Never when the cost exceeds the capacity
	ResetAfter time.Duration // until nothing of the past is left, or Unknown
	Source     Source
	Parts      []Part // every rate of every limiter of the request

	gate    *Gate
	binding int
	answer  *answer // of a guard
}

// Part is one rate of one limiter in a decision.
type Part struct {
	Name       string
	Limiter    *Limiter
	Allowed    bool
	Shadow     bool // does not block
	Off        bool // asked nobody
	Limit      int64
	Remaining  int64
	Capacity   int64 // the most that can be spent at once
	Window     time.Duration
	RetryAfter time.Duration // 0 when allowed, Never when the cost exceeds the capacity
	NextAfter  time.Duration // until Remaining grows; 0: it is full
	ResetAfter time.Duration // until nothing of the past is left, or Unknown
	Shortfall  int64         // of a debit: tokens that did not fit
	Renewed    bool          // the id held its slots already: none were taken

	rate uint32
}

// HeaderStyle says which fields to send; styles are added with |.
type HeaderStyle uint32

// The styles of headers.
const (
	Standard    HeaderStyle = C.TG_HEADERS_STANDARD     // RateLimit-Policy, RateLimit: IETF draft 10
	Legacy      HeaderStyle = C.TG_HEADERS_LEGACY       // X-RateLimit-*, -Reset in epoch seconds
	LegacyDelta HeaderStyle = C.TG_HEADERS_LEGACY_DELTA // the same, -Reset in seconds from now
	NoHeaders   HeaderStyle = 1 << 31                   // only Retry-After, on refusals
)

// Field is one line of an HTTP header.
type Field struct{ Name, Value string }

// String shows the decision on one line.
func (d Decision) String() string {
	var b strings.Builder
	word := "denied"
	if d.Allowed {
		word = "allowed"
	}
	b.WriteString(word)
	if d.Name != "" {
		b.WriteString(" by " + d.Name)
	}
	fmt.Fprintf(&b, " (%s)", d.Source)
	if d.Remaining != Unknown {
		fmt.Fprintf(&b, ", %d of %d left", d.Remaining, d.Limit)
	}
	if !d.Allowed {
		if d.RetryAfter == Never {
			b.WriteString(", never")
		} else {
			fmt.Fprintf(&b, ", retry after %s", d.RetryAfter)
		}
	}
	if d.WouldDeny {
		b.WriteString(", would deny")
	}
	return b.String()
}

// Err is nil where the decision allows, and a [*DeniedError] where it does not.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	return &DeniedError{d}
}

// Headers are the fields to send with the response: Standard|Legacy unless styles are given;
// Retry-After on refusals. None after the gate was closed. Those of a guard's decision are in its
// guard's styles, unless others are given, and also of the request's checks before it.
func (d Decision) Headers(styles ...HeaderStyle) []Field {
	if d.answer != nil && len(styles) == 0 {
		return fieldsOf(d.answer.fields)
	}
	style := Standard | Legacy
	if len(styles) > 0 {
		style = 0
		for _, s := range styles {
			style |= s
		}
	}
	return d.headersAt(style&^NoHeaders, 0)
}

func (d Decision) headersAt(style HeaderStyle, wallUS int64) []Field {
	return fieldsOf(d.ask(func(gate *C.tg_client, parts []C.tg_part, b *C.char, size C.size_t) int64 {
		return int64(C.tgo_headers(gate, d.flags(), C.uint32_t(d.binding), &parts[0],
			C.uint32_t(len(parts)), C.uint32_t(style), C.int64_t(wallUS), b, size))
	}))
}

func fieldsOf(lines string) []Field {
	if lines == "" {
		return nil
	}
	fields := make([]Field, 0, strings.Count(lines, "\n"))
	for len(lines) > 0 {
		line, rest, _ := strings.Cut(lines, "\n")
		name, value, _ := strings.Cut(line, ": ")
		fields = append(fields, Field{name, value})
		lines = rest
	}
	return fields
}

// Problem is the RFC 9457 body of a refusal (application/problem+json), or "".
func (d Decision) Problem() string {
	if d.answer != nil {
		return d.answer.body
	}
	return d.ask(func(gate *C.tg_client, parts []C.tg_part, b *C.char, size C.size_t) int64 {
		return int64(C.tgo_problem(gate, d.flags(), C.uint32_t(d.binding), &parts[0],
			C.uint32_t(len(parts)), b, size))
	})
}

// Status is the HTTP status: 200, 429, 503 where the failure policy closed, or 403 of a ban.
func (d Decision) Status() int {
	if d.answer != nil {
		return d.answer.status
	}
	return int(C.tgo_status(d.flags()))
}

func (d Decision) flags() C.uint32_t {
	flags := C.uint32_t(d.Source) << 8
	if d.Allowed {
		flags |= C.TG_ALLOWED
	}
	if d.WouldDeny {
		flags |= C.TG_WOULD_DENY
	}
	return flags
}

// ask gives the parts back to the library, which works out every text.
func (d Decision) ask(
	write func(gate *C.tg_client, parts []C.tg_part, buffer *C.char, size C.size_t) int64,
) string {
	if d.gate == nil || len(d.Parts) == 0 || !d.gate.core.enter() {
		return ""
	}
	defer runtime.KeepAlive(d.gate)
	defer d.gate.core.leave()
	var room [4]C.tg_part
	parts := room[:0]
	for i := range d.Parts {
		parts = append(parts, d.Parts[i].raw())
	}
	return text(func(buffer *C.char, size C.size_t) int64 {
		return write(d.gate.core.client, parts, buffer, size)
	})
}

func (p *Part) raw() C.tg_part {
	var flags C.uint32_t
	if p.Allowed {
		flags |= C.TG_ALLOWED
	}
	if p.Shadow {
		flags |= C.TG_SHADOW
	}
	if p.Off {
		flags |= C.TG_OFF
	}
	if p.Renewed {
		flags |= C.TG_RENEWED
	}
	return C.tg_part{
		handle:         p.Limiter.handle,
		rate:           C.uint32_t(p.rate),
		flags:          flags,
		limit:          C.int64_t(p.Limit),
		remaining:      C.int64_t(p.Remaining),
		capacity:       C.int64_t(p.Capacity),
		retry_after_us: toUS(p.RetryAfter),
		next_us:        toUS(p.NextAfter),
		reset_after_us: toUS(p.ResetAfter),
		window_us:      toUS(p.Window),
		shortfall:      C.int64_t(p.Shortfall),
	}
}

func toUS(d time.Duration) C.int64_t {
	if d == Never || d < 0 {
		return C.TG_NEVER
	}
	return C.int64_t(d / time.Microsecond)
}

// fromUS reads a wait; -1 becomes what it means there.
func fromUS(us C.int64_t, none time.Duration) time.Duration {
	if us < 0 {
		return none
	}
	if us >= math.MaxInt64/1000 {
		return Never - 1
	}
	return time.Duration(us) * time.Microsecond
}

// decide turns a raw answer into what the user sees.
func (g *Gate) decide(flags, binding C.uint32_t, raw []C.tg_part, asked []Charge) Decision {
	d := Decision{
		Allowed:    flags&C.TG_ALLOWED != 0,
		WouldDeny:  flags&C.TG_WOULD_DENY != 0,
		Source:     Source(flags >> 8 & sourceMask),
		Limit:      Unknown,
		Remaining:  Unknown,
		ResetAfter: Unknown,
		gate:       g,
		binding:    int(binding),
	}
	d.Parts = make([]Part, len(raw))
	for i := range raw {
		g.limiterOf(&d.Parts[i], &raw[i], asked)
		d.Parts[i].read(&raw[i])
	}
	if int(binding) < len(raw) {
		p := &d.Parts[binding]
		d.Name, d.Limit, d.Remaining = p.Name, p.Limit, p.Remaining
		d.RetryAfter, d.ResetAfter = p.RetryAfter, p.ResetAfter
	}
	return d
}

func (g *Gate) limiterOf(p *Part, raw *C.tg_part, asked []Charge) {
	for i := range asked {
		if asked[i].limiter.handle == raw.handle {
			p.Limiter = asked[i].limiter
			return
		}
	}
	p.Limiter = g.met(raw.handle)
	p.Limiter.follow(raw)
}

func (p *Part) read(raw *C.tg_part) {
	p.rate = uint32(raw.rate)
	p.Name = p.Limiter.policy(p.rate)
	p.Allowed, p.Shadow = raw.flags&C.TG_ALLOWED != 0, raw.flags&C.TG_SHADOW != 0
	p.Off, p.Renewed = raw.flags&C.TG_OFF != 0, raw.flags&C.TG_RENEWED != 0
	p.Shortfall = int64(raw.shortfall)
	p.Limit, p.Remaining, p.Capacity = int64(raw.limit), int64(raw.remaining), int64(raw.capacity)
	p.Window = fromUS(raw.window_us, Unknown)
	p.NextAfter, p.ResetAfter = fromUS(raw.next_us, Unknown), fromUS(raw.reset_after_us, Unknown)
	if p.Allowed {
		p.RetryAfter = fromUS(raw.retry_after_us, 0)
	} else {
		p.RetryAfter = fromUS(raw.retry_after_us, Never)
	}
}
