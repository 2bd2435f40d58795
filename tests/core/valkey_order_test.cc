// SPDX-License-Identifier: MIT
// Requests that pile up, merge and travel together are answered as if they had run one after
// another in the order of their submission. The oracle is the embedded engine, which is the model's
// equal.
#include <cstdlib>
#include <random>

#include "support/every_server.h"
#include "support/pair.h"
#include "support/proxy.h"

namespace tidegate::test {
namespace {

constexpr int64_t kStart = 1'800'000'000'000'000;

using Random = std::mt19937_64;

int64_t pick(Random& random, int64_t from, int64_t to) {
  return std::uniform_int_distribution<int64_t>(from, to)(random);
}

std::string random_rates(Random& random, bool bucket, int64_t window_s) {
  const int64_t limit = pick(random, 1, 3) == 1 ? pick(random, 1, 3) : pick(random, 4, 60);
  std::string rates = std::to_string(limit) + "/" + std::to_string(window_s) + "s";
  if (bucket && pick(random, 0, 2) == 0) rates += " burst " + std::to_string(pick(random, 1, 40));
  return rates;
}

Asked random_request(Random& random, size_t limiters) {
  static const std::string kKeys[] = {"a", "b", "c", "d d", std::string("\0}{", 3)};
  const int64_t dice = pick(random, 0, 99);
  Asked asked{dice < 70   ? TG_OP_CONSUME
              : dice < 80 ? TG_OP_PEEK
              : dice < 95 ? TG_OP_REFUND
                          : TG_OP_RESET,
              {},
              {}};
  const int64_t parts = pick(random, 0, 3) ? 1 : pick(random, 2, 5);
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t size = pick(random, 0, 19);
    asked.limiters.push_back(
        static_cast<size_t>(pick(random, 0, static_cast<int64_t>(limiters) - 1)));
    asked.parts.push_back({0, kKeys[pick(random, 0, 4) * pick(random, 0, 1)],
                           size == 0   ? 0
                           : size == 1 ? pick(random, 50, 200)
                           : size < 12 ? 1
                                       : pick(random, 1, 6)});
  }
  return asked;
}

uint64_t seed() {
  const char* given = std::getenv("TIDEGATE_SEED");
  return given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

void random_bursts(Server& server, uint64_t seed, int rounds, int bursts, const std::string& more) {
  SCOPED_TRACE("TIDEGATE_SEED=" + std::to_string(seed));
  Random random(seed);
  for (int round = 0; round < rounds; ++round) {
    Pair pair(server.url("clock=manual&testing=1&timeout_ms=20000&namespace=o" +
                         std::to_string(round) + more));
    std::vector<int64_t> windows;
    std::vector<bool> buckets;
    static const std::string kAlgorithms[] = {"token_bucket", "fixed_window", "sliding_window",
                                              "sliding_log"};
    for (int i = 0; i < 8; ++i) {
      windows.push_back(pick(random, 1, 100));
      buckets.push_back(i % 4 == 0);
      std::string rates = random_rates(random, i % 4 == 0, windows.back());
      if (pick(random, 0, 3) == 0)
        rates += "; " + random_rates(random, i % 4 == 0, windows.back() * 7);
      pair.open(rates, kAlgorithms[i % 4], pick(random, 0, 4) == 0 ? "shadow" : "");
    }
    int64_t now = kStart + pick(random, 0, 1'000'000'000);
    for (int burst = 0; burst < bursts; ++burst) {
      pair.set_time(now);
      std::vector<Asked> asked;
      const int64_t size = pick(random, 0, 9) == 0 ? pick(random, 100, 400) : pick(random, 1, 30);
      while (static_cast<int64_t>(asked.size()) < size) {
        asked.push_back(random_request(random, 8));
        for (int64_t again = pick(random, 0, 3) ? 0 : pick(random, 1, 9); again > 0; --again)
          asked.push_back(asked.back());
      }
      std::vector<size_t> pieces;
      for (int64_t n = pick(random, 0, 4); n > 0; --n)
        pieces.push_back(static_cast<size_t>(pick(random, 1, 20)));
      if (const std::string wrong = pair.burst(asked, pieces); !wrong.empty()) {
        ADD_FAILURE() << "round " << round << " burst " << burst << ": " << wrong;
        return;
      }
      now += pick(random, 0, 2) ? pick(random, 0, 3'000'000) : pick(random, 0, 90'000'000);
      if (pick(random, 0, 15) == 0) now -= pick(random, 0, 5'000'000);
      if (pick(random, 0, 5) == 0) {
        const auto at = static_cast<size_t>(pick(random, 0, 7));
        pair.change(at, random_rates(random, buckets[at], windows[at]));
      }
    }
  }
}

class ValkeyOrder : public OnEveryServer {};

TEST_P(ValkeyOrder, RandomBurstsAreAnsweredAsIfOneAfterAnother) {
  Server server(GetParam());
  random_bursts(server, seed(), 40, 40, "");
}

TEST_P(ValkeyOrder, RandomBurstsReadSixtyFourBytesAtATimeAreAnsweredAlike) {
  Server server(GetParam());
  random_bursts(server, seed(), 8, 30, "&read_bytes=64");
}

struct Case {
  std::string title;
  std::vector<std::string> rates;
  std::vector<Asked> asked;
  std::vector<bool> allowed;
};

Asked take(size_t limiter, const std::string& key, int64_t cost = 1) {
  return {TG_OP_CONSUME, {limiter}, {{0, key, cost}}};
}

// Each is answered otherwise where merging is looser than it may be (limiter.md).
std::vector<Case> counterexamples() {
  const Asked refund{TG_OP_REFUND, {0}, {{0, "k", 1}}};
  const Asked global_a{TG_OP_CONSUME, {0, 1}, {{0, "all", 1}, {0, "a", 1}}};
  const Asked global_b{TG_OP_CONSUME, {0, 1}, {{0, "all", 1}, {0, "b", 1}}};
  const Asked peek{TG_OP_PEEK, {0}, {{0, "k", 1}}};
  const Asked reset{TG_OP_RESET, {0}, {{0, "k", 0}}};
  return {
      {"a refund between two charges", {"1/h"}, {take(0, "k"), refund, take(0, "k")}, {1, 1, 1}},
      {"a global part beside an exhausted caller",
       {"10/h", "1/h"},
       {take(1, "a"), global_a, global_b},
       {1, 0, 1}},
      {"a small cost between large ones",
       {"10/h"},
       {take(0, "k", 5), take(0, "k", 1), take(0, "k", 5)},
       {1, 1, 0}},
      {"a large cost that does not fit, then small ones",
       {"3/h"},
       {take(0, "k", 2), take(0, "k", 2), take(0, "k", 1), take(0, "k", 1)},
       {1, 0, 1, 0}},
      {"looks before, between and after",
       {"1/h"},
       {peek, take(0, "k"), peek, take(0, "k"), peek},
       {1, 1, 0, 0, 0}},
      {"a reset between charges",
       {"1/h"},
       {take(0, "k"), take(0, "k"), reset, take(0, "k")},
       {1, 0, 1, 1}},
      {"equal requests, more than fit",
       {"2/h"},
       {take(0, "k"), take(0, "k"), take(0, "k")},
       {1, 1, 0}},
      {"a cost of nothing on an empty limit",
       {"1/h"},
       {take(0, "k"), take(0, "k", 0), take(0, "k"), take(0, "k", 0)},
       {1, 1, 0, 1}},
      {"a cost above the capacity", {"5/h"}, {take(0, "k", 6), take(0, "k", 5)}, {0, 1}},
      {"the same state in two parts: their costs add up",
       {"3/h"},
       {{TG_OP_CONSUME, {0, 0}, {{0, "k", 1}, {0, "k", 1}}},
        {TG_OP_CONSUME, {0, 0}, {{0, "k", 1}, {0, "k", 1}}},
        take(0, "k"),
        take(0, "k")},
       {1, 0, 1, 0}},
  };
}

TEST_P(ValkeyOrder, WhatLooserMergingWouldGetWrongIsRight) {
  Server server(GetParam());
  int at = 0;
  for (const std::string algorithm :
       {"token_bucket", "fixed_window", "sliding_window", "sliding_log"}) {
    for (const Case& one : counterexamples()) {
      SCOPED_TRACE(one.title + ", " + algorithm);
      const std::string space = "&namespace=c" + std::to_string(at++);
      const std::string url = server.url("clock=manual&testing=1&timeout_ms=20000" + space);
      {
        Pair pair(url);
        for (const std::string& rates : one.rates) pair.open(rates, algorithm);
        pair.set_time(kStart);
        EXPECT_EQ(pair.burst(one.asked), "");
      }
      Gate oracle("memory://?clock=manual");  // that the case says what it means to say
      oracle.set_time(kStart);
      std::vector<uint64_t> handles;
      for (const std::string& rates : one.rates)
        handles.push_back(oracle.open(rates, "l" + std::to_string(handles.size()), algorithm));
      for (size_t i = 0; i < one.asked.size(); ++i) {
        Asked asked = one.asked[i];
        for (size_t p = 0; p < asked.parts.size(); ++p)
          asked.parts[p].handle = handles[asked.limiters[p]];
        EXPECT_EQ(oracle.call(asked.op, asked.parts).allowed, one.allowed[i]) << "request " << i;
      }
    }
  }
}

TEST_P(ValkeyOrder, EqualRequestsTravelOnce) {
  Server server(GetParam());
  Pair pair(server.url("clock=manual&testing=1&timeout_ms=20000"));
  pair.open("100/h");
  pair.set_time(kStart);
  EXPECT_EQ(pair.burst(std::vector<Asked>(300, take(0, "k"))), "");
  EXPECT_GT(pair.store().stats().merged, 200);
  EXPECT_LT(pair.store().stats().batches, 20);
}

TEST_P(ValkeyOrder, ABurstOfMoreKeysThanABatchCarriesKeepsItsOrder) {
  Server server(GetParam());
  Pair pair(server.url("clock=manual&testing=1&timeout_ms=20000"));
  pair.open("2/h; 5/d");
  pair.open("3/h", "sliding_log");
  pair.set_time(kStart);
  std::vector<Asked> asked;
  for (int round = 0; round < 4; ++round)
    for (int key = 0; key < 400; ++key)
      asked.push_back({TG_OP_CONSUME,
                       {0, 1},
                       {{0, "k" + std::to_string(key), 1}, {0, "j" + std::to_string(key % 7), 0}}});
  EXPECT_EQ(pair.burst(asked), "");
}

TEST_P(ValkeyOrder, SixteenPartsOfEightRatesAreOneRequest) {
  Server server(GetParam());
  Pair pair(server.url("clock=manual&testing=1&timeout_ms=20000"));
  pair.open("2/s; 3/min; 4/h; 5/d; 6/2d; 7/3d; 8/4d; 9/5d");
  pair.set_time(kStart);
  Asked large{TG_OP_CONSUME, {}, {}};
  for (int i = 0; i < 16; ++i) {
    large.limiters.push_back(0);
    large.parts.push_back({0, "k" + std::to_string(i), 1});
  }
  EXPECT_EQ(pair.burst({large, large, take(0, "k3"), large}), "");
}

// An empty log has no clock of its own: it must not hold later charges in the time of a refund.
TEST_P(ValkeyOrder, ARefundOfAllInALogFromTheFutureLeavesNoTrace) {
  Server server(GetParam());
  Pair pair(server.url("clock=manual&testing=1&timeout_ms=20000"));
  pair.open("10/5s", "sliding_log");
  const auto one = [](uint32_t op, int64_t cost) { return Asked{op, {0}, {{0, "k", cost}}}; };
  const int64_t steps_us[] = {0, -3'600'000'000, -3'600'500'000, -3'595'450'000};
  const Asked asked[] = {one(TG_OP_CONSUME, 2), one(TG_OP_REFUND, 2), one(TG_OP_CONSUME, 10),
                         one(TG_OP_CONSUME, 1)};
  for (size_t i = 0; i < std::size(asked); ++i) {
    pair.set_time(kStart + steps_us[i]);
    EXPECT_EQ(pair.burst({asked[i]}), "") << "step " << i;
  }
}

// The first request meets a server without the program and is sent again; meanwhile somebody else
// loads the program, so that the second, sent beside it, would run before it.
TEST_P(ValkeyOrder, NothingOvertakesARequestWhoseProgramWasUnknown) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=20000"));
  Gate other(server.url());
  const uint64_t limiter = gate.open("100/d", "l");
  Reaper ring(gate);
  ring.submit(TG_OP_PING, {{0, "", 0}}, 0);
  ASSERT_EQ(ring.take(1).at(0).status, TG_OK);
  proxy.delay(200);
  ring.submit(TG_OP_CONSUME, {{limiter, "k", 5}}, 1);
  tg_ring_flush(ring.ring());
  sleep_ms(50);
  ASSERT_EQ(other.consume(other.open("100/d", "l"), "j").source, TG_SOURCE_STORE);
  ring.submit(TG_OP_REFUND, {{limiter, "k", 5}}, 2);
  tg_ring_flush(ring.ring());
  ASSERT_EQ(ring.take(2).size(), 2u);
  EXPECT_EQ(gate.call(TG_OP_PEEK, {{limiter, "k", 0}}).parts.at(0).remaining, 100);
}

TIDEGATE_ON_EVERY_SERVER(ValkeyOrder);

}  // namespace
}  // namespace tidegate::test
