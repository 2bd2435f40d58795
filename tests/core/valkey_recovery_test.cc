// SPDX-License-Identifier: MIT
// Real servers far away: what is slower to connect than a check may take comes up all the same, and
// comes back after an outage; hasty callers and short resources hurt nobody else.
#include <arpa/inet.h>
#include <grp.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <thread>

#include "client/ring.h"
#include "support/certificates.h"
#include "support/every_server.h"
#include "support/gate.h"
#include "support/proxy.h"

namespace tidegate::test {
namespace {

class ValkeyRecovery : public OnEveryServer {};

// Database 2: HELLO and SELECT are two round trips, 140 ms in sum; a check has 100 ms.
std::string far(const Proxy& proxy, const std::string& options = "") {
  return "redis://127.0.0.1:" + std::to_string(proxy.port()) + "/2?" + options;
}

int64_t until_store(Gate& gate, uint64_t limiter, int64_t most_ms) {
  const int64_t start = now_ms();
  while (now_ms() - start < most_ms) {
    if (gate.consume(limiter, "k").source == TG_SOURCE_STORE) return now_ms() - start;
    sleep_ms(5);
  }
  return -1;
}

TEST_P(ValkeyRecovery, AStoreWhoseHandshakeTakesLongerThanACheckComesBackAfterAnOutage) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  proxy.delay(70);
  Gate gate(far(proxy));
  const uint64_t limiter = gate.open("100000/d", "l");
  ASSERT_GE(until_store(gate, limiter, 10'000), 0) << gate.event_texts();
  server.stop();
  for (const int64_t end = now_ms() + 1'500; now_ms() < end; sleep_ms(10))
    gate.consume(limiter, "k");
  server.go_on();
  EXPECT_GE(until_store(gate, limiter, 10'000), 0) << gate.event_texts();
}

TEST_P(ValkeyRecovery, ItComesUpUnderEightThreadsFromTheStart) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  proxy.delay(70);
  Gate gate(far(proxy));
  const uint64_t limiter = gate.open("100000/d", "l");
  std::atomic<int> by_store{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] { by_store += until_store(gate, limiter, 10'000) >= 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(by_store, 8) << gate.event_texts();
  EXPECT_EQ(gate.stats().breaker_opened, 0);
}

TEST_P(ValkeyRecovery, TlsFromAfarComesUpUnderEightThreads) {
  Certificates made;
  made.authority("ours");
  made.issue("good", "ours", "IP:127.0.0.1");
  const int port = free_port();
  Server server(GetParam(), made.arguments("good", "ours", port));
  Proxy proxy(port);
  proxy.delay(80);
  Gate gate("rediss://127.0.0.1:" + std::to_string(proxy.port()) +
            "/2?tls_ca=" + made.path("ours.crt"));
  const uint64_t limiter = gate.open("100000/d", "l");
  std::atomic<int> by_store{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] { by_store += until_store(gate, limiter, 10'000) >= 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(by_store, 8) << gate.event_texts();
}

TEST_P(ValkeyRecovery, HastyCallersDoNotOpenTheBreakerForPatientOnes) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Gate gate(proxy.url("timeout_ms=5000"));
  const uint64_t limiter = gate.open("100000/d", "l");
  ASSERT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
  proxy.delay(60);
  for (int i = 0; i < 12; ++i) {
    gate.call(TG_OP_CONSUME, {{limiter, "k"}}, 5'000);
    sleep_ms(15);
  }
  EXPECT_EQ(gate.stats().breaker_opened, 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
}

TEST_P(ValkeyRecovery, ACallOfSeventyThousandIsDecidedByTheStore) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=20000"));
  constexpr int32_t kMany = 70'000;
  std::vector<tg_entry> entries(kMany);
  const uint64_t limiter = gate.open("1000000/d", "l");
  for (tg_entry& entry : entries) {
    entry.op = TG_OP_CONSUME;
    entry.handle = limiter;
    entry.key = "k";
    entry.key_len = 1;
    entry.arg = 1;
  }
  std::vector<tg_result> results(kMany);
  ASSERT_EQ(tg_call(gate.client(), entries.data(), kMany, results.data(), kMany), kMany);
  int by_store = 0;
  for (const tg_result& result : results) by_store += TG_SOURCE(result.flags) == TG_SOURCE_STORE;
  EXPECT_EQ(by_store, kMany);
}

TEST_P(ValkeyRecovery, CancelingSixtyThousandTakesNoTimeWorthMentioning) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=3000000"));
  const uint64_t limiter = gate.open("1000000/d", "l");
  Reaper ring(gate, 65'536);
  server.stop();
  constexpr uint64_t kMany = 60'000;
  for (uint64_t i = 0; i < kMany; ++i) ASSERT_TRUE(ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, i));
  const int64_t start = now_ms();
  for (uint64_t i = 0; i < kMany; ++i) ASSERT_EQ(tg_cancel(ring.ring(), i), 1);
  EXPECT_LT(now_ms() - start, 5'000);
  EXPECT_EQ(tg_cancel(ring.ring(), 7), 0);  // not twice
  const auto all = ring.take(kMany);
  ASSERT_EQ(all.size(), kMany);
  for (const Outcome& outcome : all) ASSERT_EQ(outcome.status, TG_ECANCELED);
  server.go_on();
}

TEST_P(ValkeyRecovery, NoChildOfTheProgramGetsTheConnection) {
  Server server(GetParam());
  const auto sockets_of_a_child = [] {
    FILE* child = popen("ls -l /proc/self/fd | grep -c socket:", "r");
    int count = -1;
    if (std::fscanf(child, "%d", &count) != 1) count = -1;
    pclose(child);
    return count;
  };
  const int before = sockets_of_a_child();
  for (const std::string& url :
       {server.url("timeout_ms=5000"), server.tcp_url("timeout_ms=5000")}) {
    Gate gate(url);
    ASSERT_EQ(gate.ping().status, TG_OK);
    EXPECT_EQ(sockets_of_a_child(), before) << url;
  }
}

TEST_P(ValkeyRecovery, ADeadPeerIsAskedForSignsOfLife) {
  Server server(GetParam());
  Gate gate(server.tcp_url("timeout_ms=5000"));
  ASSERT_EQ(gate.ping().status, TG_OK);
  int found = 0;
  for (int descriptor = 3; descriptor < 256; ++descriptor) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0 ||
        peer.sin_family != AF_INET || ntohs(peer.sin_port) != server.port())
      continue;
    ++found;
    int alive = 0, silence_ms = 0;
    size = sizeof alive;
    getsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &alive, &size);
    getsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, &size);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(silence_ms, 2 * 5'000 + 1'000 + 1'000);
  }
  EXPECT_EQ(found, 1);
}

// In a child of its own: 0 where `body` found nothing wrong.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1'000 + status;
}

void limit(decltype(RLIMIT_NOFILE) what, rlim_t soft) {
  rlimit now;
  getrlimit(what, &now);
  now.rlim_cur = std::min(soft, now.rlim_max);
  setrlimit(what, &now);
}

TEST_P(ValkeyRecovery, WithoutAThreadForTheLookUpThePolicyAnswersAndNobodyHangs) {
  Server server(GetParam());
  const int port = server.port();
  EXPECT_EQ(in_child([port] {
              // The superuser's processes are not counted.
              if (getuid() == 0 && (setgroups(0, nullptr) != 0 || setuid(54'321) != 0)) return 2;
              Gate gate("redis://localhost:" + std::to_string(port) + "?timeout_ms=300");
              const uint64_t limiter = gate.open("100/d", "l");
              limit(RLIMIT_NPROC, 0);
              for (int i = 0; i < 3; ++i)
                if (gate.consume(limiter, "k").source != TG_SOURCE_FALLBACK) return 3;
              if (gate.event_texts().find("no thread for the look-up") == std::string::npos)
                return 4;
              limit(RLIMIT_NPROC, RLIM_INFINITY);
              return gate.comes_back(limiter) ? 0 : 5;
            }),
            0);
}

TEST_P(ValkeyRecovery, WithoutADescriptorThePolicyAnswersAndTheStoreComesBack) {
  Server server(GetParam());
  EXPECT_EQ(in_child([&] {
              Gate gate(server.url("timeout_ms=300"));
              const uint64_t limiter = gate.open("100/d", "l");
              limit(RLIMIT_NOFILE, 3);
              const Outcome first = gate.consume(limiter, "k");
              if (first.status != TG_OK || first.source != TG_SOURCE_FALLBACK) return 2;
              if (gate.ping().status != TG_ENOMEM) return 3;
              limit(RLIMIT_NOFILE, RLIM_INFINITY);
              if (!gate.comes_back(limiter)) return 4;
              server.command({"CLIENT", "KILL", "TYPE", "normal"});
              limit(RLIMIT_NOFILE, 3);
              sleep_ms(20);
              for (int i = 0; i < 3; ++i)
                if (gate.consume(limiter, "k").source != TG_SOURCE_FALLBACK) return 5;
              limit(RLIMIT_NOFILE, RLIM_INFINITY);
              return gate.comes_back(limiter) ? 0 : 6;
            }),
            0);
}

TEST_P(ValkeyRecovery, WhoWaitsOnARingHearsThatTheClientWasClosed) {
  Server server(GetParam());
  for (const std::string& url : {std::string("memory://"), server.url("timeout_ms=5000")}) {
    auto client = std::move(*Client::open(url, Options{}));
    auto ring = std::move(*Ring::open(*client, 8, false));
    EXPECT_FALSE(ring->finished());
    std::thread closes([&] {
      sleep_ms(50);
      client->close();
    });
    EXPECT_TRUE(ring->wait(8, 60'000'000).empty());
    EXPECT_TRUE(ring->finished()) << url;
    EXPECT_TRUE(ring->wait(8, -1).empty());  // and so does who comes later
    closes.join();
  }
}

TEST(ValkeyWait, AnEndlessWaitSleeps) {
  auto client = std::move(*Client::open("memory://", Options{}));
  auto ring = std::move(*Ring::open(*client, 8, false));
  std::thread closes([&] {
    sleep_ms(100);
    client->close();
  });
  const int64_t start = now_ms();
  ring->wait(8, INT64_MAX);
  EXPECT_GE(now_ms() - start, 90);
  closes.join();
}

TIDEGATE_ON_EVERY_SERVER(ValkeyRecovery);

}  // namespace
}  // namespace tidegate::test
