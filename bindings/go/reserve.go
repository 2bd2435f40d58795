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
	"fmt"
	"sync"
)

// ErrSettled is what settling a reservation a second time returns, or one that was released.
var ErrSettled = errors.New("tidegate: the reservation was settled or released already")

// Reservation is an estimate that was charged, until [Reservation.Settle] says what was used.
type Reservation struct {
	// Decision says whether it was allowed. What was denied holds nothing and cannot be settled.
	Decision Decision

	gate    *Gate
	charges []Charge
	taken   []bool // whether that charge took something

	mu   sync.Mutex
	done bool
}

// Settlement is how a reservation was settled.
type Settlement struct {
	// Done is false where nobody had charged anything, because a policy answered in the store's place
	// ([Open]): then nothing was given back or debited either.
	Done     bool
	Returned int64    // tokens that were given back, of all parts
	Debited  int64    // tokens that were debited, of all parts; Part.Shortfall did not fit
	Decision Decision // the debit's; its Source is 0 where there was none
}

// Reserve charges an estimate of what a request will use. Settle it when that is known:
//
//	reservation, err := tokens.Reserve(ctx, "user:42", 800)
//	if err != nil {
//		return err
//	}
//	defer reservation.Release() // gives all back where the work fails
//	if !reservation.Allowed() {
//		return tooMuch(reservation.Decision)
//	}
//	used, err := generate(ctx)
//	if err != nil {
//		return err
//	}
//	_, err = reservation.Settle(ctx, used)
func (l *Limiter) Reserve(
	ctx context.Context, key string, estimate int64, options ...CallOption,
) (*Reservation, error) {
	return l.gate.Reserve(ctx, l.of(key, estimate, options))
}

// Reserve charges the estimates of several parts, all or nothing: see [Limiter.Reserve].
func (g *Gate) Reserve(ctx context.Context, charges ...Charge) (*Reservation, error) {
	d, err := g.Consume(ctx, charges...)
	if err != nil {
		return nil, err
	}
	r := &Reservation{
		Decision: d, gate: g, charges: append([]Charge(nil), charges...), done: !d.Allowed,
		taken: make([]bool, len(charges)),
	}
	part := -1
	for i := range d.Parts { // each charge's rates, in their order
		p := &d.Parts[i]
		if p.rate == 0 {
			part++
			r.taken[part] = true
		}
		r.taken[part] = r.taken[part] && p.Allowed && !p.Off && !p.Renewed
	}
	return r, nil
}

// Allowed says whether it was made.
func (r *Reservation) Allowed() bool { return r != nil && r.Decision.Allowed }

// Settle says what was used, of every part: less than the estimate gives the rest back, more debits
// the difference, both where the reservation was made. Slots are given back. It is done once: where
// it fails, what was reserved stays charged, and nothing is tried again.
func (r *Reservation) Settle(ctx context.Context, used int64) (Settlement, error) {
	if r == nil {
		return Settlement{}, failed(C.TG_EINVAL, "no reservation: expected one that was made")
	}
	each := make([]int64, len(r.charges))
	for i := range each {
		each[i] = used
	}
	return r.SettleEach(ctx, each...)
}

// SettleEach is [Reservation.Settle] where each part used something else, in their order.
func (r *Reservation) SettleEach(ctx context.Context, used ...int64) (Settlement, error) {
	if err := r.begin(used); err != nil {
		return Settlement{}, err
	}
	s := Settlement{Done: r.Decision.engineAsked()}
	if !s.Done {
		return s, nil
	}
	var back, more []Charge
	for i, c := range r.charges {
		over := used[i] - c.cost
		switch {
		case c.idSize != 0: // slots: the id gives back all that it holds
			if r.taken[i] {
				back = append(back, c)
			}
		case over > 0:
			s.Debited += over
			c.cost = over
			more = append(more, c)
		case over < 0 && r.taken[i]:
			s.Returned -= over
			c.cost = -over
			back = append(back, c)
		}
	}
	var err error
	if len(back) > 0 {
		err = r.gate.Refund(ctx, r.Decision.Source, back...)
	}
	if len(more) > 0 {
		d, failure := r.gate.Debit(ctx, r.Decision.Source, more...)
		s.Decision, err = d, errors.Join(err, failure)
	}
	return s, err
}

// begin checks the arguments and that it is the first time.
func (r *Reservation) begin(used []int64) error {
	if r == nil {
		return failed(C.TG_EINVAL, "no reservation: expected one that was made")
	}
	if !r.Decision.Allowed {
		return fmt.Errorf("tidegate: a reservation that was denied has nothing to settle: %w",
			r.Decision.Err())
	}
	if len(used) != len(r.charges) {
		return failed(C.TG_EINVAL, fmt.Sprintf("%d numbers used: expected %d, one for each part",
			len(used), len(r.charges)))
	}
	for _, n := range used {
		if n < 0 || n > C.TG_MAX_COST {
			return failed(C.TG_ECOST, fmt.Sprintf("used %d: expected 0 to %d", n, C.TG_MAX_COST))
		}
	}
	if !r.finish() {
		return ErrSettled
	}
	return nil
}

// finish says whether this is the first time.
func (r *Reservation) finish() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.done
	r.done = true
	return first
}

// Release gives all back, unless it was settled or released, or denied: then it does nothing. It
// needs no context, and takes at most the gate's [Timeout].
func (r *Reservation) Release() error {
	if r == nil || !r.finish() || !r.Decision.engineAsked() {
		return nil
	}
	var back []Charge
	for i, c := range r.charges {
		if r.taken[i] {
			back = append(back, c)
		}
	}
	if len(back) == 0 {
		return nil
	}
	return r.gate.Refund(context.Background(), r.Decision.Source, back...)
}

// engineAsked says whether an engine decided, so that something may have been charged.
func (d *Decision) engineAsked() bool {
	switch d.Source {
	case SourceMemory, SourceStore, SourceFallback:
		return true
	}
	return false
}
