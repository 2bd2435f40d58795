// SPDX-License-Identifier: MIT
#include "base/visits.h"

#if defined(__linux__)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tidegate {
namespace {

// True: every thread of the process has had a full barrier since the call.
bool barrier_everywhere() {
#if defined(__linux__) && defined(__NR_membarrier)
  if (syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) return true;
  return syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
         syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
#else
  return false;
#endif
}

}  // namespace

Visits::Moment Visits::moment() const {
  Moment moment{.known = barrier_everywhere()};
  for (size_t stripe = 0; stripe <= kStripes; ++stripe) {
    const uint64_t value = cells_[stripe].value.load(std::memory_order_acquire);
    moment.inside[stripe] = stripe < kStripes && value % 2 == 0 ? 0 : value;
  }
  return moment;
}

bool Visits::over(Moment& moment) const {
  if (!moment.known) return false;
  bool all_gone = true;
  for (size_t stripe = 0; stripe <= kStripes; ++stripe) {
    uint64_t& inside = moment.inside[stripe];
    if (inside == 0) continue;
    const uint64_t now = cells_[stripe].value.load(std::memory_order_acquire);
    const bool gone = stripe < kStripes ? now != inside : now == 0;
    if (gone) inside = 0;
    all_gone &= gone;
  }
  return all_gone;
}

}  // namespace tidegate
