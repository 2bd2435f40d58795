// SPDX-License-Identifier: MIT

// Package tghttp limits the requests of a net/http server, with the same headers and bodies as
// tidegate's middleware for other languages.
//
//	config := tghttp.Config{Store: "redis://localhost", Limit: "100/minute", Name: "api"}
//	limit, err := tghttp.New(config)
//	http.ListenAndServe(":8080", limit(mux))
//
// A route of its own: mux.Handle("POST /expensive", expensive(handler)), where expensive is another
// limit. The same limiter met twice on one request is charged once. Requests are passed on with the
// ResponseWriter as it came, so streaming, flushing and hijacking are untouched; refusals never
// reach the handler.
package tghttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// Config says what is limited, and by whom it is counted. Limit, Limiters or For is needed, the
// rest is not.
type Config struct {
	// Gate asks the store. Without one all middleware of the process share a gate per Store.
	Gate *tidegate.Gate
	// Store is a URL for that shared gate; "": $TIDEGATE_URL, or else the embedded store.
	Store string

	// Limit is a rate such as "100/minute burst 20", and Name its name; Options are for its limiter.
	Limit   string
	Name    string
	Options []tidegate.LimiterOption
	// Limiters are checked together with Limit, as one atomic request with the same key and cost.
	Limiters []*tidegate.Limiter
	// For chooses the limiters of a request (tiers), besides those above; none: no more than those.
	For func(*http.Request) []*tidegate.Limiter

	// Key is who is calling, such as an API key; nil or "": the address.
	Key func(*http.Request) string
	// Cost is how many tokens a request takes; nil: 1.
	Cost func(*http.Request) int64
	// Exempt are paths that are not limited, Skip requests that are not. Neither are CORS preflights.
	Exempt []string
	Skip   func(*http.Request) bool
	// TrustedProxies says how much of X-Forwarded-For to believe: a count, or networks such as
	// "10.0.0.0/8,::1/128".
	TrustedProxies string
	// IPv6Prefix is how many bits of an address make a caller; 0: 64.
	IPv6Prefix int

	// Headers are the styles to send; 0: Standard|Legacy. tidegate.NoHeaders: only Retry-After.
	Headers tidegate.HeaderStyle
	// Message replaces the body of refusals: a string, or anything that encoding/json takes.
	Message any
	// OnDenied answers refusals instead; the headers are set already.
	OnDenied func(http.ResponseWriter, *http.Request, tidegate.Decision)
	// OnError answers when a check is impossible: a negative cost, a closed gate. nil: 500, and a
	// line in slog. It is not called when the caller went away.
	OnError func(http.ResponseWriter, *http.Request, error)
}

// New makes the middleware. What is wrong with the configuration is found here, not at the first
// request.
func New(config Config) (func(http.Handler) http.Handler, error) {
	m := &middleware{Config: config, exempt: map[string]bool{}}
	if m.Gate == nil {
		gate, err := shared(config.Store)
		if err != nil {
			return nil, err
		}
		m.Gate = gate
	} else if config.Store != "" {
		return nil, invalid("tghttp.Config: Gate and Store are given: expected one of them")
	}
	if config.Limit == "" && len(config.Limiters) == 0 && config.For == nil {
		return nil, invalid("tghttp.Config: expected Limit, Limiters or For")
	}
	m.limiters = append(m.limiters, config.Limiters...)
	if config.Limit != "" {
		options := config.Options
		if config.Name != "" {
			options = append([]tidegate.LimiterOption{tidegate.Name(config.Name)}, options...)
		}
		l, err := m.Gate.Limiter(config.Limit, options...)
		if err != nil {
			return nil, err
		}
		m.limiters = append(m.limiters, l)
	}
	for i, l := range m.limiters {
		if l == nil || l.Gate() != m.Gate {
			return nil, invalid(
				fmt.Sprintf(
					"tghttp.Config: limiter %d: expected one of the middleware's gate",
					i,
				),
			)
		}
	}
	for _, path := range config.Exempt {
		m.exempt[path] = true
	}
	var err error
	if m.callers, err = tidegate.NewCallers(config.TrustedProxies, config.IPv6Prefix); err != nil {
		return nil, err
	}
	return m.wrap, m.encode()
}

