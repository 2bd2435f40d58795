// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"runtime"
	"time"
)

// Slot is one or more slots of a key that are held, and renewed by a goroutine of the gate's until
// [Slot.Release]. The methods of a nil Slot, which is what one gets where none was free, do nothing.
// Keep it while it is needed: a forgotten Slot is released when it is collected.
type Slot struct {
	h    *holding
	stop runtime.Cleanup
}

// Slot takes a slot of the key ("5 at once"), or several with [Cost], and holds it. Where none is
// free the Slot is nil, the decision is a denial, and the error is nil. Check it before the work:
//
//	slot, decision, err := generations.Slot(ctx, "user:42")
//	if err != nil {
//		return err
//	}
//	if slot == nil {
//		return busy(decision)
//	}
//	defer slot.Release()
func (l *Limiter) Slot(
	ctx context.Context, key string, options ...CallOption,
) (*Slot, Decision, error) {
	call := callOf(options)
	if err := l.mayHold(call); err != nil {
		return nil, Decision{}, err
	}
	h := &holding{limiter: l, key: key, cost: call.cost, lost: make(chan struct{}), index: -1}
	if _, err := rand.Read(h.id[:]); err != nil {
		return nil, Decision{}, fmt.Errorf("tidegate: no id for a slot: %w", err)
	}
	began := l.gate.clock.Now()
	d, err := l.gate.Consume(ctx, h.charge())
	if err != nil {
		if !errors.Is(err, ErrConfig) && !errors.Is(err, ErrClosed) {
			h.releaseBehind(SourceStore) // it may have been taken all the same
		}
		return nil, d, err
	}
	if !d.Allowed {
		if d.Source != SourceStore {
			h.releaseBehind(SourceStore)
		}
		return nil, d, nil
	}
	h.begin(began, d)
	s := &Slot{h: h}
	s.stop = runtime.AddCleanup(s, func(h *holding) { go h.release() }, h)
	return s, d, nil
}

const (
	firstPause = 10 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// WaitSlot is [Limiter.Slot] that waits until a slot is free. As with [Limiter.Wait], where ctx's
// deadline would come first, or no wait is long enough, the error is a [*DeniedError]. Slots that
// this gate gives back are seen at once, those of other processes within half a second. No order
// among waiters is promised.
func (l *Limiter) WaitSlot(
	ctx context.Context, key string, options ...CallOption,
) (*Slot, Decision, error) {
	var denied Decision
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		freed, leave := l.line.join(ctx, key) // before it asks, so that no release is missed
		s, d, err := l.Slot(ctx, key, options...)
		if err == nil && s == nil {
			denied = d
			err = l.sleepForSlot(ctx, freed, d, pause)
		}
		leave()
		if err = overslept(ctx, err, denied); errors.Is(err, ErrDenied) {
			d = denied
		}
		if err != nil || s != nil {
			return s, d, err
		}
	}
}

// sleepForSlot ends early where freed does.
func (l *Limiter) sleepForSlot(
	ctx, freed context.Context, d Decision, pause time.Duration,
) error {
	if d.RetryAfter == Never {
		return d.Err()
	}
	wait := min(d.RetryAfter, pause/2+time.Duration(mathrand.Int64N(int64(pause))))
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		if left < 2*time.Millisecond {
			return d.Err()
		}
		wait = min(wait, left/2)
	}
	if err := l.gate.clock.Sleep(freed, wait); err != nil && freed.Err() == nil {
		return err
	}
	return ctx.Err()
}

// mayHold says what would make no slots, or charge a rate with each renewal.
func (l *Limiter) mayHold(call CallOption) error {
	for _, rate := range *l.rates.Load() {
		if rate.Algorithm != "concurrency" {
			return failed(C.TG_EINVAL, "limiter "+l.name+" has rates: expected slots alone, such as "+
				"\"5 at once\"; slots and rates of one request are what Gate.Consume takes")
		}
	}
	if call.cost < 1 {
		return failed(C.TG_ECOST, fmt.Sprintf("%d slots of limiter %s: expected 1 or more",
			call.cost, l.name))
	}
	if call.idSize != 0 {
		return failed(C.TG_EINVAL, "limiter "+l.name+": Slot makes ids of its own: expected no ID; "+
			"Acquire takes one")
	}
	return nil
}

// Held says whether the slot is held: not released, nor lost.
func (s *Slot) Held() bool {
	if s == nil || s.h.released.Load() {
		return false
	}
	select {
	case <-s.h.lost:
		return false
	default:
		return true
	}
}

// Lost is closed when the slot is held no more without having been released: a renewal found it
// gone, or none came through before the lease was over, or the gate or its limiter was closed. Who
// cannot bear one too many then stops working.
func (s *Slot) Lost() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.h.lost
}

// ID is under which id the slot is held.
func (s *Slot) ID() [16]byte {
	if s == nil {
		return [16]byte{}
	}
	return s.h.id
}

// Release gives the slot back; once, later calls do nothing. It needs no context: where the store
// does not answer within the gate's [Timeout] it returns [ErrStore], and the slot is free when its
// lease is over.
func (s *Slot) Release() error {
	if s == nil {
		return nil
	}
	s.stop.Stop()
	return s.h.release()
}

// Acquire takes slots of the key under an id of 1 to 16 bytes, or renews those that the id holds
// ([Part.Renewed]). Who takes them so renews them himself. [Limiter.Slot] does all of it.
func (l *Limiter) Acquire(
	ctx context.Context, key, id string, options ...CallOption,
) (Decision, error) {
	return l.gate.Consume(ctx, l.For(key, append([]CallOption{ID(id)}, options...)...))
}

// Renew is [Limiter.Acquire], by the name of what is meant: where the id holds nothing any more, the
// slots are taken anew, and [Part.Renewed] is false.
func (l *Limiter) Renew(
	ctx context.Context, key, id string, options ...CallOption,
) (Decision, error) {
	return l.Acquire(ctx, key, id, options...)
}

// Release gives back all slots of the key that the id holds, and may be repeated.
func (l *Limiter) Release(ctx context.Context, key, id string, options ...CallOption) error {
	return l.Refund(ctx, key, 1, append([]CallOption{ID(id)}, options...)...)
}
