// SPDX-License-Identifier: MIT
// Who answers while the store cannot: the strictest policy, its share, the breaker; and the bounds
// that are published.
#include <set>

#include "support/every_server.h"
#include "support/gate.h"
#include "support/proxy.h"

namespace tidegate::test {
namespace {

const std::string kNobody = "redis://127.0.0.1:1?timeout_ms=200&connect_timeout_ms=200";

struct Strict {
  std::vector<std::string> policies;
  uint32_t source;
  bool allowed;
};

TEST(ValkeyPolicy, TheStrictestWinsAndShadowsHaveNoSay) {
  const Strict table[] = {
      {{"open"}, TG_SOURCE_FAIL_OPEN, true},
      {{"open", "local"}, TG_SOURCE_FALLBACK, true},
      {{"local", "closed", "open"}, TG_SOURCE_FAIL_CLOSED, false},
      {{"shadow closed", "open"}, TG_SOURCE_FAIL_OPEN, true},
      {{"shadow closed", "local"}, TG_SOURCE_FALLBACK, true},
      {{"shadow closed"}, TG_SOURCE_FALLBACK, true},
      {{"off closed", "open"}, TG_SOURCE_FAIL_OPEN, true},
  };
  for (const Strict& row : table) {
    SCOPED_TRACE(testing::PrintToString(row.policies));
    Gate gate(kNobody);
    std::vector<Part> parts;
    for (const std::string& word : row.policies) {
      const size_t space = word.find(' ');
      const std::string mode = space == std::string::npos ? "" : word.substr(0, space);
      const std::string policy = space == std::string::npos ? word : word.substr(space + 1);
      parts.push_back(
          {gate.open("1/d", "l" + std::to_string(parts.size()), "", mode, policy), "k"});
    }
    for (const uint32_t op : {TG_OP_PEEK, TG_OP_CONSUME}) {
      const Outcome outcome = gate.call(op, parts);
      EXPECT_EQ(outcome.status, TG_OK);
      EXPECT_EQ(outcome.source, row.source);
      EXPECT_EQ(outcome.allowed, row.allowed);
    }
  }
}

TEST(ValkeyPolicy, AShadowNeverBlocksWhileTheStoreIsAway) {
  Gate gate(kNobody);
  const uint64_t shadow = gate.open("1/d", "s", "", "shadow");
  for (int i = 0; i < 3; ++i) {
    const Outcome outcome = gate.consume(shadow, "k");
    EXPECT_TRUE(outcome.allowed);
    EXPECT_EQ(outcome.would_deny, i > 0);
  }
}

TEST(ValkeyPolicy, WhatDecidesNothingSaysWhyItCouldNot) {
  Gate gate(kNobody + "&on_failure=open");
  const uint64_t limiter = gate.open("1/d", "l");
  for (const uint32_t op : {TG_OP_REFUND, TG_OP_RESET}) {
    const Outcome outcome = gate.call(op, {{limiter, "k"}});
    EXPECT_EQ(outcome.status, TG_ECONNECT);
    EXPECT_NE(outcome.text, "");
  }
  EXPECT_EQ(gate.ping().status, TG_ECONNECT);
}

TEST(ValkeyPolicy, ARefundGoesBackToWhoDecided) {
  Gate gate(kNobody);
  const uint64_t limiter = gate.open("1/d", "l");
  EXPECT_TRUE(gate.consume(limiter, "k").allowed);
  EXPECT_FALSE(gate.consume(limiter, "k").allowed);
  for (const uint32_t source : {TG_SOURCE_FAIL_OPEN, TG_SOURCE_FAIL_CLOSED}) {
    EXPECT_EQ(gate.call(TG_OP_REFUND, {{limiter, "k"}}, 0, source).status, TG_OK);
    EXPECT_FALSE(gate.consume(limiter, "k").allowed);  // there was nothing to give back
  }
  EXPECT_EQ(gate.call(TG_OP_REFUND, {{limiter, "k"}}, 0, TG_SOURCE_FALLBACK).status, TG_OK);
  EXPECT_TRUE(gate.consume(limiter, "k").allowed);
}

TEST(ValkeyPolicy, AShareIsItsPartOfTheCapacity) {
  for (const auto& [share, expected] : std::vector<std::pair<int, int>>{{1, 10}, {3, 3}, {40, 1}}) {
    int allowed = 0;
    for (int process = 0; process < share; ++process) {
      Gate gate(kNobody + "&fallback_share=" + std::to_string(share));
      const uint64_t limiter = gate.open("10/d", "l", "fixed_window");
      int mine = 0;
      while (mine <= 10 && gate.consume(limiter, "k").allowed) ++mine;
      EXPECT_EQ(mine, expected);
      allowed += mine;
    }
    EXPECT_LE(allowed, std::max(share, 10));  // the published bound: max(N, capacity)
  }
}

TEST(ValkeyPolicy, ClosedSaysWhenTheBreakerNextProbes) {
  Gate gate(kNobody + "&on_failure=closed");
  const uint64_t limiter = gate.open("1/d", "l");
  for (int i = 0; i < 200 && !gate.stats().breaker_open; ++i) {
    gate.consume(limiter, "k");
    sleep_ms(10);
  }
  ASSERT_EQ(gate.stats().breaker_open, 1);
  const Outcome outcome = gate.consume(limiter, "k");
  EXPECT_GT(outcome.parts[0].retry_after_us, 0);
  EXPECT_LE(outcome.parts[0].retry_after_us, 4'000'000);
}

class ValkeyBreaker : public OnEveryServer {};

TEST_P(ValkeyBreaker, OpensAfterFiveFailuresAndProbesOneAtATime) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=40&connect_timeout_ms=100"));
  const uint64_t limiter = gate.open("1000/d", "l");
  ASSERT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
  proxy.swallow();
  int waited = 0;
  while (!gate.stats().breaker_open && waited < 20) {
    gate.consume(limiter, "k");
    ++waited;
  }
  EXPECT_EQ(waited, 5);
  EXPECT_EQ(gate.stats().breaker_opened, 1);
  const int64_t connections = proxy.connections(), asked = proxy.asked_bytes();
  for (int i = 0; i < 1000; ++i) gate.consume(limiter, "k");  // costs nobody a deadline
  EXPECT_LE(proxy.connections() - connections, 1);
  EXPECT_LE(proxy.asked_bytes() - asked, 200);
  sleep_ms(1'100);
  std::vector<std::thread> threads;
  std::atomic<int> slow{0};
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      const int64_t start = now_ms();
      gate.consume(limiter, "k");
      slow += now_ms() - start >= 35;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(proxy.connections() - connections, 2);
  proxy.pass();
  EXPECT_TRUE(gate.comes_back(limiter));
  EXPECT_EQ(gate.stats().breaker_open, 0);
}

TEST_P(ValkeyBreaker, ARingsCallFromAnotherThreadMeetsItsDeadlineBehindThreeDeadBatches) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=50&breaker_failures=1000"));
  const uint64_t limiter = gate.open("1000/d", "l");
  Reaper ring(gate);
  ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, 0);
  ASSERT_EQ(ring.take(1).at(0).source, TG_SOURCE_STORE);
  proxy.swallow();
  for (uint64_t i = 0; i < 4; ++i) {
    ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, i);
    ASSERT_EQ(ring.take(1).at(0).source, TG_SOURCE_FALLBACK);
  }
  std::thread other([&] {
    sleep_ms(100);  // the reaper sleeps
    ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, 9);
  });
  const auto last = ring.take(1, 5'000);
  other.join();
  ASSERT_EQ(last.size(), 1u) << "nobody woke the ring";
  EXPECT_EQ(last[0].source, TG_SOURCE_FALLBACK);
}

