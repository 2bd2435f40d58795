// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/tidegate/tidegate/bindings/go/internal/pure"
)

// Attributes are what a policy sees of a request: method, path, route, host, address, identity,
// tier, and whatever the program adds. Values are texts, integers, bools, or an
// encoding.TextMarshaler (netip.Addr); nil is none.
type Attributes map[string]any

// AttributeList is what [Guard.Check] reads: attributes in the order in which they were added, with
// those that tidegate_guard.h lists, whose names begin with "@", among them.
type AttributeList []byte

// Add puts an attribute at the end.
func (l *AttributeList) Add(name, value string) { *l = pure.Append(*l, name, value) }

// AddAll puts attributes at the end. A value that is no text, number or bool is [CodeAttribute].
func (l *AttributeList) AddAll(attributes Attributes) error {
	list, err := pure.AppendAll(*l, attributes)
	if err != nil {
		return failed(C.TG_EATTRIBUTE, err.Error())
	}
	*l = list
	return nil
}

// AddLimit puts a limit at the end that is asked beside those of the policy: the rates, and what the
// options say of its limiter.
func (l *AttributeList) AddLimit(rates string, options ...LimiterOption) {
	s := spec{rates: rates}
	for _, o := range options {
		o.limiter(&s)
	}
	l.Add("@limit", rates)
	for _, word := range [...][2]string{
		{"@name", s.name}, {"@algorithm", s.algorithm}, {"@mode", s.mode},
		{"@on_failure", s.onFailure}, {"@lease", s.lease},
	} {
		if word[1] != "" {
			l.Add(word[0], word[1])
		}
	}
}

// AddLimiter puts a limiter at the end that is asked beside those of the policy.
func (l *AttributeList) AddLimiter(limiter *Limiter) {
	handle := limiter.handle
	l.Add("@limiter", string((*[8]byte)(unsafe.Pointer(&handle))[:]))
}

// PlaceName is what a limit without a name is called where it stands: "POST.login", below a mount
// "v1.GET.items-id", "everything" for nothing at all. route is the framework's template.
func PlaceName(mount, method, route string) string {
	if route == "" {
		route = "/" // known, and nothing: no template at all is what only NULL says
	}
	return text(func(buffer *C.char, size C.size_t) int64 {
		return int64(C.tg_place_name(bytesOf(mount), C.size_t(len(mount)), bytesOf(method),
			C.size_t(len(method)), bytesOf(route), C.size_t(len(route)), buffer, size))
	})
}

// GuardConfig says what a [Guard] is made of.
type GuardConfig struct {
	Policy         any         // as in [UsePolicy]; nil: the gate's
	Headers        HeaderStyle // 0: Standard|Legacy
	TrustedProxies string      // as in [NewCallers]; "": the gate's option
	IPv6Prefix     int         // 0: the gate's option
}

// Guard says which limits a request meets, by a policy and by what the program adds, and what it is
// told. It is what adapters of frameworks are made of; package tghttp is one.
//
//	d, err := guard.Check(ctx, attributes, "")         // the outermost adapter of a request
//	d, err = guard.Check(ctx, more, d.Scope())         // one further in
//	defer d.Finish(ctx, status, nil)                   // the last decision, when the answer is sent
type Guard struct {
	gate   *Gate
	handle C.uint64_t
	key    string
	gates  bool // its policy is the gate's
	users  atomic.Int64
}

// Guard opens a guard. Equal configurations share one.
func (g *Gate) Guard(config GuardConfig) (*Guard, error) {
	if !g.core.enter() {
		return nil, errClosed
	}
	defer runtime.KeepAlive(g)
	defer g.core.leave()
	g.opening.Lock() // one that is being opened is waited for, so that equal ones are one
	defer g.opening.Unlock()
	gates := config.Policy == nil
	if gates {
		config.Policy = g.policy
	}
	words, err := guardWords(config)
	if err != nil {
		return nil, err
	}
	policy := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q", words[:2])))
	if gates { // which may be another by now
		policy = "the gate's"
	}
	key := fmt.Sprintf("%s %q %d", policy, words[2:], config.IPv6Prefix)
	if u := g.guards[key]; u != nil {
		u.users.Add(1)
		return u, nil
	}
	spec := C.tgo_guard_spec{ipv6_prefix: C.int64_t(config.IPv6Prefix)}
	for i, word := range words {
		spec.size[i] = C.uint64_t(len(word))
	}
	var e C.tg_error
	u := &Guard{gate: g, key: key, gates: gates}
	all := strings.Join(words[:], "")
	if C.tgo_guard_open(g.core.client, &spec, bytesOf(all), &u.handle, &e) < 0 {
		return nil, fromC(&e)
	}
	u.users.Store(1)
	if g.guards == nil {
		g.guards = map[string]*Guard{}
	}
	g.guards[key] = u
	g.core.lookForEvents()
	return u, nil
}

