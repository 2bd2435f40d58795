// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"runtime"
	"strconv"
	"unsafe"
)

// CallerKey is the key that the middleware uses: the identity, or where there is none the address,
// as "@203.0.113.7". For admin pages that look a caller up.
func CallerKey(identity, address string) string { return callerKey(nil, identity, address, "") }

// Callers works out who is calling, behind proxies too. It may be used from any goroutine.
type Callers struct{ options *C.tg_options }

// NewCallers says how much of X-Forwarded-For to believe: a count of proxies ("1"), or their
// networks ("10.0.0.0/8,::1/128"); "" is "0". IPv6 addresses are grouped by ipv6Prefix bits; 0 is
// 64.
func NewCallers(trustedProxies string, ipv6Prefix int) (*Callers, error) {
	c := &Callers{C.tg_options_new()}
	runtime.AddCleanup(c, func(o *C.tg_options) { C.tg_options_free(o) }, c.options)
	if trustedProxies != "" {
		if err := c.set("trusted_proxies", trustedProxies); err != nil {
			return nil, err
		}
	}
	if ipv6Prefix != 0 {
		if err := c.set("ipv6_prefix", strconv.Itoa(ipv6Prefix)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Callers) set(name, value string) error {
	n, v := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(v))
	var e C.tg_error
	if C.tg_options_set(c.options, n, v, &e) < 0 {
		return fromC(&e)
	}
	return nil
}

// Key is the caller's key. peer is the socket's address (with or without a port), or "" where it
// has none; forwardedFor the X-Forwarded-For lines joined by commas.
func (c *Callers) Key(identity, peer, forwardedFor string) string {
	defer runtime.KeepAlive(c)
	return callerKey(c.options, identity, peer, forwardedFor)
}

func callerKey(options *C.tg_options, identity, peer, forwardedFor string) string {
	return text(func(buffer *C.char, size C.size_t) int64 {
		return int64(C.tg_caller_key(options, bytesOf(peer), C.size_t(len(peer)),
			bytesOf(forwardedFor), C.size_t(len(forwardedFor)),
			bytesOf(identity), C.size_t(len(identity)), buffer, size))
	})
}
