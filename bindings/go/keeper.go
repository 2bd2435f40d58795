// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// holding is what a Slot holds, apart from it so that a forgotten Slot can be collected.
type holding struct {
	limiter *Limiter
	key     string
	cost    int64
	id      [16]byte
	lost    chan struct{}

	released atomic.Bool

	mu     sync.Mutex // one renewal or release at a time: a renewal behind a release would take anew
	source Source     // who holds it
	also   uint16     // a bit for each source that may hold it too
	until  time.Time  // when its lease is over
	lease  time.Duration
	isLost bool

	due   time.Time // the next renewal's; this and what follows is the keeper's
	index int       // in the heap, or -1
}

func (h *holding) charge() Charge { return Charge{h.limiter, h.key, h.cost, len(h.id), h.id} }

// begin holds what was asked for at that time and allowed.
func (h *holding) begin(asked time.Time, d Decision) {
	h.source = d.Source
	if d.Source != SourceStore && h.limiter.gate.core.ring != nil {
		h.also |= 1 << SourceStore // who had no answer may have been charged
	}
	h.runs(asked, &d.Parts[0])
	if !h.limiter.gate.keeper.add(h, asked.Add(h.lease/3)) {
		h.lose()
	}
}

func (h *holding) runs(asked time.Time, p *Part) {
	h.lease = max(p.Window, time.Microsecond)
	h.until = asked.Add(h.lease)
}

func (h *holding) lose() {
	if !h.isLost {
		h.isLost = true
		close(h.lost)
	}
}

// renew asks once, and says when to ask next.
func (h *holding) renew() (due time.Time, again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released.Load() {
		return due, false
	}
	clock := h.limiter.gate.clock
	asked := clock.Now()
	d, err := h.limiter.gate.Consume(context.Background(), h.charge())
	if err != nil {
		return h.unheard(err)
	}
	p := &d.Parts[0]
	moves := h.source != SourceStore && d.Source == SourceStore // the store is back
	switch {
	case p.Off || p.Shadow: // blocks nobody
		h.runs(asked, p)
		return asked.Add(h.lease / 3), true
	case (d.Source == h.source || moves) && p.Allowed:
		if h.source != SourceFailOpen && !p.Renewed && !moves {
			h.lose() // another may have had it meanwhile
		}
		if moves {
			h.also |= 1 << h.source
		}
		h.source = d.Source
		h.runs(asked, p)
		return asked.Add(h.lease / 3), true
	case d.Source == h.source:
		h.lose()
		return due, false
	}
	h.also |= 1 << d.Source
	return h.later()
}

// unheard is a renewal that failed: it goes on unless the gate or the limiter is closed.
func (h *holding) unheard(err error) (due time.Time, again bool) {
	for _, end := range []error{ErrClosed, ErrLimiterClosed, ErrConfig} {
		if errors.Is(err, end) {
			h.lose()
			return due, false
		}
	}
	return h.later()
}

// later is a renewal that did not come through: whoever holds it could not be asked, or others have
// taken its place. It is tried again until the lease is over.
func (h *holding) later() (due time.Time, again bool) {
	now := h.limiter.gate.clock.Now()
	if !now.Before(h.until) {
		h.lose()
		return due, false
	}
	due = now.Add(min(max(h.lease/12, time.Millisecond), time.Second))
	if due.After(h.until) {
		due = h.until
	}
	return due, true
}

func (h *holding) release() error {
	if h.released.Swap(true) {
		return nil
	}
	g := h.limiter.gate
	g.keeper.remove(h)
	h.mu.Lock()
	defer h.mu.Unlock()
	err := g.Refund(context.Background(), h.source, h.charge())
	for _, source := range []Source{SourceFallback, SourceStore} {
		if h.also&(1<<source) != 0 && source != h.source {
			h.releaseBehind(source)
		}
	}
	h.limiter.line.next(h.key)
	return err
}

// releaseBehind gives back what may have been taken, and lets nobody wait for a store.
func (h *holding) releaseBehind(source Source) {
	g := h.limiter.gate
	if g.core.ring == nil {
		return
	}
	refund := func() { _ = g.Refund(context.Background(), source, h.charge()) } // else its lease ends
	if source == SourceStore {
		go refund()
		return
	}
	refund()
}

const mostRenewals = 64 // of one gate at once

// keeper renews the slots of a gate. Its goroutine lives while there are any.
type keeper struct {
	mu      sync.Mutex
	dues    dues
	running bool
	closed  bool
	wake    context.CancelFunc // of the goroutine that sleeps, or nil
}

// add sees to it that h is renewed when it is due; false: the gate is closed.
func (k *keeper) add(h *holding, due time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	if h.released.Load() {
		return true
	}
	h.due = due
	heap.Push(&k.dues, h)
	if !k.running {
		k.running = true
		go k.run(h.limiter.gate.clock)
	} else if h.index == 0 && k.wake != nil {
		k.wake()
	}
	return true
}

func (k *keeper) remove(h *holding) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h.index < 0 {
		return
	}
	heap.Remove(&k.dues, h.index)
	if len(k.dues) == 0 && k.wake != nil {
		k.wake()
	}
}

// close lets all slots be lost: nobody renews them any more.
func (k *keeper) close() {
	k.mu.Lock()
	k.closed = true
	left := k.dues
	k.dues = nil
	for _, h := range left {
		h.index = -1
	}
	if k.wake != nil {
		k.wake()
	}
	k.mu.Unlock()
	for _, h := range left {
		h.mu.Lock()
		h.lose()
		h.mu.Unlock()
	}
}

func (k *keeper) run(clock Clock) {
	for {
		due := k.next(clock)
		if due == nil {
			return
		}
		var renewing sync.WaitGroup
		for _, h := range due {
			renewing.Add(1)
			go func() {
				defer renewing.Done()
				if at, again := h.renew(); again && !k.add(h, at) {
					h.mu.Lock()
					h.lose()
					h.mu.Unlock()
				}
			}()
		}
		renewing.Wait()
	}
}

// next waits for those that are due; nil: there is nothing to do any more.
func (k *keeper) next(clock Clock) []*holding {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		if k.closed || len(k.dues) == 0 {
			k.running = false
			return nil
		}
		now := clock.Now()
		var due []*holding
		for len(k.dues) > 0 && len(due) < mostRenewals && !k.dues[0].due.After(now) {
			due = append(due, heap.Pop(&k.dues).(*holding))
		}
		if due != nil {
			return due
		}
		wait := k.dues[0].due.Sub(now)
		ctx, cancel := context.WithCancel(context.Background())
		k.wake = cancel
		k.mu.Unlock()
		err := clock.Sleep(ctx, wait)
		if err != nil && !errors.Is(err, context.Canceled) { // a clock of the program's that cannot
			_ = systemClock{}.Sleep(ctx, min(wait, time.Second))
		}
		cancel()
		k.mu.Lock()
		k.wake = nil
	}
}

// dues is a heap of what is to be renewed, the next first.
type dues []*holding

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *dues) Push(h any) {
	h.(*holding).index = len(*d)
	*d = append(*d, h.(*holding))
}

func (d *dues) Pop() any {
	old := *d
	h := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	h.index = -1
	return h
}
