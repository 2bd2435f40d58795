// SPDX-License-Identifier: MIT
// Which part of striped data is this thread's: data that every thread writes all the time is kept
// once for each, so that nobody waits and no cache line travels.
//
//   const size_t stripe = thread_stripe();
//   if (stripe < kStripes) ...  // no other living thread writes there
//   else ...                    // kStripes: shared by the threads beyond, who pay for an atomic
//
// A stripe is leased by a thread with its first call, and given back when the thread ends. A forked
// child has one thread: the stripes of the others are free there.
#pragma once

#include <cstddef>

// A thread's own variable that is found without a call. Only glibc lets a library that is loaded
// late have one (musl refuses to load it), and only of a few bytes: that block is shared by all.
#if defined(__GLIBC__)
#define TIDEGATE_STATIC_TLS __attribute__((tls_model("initial-exec")))
#else
#define TIDEGATE_STATIC_TLS
#endif

namespace tidegate {

inline constexpr size_t kStripes = 32;

namespace stripe_detail {
inline constexpr size_t kNone = ~size_t{0};  // this thread has not asked yet
extern constinit thread_local size_t mine TIDEGATE_STATIC_TLS;
size_t lease();
}  // namespace stripe_detail

inline size_t thread_stripe() {
  const size_t mine = stripe_detail::mine;
  return mine != stripe_detail::kNone ? mine : stripe_detail::lease();
}

}  // namespace tidegate