// guardWords are the texts of tg_guard_spec.
func guardWords(config GuardConfig) (words [4]string, err error) {
	if config.Policy != nil {
		if words[0], words[1], err = pure.Source(config.Policy); err != nil {
			return words, failed(C.TG_EPOLICY, err.Error())
		}
	}
	var styles []string
	for _, style := range [...]struct {
		bit  HeaderStyle
		name string
	}{{Standard, "standard"}, {Legacy, "legacy"}, {LegacyDelta, "legacy-delta"}} {
		if config.Headers&style.bit != 0 {
			styles = append(styles, style.name)
		}
	}
	words[2], words[3] = strings.Join(styles, ","), config.TrustedProxies
	if styles == nil && config.Headers != 0 {
		words[2] = "none"
	}
	return words, nil
}

// Gate is the gate that opened it.
func (u *Guard) Gate() *Gate { return u.gate }

// Close closes the guard, unless others share it; its limiters stay open.
func (u *Guard) Close() error {
	g := u.gate
	if !g.core.enter() {
		return errClosed
	}
	defer runtime.KeepAlive(g)
	defer g.core.leave()
	g.opening.Lock()
	defer g.opening.Unlock()
	if left := u.users.Add(-1); left > 0 {
		return nil
	}
	delete(g.guards, u.key)
	if status := C.tg_guard_close(g.core.client, u.handle); status < 0 {
		return failed(int32(status), "")
	}
	return nil
}

// Load puts another policy (as in [UsePolicy]) in place of the guard's, at once, for the states that
// are there. A faulty one changes nothing.
func (u *Guard) Load(policy any) error {
	text, err := pure.Read(policy)
	if err != nil {
		return failed(C.TG_EPOLICY, err.Error())
	}
	return u.replace(text)
}

func (u *Guard) replace(text string) error {
	g := u.gate
	if !g.core.enter() {
		return errClosed
	}
	defer runtime.KeepAlive(g)
	defer g.core.leave()
	var e C.tg_error
	if C.tg_guard_replace(g.core.client, u.handle, bytesOf(text), C.size_t(len(text)), &e) < 0 {
		return fromC(&e)
	}
	return nil
}

// Check asks everything that a request meets at once. scope is that of the same request's check
// before this one by a guard of this gate, or "": what was charged then is not charged again. A
// mistake of the program (a tier that there is not, a cost that is no number, more than 16 limits)
// is [CodeAttribute].
func (u *Guard) Check(ctx context.Context, list AttributeList, scope string) (Decision, error) {
	g := u.gate
	defer runtime.KeepAlive(g)
	left, err := g.core.deadline(ctx)
	if err != nil {
		return Decision{}, err
	}
	ask := C.tgo_check{
		handle: u.handle, timeout_us: left,
		scope_size: C.uint32_t(len(scope)), attributes_size: C.uint32_t(len(list)),
	}
	if g.core.ring != nil {
		return g.core.ring.check(ctx, g, &ask, list, scope)
	}
	got, err := g.callCheck(&ask, list, scope)
	if err != nil {
		return Decision{}, err
	}
	return g.decideGuarded(&got), nil
}

// checked is a check's result, copied out of C's memory.
type checked struct {
	flags, binding C.uint32_t
	parts          []C.tg_part
	answer         *answer
}

// callCheck asks the embedded store. The result is the thread's, so the goroutine stays on it until
// it is copied.
func (g *Gate) callCheck(ask *C.tgo_check, list AttributeList, scope string) (checked, error) {
	if !g.core.enter() {
		return checked{}, errClosed
	}
	defer g.core.leave()
	if err := g.setTime(); err != nil {
		return checked{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var result C.tg_result
	status := C.tgo_check_call(g.core.client, ask, bytesOf(scope), list.bytes(), &result)
	g.core.lookForEvents()
	if status < 0 {
		return checked{}, failed(int32(status), "")
	}
	if result.status < 0 {
		return checked{}, failed(int32(result.status), textOf(&result))
	}
	return checked{
		result.flags, result.binding,
		append([]C.tg_part(nil), unsafe.Slice(result.parts, result.part_count)...),
		answerOf(&result),
	}, nil
}

func (l AttributeList) bytes() *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(l))) }

// finish runs what settles a scope, or renews its slots; each request for itself.
func (g *Gate) finish(
	ctx context.Context, scope string, status int, list AttributeList, flags C.uint32_t,
) error {
	var few [C.TG_MAX_PARTS]C.tgo_settlement
	all := few[:]
	for {
		n := C.tgo_finish(bytesOf(scope), C.size_t(len(scope)), C.int32_t(status), list.bytes(),
			C.size_t(len(list)), flags, &all[0], C.int32_t(len(all)))
		if n < 0 {
			return failed(int32(n), "")
		}
		if int(n) <= len(all) {
			all = all[:n]
			break
		}
		all = make([]C.tgo_settlement, n)
	}
	var errs []error
	for i := range all {
		one := &all[i]
		charge := [1]Charge{{
			limiter: g.met(one.handle), cost: int64(one.cost), idSize: len(one.id),
			key: scope[one.key_at:][:one.key_len], id: *(*[16]byte)(unsafe.Pointer(&one.id)),
		}}
		errs = append(errs, g.execute(ctx, one.op, one.flags, charge[:], nil))
	}
	return errors.Join(errs...)
}
