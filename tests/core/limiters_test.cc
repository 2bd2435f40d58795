// SPDX-License-Identifier: MIT
// The limiters of a client by name and by handle, and what becomes of numbers that nobody can find
// any more. No server, no client.
#include "client/limiters.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "limiter/pins.h"

namespace tidegate {
namespace {

class LimitersTest : public ::testing::Test {
 protected:
  uint64_t open(const std::string& name, const std::string& rates = "100/minute") {
    auto opened = limiters_.open({.rates = rates, .name = name});
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? *opened : 0;
  }
  void churn(size_t times) {
    for (size_t i = 0; i < times; ++i) {
      const uint64_t handle = open("tenant-" + std::to_string(turn_++));
      ASSERT_TRUE(limiters_.close(handle));
    }
  }

  size_t turn_ = 0;
  int64_t let_go_ = 0;
  Fingerprinter fingerprint_{1};
  Limiters limiters_{{}, fingerprint_, [this](std::span<const Limiters::ConfigPtr> gone) {
                       let_go_ += static_cast<int64_t>(gone.size());
                     }};
};

TEST_F(LimitersTest, TheSameNameAndNumbersAreTheSameHandle) {
  const uint64_t api = open("api");
  EXPECT_EQ(open("api"), api);
  EXPECT_NE(open("other"), api);
  auto conflict = limiters_.open({.rates = "5/minute", .name = "api"});
  ASSERT_FALSE(conflict);
  EXPECT_EQ(conflict.error().code, Code::kConflict);
  EXPECT_EQ(limiters_.find(api)->name, "api");
}

TEST_F(LimitersTest, AChangeKeepsTheHandleAndTheName) {
  const uint64_t api = open("api");
  ASSERT_TRUE(limiters_.change(api, {.rates = "5/minute"}));
  EXPECT_EQ(limiters_.find(api)->rates[0].limit.limit, 5);
  EXPECT_EQ(open("api", "5/minute"), api);
  auto renamed = limiters_.change(api, {.name = "other"});
  ASSERT_FALSE(renamed);
  EXPECT_EQ(renamed.error().code, Code::kName);
}

TEST_F(LimitersTest, AStaleHandleFindsNothingAndNeverAnother) {
  const uint64_t first = open("one");
  ASSERT_TRUE(limiters_.close(first));
  EXPECT_EQ(limiters_.find(first), nullptr);
  const uint64_t second = open("two");  // in the same place
  EXPECT_EQ(limiters_.find(first), nullptr);
  EXPECT_EQ(limiters_.close(first).error().code, Code::kHandle);
  EXPECT_EQ(limiters_.change(first, {.rates = "1/minute"}).error().code, Code::kHandle);
  ASSERT_NE(limiters_.find(second), nullptr);
}

TEST_F(LimitersTest, AHandleOfAnotherKindOrClientFindsNothing) {
  const uint64_t api = open("api");
  for (uint64_t kind = 0; kind < 16; ++kind) {
    const uint64_t other = (api & ~(uint64_t{15} << 28)) | kind << 28;
    EXPECT_EQ(limiters_.find(other) != nullptr, other == api) << kind;
  }
  EXPECT_EQ((api >> 28) & 15, static_cast<uint64_t>(HandleKind::kLimiter));
  Limiters others({}, fingerprint_, [](auto) {});
  const uint64_t theirs = *others.open({.rates = "1/minute", .name = "api"});
  EXPECT_EQ(limiters_.find(theirs), nullptr);
  EXPECT_EQ(others.find(api), nullptr);
  EXPECT_EQ(limiters_.find(0), nullptr);
  EXPECT_EQ(limiters_.find(~uint64_t{0}), nullptr);
}

// core.md of the reviews, 1.14: 262,144 specifications ever seen, and then kFull for good.
TEST_F(LimitersTest, NamesThatComeAndGoNeverFillIt) {
  const uint64_t stays = open("stays");
  churn(Limiters::kMaxConfigs + 10);
  EXPECT_LE(limiters_.configs(), 2 * Limiters::kFreedAtOnce + 1);
  EXPECT_GT(let_go_, static_cast<int64_t>(Limiters::kMaxConfigs - 2 * Limiters::kFreedAtOnce));
  EXPECT_EQ(limiters_.find(stays)->name, "stays");
}

TEST_F(LimitersTest, NumbersThatWereChangedAwayGoToo) {
  const uint64_t api = open("api");
  for (size_t i = 0; i < 3 * Limiters::kFreedAtOnce; ++i)
    ASSERT_TRUE(limiters_.change(api, {.rates = std::to_string(i % 1000 + 1) + "/hour"}));
  EXPECT_LE(limiters_.configs(), 2 * Limiters::kFreedAtOnce + 1);
  EXPECT_GE(let_go_, static_cast<int64_t>(Limiters::kFreedAtOnce));
}

TEST_F(LimitersTest, NothingGoesThatAVisitMayHaveFound) {
  const uint64_t api = open("api");
  std::atomic<bool> inside{false}, leave{false};
  std::atomic<bool> intact{false};
  std::thread visitor([&] {
    const Visits::Visit visit(limiters_.visits());
    const LimiterConfig* config = limiters_.find(api);
    inside = true;
    while (!leave) std::this_thread::yield();
    intact = config->name == "api" && config->rates[0].limit.limit == 100;
  });
  while (!inside) std::this_thread::yield();
  ASSERT_TRUE(limiters_.close(api));
  churn(3 * Limiters::kFreedAtOnce);
  EXPECT_EQ(let_go_, 0);
  leave = true;
  visitor.join();
  EXPECT_TRUE(intact);
  churn(3 * Limiters::kFreedAtOnce);
  EXPECT_GT(let_go_, 0);
}

TEST_F(LimitersTest, NothingGoesThatACallHolds) {
  const uint64_t api = open("api");
  const LimiterConfig* config = limiters_.find(api);
  const Part part{.limiter = config, .handle = api, .key = "k"};
  ConfigPins call;
  {
    ConfigPins run;
    call.hold_only({&part, 1});
    run.hold({&part, 1});
    ASSERT_TRUE(limiters_.close(api));
    churn(3 * Limiters::kFreedAtOnce);
    call.clear();
    churn(3 * Limiters::kFreedAtOnce);
    EXPECT_EQ(config->name, "api") << "the run still has it";
    EXPECT_EQ(config->pins, 1);
  }
  EXPECT_EQ(config->pins, 0);
  const int64_t before = let_go_;
  churn(3 * Limiters::kFreedAtOnce);
  EXPECT_GT(let_go_, before);
}

TEST_F(LimitersTest, ACallThatIsUsedAgainHoldsWhatItHasNow) {
  const LimiterConfig* one = limiters_.find(open("one"));
  const LimiterConfig* two = limiters_.find(open("two"));
  const Part both[] = {{.limiter = one}, {.limiter = two}};
  ConfigPins call;
  call.hold_only(both);
  call.hold_only(both);
  EXPECT_EQ(one->pins, 1);
  EXPECT_EQ(two->pins, 1);
  call.hold_only({both + 1, 1});
  EXPECT_EQ(one->pins, 0);
  EXPECT_EQ(two->pins, 1);
}

TEST_F(LimitersTest, ManyThreadsFindWhileOthersComeAndGo) {
  const uint64_t api = open("api");
  std::atomic<bool> stop{false};
  std::atomic<int64_t> wrong{0}, found{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      while (!stop) {
        const Visits::Visit visit(limiters_.visits());
        const LimiterConfig* config = limiters_.find(api);
        if (!config || config->name != "api" || config->rates.size() != 1) ++wrong;
        ++found;
      }
    });
  while (found < 10'000) std::this_thread::yield();
  // A visitor that lost its core in the middle of a visit keeps all for as long.
  for (size_t i = 0; i < 6 * Limiters::kFreedAtOnce || (let_go_ == 0 && i < 1'000'000); ++i)
    ASSERT_TRUE(limiters_.change(api, {.rates = std::to_string(i % 1000 + 1) + "/hour"}));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(let_go_, 0);
}

// More threads than there are stripes: the rest share one.
TEST(Visits, AreToldApartWhoeverVisits) {
  Visits visits;
  constexpr int kThreads = kStripes + 4;
  std::atomic<int> inside{0};
  std::atomic<bool> leave{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      const Visits::Visit visit(visits);
      ++inside;
      while (!leave) std::this_thread::yield();
    });
  while (inside < kThreads) std::this_thread::yield();
  auto moment = visits.moment();
  ASSERT_TRUE(moment.known) << "this system has no membarrier";
  EXPECT_FALSE(visits.over(moment));
  leave = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(visits.over(moment));
  auto quiet = visits.moment();
  EXPECT_TRUE(visits.over(quiet));
}

TEST_F(LimitersTest, AShareOfManyProcessesIsNumbersOrAnError) {
  for (const int64_t share : {int64_t{2}, int64_t{291'546}, int64_t{1'000'000'000'000}}) {
    auto made = make_limiter({.rates = "1/366d", .name = "api"}, nullptr, {.fallback_share = share},
                             fingerprint_);
    ASSERT_TRUE(made) << made.error().message;
    const Numbers& numbers = (*made)->rates[0].share;
    EXPECT_EQ(numbers.limit, 1) << share;
    EXPECT_EQ(numbers.window_us, kMaxWindowUs) << share;
  }
}

TEST_F(LimitersTest, ARateHasItsMarkWhateverItsNumbers) {
  const uint64_t api = open("api", "100/minute; 1000/hour");
  const LimiterConfig* config = limiters_.find(api);
  const uint32_t minute = config->rates[0].limit.mark.number;
  EXPECT_NE(minute, 0);
  EXPECT_NE(minute, config->rates[1].limit.mark.number);
  EXPECT_EQ(minute, config->rates[0].share.mark.number);
  ASSERT_TRUE(limiters_.change(api, {.rates = "7/minute; 70/hour"}));
  EXPECT_EQ(limiters_.find(api)->rates[0].limit.mark.number, minute);
  EXPECT_NE(limiters_.find(open("other"))->rates[0].limit.mark.number, minute);
}

}  // namespace
}  // namespace tidegate
