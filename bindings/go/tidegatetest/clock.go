// SPDX-License-Identifier: MIT

// Package tidegatetest has a clock for tests of programs that use tidegate.
//
//	clock := tidegatetest.NewClock(time.Now())
//	gate, err := tidegate.Connect("memory://", tidegate.UseClock(clock))
//	clock.Advance(time.Minute)
package tidegatetest

import (
	"context"
	"sync"
	"time"
)

// FakeClock stands still until it is told otherwise. Limits and [tidegate.Limiter.Wait] follow it,
// deadlines never do. It may be used from any goroutine.
type FakeClock struct {
	mu      sync.Mutex
	nowUS   int64
	changed chan struct{} // closed when the time changes
}

// NewClock makes a clock that shows now.
func NewClock(now time.Time) *FakeClock {
	return &FakeClock{nowUS: now.UnixMicro(), changed: make(chan struct{})}
}

// Now is the time, in whole microseconds.
func (c *FakeClock) Now() time.Time { return time.UnixMicro(c.NowUS()) }

// NowUS is the time in microseconds since 1970.
func (c *FakeClock) NowUS() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowUS
}

// Set sets the time, backwards too; whole microseconds count.
func (c *FakeClock) Set(now time.Time) { c.SetUS(now.UnixMicro()) }

// SetUS sets the time in microseconds since 1970, backwards too.
func (c *FakeClock) SetUS(us int64) { c.change(func(int64) int64 { return us }) }

// Advance moves the time forward by d, in whole microseconds; backwards where d is below 0.
func (c *FakeClock) Advance(d time.Duration) {
	c.change(func(us int64) int64 { return us + d.Microseconds() })
}

func (c *FakeClock) change(from func(us int64) int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nowUS = from(c.nowUS)
	close(c.changed)
	c.changed = make(chan struct{})
}

// Sleep returns when the clock was moved by d, or ctx is done.
func (c *FakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	end := c.nowUS + (d + time.Microsecond - 1).Microseconds()
	for c.nowUS < end {
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		c.mu.Lock()
	}
	c.mu.Unlock()
	return nil
}
