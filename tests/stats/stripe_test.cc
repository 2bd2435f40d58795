// SPDX-License-Identifier: MIT
// Stripes: one thread each, and in a forked child those of the parent's threads are free.
#include "base/stripe.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <latch>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace tidegate {
namespace {

// The stripes of so many threads that live at the same time.
std::multiset<size_t> stripes_of(int threads, const std::function<void()>& meanwhile = [] {}) {
  std::mutex mutex;
  std::multiset<size_t> taken;
  std::latch all(threads), end(1);
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i)
    running.emplace_back([&] {
      const size_t mine = thread_stripe();
      {
        std::scoped_lock lock(mutex);
        taken.insert(mine);
      }
      all.count_down();
      end.wait();
    });
  all.wait();
  meanwhile();
  end.count_down();
  for (std::thread& thread : running) thread.join();
  return taken;
}

TEST(Stripe, ALivingThreadHasItForItself) {
  const std::multiset<size_t> taken = stripes_of(kStripes + 8);
  for (size_t stripe = 0; stripe < kStripes; ++stripe) EXPECT_LE(taken.count(stripe), 1) << stripe;
  EXPECT_GE(taken.count(kStripes), 8);
  EXPECT_EQ(stripes_of(8).count(kStripes), 0) << "they are given back";
}

#if !defined(__SANITIZE_THREAD__)  // ThreadSanitizer ends a forked child that starts threads
TEST(Stripe, AForkedChildHasNoneOfDeadThreads) {
  const size_t mine = thread_stripe();
  stripes_of(kStripes + 8, [&] {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const std::multiset<size_t> taken = stripes_of(kStripes - 1);
      const bool fine = taken.count(kStripes) == 0 && taken.count(mine) == 0 &&
                        std::set<size_t>(taken.begin(), taken.end()).size() == taken.size();
      _exit(fine && thread_stripe() == mine ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  });
}
#endif

}  // namespace
}  // namespace tidegate
