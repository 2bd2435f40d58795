// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	maxInFlight = 16_384
	maxLate     = 1024 // slots of requests whose deadline came while they waited for one
	reapBatch   = 256
)

// ring is a gate's window onto its server: goroutines submit, one of them reaps and resolves the
// others.
type ring struct {
	core    *core
	c       *C.tg_ring
	results []C.tg_result // in C's memory
	file    *os.File      // the ring's descriptor in the network poller; nil: a thread waits in C

	reaping sync.Mutex // tg_reap is for one at a time: the poller's goroutine, or who closes
	ended   bool
	done    chan struct{} // closed when the reaper is gone

	slots [maxInFlight + maxLate]atomic.Pointer[slot]
	room  room // of maxInFlight
	late  room // of maxLate
}

// slot is one request in flight; its number is the request's user_data.
type slot struct {
	number  uint64
	of      *room
	armed   atomic.Bool
	done    chan struct{} // one token a request
	request C.tgo_request
	status  int32
	text    string
	flags   C.uint32_t
	binding C.uint32_t
	parts   []C.tg_part
	answer  *answer // of a guard's check
}

func newRing(c *core, cgoWait bool) (*ring, error) {
	r := &ring{core: c, done: make(chan struct{})}
	r.room.table = r.slots[:maxInFlight]
	r.late.table, r.late.first = r.slots[maxInFlight:], maxInFlight
	var e C.tg_error
	// A slot is free as soon as its result is read, C's record only with the next reap: hence a
	// batch more.
	if C.tgo_ring_open(c.client, maxInFlight+maxLate+reapBatch, &r.c, &e) < 0 {
		return nil, fromC(&e)
	}
	memory := C.calloc(reapBatch, C.sizeof_tg_result)
	r.results = unsafe.Slice((*C.tg_result)(memory), reapBatch)
	if cgoWait {
		go r.waitInC()
		return r, nil
	}
	if err := r.poll(); err != nil {
		r.release()
		return nil, err
	}
	go r.waitInPoller()
	return r, nil
}

// poll puts a duplicate of the ring's descriptor into Go's network poller.
func (r *ring) poll() error {
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(C.tg_ring_fd(r.c)),
		syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return fmt.Errorf("tidegate: no descriptor for the ring: %w", errno)
	}
	if err := syscall.SetNonblock(int(fd), true); err != nil { // before NewFile, which looks at it
		syscall.Close(int(fd))
		return fmt.Errorf("tidegate: the ring's descriptor: %w", err)
	}
	r.file = os.NewFile(fd, "tidegate-ring")
	if err := r.file.SetReadDeadline(time.Time{}); err != nil { // proves that the poller has it
		r.file.Close()
		return fmt.Errorf(
			"tidegate: the network poller refuses the ring (CgoWait does without): %w", err)
	}
	return nil
}

func (r *ring) waitInPoller() {
	defer close(r.done)
	conn, err := r.file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Read(func(uintptr) bool { // until the file is closed
		r.reap()
		return false
	})
}

// reap delivers what is done until nothing is left: the poller is edge-triggered.
func (r *ring) reap() {
	r.reaping.Lock()
	defer r.reaping.Unlock()
	for !r.ended {
		n := int32(C.tgo_reap(r.c, &r.results[0], reapBatch))
		r.deliver(n)
		if n < reapBatch {
			break
		}
	}
	r.core.lookForEvents()
}

// waitInC ends when the client is closed, and all that was out has been delivered.
func (r *ring) waitInC() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(r.done)
	for {
		n := int32(C.tgo_wait(r.c, &r.results[0], reapBatch, -1))
		if n < 0 {
			return
		}
		r.deliver(n)
		r.core.lookForEvents()
	}
}

// deliver resolves the goroutines of n results.
func (r *ring) deliver(n int32) {
	for i := range max(n, 0) {
		result := &r.results[i]
		s := r.slots[uint64(result.user_data)].Load()
		if !s.armed.CompareAndSwap(true, false) {
			continue
		}
		s.status, s.flags, s.binding = int32(result.status), result.flags, result.binding
		s.parts, s.text = s.parts[:0], ""
		if result.part_count > 0 {
			s.parts = append(s.parts, unsafe.Slice(result.parts, result.part_count)...)
		}
		if s.status < 0 {
			s.text = textOf(result)
		} else if s.request.op == C.TG_OP_CHECK {
			s.answer = answerOf(result)
		}
		s.done <- struct{}{}
	}
}

func (r *ring) execute(
	ctx context.Context, g *Gate, op, flags C.uint32_t, left C.int64_t, charges []Charge,
	d *Decision,
) error {
	s, left, err := r.take(ctx, left)
	if err != nil {
		return err
	}
	defer s.of.give(s)
	keys, err := g.fill(&s.request, op, flags, charges)
	if err != nil {
		return err
	}
	s.request.timeout_us, s.request.user_data = left, C.uint64_t(s.number)
	if err := r.submit(g, s, keys); err != nil {
		return err
	}
	if err := r.wait(ctx, s); err != nil {
		return err
	}
	if d != nil {
		*d = g.decide(s.flags, s.binding, s.parts, charges)
	}
	return nil
}

