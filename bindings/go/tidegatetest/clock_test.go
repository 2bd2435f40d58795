// SPDX-License-Identifier: MIT

package tidegatetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/tidegate/tidegate/bindings/go/tidegatetest"
)

func TestTheTimeIsATimeAndMicroseconds(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)
	clock := tidegatetest.NewClock(start)
	if !clock.Now().Equal(start.Truncate(time.Microsecond)) || clock.NowUS() != start.UnixMicro() {
		t.Error(clock.Now(), clock.NowUS())
	}
	clock.Set(start.Add(-time.Hour))
	clock.Advance(time.Minute)
	if !clock.Now().Equal(start.Truncate(time.Microsecond).Add(-59 * time.Minute)) {
		t.Error(clock.Now())
	}
}

func TestStepsOfManyGoroutinesAddUp(t *testing.T) {
	clock := tidegatetest.NewClock(time.UnixMicro(0))
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for range 10_000 {
				clock.Advance(time.Microsecond)
			}
		}()
	}
	wait.Wait()
	if clock.NowUS() != 80_000 {
		t.Errorf("%d us after 80000 steps of one", clock.NowUS())
	}
}

func TestSleepersWakeInTimeOrWithTheirContext(t *testing.T) {
	clock := tidegatetest.NewClock(time.UnixMicro(0))
	woke := make(chan error)
	go func() { woke <- clock.Sleep(context.Background(), time.Minute) }()
	clock.Advance(time.Minute - time.Microsecond)
	select {
	case err := <-woke:
		t.Fatal("too early", err)
	case <-time.After(20 * time.Millisecond):
	}
	clock.Advance(time.Hour)
	if err := <-woke; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := clock.Sleep(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
