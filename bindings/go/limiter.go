// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"
)

// Limiter is a name with one or more rates, an algorithm, a mode and a failure policy.
type Limiter struct {
	gate   *Gate
	handle C.uint64_t
	name   string
	rates  atomic.Pointer[[]Rate]
	line   line // who waits for a slot
}

// Rate is one rate of a limiter.
type Rate struct {
	Name      string // of the limit in headers
	Limit     int64
	Window    time.Duration // of slots: the lease
	Burst     int64         // 0: none given
	Capacity  int64         // the most that can be spent at once
	Algorithm string
	Mode      string
	OnFailure string
	Overdraft int64 // tokens beyond the capacity that debits may leave owing
}

// Limiter opens a limiter: "100/minute", "10 per second", "5/30s", "1_000/day", "100/minute burst
// 20 overdraft 5", or several in one, all or nothing: "10/second; 1000/hour". "5 at once" are slots:
// see [Limiter.Slot]. The same name and numbers again give the same limiter; the same name with
// others is an error ([CodeConflict]).
func (g *Gate) Limiter(rates string, options ...LimiterOption) (*Limiter, error) {
	if !g.core.enter() {
		return nil, errClosed
	}
	defer runtime.KeepAlive(g)
	defer g.core.leave()
	sizes, words := specText(rates, options)
	var e C.tg_error
	var handle C.uint64_t
	if C.tgo_limiter_open(g.core.client, &sizes, bytesOf(words), &handle, &e) < 0 {
		return nil, fromC(&e)
	}
	g.core.lookForEvents()
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.limiters[handle]; l != nil {
		return l, nil
	}
	l := &Limiter{gate: g, handle: handle}
	l.name = l.nameOf(-1)
	l.refresh()
	g.limiters[handle] = l
	return l, nil
}

func specText(rates string, options []LimiterOption) (C.tgo_spec, string) {
	s := spec{rates: rates}
	for _, o := range options {
		o.limiter(&s)
	}
	var sizes C.tgo_spec
	var words string
	for i, word := range []string{s.rates, s.name, s.algorithm, s.mode, s.onFailure, s.lease} {
		sizes.size[i] = C.uint32_t(len(word))
		words += word
	}
	return sizes, words
}

// Change gives the limiter new numbers at once, for the same states; what is not given stays (""
// for rates too). Another algorithm or window starts anew.
func (l *Limiter) Change(rates string, options ...LimiterOption) error {
	c := l.gate.core
	if !c.enter() {
		return errClosed
	}
	defer runtime.KeepAlive(l.gate)
	defer c.leave()
	sizes, words := specText(rates, options)
	var e C.tg_error
	if C.tgo_limiter_change(c.client, l.handle, &sizes, bytesOf(words), &e) < 0 {
		return fromC(&e)
	}
	l.refresh()
	return nil
}

// Close gives the limiter's name free in this gate; its states stay in the store.
func (l *Limiter) Close() error {
	c := l.gate.core
	if !c.enter() {
		return errClosed
	}
	defer runtime.KeepAlive(l.gate)
	defer c.leave()
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	delete(l.gate.limiters, l.handle)
	if status := C.tg_limiter_close(c.client, l.handle); status < 0 {
		return failed(int32(status), "")
	}
	return nil
}

func (l *Limiter) nameOf(rate int) string {
	return text(func(buffer *C.char, size C.size_t) int64 {
		return int64(C.tg_limiter_name(l.gate.core.client, l.handle, C.int32_t(rate), buffer, size))
	})
}

// refresh reads the limiter's numbers and the names that they give its rates.
func (l *Limiter) refresh() {
	var raw [C.TG_MAX_RATES]C.tg_rate
	n := C.tg_limiter_rates_sized(l.gate.core.client, l.handle, &raw[0], C.sizeof_tg_rate,
		C.TG_MAX_RATES)
	rates := make([]Rate, max(n, 0))
	for i := range rates {
		r := &raw[i]
		rates[i] = Rate{
			Name:      l.nameOf(i),
			Limit:     int64(r.limit),
			Window:    fromUS(r.window_us, 0),
			Burst:     int64(r.burst),
			Capacity:  int64(r.capacity),
			Algorithm: C.GoString(&r.algorithm[0]),
			Mode:      C.GoString(&r.mode[0]),
			OnFailure: C.GoString(&r.on_failure[0]),
			Overdraft: int64(r.overdraft),
		}
	}
	l.rates.Store(&rates)
}

const mostMet = 4096

