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
	decision tidegate.Decision
}

// FromContext is the decision of the innermost middleware that let the request pass.
func FromContext(ctx context.Context) (tidegate.Decision, bool) {
	if p, _ := ctx.Value(seenKey{}).(*passed); p != nil {
		return p.decision, true
	}
	return tidegate.Decision{}, false
}

func (p *passed) charged(l *tidegate.Limiter) bool {
	for ; p != nil; p = p.before {
		for i := range p.decision.Parts {
			if p.decision.Parts[i].Limiter == l {
				return true
			}
		}
	}
	return false
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
