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
// With a policy ([Config.Policy], or the gate's) a file says which limits a request meets, by path,
// tier and caller, whom to ban and whom to let pass:
//
//	tghttp.Config{Gate: gate, Policy: "limits.yaml", Identity: apiKey}
//
// Middlewares may be nested. The same limiter met twice by the same key on one request is charged
// once, with the largest cost; by another key it is charged for that too. A request that an inner
// middleware refuses costs nothing: what the outer ones charged is given back, behind the answer. Slots ("5 at once") are
// held until the answer is sent, streams included.
//
// A limit without a name is called by where it stands, as in every language: by the route's
// pattern, "POST.login" of "POST /login" (see [http.Request]), and "v1.GET.items-id" of
// "GET /items/{id}" under [Config.Mount] "/v1". Around routes it is the path's, "v1" of "/v1/", and
// around all of them the numbers', "100-per-60s"; where several stand in one place they have their
// numbers behind its name. So equal rates of two routes are two limits, and the same route is one
// limit in all processes of a service.
//
// Streaming, flushing and hijacking are untouched; refusals never reach the handler. A handler that
// sends RateLimit or X-RateLimit fields of its own sends them in place of these.
package tghttp

import (
	"errors"
	"net/http"
	"strings"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// Config says what is limited, and by whom it is counted. Limit, Limits, Limiters or For is needed,
// or a policy; the rest is not.
type Config struct {
	// Gate asks the store. Without one all middleware of the process share a gate per Store: see
	// [CloseShared].
	Gate *tidegate.Gate
	// Store is a URL for that shared gate; "": $TIDEGATE_URL, or else the embedded store.
	Store string

	// Policy is a path, a text or a document, as in [tidegate.UsePolicy]; nil: the gate's.
	Policy any
	// Identity is who is calling, as the policy knows him: "": nobody in particular, and his address
	// counts. nil: Key.
	Identity func(*http.Request) string
	// Tier is the caller's, where the policy's callers do not say it; "": the policy's default.
	Tier func(*http.Request) string
	// Attributes are what the policy is told of a request besides.
	Attributes func(*http.Request) tidegate.Attributes

	// Limit is a rate such as "100/minute burst 20", and Name its name; Options are for its limiter.
	Limit   string
	Name    string
	Options []tidegate.LimiterOption
	// Limits are checked together with Limit, as one atomic request, each with a key and cost of
	// its own.
	Limits []Limit
	// Limiters are checked together with Limit too, with the same key and cost.
	Limiters []*tidegate.Limiter
	// For chooses the limiters of a request, besides those above; none: no more than those.
	For func(*http.Request) []*tidegate.Limiter

	// Key is who is calling, such as an API key; nil or "": the address.
	Key func(*http.Request) string
	// Cost is how many tokens a request takes; nil: 1.
	Cost func(*http.Request) int64
	// Exempt are paths that are not limited, Skip requests that are not. Neither are CORS preflights:
	// Key, Cost and the like are not called for them.
	Exempt []string
	Skip   func(*http.Request) bool
	// TrustedProxies says how much of X-Forwarded-For to believe: a count, or networks such as
	// "10.0.0.0/8,::1/128". Unset: nothing, and slog is told once that a proxy seems to be there.
	TrustedProxies string
	// IPv6Prefix is how many bits of an address make a caller; 0: 64.
	IPv6Prefix int
	// Mount is the path under which the routes are, as "/v1", where http.StripPrefix took it off: the
	// policy sees it before the path, and limits that have no name before theirs.
	Mount string

	// Headers are the styles to send; 0: Standard|Legacy. tidegate.NoHeaders: only Retry-After.
	Headers tidegate.HeaderStyle
	// Message replaces the body of refusals with 429: a string, or anything that encoding/json takes.
	Message any
	// OnDenied answers refusals (of bans too) instead; the headers are set already. Where it writes nothing, the
	// refusal is answered as without it.
	OnDenied func(http.ResponseWriter, *http.Request, tidegate.Decision)
	// OnError answers when a check is impossible: a negative cost, an unknown tier, a closed gate, a context that is
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
	if m.Mount = strings.Trim(m.Mount, "/"); m.Mount != "" {
		m.Mount = "/" + m.Mount
	}
	m.embedded = strings.HasPrefix(m.Gate.URL(), "memory:")
	if err := m.gather(); err != nil {
		return nil, err
	}
	for _, path := range config.Exempt {
		m.exempt[path] = true
	}
	return m.wrap, errors.Join(m.open(), m.encode())
}

func (m *middleware) open() (err error) {
	guard := tidegate.GuardConfig{
		Policy: m.Policy, Headers: m.Headers, TrustedProxies: m.TrustedProxies,
		IPv6Prefix: m.IPv6Prefix,
	}
	if m.guard, err = m.Gate.Guard(guard); err != nil {
		return err
	}
	m.bare, err = m.Gate.Guard(tidegate.GuardConfig{Policy: "{\"version\": 1}"})
	return err
}

func invalid(message string) error {
	return &tidegate.Error{Code: tidegate.CodeInvalid, Message: message, Position: -1}
}
