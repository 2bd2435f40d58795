// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"encoding/json"
	"maps"
	"runtime"
	"time"
	"unsafe"

	"github.com/tidegate/tidegate/bindings/go/internal/pure"
)

// UsePolicy gives a gate a policy: the path of its file, which is read again when it changes; its
// text, YAML or JSON, which has a newline or begins with {; or anything that encoding/json takes.
func UsePolicy(policy any) ConnectOption {
	return connectOption(func(s *settings) { s.policy, s.hasPolicy = policy, true })
}

// HasPolicy says whether the gate was given a policy.
func (g *Gate) HasPolicy() bool { return g.policed.Load() }

// usePolicy opens the gate's guard, so that a faulty policy is found at once.
func (g *Gate) usePolicy(policy any) error {
	text, file, err := pure.Source(policy)
	if err != nil {
		return failed(C.TG_EPOLICY, err.Error())
	}
	if g.policy = []byte(text); file != "" {
		g.policy = file
	}
	g.policed.Store(true)
	_, err = g.ownGuard()
	return err
}

// ownGuard is that of Check and Policy. A gate without a policy has one without rules: it can still
// say whom all others of its store ban.
func (g *Gate) ownGuard() (*Guard, error) {
	g.mu.Lock()
	own := g.own
	g.mu.Unlock()
	if own != nil {
		return own, nil
	}
	own, err := g.Guard(GuardConfig{})
	if err == nil {
		g.mu.Lock()
		g.own = own
		g.mu.Unlock()
	}
	return own, err
}

// Check asks everything that the gate's policy says of a request, in one atomic check.
//
//	d, err := gate.Check(ctx, tidegate.Attributes{
//		"method": "POST", "path": "/v1/images/generations", "identity": "k_1", "images": 4,
//	})
//	if d.Status() != 200 { ... d.Headers(), d.Problem() }
//
// Where its rules have slots, or count or settle by the answer, [Decision.Finish] says that the
// request is over.
func (g *Gate) Check(ctx context.Context, request Attributes) (Decision, error) {
	if !g.HasPolicy() {
		return Decision{}, failed(C.TG_EPOLICY, "the gate has no policy: expected UsePolicy")
	}
	guard, err := g.ownGuard()
	if err != nil {
		return Decision{}, err
	}
	var list AttributeList
	if err := list.AddAll(request); err != nil {
		return Decision{}, err
	}
	return guard.Check(ctx, list, "")
}

// GatePolicy are the gate's policy and the live document that is said over it: see [Gate.Policy].
type GatePolicy struct {
	gate *Gate
	who  string
}

// Policy explains and changes what applies to requests. A change is a live document over the
// policies of all gates of this store, in every process and language, within a second; with the
// embedded store, over those of this gate.
func (g *Gate) Policy() *GatePolicy { return &GatePolicy{gate: g} }

// By says who makes the changes, for the audit stream.
func (p *GatePolicy) By(who string) *GatePolicy { return &GatePolicy{p.gate, who} }

// Explain says what applies to a request, why, and how its limits stand. It takes nothing.
func (p *GatePolicy) Explain(ctx context.Context, request Attributes) (Explanation, error) {
	var explained Explanation
	var list AttributeList
	if err := list.AddAll(request); err != nil {
		return explained, err
	}
	if err := ctx.Err(); err != nil {
		return explained, err
	}
	guard, err := p.gate.ownGuard()
	if err != nil {
		return explained, err
	}
	said, err := p.gate.ask(func(c *C.tg_client, buffer *C.char, size C.size_t, e *C.tg_error) C.int64_t {
		return C.tg_guard_explain(c, guard.handle, unsafe.Pointer(list.bytes()), C.size_t(len(list)),
			buffer, size, e)
	})
	if err != nil {
		return explained, err
	}
	return explained, json.Unmarshal([]byte(said), &explained)
}

// Validate says what is wrong with a policy (as in [UsePolicy]); nothing: it can be used.
func (p *GatePolicy) Validate(policy any) ([]PolicyFault, error) {
	text, err := pure.Read(policy)
	if err != nil {
		return nil, failed(C.TG_EPOLICY, err.Error())
	}
	said, failure := pure.Validate(text)
	if failure != nil {
		return nil, failed(failure.Code, failure.Message)
	}
	var faults []PolicyFault
	return faults, json.Unmarshal([]byte(said), &faults)
}

// Load puts another policy in place of the gate's, at once, also in middleware. A faulty one changes
// nothing. Middleware that was given a policy of its own keeps it.
func (p *GatePolicy) Load(policy any) error {
	text, err := pure.Read(policy)
	if err != nil {
		return failed(C.TG_EPOLICY, err.Error())
	}
	g := p.gate
	if _, err := g.ownGuard(); err != nil {
		return err
	}
	g.opening.Lock()
	defer g.opening.Unlock()
	for _, guard := range g.guards {
		if !guard.gates {
			continue
		}
		if err := guard.replace(text); err != nil {
			return err
		}
	}
	g.policy = []byte(text)
	g.policed.Store(true)
	return nil
}

// LiveLimit gives a limiter of the policy other numbers. What is not given is the policy's.
type LiveLimit struct {
	Rate      string
	Mode      string
	OnFailure Policy
	Until     time.Time     // when it ends; zero: never
	For       time.Duration // or after this time
}

