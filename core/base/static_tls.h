// SPDX-License-Identifier: MIT
// A thread_local of this kind is found without a call, in the thread's static block. glibc keeps
// some room in that block for libraries that are loaded late; elsewhere (musl) such a library could
// not be loaded at all. The room is small and shared: pointers only.
#pragma once

#include <cstdlib>  // defines __GLIBC__ where it is glibc

#if defined(__GLIBC__)
#define TIDEGATE_STATIC_TLS __attribute__((tls_model("initial-exec")))
#else
#define TIDEGATE_STATIC_TLS
#endif
