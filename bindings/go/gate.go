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
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Gate is a connection to one store, and the limiters opened through it. Close it when done.
type Gate struct {
	core  *core
	clock Clock

	mu       sync.Mutex
	limiters map[C.uint64_t]*Limiter
	policies map[C.uint64_t]*Limiter // that guards opened, as far as they were met
	own      *Guard                  // of Check and Policy, or nil

	opening sync.Mutex // one guard at a time
	guards  map[string]*Guard
	policy  any // of guards that are given none
	policed atomic.Bool

	keeper keeper // renews the slots that are held
}

// core is what the reaping goroutine shares with a gate, so that a forgotten gate can be collected.
type core struct {
	client  *C.tg_client
	ring    *ring // nil for the embedded store
	manual  bool
	timeout time.Duration // of a check, unless its context's deadline is nearer

	calls  sync.RWMutex // held for reading by every call into C, so that close and free meet none
	closed bool

	eventFlag *C.int32_t // raised by C
	draining  atomic.Bool
	telling   sync.Mutex // one event at a time
	events    func(Event)
}

// Connect opens a gate on memory://, redis://, rediss://, valkey://, valkeys:// or unix://; "" is
// $TIDEGATE_URL, or else the embedded store. No I/O is done: a program may start while its store is
// down.
func Connect(url string, options ...ConnectOption) (*Gate, error) {
	var s settings
	for _, o := range options {
		o.connect(&s)
	}
	c := &core{manual: s.clock != nil, events: s.sink()}
	if err := c.open(url, s.table); err != nil {
		return nil, err
	}
	g := &Gate{core: c, clock: s.clock, limiters: map[C.uint64_t]*Limiter{}}
	if g.clock == nil {
		g.clock = systemClock{}
	}
	if !strings.HasPrefix(g.URL(), "memory:") {
		ring, err := newRing(c, s.cgoWait)
		if err != nil {
			c.free()
			return nil, err
		}
		c.ring = ring
	}
	runtime.AddCleanup(g, func(c *core) { go c.close() }, c)
	if s.hasPolicy {
		if err := g.usePolicy(s.policy); err != nil {
			g.Close()
			return nil, err
		}
	}
	return g, nil
}

func (c *core) open(url string, table []setting) error {
	if err := agree(int32(C.tg_abi()), C.TG_ABI, Version()); err != nil {
		return err
	}
	options := C.tg_options_new()
	defer C.tg_options_free(options)
	var e C.tg_error
	for _, s := range table {
		if strings.ContainsRune(s.name+s.value, 0) {
			return failed(C.TG_EOPTION, "option "+s.name+": expected no NUL")
		}
		name, value := C.CString(s.name), C.CString(s.value)
		status := C.tg_options_set(options, name, value, &e)
		C.free(unsafe.Pointer(name))
		C.free(unsafe.Pointer(value))
		if status < 0 {
			return fromC(&e)
		}
	}
	if url == "" {
		url = os.Getenv("TIDEGATE_URL")
	}
	c.timeout = timeoutOf(url, table)
	var given *C.char
	if url != "" {
		given = bytesOf(url)
	}
	if C.tg_client_open(given, C.size_t(len(url)), options, &c.client, &e) < 0 {
		return fromC(&e)
	}
	c.eventFlag = (*C.int32_t)(C.calloc(1, C.size_t(unsafe.Sizeof(C.int32_t(0)))))
	C.tgo_watch_events(c.client, c.eventFlag)
	return nil
}

// enter begins a call into C; false: the gate is closed.
func (c *core) enter() bool {
	c.calls.RLock()
	if c.closed {
		c.calls.RUnlock()
		return false
	}
	return true
}

func (c *core) leave() { c.calls.RUnlock() }

func (c *core) close() {
	c.calls.Lock()
	if c.closed {
		c.calls.Unlock()
		return
	}
	c.closed = true
	c.calls.Unlock() // from here on no call but the reaper's is in C
	if c.ring != nil {
		c.ring.close()
	} else {
		C.tg_client_close(c.client)
	}
	c.free()
}

func (c *core) free() {
	c.tellRest()
	C.tg_client_free(c.client)
	C.free(unsafe.Pointer(c.eventFlag))
	c.eventFlag = nil // so that the race detector sees who still looks at it
}

// Close completes what is in flight with [ErrClosed]. Slots that are held are renewed no more: they
// are free when their lease is over. Closing again is fine.
func (g *Gate) Close() error {
	g.core.close()
	g.keeper.close()
	runtime.KeepAlive(g)
	return nil
}

// URL is the store's, its password replaced by ***.
func (g *Gate) URL() string {
	if !g.core.enter() {
		return ""
	}
	defer runtime.KeepAlive(g)
	defer g.core.leave()
	return text(func(buffer *C.char, size C.size_t) int64 {
		return int64(C.tg_client_url(g.core.client, buffer, size))
	})
}

// Consume takes the cost of every charge, or of none: one atomic request of at most 16 parts in one
// round trip.
func (g *Gate) Consume(ctx context.Context, charges ...Charge) (Decision, error) {
	return g.check(ctx, C.TG_OP_CONSUME, charges)
}

// Peek says what Consume would answer now, and writes nothing.
func (g *Gate) Peek(ctx context.Context, charges ...Charge) (Decision, error) {
	return g.check(ctx, C.TG_OP_PEEK, charges)
}

// Refund gives the cost of every charge back, in one round trip: what [Gate.Consume] took for a
// request that was not served after all. by is the decision's [Decision.Source]. It is not
// idempotent, but of slots: these are given back by their id, whatever the cost is.
func (g *Gate) Refund(ctx context.Context, by Source, charges ...Charge) error {
	return g.execute(ctx, C.TG_OP_REFUND, C.uint32_t(by)<<8, charges, nil)
}

// Debit charges what was used already, each part for itself, in one round trip: see [Limiter.Debit].
// by is the [Decision.Source] of the decision that it settles, or SourceNone. While the store cannot
// answer, the failure policy local charges this process; open and closed return [ErrStore].
func (g *Gate) Debit(ctx context.Context, by Source, charges ...Charge) (Decision, error) {
	var d Decision
	err := g.execute(ctx, C.TG_OP_DEBIT, C.uint32_t(by)<<8, charges, &d)
	return d, err
}

// Reset forgets the state of every charge; costs are not read.
func (g *Gate) Reset(ctx context.Context, charges ...Charge) error {
	return g.run(ctx, C.TG_OP_RESET, charges)
}

// Ping asks the store for a sign of life; its error says what is wrong (address, password, TLS).
func (g *Gate) Ping(ctx context.Context) error {
	return g.run(ctx, C.TG_OP_PING, nil)
}

// Charge is one part of a request: see [Limiter.For].
type Charge struct {
	limiter *Limiter
	key     string
	cost    int64
	idSize  int // as given; 0: none
	id      [16]byte
}

// Limiter is the limiter that is asked.
func (c Charge) Limiter() *Limiter { return c.limiter }

// Key is whose state is charged.
func (c Charge) Key() string { return c.key }

// Cost is how many tokens are taken.
func (c Charge) Cost() int64 { return c.cost }
