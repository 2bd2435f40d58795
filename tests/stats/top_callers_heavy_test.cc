// SPDX-License-Identifier: MIT
// The same of ten million requests, and of flatter and steeper traffic.
#include <gtest/gtest.h>

#include "stats/zipf.h"

namespace tidegate {
namespace {

TEST(TopCallersHeavy, TheTrueHundredOfAMillionAreFound) {
  for (const double skew : {0.8, 1.0, 1.2}) {
    const Found found = find_top(skew, 10'000'000);
    RecordProperty("recall_" + std::to_string(skew), std::to_string(found.recall));
    EXPECT_GE(found.recall, 0.99) << skew;
    EXPECT_LE(found.error, 0.01) << skew;
  }
}

}  // namespace
}  // namespace tidegate
