// SPDX-License-Identifier: MIT
// Events: what is kept, and when a hook is no more (core.md of the reviews, 1.10).
#include "stats/events.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace tidegate {
namespace {

using namespace std::chrono_literals;

// A hook that stays inside until it is let go.
struct Gate {
  std::atomic<bool> entered{false}, let_go{false}, left{false};
  static void hook(void* context, const Event&) {
    auto* gate = static_cast<Gate*>(context);
    gate->entered = true;
    while (!gate->let_go) std::this_thread::sleep_for(1ms);
    gate->left = true;
  }
};

TEST(Events, WhoTakesAHookAwayFindsItOver) {
  EventLog log;
  Gate gate;
  log.set_hook(Gate::hook, &gate);
  std::thread reporter([&] { log.report(Level::kInfo, Code::kOk, "one"); });
  while (!gate.entered) std::this_thread::sleep_for(1ms);
  std::atomic<bool> returned{false}, left_before{false};
  std::thread taker([&] {
    log.set_hook(nullptr, nullptr);
    left_before = gate.left.load();
    returned = true;
  });
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(returned) << "the hook still runs, and its context is in use";
  gate.let_go = true;
  taker.join();
  EXPECT_TRUE(left_before);
  reporter.join();
}

TEST(Events, AHookMayTakeItselfAway) {
  EventLog log;
  struct Self {
    EventLog& log;
    int runs = 0;
  } self{log};
  log.set_hook(
      [](void* context, const Event&) {
        auto* of = static_cast<Self*>(context);
        ++of->runs;
        of->log.set_hook(nullptr, nullptr);
      },
      &self);
  log.report(Level::kInfo, Code::kOk, "one");
  log.report(Level::kInfo, Code::kOk, "two");
  EXPECT_EQ(self.runs, 1);
}

TEST(Events, AnotherHookWaitsForTheOneBeforeAndNotForItself) {
  EventLog log;
  Gate before, after;
  log.set_hook(Gate::hook, &before);
  std::thread first([&] { log.report(Level::kInfo, Code::kOk, "one"); });
  while (!before.entered) std::this_thread::sleep_for(1ms);
  std::atomic<bool> returned{false};
  std::thread setter([&] {
    log.set_hook(Gate::hook, &after);
    returned = true;
  });
  std::this_thread::sleep_for(20ms);  // the new one is set by now, and runs on and on
  std::thread second([&] { log.report(Level::kInfo, Code::kOk, "two"); });
  while (!after.entered) std::this_thread::sleep_for(1ms);
  EXPECT_FALSE(returned);
  before.let_go = true;
  setter.join();
  EXPECT_FALSE(after.left);
  after.let_go = true;
  first.join();
  second.join();
}

TEST(Events, TheLast64AreKept) {
  EventLog log;
  for (int i = 0; i < 70; ++i) log.report(Level::kInfo, Code::kOk, std::to_string(i));
  EXPECT_EQ(log.dropped(), 6);
  Event event;
  ASSERT_TRUE(log.next(event));
  EXPECT_EQ(event.text, "6");
  for (int i = 7; i < 70; ++i) ASSERT_TRUE(log.next(event));
  EXPECT_FALSE(log.next(event));
}

}  // namespace
}  // namespace tidegate
