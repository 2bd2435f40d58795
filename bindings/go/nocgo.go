// SPDX-License-Identifier: MIT

//go:build !cgo

package tidegate

// The limiter is a C++ library behind a C ABI. The name below is the message of the compiler.
var _ = tidegate_needs_cgo__build_with_CGO_ENABLED_1_and_a_C_compiler
