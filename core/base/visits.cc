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
  moment.inside.fill(true);
  over(moment);
  return moment;
}

bool Visits::over(Moment& moment) const {
  if (!moment.known) return false;
  bool all_gone = true;
  for (size_t stripe = 0; stripe <= kStripes; ++stripe) {
    bool& inside = moment.inside[stripe];
    inside = inside && cells_[stripe].inside.load(std::memory_order_acquire) != 0;
    all_gone &= !inside;
  }
  return all_gone;
}

}  // namespace tidegate
