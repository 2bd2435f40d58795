// SPDX-License-Identifier: MIT
// What changes while a guard is open: its file, and the live document that processes share.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "support/every_server.h"
#include "support/guard.h"

namespace tidegate::test {
namespace {

namespace fs = std::filesystem;

const char* const kPolicy = "version: 1\nlimiters: {a: 5/minute}\nrules: [{limit: a}]";

class GuardsLive : public OnEveryServer {};

bool within(int64_t ms, const std::function<bool()>& holds) {
  const int64_t end_ms = now_ms() + ms;
  while (!holds()) {
    if (now_ms() > end_ms) return false;
    sleep_ms(5);
  }
  return true;
}

std::string limit_of(Guarded& guard) {
  return guard.ask("GET /", {{"identity", "k"}}).field("X-RateLimit-Limit");
}

struct Folder {
  fs::path path;
  Folder() {
    std::string name = fs::temp_directory_path() / "tidegate-policy-XXXXXX";
    path = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
};

void write(const fs::path& path, const std::string& text) {  // as editors do: all or nothing
  const fs::path fresh = path.string() + ".new";
  std::ofstream(fresh) << text;
  fs::rename(fresh, path);
}

TEST(GuardFile, IsFollowedAndAFaultyOneChangesNothing) {
  const Folder folder;
  const fs::path path = folder.path / "limits.yaml";
  write(path, kPolicy);
  Gate gate("memory://");
  Guarded guard(gate, File{path.string()});
  EXPECT_EQ(limit_of(guard), "5");
  write(path, "version: 1\nlimiters: {a: 6/minute}\nrules: [{limit: a}]");
  EXPECT_TRUE(within(1'000, [&] { return limit_of(guard) == "6"; }));
  write(path, "version: 1\nlimiters: {a: 7/fortnight}\nrules: [{limit: a}]");
  std::string events;
  EXPECT_TRUE(within(1'000, [&] {
    events += gate.event_texts();
    return events.find("line 2, column 15") != events.npos;
  })) << events;
  EXPECT_EQ(limit_of(guard), "6");
  fs::remove(path);
  EXPECT_TRUE(within(1'000, [&] {
    events += gate.event_texts();
    return events.find("No such file") != events.npos;
  })) << events;
  fs::create_directory(path);
  EXPECT_TRUE(within(1'000, [&] {
    events += gate.event_texts();
    return events.find("expected a file") != events.npos;
  })) << events;
  EXPECT_EQ(limit_of(guard), "6");
  fs::remove(path);
  write(path, "version: 1\nlimiters: {a: 8/minute}\nrules: [{limit: a}]");
  EXPECT_TRUE(within(1'000, [&] { return limit_of(guard) == "8"; }));
}

TEST(GuardFile, ThatCannotBeReadIsAnErrorAtTheStart) {
  const Folder folder;
  Gate gate("memory://");
  EXPECT_NE(refusal(gate, File{folder.path / "none"}).find("No such file"), std::string::npos);
  EXPECT_NE(refusal(gate, File{folder.path}).find("expected a file"), std::string::npos);
  write(folder.path / "large", std::string((1 << 20) + 1, '#'));
  EXPECT_NE(refusal(gate, File{folder.path / "large"}).find("at most 1048576"), std::string::npos);
  write(folder.path / "faulty", "version: 2");
  EXPECT_NE(refusal(gate, File{folder.path / "faulty"}).find("faulty: line 1, column"),
            std::string::npos);
}

TEST_P(GuardsLive, EveryClientFollowsTheLiveDocument) {
  Server server(GetParam());
  Gate one(server.url("timeout_ms=5000")), two(server.url("timeout_ms=5000"));
  Guarded here(one, kPolicy), there(two, kPolicy);
  EXPECT_EQ(limit_of(there), "5");
  std::vector<int64_t> took_ms;
  const char* const given = std::getenv("TIDEGATE_LIVE_CHANGES");  // more than CI has time for
  const int rounds = given ? std::atoi(given) : 20;
  for (int round = 0; round < rounds; ++round) {
    const std::string numbers = std::to_string(10 + round);
    ASSERT_EQ(here.edit(R"({"limiters": {"a": {"rate": ")" + numbers + R"(/minute"}}})"), "");
    const int64_t begin_ms = now_ms();
    ASSERT_TRUE(within(1'000, [&] { return limit_of(there) == numbers; })) << round;
    took_ms.push_back(now_ms() - begin_ms);
  }
  std::ranges::sort(took_ms);
  std::printf("%s: followed after %lld ms (median), %lld (p99), %lld at most\n",
              GetParam().name.c_str(), static_cast<long long>(took_ms[took_ms.size() / 2]),
              static_cast<long long>(took_ms[took_ms.size() * 99 / 100]),
              static_cast<long long>(took_ms.back()));
  ASSERT_EQ(there.edit(R"({"callers": {"k": {"ban": true}}})"), "");
  EXPECT_TRUE(within(1'000, [&] { return here.ask("GET /", {{"identity", "k"}}).http == 403; }));
  // Those that start later have it, too.
  Gate three(server.url("timeout_ms=5000"));
  Guarded later(three, kPolicy);
  EXPECT_TRUE(within(1'000, [&] { return later.ask("GET /", {{"identity", "k"}}).http == 403; }));
  const std::string audit = server.command({"XRANGE", "tg:1:{policy}:audit", "-", "+"});
  EXPECT_NE(audit.find("\"ban\""), audit.npos) << audit;
  EXPECT_EQ(server.command({"XLEN", "tg:1:{policy}:audit"}), std::to_string(rounds + 1));
}

TEST_P(GuardsLive, WritersLoseNothingToEachOther) {
  Server server(GetParam());
  constexpr int kWriters = 4, kEdits = 25;
  std::vector<std::thread> writers;
  std::atomic<int> failed{0};
  for (int writer = 0; writer < kWriters; ++writer)
    writers.emplace_back([&, writer] {
      Gate gate(server.url("timeout_ms=20000"));
      Guarded guard(gate, kPolicy);
      for (int i = 0; i < kEdits; ++i) {
        const std::string name = "k" + std::to_string(writer) + "_" + std::to_string(i);
        if (!guard.edit(R"({"callers": {")" + name + R"(": {"ban": true}}})").empty()) ++failed;
      }
    });
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(failed, 0);
  Gate gate(server.url("timeout_ms=5000"));
  Guarded guard(gate, kPolicy);
  ASSERT_TRUE(within(2'000, [&] {
    return live_of(gate).starts_with("{\"version\":" + std::to_string(kWriters * kEdits));
  })) << live_of(gate);
  for (int writer = 0; writer < kWriters; ++writer)
    for (int i = 0; i < kEdits; ++i)
      EXPECT_EQ(
          guard.ask("GET /", {{"identity", "k" + std::to_string(writer) + "_" + std::to_string(i)}})
              .http,
          403);
}

TEST_P(GuardsLive, TheStoreIsAwayAndComesBackAndIsFlushed) {
  Server server(GetParam());
  Gate one(server.url("timeout_ms=200")), two(server.url("timeout_ms=200"));
  Guarded here(one, kPolicy), there(two, kPolicy);
  ASSERT_EQ(here.edit(R"({"callers": {"bad": {"ban": true}}})"), "");
  const auto banned = [](Guarded& guard) {
    return guard.ask("GET /", {{"identity", "bad"}}).http == 403;
  };
  ASSERT_TRUE(within(1'000, [&] { return banned(there); }));
  server.kill();
  EXPECT_NE(here.edit(R"({"callers": {"worse": {"ban": true}}})"), "");
  EXPECT_TRUE(banned(here) && banned(there)) << "what was known stays";
  server.start();  // empty
  ASSERT_TRUE(within(10'000, [&] { return !banned(here) && !banned(there); }));
  ASSERT_TRUE(
      within(10'000, [&] { return here.edit(R"({"callers": {"bad": {"ban": true}}})").empty(); }));
  EXPECT_TRUE(within(5'000, [&] { return banned(there); }));
  server.command({"FLUSHALL"});
  EXPECT_TRUE(within(2'000, [&] { return !banned(here) && !banned(there); }));
}

TEST_P(GuardsLive, WhereTheAclForbidsItTheFileCounts) {
  Server server(GetParam());
  ASSERT_EQ(
      server.command({"ACL",   "SETUSER", "limiter", "reset",    "on",        ">pass",  "~tg:*",
                      "-@all", "+hello",  "+ping",   "+evalsha", "+eval",     "+mget",  "+exists",
                      "+type", "+set",    "+del",    "+time",    "+getrange", "+append"}),
      "OK");
  Gate gate("redis://limiter:pass@127.0.0.1:" + std::to_string(server.port()) + "?timeout_ms=5000");
  Guarded guard(gate, kPolicy);
  std::string events;
  EXPECT_TRUE(within(2'000, [&] {
    events += gate.event_texts();
    return events.find("live policy cannot be read") != events.npos;
  })) << events;
  EXPECT_EQ(limit_of(guard), "5");
  sleep_ms(500);
  EXPECT_EQ(gate.event_texts(), "") << "it is said once";
  EXPECT_EQ(gate.stats().noperm_errors, 0);
  EXPECT_NE(guard.edit(R"({"callers": {"k": {"ban": true}}})"), "");
}

TEST_P(GuardsLive, LimitsOfCodeAloneAskNothingElse) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=5000"));
  Guarded guard(gate, "");
  ASSERT_EQ(guard.ask("GET /", {{"identity", "k"}, {"@limit", "5/minute"}}).http, 200);
  sleep_ms(500);
  EXPECT_EQ(server.command({"INFO", "commandstats"}).find("cmdstat_hget"), std::string::npos);
}

TEST_P(GuardsLive, NamesOfOtherServicesAreLeftOut) {
  Server server(GetParam());
  Gate one(server.url("timeout_ms=5000")), two(server.url("timeout_ms=5000"));
  Guarded here(one, kPolicy);
  Guarded other(two, "version: 1\nlimiters: {b: 9/minute}\nrules: [{limit: b}]");
  ASSERT_EQ(
      here.edit(R"({"limiters": {"a": {"rate": "6/minute"}}, "callers": {"x": {"ban": true}}})"),
      "");
  EXPECT_TRUE(within(1'000, [&] { return other.ask("GET /", {{"identity", "x"}}).http == 403; }));
  EXPECT_EQ(limit_of(other), "9");
  EXPECT_NE(other.edit(R"({"limiters": {"a": {"rate": "7/minute"}}})").find("limiters.a"),
            std::string::npos);
}

TIDEGATE_ON_EVERY_SERVER(GuardsLive);

}  // namespace
}  // namespace tidegate::test
