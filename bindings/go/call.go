// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// frame is what one call passes to C and gets back: no pointer in it.
type frame struct {
	request C.tgo_request
	answer  C.tgo_answer
}

var frames = sync.Pool{New: func() any { return new(frame) }}

// fill writes the request and returns its keys, one behind the other.
func (g *Gate) fill(
	r *C.tgo_request, op, flags C.uint32_t, charges []Charge,
) (keys string, err error) {
	if len(charges) > C.TG_MAX_PARTS {
		return "", failed(C.TG_EINVAL,
			fmt.Sprintf("a request of %d parts: expected at most %d", len(charges), C.TG_MAX_PARTS))
	}
	r.op, r.flags, r.timeout_us, r.user_data = op, flags, 0, 0
	r.count = C.int32_t(len(charges))
	if op == C.TG_OP_PING {
		r.count = 1
		r.part[0].handle, r.part[0].cost, r.part[0].key_len = 0, 0, 0
		r.part[0].id = [16]C.uint8_t{}
		return "", nil
	}
	if len(charges) == 0 {
		return "", failed(C.TG_EINVAL, "a request without parts: expected 1 to 16")
	}
	for i := range charges {
		c := &charges[i]
		if c.limiter == nil {
			return "", failed(C.TG_EINVAL,
				"a charge without a limiter: expected one made by Limiter.For")
		}
		if c.limiter.gate != g {
			return "", failed(C.TG_EINVAL,
				"limiter "+c.limiter.name+" is of another gate: expected one of this gate")
		}
		if uint64(len(c.key)) > 1<<31 {
			return "", failed(C.TG_EKEY,
				fmt.Sprintf("a key of %d bytes: expected less than 2 GiB", len(c.key)))
		}
		if c.idSize > 16 {
			return "", failed(C.TG_EID,
				fmt.Sprintf("an id of %d bytes: expected 1 to 16", c.idSize))
		}
		p := &r.part[i]
		p.handle, p.cost, p.key_len = c.limiter.handle, C.int64_t(c.cost), C.uint32_t(len(c.key))
		p.id = *(*[16]C.uint8_t)(unsafe.Pointer(&c.id))
		keys += c.key // no copy where it is the only one
	}
	return keys, nil
}

// deadline is ctx's where it is nearer than the gate's own, or 0.
func (c *core) deadline(ctx context.Context) (C.int64_t, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	end, ok := ctx.Deadline()
	if !ok {
		return 0, nil
	}
	left := time.Until(end)
	if left <= 0 {
		return 0, context.DeadlineExceeded
	}
	if left >= c.timeout {
		return 0, nil
	}
	return C.int64_t(left.Microseconds() + 1), nil
}

// check runs a consume or peek.
func (g *Gate) check(ctx context.Context, op C.uint32_t, charges []Charge) (Decision, error) {
	var d Decision
	err := g.execute(ctx, op, 0, charges, &d)
	return d, err
}

func (g *Gate) run(ctx context.Context, op C.uint32_t, charges []Charge) error {
	return g.execute(ctx, op, 0, charges, nil)
}

func (g *Gate) execute(
	ctx context.Context, op, flags C.uint32_t, charges []Charge, d *Decision,
) error {
	defer runtime.KeepAlive(g)
	left, err := g.core.deadline(ctx)
	if err != nil {
		return err
	}
	if g.core.ring != nil {
		return g.core.ring.execute(ctx, g, op, flags, left, charges, d)
	}
	f := frames.Get().(*frame)
	defer frames.Put(f)
	keys, err := g.fill(&f.request, op, flags, charges)
	if err != nil {
		return err
	}
	if err := g.call(f, keys); err != nil {
		return err
	}
	a := &f.answer
	if a.status < 0 {
		return failed(int32(a.status), C.GoStringN(&a.text[0], C.int(a.text_len)))
	}
	if d != nil {
		*d = g.decide(a.flags, a.binding, a.parts[:a.part_count], charges)
	}
	return nil
}

// call asks the embedded store, which answers at once.
func (g *Gate) call(f *frame, keys string) error {
	c := g.core
	if !c.enter() {
		return errClosed
	}
	defer c.leave() // behind the last look at C's memory
	if err := g.setTime(); err != nil {
		return err
	}
	status := C.tgo_call(c.client, &f.request, bytesOf(keys), &f.answer)
	c.lookForEvents()
	if status < 0 {
		return failed(int32(status), "")
	}
	return nil
}

// setTime hands the program's clock to the library; the caller has entered.
func (g *Gate) setTime() error {
	if !g.core.manual {
		return nil
	}
	now := g.clock.Now().UnixMicro()
	if status := C.tg_client_set_time(g.core.client, C.int64_t(now)); status < 0 {
		return failed(int32(status), fmt.Sprintf("clock: %d us: expected 0 to 2^52 - 1", now))
	}
	return nil
}

// textOf copies a result's line of text out of C's memory.
func textOf(r *C.tg_result) string {
	if r.data == nil {
		return ""
	}
	return string(unsafe.Slice((*byte)(r.data), r.data_len))
}
