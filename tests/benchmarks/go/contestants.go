// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"log"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

const (
	ours          = "tidegate"
	oursCgo       = "tidegate CgoWait"
	redisRate     = "redis_rate"
	rueidisScript = "rueidis with a script"
	raw           = "hiredis, a blocking EVALSHA of our program"
)

// contestant decides once about a key.
type contestant struct {
	name   string
	decide func(ctx context.Context, key string) error
}

var keys = func() (names [16_384]string) {
	for i := range names {
		names[i] = fmt.Sprintf("user:%08d", i)
	}
	return names
}()

// The script of a careful user: one hash, the server's time, an expiry with every write.
const bucketScript = `
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(state[1]) or limit
tokens = math.min(limit, tokens + (now - (tonumber(state[2]) or now)) * limit / window)
local allowed = tokens >= 1
if allowed then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], window / 1000)
return {allowed and 1 or 0, math.floor(tokens)}`

func enter(ctx context.Context, s *server) (all []contestant, closeAll func(), err error) {
	var closers []func()
	closeAll = func() {
		for _, c := range closers {
			c()
		}
	}
	for _, way := range []struct {
		name    string
		options []tidegate.ConnectOption
	}{{ours, nil}, {oursCgo, []tidegate.ConnectOption{tidegate.CgoWait()}}} {
		gate, err := tidegate.Connect("redis://"+s.address+"?timeout_ms=5000", way.options...)
		if err != nil {
			return nil, closeAll, err
		}
		closers = append(closers, func() { gate.Close() })
		api, err := gate.Limiter("1000000/minute", tidegate.Name("api"))
		if err != nil {
			return nil, closeAll, err
		}
		all = append(all, contestant{way.name, func(ctx context.Context, key string) error {
			d, err := api.Consume(ctx, key)
			if err == nil && d.Source != tidegate.SourceStore {
				err = fmt.Errorf("decided by %s", d.Source)
			}
			return err
		}})
	}

	client := redis.NewClient(&redis.Options{Addr: s.address, PoolSize: 64})
	closers = append(closers, func() { client.Close() })
	limiter := redis_rate.NewLimiter(client)
	all = append(all, contestant{redisRate, func(ctx context.Context, key string) error {
		_, err := limiter.Allow(ctx, key, redis_rate.PerMinute(1_000_000))
		return err
	}})

	fast, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.address}, DisableCache: true,
	})
	if err != nil {
		return nil, closeAll, err
	}
	closers = append(closers, fast.Close)
	script := rueidis.NewLuaScript(bucketScript)
	all = append(all, contestant{rueidisScript, func(ctx context.Context, key string) error {
		return script.Exec(ctx, fast, []string{"rueidis:" + key}, []string{"1000000", "60000000"}).
			Error()
	}})

	blocking, err := newBlocking(ctx, s, all[0])
	if err != nil {
		return nil, closeAll, err
	}
	closers = append(closers, blocking.close)
	return append(all, contestant{raw, blocking.run}), closeAll, nil
}

// alone is the p50 of one caller, in microseconds.
func alone(ctx context.Context, c contestant) float64 {
	var waits []time.Duration
	for begin, i := time.Now(), 0; time.Since(begin) < *length; i++ {
		asked := time.Now()
		if err := c.decide(ctx, keys[i%len(keys)]); err != nil {
			log.Fatalf("%s: %v", c.name, err)
		}
		waits = append(waits, time.Since(asked))
	}
	slices.Sort(waits)
	return float64(waits[len(waits)/2].Nanoseconds()) / 1000
}

// together is how many decisions a second so many goroutines get, and the client's CPU for each, in
// microseconds.
func together(ctx context.Context, c contestant, callers int) (perSecond, cpuUS float64) {
	var decided atomic.Int64
	var wait sync.WaitGroup
	begin, used := time.Now(), cpuTime()
	for g := range callers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			n := int64(0)
			for i := g * 1000; n&15 != 0 || time.Since(begin) < *length; i++ {
				if err := c.decide(ctx, keys[i%len(keys)]); err != nil {
					log.Fatalf("%s: %v", c.name, err)
				}
				n++
			}
			decided.Add(n)
		}()
	}
	wait.Wait()
	n := float64(decided.Load())
	return n / time.Since(begin).Seconds(), (cpuTime() - used).Seconds() * 1e6 / n
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