TEST_P(ValkeyBreaker, LateRepliesAreDiscardedAndCountedAndChargeAtMostWhatWasInFlight) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=250&breaker_failures=1000"));
  const uint64_t limiter = gate.open("100/d", "l");
  ASSERT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
  proxy.delay(400);
  int timeouts = 0;
  for (int i = 0; i < 5; ++i) timeouts += gate.consume(limiter, "k").source == TG_SOURCE_FALLBACK;
  proxy.pass();
  sleep_ms(700);
  ASSERT_TRUE(gate.comes_back(limiter));
  EXPECT_GT(gate.stats().late_replies, 0);
  const int64_t charged = 100 - gate.call(TG_OP_PEEK, {{limiter, "k"}}).parts[0].remaining;
  EXPECT_GE(charged, 1);
  EXPECT_LE(charged, 1 + timeouts);  // no over-admission; under-admission up to the costs in flight
}

TEST_P(ValkeyBreaker, AClientMayBeThereBeforeItsServer) {
  Server server(GetParam());
  server.kill();
  Gate gate(server.url("timeout_ms=500"));
  const uint64_t limiter = gate.open("5/d", "l");
  EXPECT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_FALLBACK);
  server.start();
  EXPECT_TRUE(gate.comes_back(limiter));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(gate.consume(limiter, "k").allowed, i < 5);
}

