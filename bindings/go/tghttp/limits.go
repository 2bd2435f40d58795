// SPDX-License-Identifier: MIT

package tghttp

import (
	"fmt"
	"net/http"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// Limit is one of several limits of a middleware.
type Limit struct {
	// Rate is such as "100/minute burst 20", or "5 at once"; Name its name; Options are for its
	// limiter.
	Rate    string
	Name    string
	Options []tidegate.LimiterOption
	// Limiter is instead of those three.
	Limiter *tidegate.Limiter

	// Per says who is counted: the caller unless given.
	Per Per
	// Key is who is calling, for this limit alone; "": the address. nil: [Config.Key].
	Key func(*http.Request) string
	// Cost is how many tokens a request takes of this limit; nil: [Config.Cost].
	Cost func(*http.Request) int64
}

// Per says who a limit counts.
type Per int

// Who a limit counts.
const (
	Caller   Per = iota // each caller: who Key says, or else his address
	Address             // each address, whoever calls from there
	Everyone            // all together
)

const mostParts = 16 // of one request: TG_MAX_PARTS

// rule is a limit as the guard reads it, but for what is the request's.
type rule struct {
	Limit
	fixed  tidegate.AttributeList
	placed bool // called by where it stands
}

// gather makes the rules, and finds what is wrong with them.
func (m *middleware) gather() error {
	limits := make([]Limit, 0, len(m.Limiters)+len(m.Limits)+1)
	for _, l := range m.Limiters {
		if l == nil {
			return invalid("tghttp.Config: Limiters: expected no nil")
		}
		limits = append(limits, Limit{Limiter: l})
	}
	if m.Limit != "" {
		limits = append(limits, Limit{Rate: m.Limit, Name: m.Name, Options: m.Options})
	}
	limits = append(limits, m.Limits...)
	if len(limits) == 0 && m.For == nil && m.Policy == nil && !m.Gate.HasPolicy() {
		return invalid("tghttp.Config: expected Policy, Limit, Limits, Limiters or For")
	}
	if len(limits) > mostParts {
		return invalid(fmt.Sprintf("tghttp.Config: %d limits: expected at most %d in one check",
			len(limits), mostParts))
	}
	nameless := 0
	for i, l := range limits {
		made, err := m.rule(l)
		if err != nil {
			return fmt.Errorf("tghttp.Config: limit %d: %w", i, err)
		}
		m.rules = append(m.rules, made)
		if made.placed {
			nameless++
		}
	}
	for _, made := range m.rules {
		if made.placed && nameless > 1 {
			made.fixed.Add("@several", "1")
		}
	}
	return nil
}

func (m *middleware) rule(l Limit) (*rule, error) {
	made := &rule{Limit: l}
	switch {
	case l.Per < Caller || l.Per > Everyone:
		return nil, invalid(fmt.Sprintf("Per is %d: expected Caller, Address or Everyone", l.Per))
	case l.Per != Caller && l.Key != nil:
		return nil, invalid("Per and Key are given: expected one of them")
	case l.Limiter != nil && (l.Rate != "" || l.Name != "" || l.Options != nil):
		return nil, invalid("Limiter and Rate, Name or Options are given: expected one of them")
	case l.Limiter != nil && l.Limiter.Gate() != m.Gate:
		return nil, invalid("limiter " + l.Limiter.Name() + ": expected one of the middleware's gate")
	case l.Limiter != nil:
		made.fixed.AddLimiter(l.Limiter)
		return made, nil
	}
	if l.Name == "" {
		named, err := probe(l)
		if err != nil {
			return nil, err
		}
		if !named {
			made.placed = true
			made.fixed.AddLimit(l.Rate, l.Options...)
			return made, nil
		}
	}
	limiter, err := m.Gate.Limiter(l.Rate, withName(l.Name, l.Options)...)
	if err != nil {
		return nil, err
	}
	made.fixed.AddLimiter(limiter)
	return made, nil
}

// probe opens the limit where nobody meets it: it finds what is wrong with it before its place is
// known, and whether a name is among its options.
func probe(l Limit) (named bool, err error) {
	gate, err := tidegate.Connect("memory://")
	if err != nil {
		return false, err
	}
	defer gate.Close()
	limiter, err := gate.Limiter(l.Rate, withName("probe", l.Options)...)
	if err != nil {
		return false, err
	}
	return limiter.Name() != "probe", nil
}

// withName puts a name before the options: one that is among them wins.
func withName(name string, options []tidegate.LimiterOption) []tidegate.LimiterOption {
	if name == "" {
		return options
	}
	return append([]tidegate.LimiterOption{tidegate.Name(name)}, options...)
}
