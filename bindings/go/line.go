// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

import (
	"context"
	"sync"
)

// line are the callers of one limiter that wait for slots, by key.
type line struct {
	mu      sync.Mutex
	waiting map[string][]*waiter
}

type waiter struct{ wake context.CancelFunc }

// join makes a context that ends when a slot of the key is given back.
func (l *line) join(ctx context.Context, key string) (freed context.Context, leave func()) {
	freed, cancel := context.WithCancel(ctx)
	w := &waiter{cancel}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = map[string][]*waiter{}
	}
	l.waiting[key] = append(l.waiting[key], w)
	return freed, func() {
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.drop(key, w)
	}
}

// drop takes w out of the line; the caller holds mu.
func (l *line) drop(key string, w *waiter) {
	all := l.waiting[key]
	for i := range all {
		if all[i] == w {
			all = append(all[:i], all[i+1:]...)
			break
		}
	}
	if l.waiting[key] = all; len(all) == 0 {
		delete(l.waiting, key)
	}
}

// next wakes who has waited longest for a slot of the key.
func (l *line) next(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if all := l.waiting[key]; len(all) > 0 {
		all[0].wake()
		l.drop(key, all[0])
	}
}
