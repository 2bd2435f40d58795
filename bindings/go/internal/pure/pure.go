// SPDX-License-Identifier: MIT

//go:build cgo

// Package pure has the library's functions of policies that ask no gate, and what requests are
// written as for them.
package pure

/*
#cgo pkg-config: tidegate
#cgo tidegate_static LDFLAGS: -l:libtidegate.a -lssl -lcrypto -lstdc++ -lpthread -ldl -lm
#cgo CFLAGS: -std=gnu11 -O2
#include <tidegate.h>
*/
import "C"

import "unsafe"

// Failure is what the library says of what cannot be.
type Failure struct {
	Code, Position int32
	Message        string
}

func bytesOf(s string) *C.char { return (*C.char)(unsafe.Pointer(unsafe.StringData(s))) }

// fill calls write again with room enough where the first did not suffice.
func fill(write func(buffer *C.char, size C.size_t) C.int64_t) (string, int64) {
	buffer := make([]byte, 4096)
	for {
		n := int64(write((*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer))))
		if n < 0 {
			return "", n
		}
		if n < int64(len(buffer)) {
			return string(buffer[:n]), n
		}
		buffer = make([]byte, n+1)
	}
}

// Validate is the JSON list of what is wrong with a policy.
func Validate(policy string) (string, *Failure) {
	faults, n := fill(func(buffer *C.char, size C.size_t) C.int64_t {
		return C.tg_policy_validate(bytesOf(policy), C.size_t(len(policy)), buffer, size)
	})
	if n < 0 {
		return "", &Failure{int32(n), -1, C.GoString(C.tg_strerror(C.int32_t(n)))}
	}
	return faults, nil
}

// Ignored is the JSON list of what a live document says of names that the policy has not.
func Ignored(policy, live string) (string, *Failure) {
	var e C.tg_error
	names, n := fill(func(buffer *C.char, size C.size_t) C.int64_t {
		return C.tg_policy_ignored(bytesOf(policy), C.size_t(len(policy)), bytesOf(live),
			C.size_t(len(live)), buffer, size, &e)
	})
	if n < 0 {
		return "", &Failure{int32(e.code), int32(e.position), C.GoString(&e.message[0])}
	}
	return names, nil
}

// Resolve is the JSON of what applies to a request.
func Resolve(policy, live string, attributes []byte, nowUS int64) (string, *Failure) {
	var e C.tg_error
	said := unsafe.Pointer(unsafe.SliceData(attributes))
	answer, n := fill(func(buffer *C.char, size C.size_t) C.int64_t {
		return C.tg_policy_resolve(bytesOf(policy), C.size_t(len(policy)), bytesOf(live),
			C.size_t(len(live)), said, C.size_t(len(attributes)), C.int64_t(nowUS), buffer, size, &e)
	})
	if n < 0 {
		return "", &Failure{int32(e.code), int32(e.position), C.GoString(&e.message[0])}
	}
	return answer, nil
}
