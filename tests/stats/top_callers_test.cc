// SPDX-License-Identifier: MIT
// The heaviest callers, out of many: who they are, and how much they brought.
#include "stats/top_callers.h"

#include <gtest/gtest.h>

#include "base/fingerprint.h"
#include "stats/zipf.h"

namespace tidegate {
namespace {

const Fingerprinter kPrint(3);

TopCallers::Caller add(TopCallers& top, const std::string& key, int64_t weight, int times = 1) {
  int64_t has = 0;
  for (int i = 0; i < times; ++i) has = top.add(kPrint(key).low, weight, [&] { return key; });
  return {key, has};
}

TEST(TopCallers, FewAreCountedExactlyAndInOrder) {
  TopCallers top;
  for (int i = 0; i < 100; ++i) add(top, "k" + std::to_string(i), 1, 1 + i);
  const auto heaviest = top.heaviest(3);
  ASSERT_EQ(heaviest.size(), 3);
  EXPECT_EQ(heaviest[0].label, "k99");
  EXPECT_EQ(heaviest[0].weight, 100);
  EXPECT_EQ(heaviest[2].weight, 98);
  EXPECT_EQ(top.heaviest(1'000).size(), 100);
  EXPECT_EQ(top.estimate(kPrint("k42").low), 43);
  EXPECT_EQ(top.estimate(kPrint("nobody").low), 0);
}

TEST(TopCallers, WeightsAddUpAndEndAtTheMost) {
  TopCallers top;
  EXPECT_EQ(add(top, "a", 5, 3).weight, 15);
  EXPECT_EQ(add(top, "a", TopCallers::kMostWeight, 2).weight, TopCallers::kMostWeight);
  EXPECT_EQ(add(top, "b", TopCallers::kMostWeight * 2).weight, TopCallers::kMostWeight);
}

// A newcomer who is heavier than the lightest of the labelled takes his place, whatever came
// before.
TEST(TopCallers, TheHeaviestAreLabelledHoweverLateTheyCome) {
  TopCallers top;
  for (int i = 0; i < 2'000; ++i) add(top, "early" + std::to_string(i), 1, 3);
  for (int i = 0; i < 50; ++i) add(top, "late" + std::to_string(i), 1, 200 + i);
  const auto heaviest = top.heaviest(50);
  ASSERT_EQ(heaviest.size(), 50);
  for (const auto& caller : heaviest) EXPECT_TRUE(caller.label.starts_with("late")) << caller.label;
  EXPECT_EQ(top.heaviest(1'000).size(), TopCallers::kLabelled);
}

TEST(TopCallers, LabelsStayWithTheirCallersWhileOthersComeAndGo) {
  TopCallers top;
  for (int64_t i = 0; i < 300'000; ++i) add(top, "spray" + std::to_string(i * 7919 % 100'003), 1);
  for (const auto& caller : top.heaviest(TopCallers::kLabelled))
    EXPECT_EQ(caller.weight, top.estimate(kPrint(caller.label).low)) << caller.label;
}

TEST(TopCallers, OfAMillionTheHundredAreFound) {
  const Found found = find_top(1.0, 2'000'000);
  EXPECT_GE(found.recall, 0.99);
  EXPECT_LE(found.error, 0.01);
  EXPECT_LE(TopCallers::bytes(), 40'000);
}

}  // namespace
}  // namespace tidegate
