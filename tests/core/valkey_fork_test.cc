// SPDX-License-Identifier: MIT
// Fork, close, cancel, threads: every request gets one result, and nothing is left behind.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>

#include "support/every_server.h"
#include "support/gate.h"
#include "support/proxy.h"

namespace tidegate::test {
namespace {

class ValkeyFork : public OnEveryServer {};

int status_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST_P(ValkeyFork, TheChildOpensAnewAndTheParentGoesOn) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=5000"));
  const uint64_t limiter = gate.open("100/d", "l");
  Reaper ring(gate);
  EXPECT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
  for (uint64_t i = 0; i < 10; ++i) ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, i);
  tg_ring_flush(ring.ring());  // in flight while we fork
  const pid_t child = fork();
  if (child == 0) {
    tg_result result;
    tg_stats stats;
    tg_event event;
    tg_entry entry{};
    entry.op = TG_OP_PING;
    const int32_t answers[] = {tg_call(gate.client(), &entry, 1, &result, 1),
                               tg_submit(ring.ring(), &entry, 1),
                               tg_reap(ring.ring(), &result, 1),
                               tg_ring_wait(ring.ring(), &result, 1, 0),
                               tg_ring_flush(ring.ring()),
                               tg_cancel(ring.ring(), 1),
                               tg_client_stats(gate.client(), &stats),
                               tg_client_next_event(gate.client(), &event),
                               tg_client_close(gate.client())};
    for (const int32_t answer : answers)
      if (answer != TG_EFORK) _exit(1);
    const int before = open_descriptors();
    tg_ring_free(ring.ring());
    tg_client_free(gate.client());
    if (before - open_descriptors() < 8) _exit(2);  // two sockets, two sets, timers and events
    Gate own(server.url("timeout_ms=5000"));
    _exit(own.consume(own.open("100/d", "l"), "k").source == TG_SOURCE_STORE ? 0 : 3);
  }
  EXPECT_EQ(status_of(child), 0);
  const auto outcomes = ring.take(10);
  EXPECT_EQ(outcomes.size(), 10u);
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.source, TG_SOURCE_STORE);
  EXPECT_EQ(gate.consume(limiter, "k").parts[0].remaining, 100 - 13);
  EXPECT_EQ(gate.stats().connects, 2);
}

TEST_P(ValkeyFork, ManyChildrenWhileThreadsCallDisturbNobody) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=20000"));
  const uint64_t limiter = gate.open("1000000/d", "l");
  std::atomic<bool> ends{false};
  std::atomic<int> elsewhere{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      while (!ends) elsewhere += gate.consume(limiter, "k").source != TG_SOURCE_STORE;
    });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      tg_client_free(gate.client());
      _exit(0);
    }
    EXPECT_EQ(status_of(child), 0);
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(elsewhere, 0);
  EXPECT_EQ(gate.stats().connects, 1);
}

TEST_P(ValkeyFork, AHundredClientsLeaveNothingBehind) {
  Server server(GetParam());
  const auto once = [&](int i) {
    Gate gate(i % 2 ? server.url("timeout_ms=5000") : server.tcp_url("timeout_ms=5000"));
    const uint64_t limiter = gate.open("1000/d", "l");
    Reaper ring(gate);
    EXPECT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
    ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, 1);
    if (i % 3) ring.take(1);
  };
  once(1);
  const int before = open_descriptors();
  for (int i = 0; i < 100; ++i) once(i);
  EXPECT_EQ(open_descriptors(), before);
  for (int i = 0;
       i < 100 && server.command({"CLIENT", "LIST"}).find("name=tidegate") != std::string::npos;
       ++i)
    sleep_ms(10);
  EXPECT_EQ(server.command({"CLIENT", "LIST"}).find("name=tidegate"), std::string::npos);
}

TEST_P(ValkeyFork, CloseCompletesWhatIsInFlight) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=60000"));
  const uint64_t limiter = gate.open("100/d", "l");
  Reaper ring(gate);
  ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, 0);
  ASSERT_EQ(ring.take(1).at(0).source, TG_SOURCE_STORE);
  ASSERT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
  proxy.swallow();
  for (uint64_t i = 0; i < 50; ++i)
    ring.submit(i % 9 ? TG_OP_CONSUME : TG_OP_REFUND, {{limiter, std::to_string(i)}}, i);
  tg_ring_flush(ring.ring());
  std::vector<std::thread> threads;
  std::atomic<int> closed{0};
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { closed += gate.consume(limiter, "k").status == TG_ECLOSED; });
  sleep_ms(100);
  EXPECT_EQ(tg_client_close(gate.client()), TG_OK);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(closed, 4);
  const auto outcomes = ring.take(50);
  ASSERT_EQ(outcomes.size(), 50u);
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.status, TG_ECLOSED);
  EXPECT_EQ(tg_client_close(gate.client()), TG_ECLOSED);
  EXPECT_EQ(gate.consume(limiter, "k").status, TG_ECLOSED);
}

