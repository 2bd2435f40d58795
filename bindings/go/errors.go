// SPDX-License-Identifier: MIT

//go:build cgo

package tidegate

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
)

// What errors.Is finds in an [*Error]. Being denied is no error, but for [Limiter.Wait].
var (
	// ErrConfig: a rate, option, URL, name, key, cost, policy or attribute that cannot be. Nothing was
	// charged.
	ErrConfig = errors.New("tidegate: configuration error")
	// ErrStore: the store could not do it. Checks never return it: the failure policy answers them.
	ErrStore = errors.New("tidegate: store error")
	// ErrClosed: the gate is closed, or it was opened by the parent of this process.
	ErrClosed = errors.New("tidegate: the gate is closed")
	// ErrLimiterClosed: the limiter is closed, its gate is not.
	ErrLimiterClosed = errors.New("tidegate: the limiter is closed")
	// ErrDenied: what errors.Is finds in a [*DeniedError].
	ErrDenied = errors.New("tidegate: denied")
)

// Code is the reason of an [Error], the same number as in tidegate.h.
type Code int32

// The codes that a program may want to tell apart.
const (
	CodeInvalid   Code = C.TG_EINVAL
	CodeRate      Code = C.TG_ERATE
	CodeOption    Code = C.TG_EOPTION
	CodeURL       Code = C.TG_EURL
	CodeKey       Code = C.TG_EKEY
	CodeCost      Code = C.TG_ECOST
	CodeHandle    Code = C.TG_EHANDLE
	CodeName      Code = C.TG_ENAME
	CodeConflict  Code = C.TG_ECONFLICT
	CodeClosed    Code = C.TG_ECLOSED
	CodeCanceled  Code = C.TG_ECANCELED
	CodeFull      Code = C.TG_EFULL
	CodeID        Code = C.TG_EID
	CodePolicy    Code = C.TG_EPOLICY
	CodeAttribute Code = C.TG_EATTRIBUTE
	CodeStore     Code = C.TG_ESTORE
	CodeTimedOut  Code = C.TG_ETIMEDOUT
	CodeConnect   Code = C.TG_ECONNECT
	CodeAuth      Code = C.TG_EAUTH
	CodeTLS       Code = C.TG_ETLS
	CodeProtocol  Code = C.TG_EPROTOCOL
	CodeCluster   Code = C.TG_ECLUSTER
	CodeOOM       Code = C.TG_EOOM
	CodeReadOnly  Code = C.TG_EREADONLY
	CodeLoading   Code = C.TG_ELOADING
	CodeBusy      Code = C.TG_EBUSY
	CodeNoPerm    Code = C.TG_ENOPERM
	CodeWrongType Code = C.TG_EWRONGTYPE
)

// String is the code's text, one line.
func (c Code) String() string { return C.GoString(C.tg_strerror(C.int32_t(c))) }

// Name is the code's name in tidegate.h, such as "TG_ERATE"; "" of an unknown code.
func (c Code) Name() string { return C.GoString(C.tg_error_name(C.int32_t(c))) }

// kind is the sentinel that errors.Is finds in an error of this code, or nil. Which code is of
// which kind is the library's to say, for every language.
func (c Code) kind() error {
	return kinds[C.GoString(C.tg_error_kind(C.int32_t(c)))]
}

var kinds = map[string]error{
	"config": ErrConfig, "handle": ErrLimiterClosed, "closed": ErrClosed, "store": ErrStore,
}

// Error says what was wrong. No message holds a password.
type Error struct {
	Code     Code
	Message  string // what was given, and what was expected
	Position int    // byte offset in the text that was parsed, or -1
}

// Error is the message, after the package's name.
func (e *Error) Error() string { return "tidegate: " + e.Message }

// Retriable says whether the same call may succeed later.
func (e *Error) Retriable() bool { return C.tg_is_retriable(C.int32_t(e.Code)) != 0 }

// Is makes errors.Is work for [ErrConfig], [ErrStore], [ErrClosed], [ErrLimiterClosed],
// context.DeadlineExceeded and context.Canceled.
func (e *Error) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded:
		return e.Code == C.TG_ETIMEDOUT
	case context.Canceled:
		return e.Code == C.TG_ECANCELED
	}
	return target != nil && target == e.Code.kind()
}

// DeniedError is a denial as an error: of [Limiter.Wait], and of [Decision.Err].
type DeniedError struct{ Decision Decision }

// Error shows the decision on one line.
func (e *DeniedError) Error() string { return "tidegate: " + e.Decision.String() }

// Is makes errors.Is work for [ErrDenied].
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// failed makes the error of a code that came without text, or of the text that came with it.
func failed(code int32, message string) error {
	if message == "" {
		message = Code(code).String()
	}
	return &Error{Code: Code(code), Message: message, Position: -1}
}

func fromC(e *C.tg_error) error {
	return &Error{
		Code:     Code(e.code),
		Message:  C.GoString(&e.message[0]),
		Position: int(e.position),
	}
}

var errClosed = failed(C.TG_ECLOSED, "")

// agree compares the ABI of the header that this program was compiled against with that of the
// library that it runs with, which may be newer.
func agree(library, header int32, version string) error {
	if library >= header {
		return nil
	}
	return failed(C.TG_ESIZE, fmt.Sprintf("the libtidegate that was loaded (%s) has ABI %d: "+
		"expected %d or newer, which tidegate.h had when this program was built; the loader finds "+
		"another installation than pkg-config does (LD_LIBRARY_PATH, ldconfig)",
		version, library, header))
}
