// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// answer is what a guard says beside the figures: a tg_answer, copied.
type answer struct {
	status                              int
	verdict                             C.uint32_t
	fields, body, scope, caller, reason string
	retryAfter, renew                   C.int64_t
	finish                              bool
}

func answerOf(result *C.tg_result) *answer {
	if result.data == nil || result.data_len < C.sizeof_tg_answer {
		return &answer{status: 200}
	}
	raw := (*C.tg_answer)(result.data)
	return &answer{
		int(raw.status), raw.verdict, wordsOf(&raw.fields), wordsOf(&raw.body), wordsOf(&raw.scope),
		wordsOf(&raw.caller), wordsOf(&raw.reason), raw.retry_after_us, raw.renew_us, raw.finish != 0,
	}
}

func wordsOf(t *C.tg_text) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(t.data)), t.size))
}

func (g *Gate) decideGuarded(c *checked) Decision {
	d := g.decide(c.flags, c.binding, c.parts, nil)
	d.answer = c.answer
	if !d.Allowed {
		d.RetryAfter = fromUS(c.answer.retryAfter, Never)
	}
	return d
}

// Verdict is what a policy says of the request: "limits" (what it met stands in Parts; perhaps
// nothing), "exempt" or "banned". "" of a decision that no guard made.
func (d Decision) Verdict() string {
	if d.answer == nil {
		return ""
	}
	switch d.answer.verdict {
	case C.TG_VERDICT_EXEMPT:
		return "exempt"
	case C.TG_VERDICT_BANNED:
		return "banned"
	}
	return "limits"
}

// Caller is the key of who is calling, of a guard's decision: his identity, or "@" and his address.
func (d Decision) Caller() string {
	if d.answer == nil {
		return ""
	}
	return d.answer.caller
}

// Reason is that of a ban, if the policy gives one. It is not for the caller.
func (d Decision) Reason() string {
	if d.answer == nil {
		return ""
	}
	return d.answer.reason
}

// Scope is what was charged and said so far, for the next [Guard.Check] of the same request; "" of
// a decision that no guard made.
func (d Decision) Scope() string {
	if d.answer == nil {
		return ""
	}
	return d.answer.scope
}

// RenewWithin is how soon [Decision.Renew] is to be called while the answer is being made; 0: the
// decision holds no slots.
func (d Decision) RenewWithin() time.Duration {
	if d.answer == nil {
		return 0
	}
	return fromUS(d.answer.renew, 0)
}

// Renew renews the slots that a guard's decision holds.
func (d Decision) Renew(ctx context.Context) error {
	if d.answer == nil || d.answer.renew <= 0 {
		return nil
	}
	return d.gate.finish(ctx, d.answer.scope, 0, nil, C.TG_FINISH_RENEW)
}

// Finish says that a request is over, with the last decision of a guard about it: slots are given
// back, what its rules count or settle by the answer is given back or debited, and where the
// decision is a denial, what the request's other checks took is given back. status is the answer's,
// attributes are for `settle`.
func (d Decision) Finish(ctx context.Context, status int, attributes Attributes) error {
	if d.answer == nil || !d.answer.finish {
		return nil
	}
	var list AttributeList
	if err := list.AddAll(attributes); err != nil {
		return err
	}
	return d.gate.finish(ctx, d.answer.scope, status, list, 0)
}

// GiveBack says that a request was refused without its guard: all that it was charged, and what was
// charged before by the same gate, is given back.
func (d Decision) GiveBack(ctx context.Context) error {
	if d.answer == nil || d.answer.scope == "" {
		return nil
	}
	return d.gate.finish(ctx, d.answer.scope, 0, nil, C.TG_FINISH_DENIED)
}

// KeepRenewed renews the slots that a guard's decision holds, on the gate's clock, until ctx is
// done.
func (d Decision) KeepRenewed(ctx context.Context) {
	for within := d.RenewWithin(); within > 0; {
		if d.gate.clock.Sleep(ctx, within) != nil {
			return
		}
		_ = d.Renew(ctx) // else its lease ends
	}
}