// met is the limiter of a handle that a guard's answer speaks of.
func (g *Gate) met(handle C.uint64_t) *Limiter {
	g.mu.Lock()
	l := g.limiters[handle]
	if l == nil {
		l = g.policies[handle]
	}
	g.mu.Unlock()
	if l != nil {
		return l
	}
	l = &Limiter{gate: g, handle: handle}
	if g.core.enter() {
		l.name = l.nameOf(-1)
		l.refresh()
		g.core.leave()
	} else {
		l.rates.Store(new([]Rate))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.policies == nil || len(g.policies) == mostMet { // guards close what nobody uses any more
		g.policies = map[C.uint64_t]*Limiter{}
	}
	g.policies[handle] = l
	return l
}

// follow reads the numbers again where a policy has changed them.
func (l *Limiter) follow(raw *C.tg_part) {
	rates := *l.rates.Load()
	if raw.limit < 0 || raw.window_us < 0 { // nobody was asked
		return
	}
	if i := int(raw.rate); i < len(rates) && rates[i].Limit == int64(raw.limit) &&
		rates[i].Window == fromUS(raw.window_us, 0) {
		return
	}
	if l.gate.core.enter() {
		l.refresh()
		l.gate.core.leave()
	}
}

// policy is the name of a rate; a request in flight while the numbers changed may know one rate too
// many.
func (l *Limiter) policy(rate uint32) string {
	if rates := *l.rates.Load(); int(rate) < len(rates) {
		return rates[rate].Name
	}
	return l.name
}

// Name is the limiter's, given or made from its numbers.
func (l *Limiter) Name() string { return l.name }

// Gate is the gate that opened it.
func (l *Limiter) Gate() *Gate { return l.gate }

// Rates are the limiter's present numbers.
func (l *Limiter) Rates() []Rate { return append([]Rate(nil), *l.rates.Load()...) }

// For makes a charge for a request of several parts.
func (l *Limiter) For(key string, options ...CallOption) Charge {
	call := callOf(options)
	return Charge{l, key, call.cost, call.idSize, call.id}
}

// Consume takes the cost from the key's state, or denies and takes nothing. A key is 1 byte or
// more, any bytes.
func (l *Limiter) Consume(
	ctx context.Context, key string, options ...CallOption,
) (Decision, error) {
	one := [1]Charge{l.For(key, options...)}
	return l.gate.check(ctx, C.TG_OP_CONSUME, one[:])
}

// Peek says what Consume would answer now, and writes nothing.
func (l *Limiter) Peek(ctx context.Context, key string, options ...CallOption) (Decision, error) {
	one := [1]Charge{l.For(key, options...)}
	return l.gate.check(ctx, C.TG_OP_PEEK, one[:])
}

// Refund gives tokens back to the present state, never beyond untouched. It is not idempotent.
func (l *Limiter) Refund(
	ctx context.Context, key string, tokens int64, options ...CallOption,
) error {
	return l.gate.Refund(ctx, callOf(options).source, l.of(key, tokens, options))
}

// Debit charges what was used already, and is never denied: what is there is taken, and then what
// the rate's overdraft allows to owe ("90000/minute overdraft 20000"). [Part.Shortfall] says how many
// tokens did not fit.
func (l *Limiter) Debit(
	ctx context.Context, key string, tokens int64, options ...CallOption,
) (Decision, error) {
	return l.gate.Debit(ctx, callOf(options).source, l.of(key, tokens, options))
}

// of is a charge whose cost is an argument.
func (l *Limiter) of(key string, tokens int64, options []CallOption) Charge {
	c := l.For(key, options...)
	c.cost = tokens
	return c
}

// Reset forgets the key's state.
func (l *Limiter) Reset(ctx context.Context, key string) error {
	return l.gate.Reset(ctx, l.For(key))
}

// Wait consumes, and while it is denied asks again after each RetryAfter. Where the wait would
// exceed ctx's deadline or no wait is long enough it does not wait, and returns the denied decision
// with a [*DeniedError]: errors.Is(err, [ErrDenied]). No order among waiters is promised.
//
//	if _, err := api.Wait(ctx, "user:42"); err != nil {
//		return err // what follows would be too much
//	}
func (l *Limiter) Wait(ctx context.Context, key string, options ...CallOption) (Decision, error) {
	var denied Decision
	for {
		d, err := l.Consume(ctx, key, options...)
		if err = overslept(ctx, err, denied); errors.Is(err, ErrDenied) {
			return denied, err
		}
		if err != nil || d.Allowed {
			return d, err
		}
		end, ok := ctx.Deadline()
		if d.RetryAfter == Never || ok && d.RetryAfter > time.Until(end) {
			return d, d.Err()
		}
		denied = d
		if err := l.gate.clock.Sleep(ctx, d.RetryAfter); err != nil {
			return d, overslept(ctx, err, d)
		}
	}
}

// overslept is the error of who was denied and then slept past the context's deadline, as a busy
// machine may let him: he was denied.
func overslept(ctx context.Context, err error, denied Decision) error {
	if err != nil && denied.gate != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) &&
		errors.Is(err, context.DeadlineExceeded) {
		return denied.Err()
	}
	return err
}
