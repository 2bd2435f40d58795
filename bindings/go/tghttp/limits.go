// SPDX-License-Identifier: MIT

package tghttp

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// Limit is one of several limits of a middleware.
type Limit struct {
	// Rate is such as "100/minute burst 20", Name its name; Options are for its limiter.
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

// everyone is the key of all callers together; no identity can be that text.
const everyone = "@everyone"

const mostParts = 16 // of one request: TG_MAX_PARTS

// rule is a limit as it was configured.
type rule struct {
	Limit
	limiter *tidegate.Limiter // nil: called by where it stands
	numbers string            // the name that the numbers give it
	crowded bool              // others without a name stand beside it

	mu      sync.RWMutex
	byPlace map[place]*tidegate.Limiter
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
	if len(limits) == 0 && m.For == nil {
		return invalid("tghttp.Config: expected Limit, Limits, Limiters or For")
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
		if made.limiter == nil {
			nameless++
		}
	}
	for _, made := range m.rules {
		made.crowded = nameless > 1
	}
	return nil
}

func (m *middleware) rule(l Limit) (*rule, error) {
	made := &rule{Limit: l, limiter: l.Limiter, byPlace: map[place]*tidegate.Limiter{}}
	switch {
	case l.Per < Caller || l.Per > Everyone:
		return nil, invalid(fmt.Sprintf("Per is %d: expected Caller, Address or Everyone", l.Per))
	case l.Per != Caller && l.Key != nil:
		return nil, invalid("Per and Key are given: expected one of them")
	case l.Limiter != nil && (l.Rate != "" || l.Name != "" || l.Options != nil):
		return nil, invalid("Limiter and Rate, Name or Options are given: expected one of them")
	case l.Limiter != nil:
		if l.Limiter.Gate() != m.Gate {
			return nil, invalid("limiter " + l.Limiter.Name() + ": expected one of the middleware's gate")
		}
		return made, noSlots(l.Limiter)
	}
	if l.Name == "" {
		named, numbers, err := probe(l)
		if err != nil {
			return nil, err
		}
		if made.numbers = numbers; !named {
			return made, nil
		}
	}
	var err error
	if made.limiter, err = m.Gate.Limiter(l.Rate, withName(l.Name, l.Options)...); err != nil {
		return nil, err
	}
	return made, noSlots(made.limiter)
}

// noSlots refuses what every request would fail with: slots are held by an id, and given back.
func noSlots(l *tidegate.Limiter) error {
	for _, rate := range l.Rates() {
		if rate.Algorithm == "concurrency" {
			return invalid("limiter " + l.Name() + " is of slots: expected a rate; a handler takes a " +
				"slot with Limiter.Slot, and releases it when it is done")
		}
	}
	return nil
}

// probe opens the limit where nobody meets it: it finds what is wrong with it before its place is
// known, whether a name is among its options, and the name that its numbers give it.
func probe(l Limit) (named bool, numbers string, err error) {
	gate, err := tidegate.Connect("memory://")
	if err != nil {
		return false, "", err
	}
	defer gate.Close()
	unnamed, err := gate.Limiter(l.Rate, l.Options...)
	if err != nil {
		return false, "", err
	}
	if err := noSlots(unnamed); err != nil {
		return false, "", err
	}
	other, err := gate.Limiter(l.Rate, withName("probe", l.Options)...)
	if err != nil {
		return false, "", err
	}
	return other.Name() != "probe", unnamed.Name(), nil
}

// withName puts a name before the options: one that is among them wins.
func withName(name string, options []tidegate.LimiterOption) []tidegate.LimiterOption {
	if name == "" {
		return options
	}
	return append([]tidegate.LimiterOption{tidegate.Name(name)}, options...)
}

// at is the rule's limiter where a request met it.
func (u *rule) at(gate *tidegate.Gate, mount string, r *http.Request) (*tidegate.Limiter, error) {
	if u.limiter != nil {
		return u.limiter, nil
	}
	here := placeOf(r)
	u.mu.RLock()
	l := u.byPlace[here]
	u.mu.RUnlock()
	if l != nil {
		return l, nil
	}
	name, isRoute := here.name(mount)
	l, err := u.open(gate, name, isRoute && !u.crowded)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.byPlace[here] = l
	return l, nil
}

// open names the limiter by its place: a route's first limit by that alone, every other with its
// numbers behind, and where these are equal too (another mode) a count.
func (u *rule) open(gate *tidegate.Gate, base string, alone bool) (*tidegate.Limiter, error) {
	told := behind(base, u.numbers)
	names := []string{base, told}
	if !alone {
		names = names[1:]
	}
	for n := 2; n <= mostParts; n++ {
		names = append(names, behind(told, strconv.Itoa(n)))
	}
	var err error
	for _, name := range names {
		var l *tidegate.Limiter
		if l, err = gate.Limiter(u.Rate, withName(name, u.Options)...); err == nil {
			return l, nil
		}
		var e *tidegate.Error
		if !errors.As(err, &e) || e.Code != tidegate.CodeConflict {
			break
		}
	}
	return nil, err
}

// asked are the charges of one request while they are gathered.
type asked struct {
	*middleware
	r       *http.Request
	seen    *passed
	charges []tidegate.Charge
}

// limiters are the rules' where the request met them: also of a request that is exempt, so that
// what comes first in one process names nothing that it does not in another.
func (m *middleware) limiters(r *http.Request) ([]*tidegate.Limiter, error) {
	limiters := make([]*tidegate.Limiter, len(m.rules))
	for i, u := range m.rules {
		var err error
		if limiters[i], err = u.at(m.Gate, m.Mount, r); err != nil {
			return nil, err
		}
	}
	return limiters, nil
}

// charges are those of the request's limits that have not been charged for it yet.
func (m *middleware) charges(
	r *http.Request, seen *passed, limiters []*tidegate.Limiter,
) []tidegate.Charge {
	a := asked{m, r, seen, make([]tidegate.Charge, 0, len(m.rules))}
	caller := a.caller(m.Key)
	cost := a.cost(m.Cost)
	for i, u := range m.rules {
		key, tokens := caller, cost
		switch {
		case u.Per == Address:
			key = a.caller(nil)
		case u.Per == Everyone:
			key = everyone
		case u.Key != nil:
			key = a.caller(u.Key)
		}
		if u.Cost != nil {
			tokens = u.Cost(r)
		}
		a.add(limiters[i], key, tokens)
	}
	if m.For != nil {
		for _, l := range m.For(r) {
			if l != nil {
				a.add(l, caller, cost)
			}
		}
	}
	return a.charges
}

// add asks for what of the cost was not charged yet. The same limiter and key twice: the larger.
func (a *asked) add(l *tidegate.Limiter, key string, cost int64) {
	for i := range a.charges {
		if c := &a.charges[i]; c.Limiter() == l && c.Key() == key {
			before, _ := a.seen.charged(l, key)
			if more := cost - before; more > c.Cost() {
				*c = l.For(key, tidegate.Cost(more))
			}
			return
		}
	}
	if before, ok := a.seen.charged(l, key); ok {
		if cost <= before {
			return
		}
		cost -= before
	}
	a.charges = append(a.charges, l.For(key, tidegate.Cost(cost)))
}

func (a *asked) cost(f func(*http.Request) int64) int64 {
	if f == nil {
		return 1
	}
	return f(a.r)
}

// caller is the key of who is calling.
func (a *asked) caller(f func(*http.Request) string) string {
	identity := ""
	if f != nil {
		identity = f(a.r)
	}
	peer := a.r.RemoteAddr
	if peer == "@" { // what net/http says of a Unix socket
		peer = ""
	}
	forwarded := strings.Join(a.r.Header.Values("X-Forwarded-For"), ",")
	if identity == "" && forwarded != "" && a.TrustedProxies == "" && !a.warned.Swap(true) {
		slog.WarnContext(a.r.Context(), "tidegate: a request has X-Forwarded-For, and TrustedProxies "+
			"is not set: callers behind a proxy are counted as one; \"0\" says that there is none")
	}
	return a.callers.Key(identity, peer, forwarded)
}
