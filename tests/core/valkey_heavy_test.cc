// SPDX-License-Identifier: MIT
// Eight processes of four threads, and rings, on one key: exactly the quota of a day's window is
// admitted.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <thread>

#include "support/every_server.h"
#include "support/gate.h"

namespace tidegate::test {
namespace {

constexpr int kProcesses = 8, kThreads = 4;
constexpr int64_t kQuota = 10'000;

struct Counts {  // shared by the processes
  std::atomic<int64_t> allowed[4], wrong, both;
};

class ValkeyHeavy : public OnEveryServer {
 protected:
  void SetUp() override {
    counts_ = new (mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                        -1, 0)) Counts{};
  }
  void TearDown() override { munmap(counts_, sizeof(Counts)); }

  // Runs `work(process, thread)` in every thread of every process.
  template <class Work>
  void everywhere(const std::string& url, Work work) {
    std::vector<pid_t> children;
    for (int process = 0; process < kProcesses; ++process) {
      children.push_back(fork());
      if (children.back() != 0) continue;
      {
        Gate gate(url);
        std::vector<std::thread> threads;
        for (int thread = 0; thread < kThreads; ++thread)
          threads.emplace_back([&, thread] { work(gate, process, thread); });
        for (std::thread& thread : threads) thread.join();
      }
      _exit(0);
    }
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      EXPECT_EQ(status, 0);
    }
  }

  Counts* counts_ = nullptr;
};

TEST_P(ValkeyHeavy, OneKeyAdmitsExactlyItsQuota) {
  Server server(GetParam());
  const char* const algorithms[] = {"token_bucket", "fixed_window", "sliding_window",
                                    "sliding_log"};
  for (int a = 0; a < 4; ++a) {
    SCOPED_TRACE(algorithms[a]);
    // A burst for which a day refills less than a token while this runs.
    const std::string rates =
        a ? std::to_string(kQuota) + "/365d" : "1/d burst " + std::to_string(kQuota);
    everywhere(server.url("timeout_ms=60000"), [&, a](Gate& gate, int process, int thread) {
      const uint64_t limiter = gate.open(rates, "l" + std::to_string(a), algorithms[a]);
      int64_t allowed = 0, wrong = 0;
      const auto count = [&](const Outcome& outcome, int64_t cost) {
        wrong += outcome.source != TG_SOURCE_STORE;
        if (outcome.allowed) allowed += cost;
      };
      if (thread % 2 == 0) {
        for (int i = 0; i < 500; ++i) {
          const int64_t cost = 1 + (i + process) % 2;
          count(gate.consume(limiter, "hot", cost), cost);
        }
      } else {
        Reaper ring(gate);
        for (int burst = 0; burst < 10; ++burst) {
          for (uint64_t i = 0; i < 64; ++i) ring.submit(TG_OP_CONSUME, {{limiter, "hot"}}, i);
          for (const Outcome& outcome : ring.take(64, 60'000)) count(outcome, 1);
        }
      }
      counts_->allowed[a] += allowed;
      counts_->wrong += wrong;
    });
    Gate gate(server.url("timeout_ms=60000"));
    const uint64_t limiter = gate.open(rates, "l" + std::to_string(a), algorithms[a]);
    while (gate.consume(limiter, "hot").allowed) ++counts_->allowed[a];
    EXPECT_EQ(counts_->allowed[a].load(), kQuota);
    EXPECT_EQ(counts_->wrong.load(), 0);
  }
}

TEST_P(ValkeyHeavy, RequestsOfSeveralPartsAreAllOrNothingUnderContention) {
  Server server(GetParam());
  const auto open = [](Gate& gate) {
    return std::array<uint64_t, 3>{gate.open("1500/365d", "global", "fixed_window"),
                                   gate.open("1000/365d", "a", "sliding_log"),
                                   gate.open("900/365d", "b", "sliding_window")};
  };
  everywhere(server.url("timeout_ms=60000"), [&](Gate& gate, int process, int thread) {
    const auto l = open(gate);
    Reaper ring(gate);
    for (int burst = 0; burst < 10; ++burst) {
      for (uint64_t i = 0; i < 16; ++i) {
        const size_t which = 1 + (i + static_cast<uint64_t>(process + thread)) % 2;
        ring.submit(TG_OP_CONSUME, {{l[0], "all"}, {l[which], "x"}}, which);
      }
      for (const Outcome& outcome : ring.take(16, 60'000)) {
        counts_->wrong += outcome.source != TG_SOURCE_STORE;
        if (outcome.allowed) ++counts_->allowed[outcome.user_data];
      }
    }
  });
  Gate gate(server.url("timeout_ms=60000"));
  const auto l = open(gate);
  const auto left = [&](uint64_t limiter, const std::string& key) {
    return gate.call(TG_OP_PEEK, {{limiter, key}}).parts[0].remaining;
  };
  EXPECT_EQ(counts_->wrong.load(), 0);
  EXPECT_EQ(1500 - left(l[0], "all"), counts_->allowed[1] + counts_->allowed[2]);
  EXPECT_EQ(1000 - left(l[1], "x"), counts_->allowed[1].load());
  EXPECT_EQ(900 - left(l[2], "x"), counts_->allowed[2].load());
  EXPECT_EQ(left(l[0], "all"), 0);
}

TIDEGATE_ON_EVERY_SERVER(ValkeyHeavy);

}  // namespace
}  // namespace tidegate::test
