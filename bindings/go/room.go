// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

import (
	"sync"
	"sync/atomic"
)

// room is a stated number of slots: of the requests that may be in flight at once. Who finds none
// free waits in line.
type room struct {
	first uint64                 // the number of its first slot
	table []atomic.Pointer[slot] // all that may be made, from first on

	mu   sync.Mutex
	made int
	free []*slot
	line []*place
}

// place is a caller's in the line.
type place struct {
	slot chan *slot
	left bool // it went away; under the room's mu
}

// take gets a slot that is free now, or a place in the line.
func (r *room) take() (*slot, *place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.free); n > 0 {
		s := r.free[n-1]
		r.free = r.free[:n-1]
		return s, nil
	}
	if r.made < len(r.table) {
		s := &slot{number: r.first + uint64(r.made), of: r, done: make(chan struct{}, 1)}
		r.table[r.made].Store(s)
		r.made++
		return s, nil
	}
	p := &place{slot: make(chan *slot, 1)}
	r.line = append(r.line, p)
	return nil, p
}

// leave gives up a place; a slot that came at the last moment is passed on.
func (r *room) leave(p *place) {
	r.mu.Lock()
	p.left = true
	r.mu.Unlock()
	select {
	case s := <-p.slot:
		r.give(s)
	default:
	}
}

// give hands a slot to the next in the line.
func (r *room) give(s *slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.line) > 0 {
		p := r.line[0]
		r.line[0], r.line = nil, r.line[1:]
		if !p.left {
			p.slot <- s // has room for one: nobody is waited for
			return
		}
	}
	r.free = append(r.free, s)
}