// LiveTier gives a tier of the policy other limiters.
type LiveTier struct {
	Limiters []string
	Until    time.Time
	For      time.Duration
}

// LiveCaller says something of an identity, an address ("203.0.113.7") or a network. A member that
// is not given is said by what else speaks of the caller.
type LiveCaller struct {
	Ban       bool
	Reason    string // of the ban
	Pardon    bool   // not banned, whatever else bans
	Exempt    bool
	NotExempt bool // not exempt, whatever else exempts
	Tier      string
	Limits    map[string]string // other rates of limiters, for the same states
	Until     time.Time         // when it ends; zero: never
	For       time.Duration     // or after this time
}

// SetLimit takes the place of what was said live of the limiter. Returns the live document's version.
func (p *GatePolicy) SetLimit(ctx context.Context, name string, limit LiveLimit) (int64, error) {
	entry := map[string]any{}
	setText(entry, "rate", limit.Rate)
	setText(entry, "mode", limit.Mode)
	setText(entry, "on_failure", string(limit.OnFailure))
	p.setEnd(entry, limit.Until, limit.For)
	return p.set(ctx, "limiters", name, entry)
}

// SetTier takes the place of what was said live of the tier.
func (p *GatePolicy) SetTier(ctx context.Context, name string, tier LiveTier) (int64, error) {
	entry := map[string]any{"limiters": append([]string{}, tier.Limiters...)}
	p.setEnd(entry, tier.Until, tier.For)
	return p.set(ctx, "tiers", name, entry)
}

// SetCaller takes the place of what was said live of the caller.
//
//	gate.Policy().SetCaller(ctx, "k_evil", tidegate.LiveCaller{Ban: true, For: time.Hour})
func (p *GatePolicy) SetCaller(ctx context.Context, key string, c LiveCaller) (int64, error) {
	entry := map[string]any{}
	if c.Ban || c.Pardon {
		entry["ban"] = c.Ban
	}
	if c.Exempt || c.NotExempt {
		entry["exempt"] = c.Exempt
	}
	setText(entry, "reason", c.Reason)
	setText(entry, "tier", c.Tier)
	if c.Limits != nil {
		entry["limits"] = maps.Clone(c.Limits)
	}
	p.setEnd(entry, c.Until, c.For)
	return p.set(ctx, "callers", key, entry)
}

// Clear takes away what was said live of a caller.
func (p *GatePolicy) Clear(ctx context.Context, key string) (int64, error) {
	return p.set(ctx, "callers", key, nil)
}

// ClearLimit takes away what was said live of a limiter.
func (p *GatePolicy) ClearLimit(ctx context.Context, name string) (int64, error) {
	return p.set(ctx, "limiters", name, nil)
}

// ClearTier takes away what was said live of a tier.
func (p *GatePolicy) ClearTier(ctx context.Context, name string) (int64, error) {
	return p.set(ctx, "tiers", name, nil)
}

// Replace puts a live document (a text, or anything that encoding/json takes) in place of the one
// that is there.
func (p *GatePolicy) Replace(ctx context.Context, document any) (int64, error) {
	return p.edit(ctx, C.TG_EDIT_REPLACE, document)
}

// Live is the live document as this gate has it, at most a second old, and its version.
func (p *GatePolicy) Live() (version int64, document json.RawMessage, err error) {
	said, err := p.gate.ask(func(c *C.tg_client, buffer *C.char, size C.size_t, e *C.tg_error) C.int64_t {
		n := C.tg_client_live(c, buffer, size)
		e.code = C.int32_t(min(n, 0))
		return n
	})
	if err != nil {
		return 0, nil, err
	}
	var live struct {
		Version int64
		Live    json.RawMessage
	}
	err = json.Unmarshal([]byte(said), &live)
	return live.Version, live.Live, err
}

func setText(entry map[string]any, name, value string) {
	if value != "" {
		entry[name] = value
	}
}

func (p *GatePolicy) setEnd(entry map[string]any, until time.Time, after time.Duration) {
	if after != 0 {
		until = p.gate.clock.Now().Add(after)
	}
	if !until.IsZero() {
		entry["until"] = until.UTC().Format("2006-01-02T15:04:05.999999Z")
	}
}

func (p *GatePolicy) set(
	ctx context.Context, section, name string, entry map[string]any,
) (int64, error) {
	var said any = entry
	if entry == nil {
		said = nil // null, not a nil map
	}
	return p.edit(ctx, 0, map[string]any{section: map[string]any{name: said}})
}

func (p *GatePolicy) edit(ctx context.Context, flags C.uint32_t, document any) (int64, error) {
	patch, err := pure.JSON(document)
	if err != nil {
		return 0, failed(C.TG_EPOLICY, err.Error())
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	g := p.gate
	guard, err := g.ownGuard()
	if err != nil {
		return 0, err
	}
	if !g.core.enter() {
		return 0, errClosed
	}
	defer runtime.KeepAlive(g)
	defer g.core.leave()
	if err := g.setTime(); err != nil {
		return 0, err
	}
	var e C.tg_error
	version := int64(C.tg_guard_edit(g.core.client, guard.handle, flags, bytesOf(patch),
		C.size_t(len(patch)), bytesOf(p.who), C.size_t(len(p.who)), &e))
	if version < 0 {
		return 0, fromC(&e)
	}
	return version, nil
}
