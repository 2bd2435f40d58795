// SPDX-License-Identifier: MIT
// One limit, one key, and a table of what is asked and answered.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "memory_helper.h"

namespace tidegate {

struct Step {
  int64_t at_us;  // after kNow
  int64_t cost;
  bool allowed;
  int64_t remaining, retry_after_us, next_us, reset_after_us;
};

inline void play(const Numbers& limit, const std::vector<Step>& steps) {
  MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const Answer answer = consume(store, limit, 1, kNow + step.at_us, step.cost).answer;
    EXPECT_EQ(answer.allowed, step.allowed) << "step " << i;
    EXPECT_EQ(answer.remaining, step.remaining) << "step " << i;
    EXPECT_EQ(answer.retry_after_us, step.retry_after_us) << "step " << i;
    EXPECT_EQ(answer.next_us, step.next_us) << "step " << i;
    EXPECT_EQ(answer.reset_after_us, step.reset_after_us) << "step " << i;
  }
}

}  // namespace tidegate