// check runs a guard's check.
func (r *ring) check(
	ctx context.Context, g *Gate, ask *C.tgo_check, list AttributeList, scope string,
) (Decision, error) {
	s, left, err := r.take(ctx, ask.timeout_us)
	if err != nil {
		return Decision{}, err
	}
	defer s.of.give(s)
	ask.timeout_us, ask.user_data = left, C.uint64_t(s.number)
	s.request.op = C.TG_OP_CHECK
	if err := r.submitCheck(g, s, ask, list, scope); err != nil {
		return Decision{}, err
	}
	if err := r.wait(ctx, s); err != nil {
		return Decision{}, err
	}
	got := checked{s.flags, s.binding, s.parts, s.answer}
	s.answer = nil
	return g.decideGuarded(&got), nil
}

func (r *ring) submitCheck(
	g *Gate, s *slot, ask *C.tgo_check, list AttributeList, scope string,
) error {
	if !r.core.enter() {
		return errClosed
	}
	defer r.core.leave()
	if err := g.setTime(); err != nil {
		return err
	}
	s.armed.Store(true)
	return s.taken(C.tgo_check_submit(r.c, ask, bytesOf(scope), list.bytes()), 1)
}

func (r *ring) submit(g *Gate, s *slot, keys string) error {
	if !r.core.enter() {
		return errClosed
	}
	defer r.core.leave()
	if err := g.setTime(); err != nil {
		return err
	}
	s.armed.Store(true)
	return s.taken(C.tgo_submit(r.c, &s.request, bytesOf(keys)), s.request.count)
}

// taken says whether the ring took as many entries as the request has.
func (s *slot) taken(n, count C.int32_t) error {
	if n == count {
		return nil
	}
	s.armed.Store(false)
	if n >= 0 {
		n = C.TG_EFULL
	}
	return failed(int32(n), "")
}

// wait returns when the request has its result. Every request gets one, also after its
// cancellation.
func (r *ring) wait(ctx context.Context, s *slot) error {
	gone := false
	if done := ctx.Done(); done == nil {
		<-s.done
	} else {
		select {
		case <-s.done:
		case <-done:
			// A deadline is the request's own too, so its result is on its way; a cancellation is not.
			if gone = canceled(ctx); gone && r.core.enter() {
				C.tg_cancel(r.c, C.uint64_t(s.number))
				r.core.leave()
			}
			<-s.done
		}
	}
	if s.status >= 0 {
		return nil
	}
	if gone && s.status == C.TG_ECANCELED {
		return ctx.Err()
	}
	return failed(s.status, s.text)
}

// canceled says of a context that is done whether it was before its deadline.
func canceled(ctx context.Context) bool {
	_, timed := ctx.Deadline()
	return !timed || !errors.Is(ctx.Err(), context.DeadlineExceeded)
}

// take gets a slot, and says how much of the check's time is left then (0: all that the gate
// gives). Where all slots are in flight, waiting for one is a part of that time. Those before it
// end with their own deadlines; where the context's is nearer, the request goes into a slot that is
// kept for the late, and the failure policy answers at once.
func (r *ring) take(ctx context.Context, left C.int64_t) (*slot, C.int64_t, error) {
	s, place := r.room.take()
	if s != nil {
		return s, left, nil
	}
	most := r.core.timeout
	if left > 0 {
		most = time.Duration(left) * time.Microsecond
	}
	end := time.Now().Add(most)
	select {
	case s = <-place.slot:
		return s, max(C.int64_t(time.Until(end).Microseconds()), 1), nil
	case <-ctx.Done():
	}
	r.room.leave(place)
	if canceled(ctx) {
		return nil, 0, ctx.Err()
	}
	if s, place = r.late.take(); s == nil {
		s = <-place.slot // soon: what is late is answered when the ring is reaped next
	}
	return s, 1, nil
}

// close ends what is in flight with TG_ECLOSED and delivers it. No submitter is in C any more.
func (r *ring) close() {
	if r.file == nil {
		C.tg_client_close(r.core.client) // wakes the thread that waits in C
		<-r.done
		r.release()
		return
	}
	r.reaping.Lock()
	C.tg_client_close(r.core.client)
	for n := int32(0); n >= 0; { // until TG_ECLOSED: all of it has been delivered
		r.deliver(n)
		n = int32(C.tgo_wait(r.c, &r.results[0], reapBatch, -1))
	}
	r.ended = true
	r.reaping.Unlock()
	r.file.Close()
	<-r.done
	r.release()
}

func (r *ring) release() {
	C.tg_ring_free(r.c)
	C.free(unsafe.Pointer(&r.results[0]))
}
