// SPDX-License-Identifier: MIT

package tidegate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go/internal/servertest"
)

// small opens a gate whose ring has so few slots.
func small(t *testing.T, url string, slots, late int) *Gate {
	t.Helper()
	gate, err := Connect(url, OnEvent(func(Event) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { gate.Close() })
	ring := gate.core.ring
	ring.room.table, ring.late.table = ring.room.table[:slots], ring.late.table[:late]
	return gate
}

func TestWaitingForRoomIsPartOfTheDeadline(t *testing.T) {
	servertest.EachServer(t, func(t *testing.T, s *servertest.Server) {
		const timeout = 300 * time.Millisecond
		url := s.URL(fmt.Sprint("timeout_ms=", timeout.Milliseconds()), "breaker_failures=1000000")
		gate := small(t, url, 4, 2)
		api, err := gate.Limiter("1000/hour", Name("api"))
		if err != nil {
			t.Fatal(err)
		}
		if d, err := api.Consume(context.Background(), "warm"); err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
		s.Stop()
		defer s.Continue()
		begin := time.Now()
		var wait sync.WaitGroup
		for range 60 { // fifteen times what the ring holds
			wait.Add(1)
			go func() {
				defer wait.Done()
				d, err := api.Consume(context.Background(), "k")
				if took := time.Since(begin); err != nil || d.Source != SourceFallback ||
					took < timeout-10*time.Millisecond || took > 3*timeout {
					t.Errorf("%v %v after %v", d, err, took)
				}
			}()
		}
		wait.Wait()
		checkNearerEnds(t, api)
	})
}

// While the ring is full, a context's deadline and its cancellation end the wait for room.
func checkNearerEnds(t *testing.T, api *Limiter) {
	t.Helper()
	var wait sync.WaitGroup
	for range 4 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			_, _ = api.Consume(context.Background(), "k")
		}()
	}
	for room := &api.gate.core.ring.room; ; time.Sleep(time.Millisecond) {
		room.mu.Lock()
		free := len(room.free)
		room.mu.Unlock()
		if free == 0 {
			break
		}
	}
	begin := time.Now()
	short, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if d, err := api.Consume(short, "k"); err != nil || d.Source != SourceFallback ||
		time.Since(begin) > 200*time.Millisecond {
		t.Errorf("a nearer deadline: %v %v after %v", d, err, time.Since(begin))
	}
	gone, leave := context.WithCancel(context.Background())
	time.AfterFunc(30*time.Millisecond, leave)
	begin = time.Now()
	if d, err := api.Consume(gone, "k"); !errors.Is(err, context.Canceled) ||
		time.Since(begin) > 200*time.Millisecond {
		t.Errorf("a cancellation: %v %v after %v", d, err, time.Since(begin))
	}
	wait.Wait()
}

func TestWhoLeavesTheLineLosesNoSlot(t *testing.T) {
	r := &ring{}
	r.room.table = r.slots[:2]
	var taken []*slot
	for range 2 {
		s, place := r.room.take()
		if s == nil || place != nil {
			t.Fatal("no slot of two")
		}
		taken = append(taken, s)
	}
	var line []*place
	for range 3 {
		s, place := r.room.take()
		if s != nil {
			t.Fatal("a third slot of two")
		}
		line = append(line, place)
	}
	r.room.leave(line[0])
	r.room.give(taken[0])
	r.room.give(taken[1])
	r.room.leave(line[1]) // it has a slot that it did not look at
	if s := <-line[2].slot; s != taken[1] {
		t.Errorf("slot %d came, expected %d", s.number, taken[1].number)
	}
	if len(r.room.free) != 1 || len(r.room.line) != 0 || r.room.free[0] != taken[0] {
		t.Errorf("%d free, %d in the line", len(r.room.free), len(r.room.line))
	}
}
