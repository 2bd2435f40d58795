// SPDX-License-Identifier: MIT

// Package tidegate limits rates, exactly and at once, in the process or across all services that
// share a Valkey or Redis.
//
//	gate, err := tidegate.Connect("redis://localhost")   // "memory://" is the embedded store
//	api, err := gate.Limiter("100/minute burst 20", tidegate.Name("api"))
//	decision, err := api.Consume(ctx, "user:42")         // tidegate.Cost(3) for more than one
//	if !decision.Allowed {
//		fmt.Println(decision.RetryAfter)                   // tidegate.Never: no wait is long enough
//	}
//	decision, err = gate.Consume(ctx, perIP.For("203.0.113.7"), perKey.For("k_1", tidegate.Cost(3)))
//
// All of it may be used from any goroutine. An error is a misuse, a closed gate or a cancelled
// context, and a denial only of [Limiter.Wait] ([ErrDenied]); while the store cannot answer, checks
// follow the failure policy ([OnFailure]) and say so in [Decision.Source].
//
// A context's deadline nearer than the gate's [Timeout] shortens the check: then, as for any
// deadline, the failure policy answers. A cancelled check returns the context's error; it may have
// been charged, and is never refunded behind anybody's back.
//
// A policy says which limits a request meets, by path, tier and caller ([UsePolicy], [Gate.Check]),
// and can be changed while programs serve ([Gate.Policy]); package tghttp is the middleware.
//
// What a request used beyond an estimate is a debt ([Limiter.Reserve], [Limiter.Debit]); how many may
// be under way at once are slots ([Limiter.Slot]).
//
// Who is limited, how often and since when: [Gate.Top], [Gate.LimitedNow], [Gate.LookUp],
// [Gate.Series], [Gate.Events], [Gate.Report], and for Prometheus [Gate.Metrics].
//
// The package links libtidegate, found by pkg-config. With the build tag tidegate_static, the
// advised way, it takes the archive, and the program needs no libtidegate where it runs.
package tidegate
