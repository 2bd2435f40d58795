// SPDX-License-Identifier: MIT

// Package tghttp limits the requests of a net/http server, with the same headers and bodies as
// tidegate's middleware for other languages.
//
//	config := tghttp.Config{Store: "redis://localhost", Limit: "100/minute", Name: "api"}
//	limit, err := tghttp.New(config)
//	http.ListenAndServe(":8080", limit(mux))
//
// A route of its own: mux.Handle("POST /expensive", expensive(handler)), where expensive is another
// limit. Limits of one middleware are one atomic check, each with a key of its own:
//
//	tghttp.Config{Gate: gate, Key: apiKey, Limits: []tghttp.Limit{
//		{Rate: "1000/minute", Name: "per-key"},
//		{Rate: "100/minute", Name: "per-address", Per: tghttp.Address},
//		{Rate: "20000/minute", Name: "all", Per: tghttp.Everyone},
//	}}
//
// Middlewares may be nested. The same limiter met twice by the same key on one request is charged
// once, with the largest cost; by another key it is charged for that too. A request that an inner
// middleware refuses costs nothing: what the outer ones charged is given back, behind the answer.
//
// A limit without a name is called by where it stands, as in every language: by the route's
// pattern, "POST.login" of "POST /login" (see [http.Request]), and "v1.GET.items-id" of
// "GET /items/{id}" under [Config.Mount] "/v1". Around routes it is the path's,
// "v1.100-per-60s" of "/v1/", or "everything.100-per-60s"; where several stand on a route, others
// than the first have their numbers behind too. So equal rates of two routes are two limits, and
// the same route is one limit in all processes of a service.
//
// Requests are passed on with the ResponseWriter as it came, so streaming, flushing and hijacking
// are untouched; refusals never reach the handler. A handler that sends X-RateLimit fields of its
// own sends them beside these: let httputil.ReverseProxy delete its upstream's in ModifyResponse.
package tghttp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// Config says what is limited, and by whom it is counted. Limit, Limits, Limiters or For is needed,
// the rest is not.
type Config struct {
	// Gate asks the store. Without one all middleware of the process share a gate per Store: see
	// [CloseShared].
	Gate *tidegate.Gate
	// Store is a URL for that shared gate; "": $TIDEGATE_URL, or else the embedded store.
	Store string

	// Limit is a rate such as "100/minute burst 20", and Name its name; Options are for its limiter.
	Limit   string
	Name    string
	Options []tidegate.LimiterOption
	// Limits are checked together with Limit, as one atomic request, each with a key and cost of
	// its own.
	Limits []Limit
	// Limiters are checked together with Limit too, with the same key and cost.
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
	// "10.0.0.0/8,::1/128". Unset: nothing, and slog is told once that a proxy seems to be there.
	TrustedProxies string
	// IPv6Prefix is how many bits of an address make a caller; 0: 64.
	IPv6Prefix int
	// Mount is the path under which the routes are, as "/v1", where http.StripPrefix took it off:
	// the first word of the names of limits that have none.
	Mount string

	// Headers are the styles to send; 0: Standard|Legacy. tidegate.NoHeaders: only Retry-After.
	Headers tidegate.HeaderStyle
	// Message replaces the body of refusals with 429: a string, or anything that encoding/json takes.
	Message any
	// OnDenied answers refusals instead; the headers are set already. Where it writes nothing, the
	// refusal is answered as without it.
	OnDenied func(http.ResponseWriter, *http.Request, tidegate.Decision)
	// OnError answers when a check is impossible: a negative cost, a closed gate, a context that is
	// done (errors.Is: context.Canceled, context.DeadlineExceeded). nil, or where it writes nothing:
	// 500, and 503 of a context that is done. Where it is nil slog has a line, but of such a context.
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
	var err error
	if m.callers, err = tidegate.NewCallers(config.TrustedProxies, config.IPv6Prefix); err != nil {
		return nil, err
	}
	if err := m.gather(); err != nil {
		return nil, err
	}
	for _, path := range config.Exempt {
		m.exempt[path] = true
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

// shared is the process's gate on a store; it lives as long as the process, or until CloseShared.
func shared(url string) (*tidegate.Gate, error) {
	if url == "" {
		url = os.Getenv("TIDEGATE_URL")
	}
	if url == "" {
		url = "memory://"
	}
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

// CloseShared closes the gates of all middleware that was made without one: at the end of a program
// or test. Such middleware answers with an error from then on; what is made later has new gates.
func CloseShared() {
	gates.Lock()
	defer gates.Unlock()
	for _, gate := range gates.byURL {
		gate.Close()
	}
	gates.byURL = nil
}

type middleware struct {
	Config
	rules       []*rule
	exempt      map[string]bool
	callers     *tidegate.Callers
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
		limiters, err := m.limiters(r)
		if m.exempt[r.URL.Path] || preflight(r) || m.Skip != nil && m.Skip(r) {
			next.ServeHTTP(w, r)
			return
		}
		if err != nil {
			m.failed(w, r, err)
			return
		}
		seen, _ := r.Context().Value(seenKey{}).(*passed)
		charges := m.charges(r, seen, limiters)
		if len(charges) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		decision, err := m.Gate.Consume(r.Context(), charges...)
		if err != nil {
			m.failed(w, r, err)
			return
		}
		here := &passed{before: seen, gate: m.Gate, decision: decision, charges: charges}
		here.setHeaders(w.Header(), m.Headers)
		if !decision.Allowed {
			m.deny(w, r, decision)
			seen.giveBack(r.Context())
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), seenKey{}, here)))
	})
}

func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}
