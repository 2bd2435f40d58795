// SPDX-License-Identifier: MIT

package tghttp

import (
	"context"
	"net/http"
	"strconv"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

type seenKey struct{}

// passed is a check that a request met on its way, and those before it.
type passed struct {
	before   *passed
	gate     *tidegate.Gate
	decision tidegate.Decision
	charges  []tidegate.Charge
}

// FromContext is the decision of the innermost middleware that let the request pass.
func FromContext(ctx context.Context) (tidegate.Decision, bool) {
	if p, _ := ctx.Value(seenKey{}).(*passed); p != nil {
		return p.decision, true
	}
	return tidegate.Decision{}, false
}

// charged says whether a key was charged by a limiter, and how much.
func (p *passed) charged(l *tidegate.Limiter, key string) (cost int64, ok bool) {
	for ; p != nil; p = p.before {
		for _, c := range p.charges {
			if c.Limiter() == l && c.Key() == key {
				cost, ok = cost+c.Cost(), true
			}
		}
	}
	return cost, ok
}

// giveBack undoes the charges of this check and those before it, of a request that was refused
// further in. Nobody waits for a store to do it.
func (p *passed) giveBack(ctx context.Context) {
	for ; p != nil; p = p.before {
		taken := p.taken()
		if len(taken) == 0 {
			continue
		}
		gate, by := p.gate, p.decision.Source
		refund := func() { // what fails now has been charged: the strict side
			_ = gate.Refund(context.WithoutCancel(ctx), by, taken...)
		}
		switch by {
		case tidegate.SourceMemory, tidegate.SourceFallback: // in this process
			refund()
		case tidegate.SourceStore, tidegate.SourceNear:
			go refund()
		}
	}
}

// taken are the charges that took something. A shadow limiter of which one rate did not fit may
// have taken from the others: it keeps that.
func (p *passed) taken() []tidegate.Charge {
	var taken []tidegate.Charge
	for _, c := range p.charges {
		took := c.Cost() > 0
		for i := range p.decision.Parts {
			if part := &p.decision.Parts[i]; part.Limiter == c.Limiter() {
				took = took && part.Allowed && !part.Off
			}
		}
		if took {
			taken = append(taken, c)
		}
	}
	return taken
}

const (
	limitField     = "X-RateLimit-Limit"
	remainingField = "X-RateLimit-Remaining"
	resetField     = "X-RateLimit-Reset"
)

// setHeaders adds a check's fields to those of the checks before it: lists grow, and the legacy
// fields, which know one limit only, are those of a refusal or of the limit with the least left.
func (p *passed) setHeaders(h http.Header, style tidegate.HeaderStyle) {
	if style == 0 {
		style = tidegate.Standard | tidegate.Legacy
	}
	legacy := !p.decision.Allowed || !p.hasLess(h)
	for _, field := range p.decision.Headers(style) {
		switch field.Name {
		case limitField, remainingField, resetField:
			if legacy {
				h.Set(field.Name, field.Value)
			}
		case "Retry-After":
			h.Set(field.Name, field.Value)
		default:
			if before := h.Get(field.Name); before != "" && p.before != nil {
				field.Value = before + ", " + field.Value
			}
			h.Set(field.Name, field.Value)
		}
	}
}

// hasLess says whether a check before this one left fewer tokens.
func (p *passed) hasLess(h http.Header) bool {
	if p.before == nil {
		return false
	}
	before, err := strconv.ParseInt(h.Get(remainingField), 10, 64)
	return err == nil && before <= p.decision.Remaining
}