TEST_P(ValkeyBreaker, AClusterIsRefusedByName) {
  Server server(GetParam(),
                {"--cluster-enabled", "yes", "--cluster-port", std::to_string(free_port())});
  Gate gate(server.url("timeout_ms=2000"));
  const uint64_t limiter = gate.open("5/d", "l");
  const Outcome ping = gate.ping();
  EXPECT_EQ(ping.status, TG_ECLUSTER);
  EXPECT_NE(ping.text.find("cluster"), std::string::npos) << ping.text;
  EXPECT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_FALLBACK);
  EXPECT_NE(gate.event_texts().find("cluster"), std::string::npos);
}

TEST_P(ValkeyBreaker, PingSaysWhatIsWrongEveryTimeItIsAsked) {
  Server server(GetParam(), {"--requirepass", "right"});
  Gate gate("redis://:wrong@127.0.0.1:" + std::to_string(server.port()) + "?timeout_ms=2000");
  for (int i = 0; i < 8; ++i) {
    const Outcome ping = gate.ping();
    EXPECT_EQ(ping.status, TG_EAUTH) << i << " " << ping.text;
    EXPECT_NE(ping.text.find("WRONGPASS"), std::string::npos) << i << " " << ping.text;
  }
}

TEST_P(ValkeyBreaker, LoadingIsWaitedForByThePolicy) {
  Server before(GetParam(),
                {"--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024",
                 "--key-load-delay", "500"});
  before.command({"DEBUG", "POPULATE", "4000", "key", "100"});
  before.command({"SAVE"});
  before.kill();
  before.start();
  Gate gate(before.url("timeout_ms=2000&on_failure=closed"));
  const uint64_t limiter = gate.open("5/d", "l");
  EXPECT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_FAIL_CLOSED);
  EXPECT_GT(gate.stats().loading_errors, 0) << gate.event_texts();
  EXPECT_TRUE(gate.comes_back(limiter));
}

TEST_P(ValkeyBreaker, KilledConnectionsAndServersUnderLoadStayExact) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=1000&on_failure=closed"));
  const uint64_t limiter = gate.open("2000/d", "l", "fixed_window");
  std::atomic<bool> ends{false};
  std::atomic<int64_t> allowed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      while (!ends) {
        const Outcome outcome = gate.consume(limiter, "k");
        if (outcome.allowed) ++allowed;
        if (outcome.source != TG_SOURCE_STORE) sleep_ms(1);
      }
    });
  for (int i = 0; i < 20; ++i) {
    server.command({"CLIENT", "KILL", "TYPE", "normal"});
    if (i % 5 == 0) server.command({"SCRIPT", "FLUSH"});
    sleep_ms(10);
  }
  EXPECT_LE(allowed, 2000);  // answers that came, or were lost: never more than the limit
  server.kill();             // and with it the states: at most one more capacity
  sleep_ms(100);
  server.start();
  EXPECT_TRUE(gate.comes_back(limiter));
  sleep_ms(300);
  ends = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(allowed, 4000);
  const tg_stats stats = gate.stats();
  EXPECT_EQ(stats.protocol_errors + stats.other_errors, 0);
  for (int i = 0; i < 2000 && gate.consume(limiter, "fresh").allowed; ++i) {
  }
  EXPECT_FALSE(gate.consume(limiter, "fresh").allowed);
}

