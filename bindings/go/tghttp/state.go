// SPDX-License-Identifier: MIT

package tghttp

import (
	"context"
	"net/http"
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
		if len(s.theirs(f.Name, h[f.Name])) == 0 {
			delete(h, f.Name)
		}
	}
	s.said = d.Headers()
	for i := range s.said {
		f := &s.said[i]
		f.Name = canonical(f.Name)
		h[f.Name] = []string{f.Value}
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
	s.settle = nil                                         // a handler that goes on may still write
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