func invalid(message string) error {
	return &tidegate.Error{Code: tidegate.CodeInvalid, Message: message, Position: -1}
}

var gates struct {
	sync.Mutex
	byURL map[string]*tidegate.Gate
}

// shared is the process's gate on a store; it lives as long as the process.
func shared(url string) (*tidegate.Gate, error) {
	gates.Lock()
	defer gates.Unlock()
	if gate := gates.byURL[url]; gate != nil {
		return gate, nil
	}
	gate, err := tidegate.Connect(url)
	if err != nil {
		return nil, err
	}
	if gates.byURL == nil {
		gates.byURL = map[string]*tidegate.Gate{}
	}
	gates.byURL[url] = gate
	return gate, nil
}

type middleware struct {
	Config
	limiters    []*tidegate.Limiter
	exempt      map[string]bool
	callers     *tidegate.Callers
	body        []byte // of refusals; nil: the problem
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
			return invalid("tghttp.Config: Message: " + err.Error())
		}
		m.body, m.contentType = []byte(strings.TrimSuffix(b.String(), "\n")), "application/json"
	}
	return nil
}

func (m *middleware) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.exempt[r.URL.Path] || preflight(r) || m.Skip != nil && m.Skip(r) {
			next.ServeHTTP(w, r)
			return
		}
		seen, _ := r.Context().Value(seenKey{}).(*passed)
		charges := m.charges(r, seen)
		if len(charges) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		decision, err := m.Gate.Consume(r.Context(), charges...)
		if err != nil {
			m.failed(w, r, err)
			return
		}
		seen = &passed{before: seen, decision: decision}
		seen.setHeaders(w.Header(), m.Headers)
		if !decision.Allowed {
			m.deny(w, r, decision)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), seenKey{}, seen)))
	})
}

func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}

// charges are those of the request's limiters that have not been charged for it yet.
func (m *middleware) charges(r *http.Request, seen *passed) []tidegate.Charge {
	limiters := m.limiters
	if m.For != nil {
		limiters = append(limiters[:len(limiters):len(limiters)], m.For(r)...)
	}
	var identity string
	if m.Key != nil {
		identity = m.Key(r)
	}
	peer := r.RemoteAddr
	if peer == "@" { // what net/http says of a Unix socket
		peer = ""
	}
	key := m.callers.Key(identity, peer, strings.Join(r.Header.Values("X-Forwarded-For"), ","))
	cost := int64(1)
	if m.Cost != nil {
		cost = m.Cost(r)
	}
	charges := make([]tidegate.Charge, 0, len(limiters))
	for i, l := range limiters {
		if l != nil && !seen.charged(l) && !contains(limiters[:i], l) {
			charges = append(charges, l.For(key, tidegate.Cost(cost)))
		}
	}
	return charges
}

func contains(limiters []*tidegate.Limiter, l *tidegate.Limiter) bool {
	for _, other := range limiters {
		if other == l {
			return true
		}
	}
	return false
}

func (m *middleware) deny(w http.ResponseWriter, r *http.Request, d tidegate.Decision) {
	if m.OnDenied != nil {
		m.OnDenied(w, r, d)
		return
	}
	body, contentType := m.body, m.contentType
	if contentType == "" {
		body, contentType = []byte(d.Problem()), "application/problem+json"
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(d.Status())
	_, _ = w.Write(body) // a caller that went away is no error
}

func (m *middleware) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil && errors.Is(err, r.Context().Err()): // the caller went away
	case m.OnError != nil:
		m.OnError(w, r, err)
	default:
		slog.ErrorContext(
			r.Context(),
			"tidegate: a request could not be checked",
			slog.Any("error", err),
		)
		http.Error(w, "The rate limit cannot be checked.", http.StatusInternalServerError)
	}
}
