// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
	"unsafe"
)

// Event is a change of state: the store lost or back, the breaker open, services that disagree
// about a name.
type Event struct {
	Level slog.Level
	Code  Code // behind it, or 0
	Time  time.Time
	Text  string // one line; no secret, no caller's key
}

func (s *settings) sink() func(Event) {
	if s.events != nil {
		return s.events
	}
	return func(e Event) {
		logger := s.logger
		if logger == nil {
			logger = slog.Default()
		}
		logger.LogAttrs(context.Background(), e.Level, e.Text, slog.String("source", "tidegate"),
			slog.Int("code", int(e.Code)))
	}
}

// lookForEvents costs a load unless C raised the flag.
func (c *core) lookForEvents() {
	flag := (*int32)(unsafe.Pointer(c.eventFlag))
	if atomic.LoadInt32(flag) == 0 || !c.draining.CompareAndSwap(false, true) {
		return
	}
	go func() {
		c.telling.Lock()
		for c.enter() { // not held while the program's function runs: it may close the gate
			event, ok := c.nextEvent()
			c.leave()
			if !ok {
				break
			}
			c.events(event)
		}
		c.telling.Unlock()
		c.draining.Store(false)
		if c.enter() { // one may have come since
			c.lookForEvents()
			c.leave()
		}
	}()
}

var levels = [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// nextEvent takes the oldest event; none lowers the flag first, so that no later one is missed.
func (c *core) nextEvent() (Event, bool) {
	var raw C.tg_event
	if C.tg_client_next_event_sized(c.client, &raw, C.sizeof_tg_event) != 1 {
		atomic.StoreInt32((*int32)(unsafe.Pointer(c.eventFlag)), 0)
		if C.tg_client_next_event_sized(c.client, &raw, C.sizeof_tg_event) != 1 {
			return Event{}, false
		}
	}
	return Event{
		Level: levels[raw.level&3],
		Code:  Code(raw.code),
		Time:  time.UnixMicro(int64(raw.wall_us)),
		Text:  C.GoString(&raw.text[0]),
	}, true
}

// tellRest hands out the last events of a closed gate, after those that are being handed out.
func (c *core) tellRest() {
	var rest []Event
	for event, ok := c.nextEvent(); ok; event, ok = c.nextEvent() {
		rest = append(rest, event)
	}
	tell := func() {
		defer c.telling.Unlock()
		for _, event := range rest {
			c.events(event)
		}
	}
	if c.telling.TryLock() {
		tell()
		return
	}
	go func() { // who closes may be the program's function itself: nobody waits for it here
		c.telling.Lock()
		tell()
	}()
}