TEST_P(ValkeyFork, NoCallerIsLeftWithoutAPumper) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=20000&breaker_failures=1000000"));
  const uint64_t limiter = gate.open("1000000/d", "l");
  ASSERT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
  proxy.delay(5);
  std::vector<std::thread> threads;
  std::atomic<int> store{0}, fallback{0};
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&, i] {
      for (int n = 0; n < 60; ++n) {
        // Every third has a deadline that passes while it pumps for the others.
        const int64_t timeout_us = (i + n) % 3 ? 0 : 1'000 + 500 * (n % 9);
        const Outcome outcome = gate.call(TG_OP_CONSUME, {{limiter, "k"}}, timeout_us);
        ++(outcome.source == TG_SOURCE_STORE ? store : fallback);
        if (timeout_us == 0) {
          EXPECT_EQ(outcome.source, TG_SOURCE_STORE);
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store + fallback, 16 * 60);
  EXPECT_GT(fallback, 0);
}

TEST_P(ValkeyFork, EveryRequestHasOneResultHoweverItIsCanceled) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=30&breaker_failures=1000000&connect_timeout_ms=100"));
  const uint64_t limiter = gate.open("1000000/d", "l");
  Reaper ring(gate, 512);
  std::atomic<bool> ends{false};
  std::atomic<uint64_t> submitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      while (!ends) {
        const uint64_t id = submitted++;
        while (!ring.submit(id % 7 ? TG_OP_CONSUME : TG_OP_PEEK,
                            {{limiter, "k" + std::to_string(id % 5)}}, id, id % 11 ? 0 : 1'000))
          std::this_thread::yield();
        if (id % 3 == 0) tg_cancel(ring.ring(), id);
        if (id % 5 == 0 && id > 50) tg_cancel(ring.ring(), id - 50);
      }
    });
  std::map<uint64_t, int> seen;
  const auto collect = [&](int64_t most_ms) {
    std::vector<tg_result> results(64);
    const int32_t n = tg_ring_wait(ring.ring(), results.data(), 64, most_ms * 1'000);
    for (int32_t i = 0; i < n; ++i) {
      const tg_result& result = results[static_cast<size_t>(i)];
      ++seen[result.user_data];
      EXPECT_TRUE(result.status == TG_OK || result.status == TG_ECANCELED) << result.status;
    }
    return n;
  };
  const int64_t end = now_ms() + 1'500;
  for (int64_t round = 0, next = now_ms(); now_ms() < end; collect(5)) {
    if (now_ms() < next) continue;
    next = now_ms() + 100;
    switch (round++ % 6) {
      case 0:
        proxy.pass();
        break;
      case 1:
        proxy.delay(20);
        break;
      case 2:
        proxy.cut_replies_after(5);
        break;
      case 3:
        proxy.swallow();
        break;
      case 4:
        proxy.refuse();
        proxy.cut_all();
        break;
      default:
        proxy.answer("$3\r\nabc\r\n");
        break;
    }
  }
  ends = true;
  while (collect(200) > 0) {  // also makes room for a submitter that waits for some
  }
  for (std::thread& thread : threads) thread.join();
  while (collect(200) > 0) {
  }
  EXPECT_EQ(seen.size(), submitted.load());
  for (const auto& [id, times] : seen) EXPECT_EQ(times, 1) << id;
  proxy.pass();
  EXPECT_TRUE(gate.comes_back(limiter));
}

TEST_P(ValkeyFork, ARingThatIsFreedDropsWhatIsOut) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=5000"));
  const uint64_t limiter = gate.open("100/d", "l");
  for (int i = 0; i < 10; ++i) {
    Reaper ring(gate);
    for (uint64_t n = 0; n < 20; ++n) ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, n);
    if (i % 3 == 1) tg_ring_flush(ring.ring());
    if (i % 3 == 2) ring.take(3, 1'000);
  }
  EXPECT_EQ(gate.consume(limiter, "other").source, TG_SOURCE_STORE);
}

TIDEGATE_ON_EVERY_SERVER(ValkeyFork);

}  // namespace
}  // namespace tidegate::test
