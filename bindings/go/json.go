// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

import (
	"encoding/json"
	"time"
)

// figure is a number of a decision in JSON; null where nobody was asked.
type figure int64

// MarshalJSON writes the number, or null.
func (f figure) MarshalJSON() ([]byte, error) {
	if f == Unknown {
		return []byte("null"), nil
	}
	return json.Marshal(int64(f))
}

// wait is a duration of a decision in JSON: whole microseconds, rounded up, "never" or null.
type wait time.Duration

// MarshalJSON writes the microseconds, "never" or null.
func (w wait) MarshalJSON() ([]byte, error) {
	switch d := time.Duration(w); {
	case d == Never:
		return []byte(`"never"`), nil
	case d < 0:
		return []byte("null"), nil
	default:
		us := d / time.Microsecond
		if d%time.Microsecond > 0 {
			us++
		}
		return json.Marshal(int64(us))
	}
}

// word is a text in JSON; null where there is none.
type word string

// MarshalJSON writes the text, or null.
func (w word) MarshalJSON() ([]byte, error) {
	if w == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(w))
}

// waitOf is RetryAfter: what was allowed without asking anybody knows no wait, not even none.
func waitOf(retryAfter time.Duration, remaining int64) wait {
	if retryAfter == 0 && remaining == Unknown {
		return Unknown
	}
	return wait(retryAfter)
}

// MarshalJSON writes the decision: allowed, would_deny, name, limit, remaining, retry_after_us,
// reset_after_us, source and parts. Times are whole microseconds; null stands for what is
// [Unknown], "never" for [Never], as in every language.
func (d Decision) MarshalJSON() ([]byte, error) {
	source := word("")
	if d.Source != SourceNone {
		source = word(d.Source.String())
	}
	parts := d.Parts
	if parts == nil {
		parts = []Part{}
	}
	return json.Marshal(struct {
		Allowed    bool   `json:"allowed"`
		WouldDeny  bool   `json:"would_deny"`
		Name       word   `json:"name"`
		Limit      figure `json:"limit"`
		Remaining  figure `json:"remaining"`
		RetryAfter wait   `json:"retry_after_us"`
		ResetAfter wait   `json:"reset_after_us"`
		Source     word   `json:"source"`
		Parts      []Part `json:"parts"`
	}{
		d.Allowed, d.WouldDeny, word(d.Name), figure(d.Limit), figure(d.Remaining),
		waitOf(d.RetryAfter, d.Remaining), wait(d.ResetAfter), source, parts,
	})
}

// MarshalJSON writes the part with the names of [Decision.MarshalJSON], and shadow, off, capacity,
// window_us, next_after_us, shortfall and renewed.
func (p Part) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Allowed    bool   `json:"allowed"`
		Shadow     bool   `json:"shadow"`
		Off        bool   `json:"off"`
		Name       word   `json:"name"`
		Limit      figure `json:"limit"`
		Remaining  figure `json:"remaining"`
		Capacity   figure `json:"capacity"`
		Window     wait   `json:"window_us"`
		RetryAfter wait   `json:"retry_after_us"`
		NextAfter  wait   `json:"next_after_us"`
		ResetAfter wait   `json:"reset_after_us"`
		Shortfall  figure `json:"shortfall"`
		Renewed    bool   `json:"renewed"`
	}{
		p.Allowed, p.Shadow, p.Off, word(p.Name), figure(p.Limit), figure(p.Remaining),
		figure(p.Capacity), wait(p.Window), waitOf(p.RetryAfter, p.Remaining),
		wait(p.NextAfter), wait(p.ResetAfter), figure(p.Shortfall), p.Renewed,
	})
}
