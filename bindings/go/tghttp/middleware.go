// SPDX-License-Identifier: MIT

package tghttp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

type middleware struct {
	Config
	guard       *tidegate.Guard
	bare        *tidegate.Guard // without rules: says who is exempt
	embedded    bool
	rules       []*rule
	exempt      map[string]bool
	warned      atomic.Bool // of X-Forwarded-For
	body        []byte      // of refusals; nil: the problem
	contentType string
}

// encode writes the user's message once.
func (m *middleware) encode() error {
	switch message := m.Message.(type) {
	case nil:
	case string:
		m.body, m.contentType = []byte(message), "text/plain; charset=utf-8"
	default:
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(message); err != nil {
			return invalid(fmt.Sprint("tghttp.Config: Message: ", err))
		}
		m.body, m.contentType = []byte(strings.TrimSuffix(b.String(), "\n")), "application/json"
	}
	return nil
}

func (m *middleware) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := stateOf(r.Context(), m.Gate); s != nil {
			m.pass(w, r, s, next)
			return
		}
		before, _ := r.Context().Value(stateKey{}).(*state)
		s := &state{gate: m.Gate, before: before, embedded: m.embedded}
		r = r.WithContext(context.WithValue(r.Context(), stateKey{}, s))
		answer := &writer{ResponseWriter: w}
		answer.begins = func() { s.yield(w.Header()) }
		silence := http.StatusInternalServerError // what a panic is to whoever waits
		defer func() {
			if answer.status == 0 {
				answer.begin(silence)
			}
			s.finish(context.WithoutCancel(r.Context()), answer.status)
		}()
		m.pass(answer, r, s, next)
		silence = http.StatusOK
	})
}

// pass lets the request pass, or answers it.
func (m *middleware) pass(w http.ResponseWriter, r *http.Request, s *state, next http.Handler) {
	d, err := m.check(r, s)
	if err != nil {
		m.failed(w, r, err)
		return
	}
	if s.take(r.Context(), w.Header(), d); d.Allowed {
		next.ServeHTTP(w, r)
		return
	}
	s.deniedElsewhere(r.Context())
	m.deny(w, r, d)
}

// check asks the guard. Where it may be that the request is exempt, that is asked first: functions
// that read who is calling are for requests that have callers.
func (m *middleware) check(r *http.Request, s *state) (tidegate.Decision, error) {
	// A request has room for 256 attributes, a program may have more exempt paths: so one is said.
	skip := m.exempt[r.URL.Path] || m.exempt[m.Mount+r.URL.EscapedPath()] || m.Skip != nil && m.Skip(r)
	if skip || r.Method == http.MethodOptions {
		list := m.seen(r)
		if skip {
			list.Add("@exempt", r.URL.Path)
		}
		d, err := m.bare.Check(r.Context(), list, s.scope())
		if err != nil {
			return d, err
		}
		if d.Verdict() == "exempt" {
			return d, m.meet(r, list)
		}
	}
	list, err := m.asked(r)
	if err != nil {
		return tidegate.Decision{}, err
	}
	d, err := m.guard.Check(r.Context(), list, s.scope())
	m.warn(r, d)
	return d, err
}

// meet lets limits without names have those of the place where an exempt request met them: what
// comes first in one process must not name anything that it does not in another.
func (m *middleware) meet(r *http.Request, list tidegate.AttributeList) error {
	any := false
	for _, u := range m.rules {
		if u.placed {
			any = true
			list = append(list, u.fixed...)
			m.addPlace(&list, r)
		}
	}
	if !any {
		return nil
	}
	_, err := m.guard.Check(r.Context(), list, "")
	return err
}