TEST_P(ValkeyBreaker, AnOutageAdmitsAtMostTheCapacityForEachProcess) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  constexpr int kProcesses = 3, kCapacity = 7;
  std::vector<std::unique_ptr<Gate>> gates;
  for (int i = 0; i < kProcesses; ++i)
    gates.push_back(std::make_unique<Gate>(proxy.url("timeout_ms=500&connect_timeout_ms=100")));
  const auto drain = [&](const std::string& key) {
    int allowed = 0;
    for (auto& gate : gates) {
      const uint64_t limiter = gate->open("7/d", "l");
      for (int i = 0; i < 2 * kCapacity; ++i) allowed += gate->consume(limiter, key).allowed;
    }
    return allowed;
  };
  EXPECT_EQ(drain("k"), kCapacity);
  proxy.refuse();
  proxy.cut_all();
  EXPECT_LE(drain("k"), kProcesses * kCapacity);
  proxy.pass();
  for (auto& gate : gates) EXPECT_TRUE(gate->comes_back(gate->open("7/d", "l")));
  EXPECT_EQ(drain("k"), 0);  // the store forgot nothing, and one day's window is over
}

TEST_P(ValkeyBreaker, WritingToAServerThatHasGoneRaisesNoSignal) {
  for (const bool tcp : {false, true}) {
    Server server(GetParam());
    Gate gate(tcp ? server.tcp_url("timeout_ms=500") : server.url("timeout_ms=500"));
    const uint64_t limiter = gate.open("100/d", "l");
    Reaper ring(gate, 16, TG_RING_LOCAL);
    ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, 0);
    ASSERT_EQ(ring.take(1).at(0).source, TG_SOURCE_STORE);
    server.kill();
    for (uint64_t i = 0; i < 3; ++i) {  // written without looking first
      ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, i);
      tg_ring_flush(ring.ring());
      sleep_ms(20);
    }
    for (const Outcome& outcome : ring.take(3)) EXPECT_EQ(outcome.source, TG_SOURCE_FALLBACK);
  }
}

// A failover to a replica that never saw the last charges, and an eviction, as the state sees them.
TEST_P(ValkeyBreaker, AStateThatIsLostAdmitsAtMostOneCapacityMore) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=5000"));
  for (const std::string algorithm :
       {"token_bucket", "fixed_window", "sliding_window", "sliding_log"}) {
    SCOPED_TRACE(algorithm);
    const uint64_t limiter = gate.open("9/365d", algorithm, algorithm);
    const auto drain = [&] {
      int allowed = 0;
      while (allowed < 100 && gate.consume(limiter, "k").allowed) ++allowed;
      return allowed;
    };
    gate.consume(limiter, "k");
    gate.consume(limiter, "k");
    std::string key = server.command({"KEYS", "tg:1:" + algorithm + ":*{k}"});
    ASSERT_EQ(server.command({"COPY", key, "replica"}), "1");
    EXPECT_EQ(drain(), 7);
    ASSERT_EQ(server.command({"COPY", "replica", key, "REPLACE"}), "1");
    EXPECT_EQ(drain(), 7);  // what was spent since
    server.command({"DEL", key});
    EXPECT_EQ(drain(), 9);  // one full capacity
    server.command({"FLUSHALL"});
  }
}

TIDEGATE_ON_EVERY_SERVER(ValkeyBreaker);

}  // namespace
}  // namespace tidegate::test
