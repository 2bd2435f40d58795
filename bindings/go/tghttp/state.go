// SPDX-License-Identifier: MIT

package tghttp

import (
	"context"
	"net/http"
	"strings"
	"sync"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

type stateKey struct{}

// state is what the middlewares of one gate know of a request. The outermost made it.
type state struct {
	gate     *tidegate.Gate
	embedded bool
	before   *state // another gate's

	mu     sync.Mutex // a handler may go on in a goroutine of its own (http.TimeoutHandler)
	last   tidegate.Decision
	passed *tidegate.Decision // the last that asked anybody and let it pass
	said   []tidegate.Field
	settle tidegate.Attributes
	renew  context.CancelFunc
	denied bool // by another gate's
	over   bool
}

func stateOf(ctx context.Context, gate *tidegate.Gate) *state {
	s, _ := ctx.Value(stateKey{}).(*state)
	for s != nil && s.gate != gate {
		s = s.before
	}
	return s
}

// FromContext is the decision of the innermost middleware that let the request pass.
func FromContext(ctx context.Context) (tidegate.Decision, bool) {
	for s, _ := ctx.Value(stateKey{}).(*state); s != nil; s = s.before {
		s.mu.Lock()
		passed := s.passed
		s.mu.Unlock()
		if passed != nil {
			return *passed, true
		}
	}
	return tidegate.Decision{}, false
}

// Settle tells an attribute of the answer, such as the tokens that it took, to the rules of a policy
// that settle by it (settle: "{tokens_used}"). A handler calls it before it returns.
func Settle(ctx context.Context, attribute string, amount int64) {
	for s, _ := ctx.Value(stateKey{}).(*state); s != nil; s = s.before {
		s.mu.Lock()
		if s.settle == nil {
			s.settle = tidegate.Attributes{}
		}
		s.settle[attribute] = amount
		s.mu.Unlock()
	}
}

func (s *state) scope() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.Scope()
}

// take keeps a check's answer, and sets its fields in place of those before it.
func (s *state) take(ctx context.Context, h http.Header, d tidegate.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.Verdict() == "exempt" {
		return // what earlier checks said, and hold, stands
	}
	s.last = d
	if d.Allowed && len(d.Parts) > 0 {
		s.passed = &d
	}
	for _, f := range s.said {
		if values := h.Values(f.Name); len(values) == 1 && values[0] == f.Value {
			h.Del(f.Name)
		}
	}
	s.said = d.Headers()
	for _, f := range s.said {
		h.Set(f.Name, f.Value)
	}
	if d.RenewWithin() > 0 && !s.over {
		if s.renew != nil {
			s.renew() // the new decision holds what the one before it held too
		}
		renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
		s.renew = stop
		go d.KeepRenewed(renewing)
	}
}

// finish settles what the request was charged. Nobody waits for a store to do it.
func (s *state) finish(ctx context.Context, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.renew != nil {
		s.renew()
	}
	last, settle := s.last, s.settle
	run := func() { _ = last.Finish(ctx, status, settle) } // what fails now stays charged
	if s.denied {
		run = func() { _ = last.GiveBack(ctx) }
	}
	if s.embedded {
		run()
		return
	}
	go run()
}

// deniedElsewhere tells the other gates that the request is refused: it costs nothing there either.
func (s *state) deniedElsewhere(ctx context.Context) {
	for o, _ := ctx.Value(stateKey{}).(*state); o != nil; o = o.before {
		if o != s {
			o.mu.Lock()
			o.denied = true
			o.mu.Unlock()
		}
	}
}

// family is whose fields stand or go together: 0 is none of ours.
func family(canonical string) int {
	switch {
	case canonical == "Ratelimit" || canonical == "Ratelimit-Policy":
		return 1
	case strings.HasPrefix(canonical, "X-Ratelimit-"):
		return 2
	case canonical == "Retry-After":
		return 3
	}
	return 0
}

// yield lets the fields that the handler set itself stand, with their whole family.
func (s *state) yield(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.said) == 0 {
		return
	}
	var theirs [4]bool
	for name, values := range h {
		if f := family(name); f > 0 {
			rest := s.without(name, values)
			if theirs[f] = theirs[f] || len(rest) > 0; len(rest) > 0 {
				h[name] = rest
			}
		}
	}
	for _, field := range s.said {
		name := http.CanonicalHeaderKey(field.Name)
		if theirs[family(name)] && len(s.without(name, h[name])) == 0 {
			delete(h, name)
		}
	}
	s.said = nil
}

// without takes the value that was set here out of a field's; the caller holds mu.
func (s *state) without(name string, values []string) []string {
	for _, field := range s.said {
		if http.CanonicalHeaderKey(field.Name) != name {
			continue
		}
		for i, value := range values {
			if value == field.Value {
				return append(append([]string{}, values[:i]...), values[i+1:]...)
			}
		}
	}
	return values
}
