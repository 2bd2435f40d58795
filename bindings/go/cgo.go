// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#cgo pkg-config: tidegate
#cgo tidegate_static LDFLAGS: -l:libtidegate.a -lssl -lcrypto -lstdc++ -lpthread -ldl -lm
#cgo CFLAGS: -std=gnu11 -O2
#cgo noescape tgo_call
#cgo nocallback tgo_call
#cgo noescape tgo_submit
#cgo nocallback tgo_submit
#cgo noescape tgo_reap
#cgo nocallback tgo_reap
#cgo noescape tgo_wait
#cgo nocallback tgo_wait
#cgo noescape tgo_check_call
#cgo nocallback tgo_check_call
#cgo noescape tgo_check_submit
#cgo nocallback tgo_check_submit
#cgo noescape tgo_finish
#cgo nocallback tgo_finish
#cgo noescape tgo_headers
#cgo nocallback tgo_headers
#cgo noescape tgo_problem
#cgo nocallback tgo_problem
#cgo noescape tg_caller_key
#cgo nocallback tg_caller_key
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"strings"
	"unsafe"
)

// bytesOf is the text as C sees it, borrowed for one call.
func bytesOf(s string) *C.char {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s)))
}

// text reads what write puts into a buffer: it is called again with room enough when the first did
// not suffice.
func text(write func(buffer *C.char, size C.size_t) int64) string {
	var room [512]byte
	buffer := room[:]
	for {
		n := write((*C.char)(unsafe.Pointer(&buffer[0])), C.size_t(len(buffer)))
		if n < 0 {
			return ""
		}
		if n < int64(len(buffer)) {
			return string(buffer[:n])
		}
		buffer = make([]byte, n+1)
	}
}

// Version is that of the linked library.
func Version() string { return C.GoString(C.tg_version()) }

// OptionsHelp describes every option of [Set] and of a store URL's query, one a line: name, type,
// range, default and meaning, separated by tabs.
func OptionsHelp() string {
	return strings.TrimSuffix(text(func(buffer *C.char, size C.size_t) int64 {
		return int64(C.tg_options_describe(buffer, size))
	}), "\n")
}
