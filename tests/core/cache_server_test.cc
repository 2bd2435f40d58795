// SPDX-License-Identifier: MIT
// Caches on a server: the model's answers, one fill across clients, what is not ours, and the store
// away.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "base/time.h"
#include "support/cache_gate.h"
#include "support/every_server.h"
#include "support/proxy.h"

namespace tidegate::test {
namespace {

using Json = nlohmann::json;

class CacheServer : public OnEveryServer {};

TEST_P(CacheServer, AnswersAsTheModel) {
  Server server(GetParam());
  std::ifstream file(TIDEGATE_SOURCE_DIR "/tests/conformance/cache.jsonl");
  int scenarios = 0, wrong = 0;
  for (std::string line; std::getline(file, line) && wrong < 3; ++scenarios) {
    const std::string space = "&namespace=n" + std::to_string(scenarios);
    const std::string difference = run_cache_scenario(
        Json::parse(line), server.url("clock=manual&testing=1&timeout_ms=5000") + space);
    wrong += !difference.empty();
    EXPECT_EQ(difference, "");
  }
  EXPECT_EQ(scenarios, 300);
}

struct Caching {
  Gate gate;
  uint64_t cache;
  explicit Caching(const std::string& url, const CacheTexts& texts = {})
      : gate(url), cache(open_cache(gate.client(), texts)) {}

  Found ask(CacheAsked asked) {
    asked.cache = cache;
    return call(gate.client(), asked);
  }
  Found get(const std::string& key, uint32_t flags = 0) {
    return ask({.key = key, .flags = flags});
  }
  Found put(const std::string& key, const std::string& value, const std::string& lease = "") {
    return ask({.op = TG_OP_CACHE_PUT, .key = key, .lease = lease, .value = value});
  }
};

TEST_P(CacheServer, OneClientReadsWhatAnotherWrote) {
  Server server(GetParam());
  Caching a(server.url("timeout_ms=5000")), b(server.url("timeout_ms=5000"));
  const std::string value(300'000, '\0');
  EXPECT_EQ(a.ask({.op = TG_OP_CACHE_PUT,
                   .key = "k",
                   .flags = TG_KIND_FLAGS(TG_KIND_TEXT),
                   .value = value,
                   .meta = "m",
                   .tags = {"t", "u"}})
                .what,
            TG_CACHE_STORED);
  const Found found = b.get("k");
  EXPECT_EQ(found.what, TG_CACHE_HIT) << found;
  EXPECT_EQ(found.value, value);
  EXPECT_EQ(found.kind, TG_KIND_TEXT);
  EXPECT_EQ(found.meta, "m");
  EXPECT_EQ(found.tags, (std::vector<std::string>{"t", "u"}));
  EXPECT_EQ(found.source, TG_SOURCE_STORE);
  EXPECT_EQ(b.ask({.op = TG_OP_CACHE_PURGE, .key = "u"}).what, TG_CACHE_DONE);
  EXPECT_EQ(a.get("k").what, TG_CACHE_MISS);
}

TEST_P(CacheServer, ManyCallersOfTwoClientsAreOneFill) {
  Server server(GetParam());
  Caching a(server.url("timeout_ms=5000")), b(server.url("timeout_ms=5000"));
  Reaper ring_a(a.gate), ring_b(b.gate);
  std::atomic<int> fills{0}, served{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&, i] {
      Caching& mine = i % 2 ? a : b;
      const Found found = mine.get("cold", TG_FILL | TG_WAIT);
      if (found.what == TG_CACHE_MISS && !found.lease.empty()) {
        ++fills;
        sleep_ms(300);
        EXPECT_EQ(mine.put("cold", "made", found.lease).what, TG_CACHE_STORED);
        ++served;
      } else {
        EXPECT_EQ(found.value, "made") << found;
        served += found.value == "made";
      }
    });
  sleep_ms(100);  // one of them has the lease
  for (int i = 0; i < 100; ++i) {
    submit(ring_a.ring(), {.cache = a.cache, .key = "cold", .flags = TG_FILL | TG_WAIT});
    submit(ring_b.ring(), {.cache = b.cache, .key = "cold", .flags = TG_FILL | TG_WAIT});
  }
  for (Reaper* ring : {&ring_a, &ring_b}) {
    const auto found = take(ring->ring(), 100);
    EXPECT_EQ(found.size(), 100U);
    for (const Found& one : found) EXPECT_EQ(one.value, "made") << one;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fills, 1);
  EXPECT_EQ(served, 16);
}

TEST_P(CacheServer, AFillElsewhereThatFailsHandsTheLeaseOn) {
  Server server(GetParam());
  Caching a(server.url("timeout_ms=5000")), b(server.url("timeout_ms=5000"));
  const Found holder = a.get("k", TG_FILL);
  ASSERT_FALSE(holder.lease.empty());
  Reaper here(a.gate), there(b.gate);
  for (int i = 0; i < 10; ++i)
    submit(here.ring(), {.cache = a.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  submit(there.ring(), {.cache = b.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  EXPECT_TRUE(take(here.ring(), 1, 400).empty());
  EXPECT_EQ(a.ask({.op = TG_OP_CACHE_RELEASE,
                   .key = "k",
                   .flags = TG_FAILED,
                   .lease = holder.lease,
                   .value = "no"})
                .what,
            TG_CACHE_DONE);
  const auto told = take(here.ring(), 10, 1'000), next = take(there.ring(), 1);
  ASSERT_GE(told.size(), 9U) << "one may be asking the server just now";
  int failed = 0;
  for (const Found& one : told) failed += one.what == TG_CACHE_FAILED && one.value == "no";
  EXPECT_GE(failed, 9);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].what, TG_CACHE_MISS) << next[0];
  EXPECT_FALSE(next[0].lease.empty()) << "in other processes the next one fills";
}

TEST_P(CacheServer, EverythingHasAnExpiry) {
  Server server(GetParam());
  Caching c(server.url("timeout_ms=5000"));
  c.ask({.op = TG_OP_CACHE_PUT, .key = "k", .value = "v", .tags = {"t"}});
  c.ask({.op = TG_OP_CACHE_PUT, .key = "long", .value = "v", .arg = 7'200'000'000});
  c.get("cold", TG_FILL);
  c.ask({.op = TG_OP_CACHE_DELETE, .key = "gone"});
  c.ask({.op = TG_OP_CACHE_PURGE, .key = "t"});
  c.ask({.op = TG_OP_CACHE_CLEAR});
  const std::string count = server.command(
      {"EVAL",
       "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do "
       "if redis.call('PTTL', k) < 0 then return k end n = n + 1 end return tostring(n)",
       "0"});
  EXPECT_EQ(count, "7");
}

TEST_P(CacheServer, WhatIsNotOursUnderOurKeyIsFilledAnew) {
  Server server(GetParam());
  Caching c(server.url("timeout_ms=5000"));
  for (const std::string spoil :
       {"redis.call('DEL', k) redis.call('SET', k, 'a string')",
        "redis.call('HSET', k, 'h', 'junk')", "redis.call('HSET', k, 'v', 'cut')",
        "redis.call('HSET', k, 'l', 'x', 't', 'y')", "redis.call('HDEL', k, 'v')",
        "local h = redis.call('HGET', k, 'h') redis.call('HSET', k, 'h', '\\2' .. h:sub(2))",
        "local h = redis.call('HGET', k, 'h') "
        "redis.call('HSET', k, 'h', h:sub(1, 10) .. 'x' .. h:sub(12))"}) {
    SCOPED_TRACE(spoil);
    server.command({"FLUSHALL"});
    ASSERT_EQ(c.put("k", "value").what, TG_CACHE_STORED);
    server.command({"EVAL",
                    "for _, k in ipairs(redis.call('KEYS', '*{*')) do " + spoil + " end return ''",
                    "0"});
    const Found found = c.get("k", TG_FILL);
    if (found.what == TG_CACHE_HIT) {
      EXPECT_EQ(found.value, "value");
      continue;
    }
    EXPECT_EQ(found.status, TG_OK) << found;
    EXPECT_EQ(found.what, TG_CACHE_MISS) << found;
    EXPECT_EQ(c.put("k", "again", found.lease).what, TG_CACHE_STORED);
    EXPECT_EQ(c.get("k").value, "again");
  }
}

TEST_P(CacheServer, TheStoreAwayIsAsIfNothingWereThere) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Caching c(proxy.url("timeout_ms=200&connect_timeout_ms=200"));
  ASSERT_EQ(c.put("k", "stored").what, TG_CACHE_STORED);
  proxy.refuse();
  proxy.cut_all();
  std::atomic<int> fills{0}, served{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      const int64_t start_ms = now_ms();
      const Found found = c.get("k", TG_FILL | TG_WAIT);
      EXPECT_EQ(found.status, TG_OK) << found;
      EXPECT_EQ(found.source, TG_SOURCE_FALLBACK);
      if (!found.lease.empty()) {
        ++fills;
        sleep_ms(50);
        EXPECT_EQ(c.put("k", "made here", found.lease).what, TG_CACHE_STORED);
        ++served;
      } else {
        served += found.value == "made here";
      }
      EXPECT_LT(now_ms() - start_ms, 2'000);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fills, 1) << "the origin is asked once by the process";
  EXPECT_EQ(served, 16);
  EXPECT_EQ(c.get("k").value, "made here");
  const Found purge = c.ask({.op = TG_OP_CACHE_CLEAR});
  EXPECT_LE(purge.status, TG_ESTORE) << "a clear that the store did not hear of says so";
  EXPECT_EQ(c.get("k").what, TG_CACHE_MISS) << "and holds here";
}

TEST_P(CacheServer, AStoreThatIsSilentCostsALookUpItsTimeoutAndComesBack) {
  Server server(GetParam());
  Proxy proxy(server.socket());
  Caching c(proxy.url("timeout_ms=200&connect_timeout_ms=200"));
  ASSERT_EQ(c.put("k", "stored").what, TG_CACHE_STORED);
  proxy.swallow();
  const int64_t start_ms = now_ms();
  const Found away = c.get("k", TG_FILL);
  EXPECT_LT(now_ms() - start_ms, 1'000);
  EXPECT_EQ(away.what, TG_CACHE_MISS) << away;
  EXPECT_EQ(away.source, TG_SOURCE_FALLBACK);
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_RELEASE, .key = "k", .lease = away.lease}).what,
            TG_CACHE_DONE);
  proxy.pass();
  proxy.cut_all();
  Found back = c.get("k");
  for (const int64_t end_ms = now_ms() + 10'000;
       back.source != TG_SOURCE_STORE && now_ms() < end_ms; back = c.get("k"))
    sleep_ms(20);
  EXPECT_EQ(back.source, TG_SOURCE_STORE);
  EXPECT_EQ(back.value, "stored");
}

TEST_P(CacheServer, DecisionsDoNotWaitBehindBodies) {
  Server server(GetParam());
  Caching c(server.url("timeout_ms=5000"), {.max_entry = 8 << 20});
  const uint64_t api = c.gate.open("1000000/s", "api");
  Reaper reaper(c.gate);
  submit(reaper.ring(), {.cache = c.cache, .key = "k"});
  reaper.submit(TG_OP_CONSUME, {{api, "k"}}, 1);
  ASSERT_EQ(take(reaper.ring(), 2).size(), 2U);  // both connections are there
  constexpr uint64_t kBodies = 16, kDecision = 99;
  for (uint64_t i = 0; i < kBodies; ++i)
    submit(reaper.ring(), {.op = TG_OP_CACHE_PUT,
                           .cache = c.cache,
                           .key = "k" + std::to_string(i),
                           .value = std::string(2 << 20, 'x'),
                           .user_data = i});
  reaper.submit(TG_OP_CONSUME, {{api, "k"}}, kDecision);
  const auto done = take(reaper.ring(), kBodies + 1);
  ASSERT_EQ(done.size(), kBodies + 1);
  size_t place = 0;
  for (size_t i = 0; i < done.size(); ++i) {
    EXPECT_EQ(done[i].status, TG_OK) << done[i];
    if (done[i].user_data == kDecision) place = i;
  }
  EXPECT_LT(place, kBodies / 2) << "it was submitted last";
}

// Where nobody is told, one asks every eighth of the time that it has waited: after 1.6 s, 200
// ms late at worst. By message it is a round trip.
TEST_P(CacheServer, WhoWaitsElsewhereLearnsOfTheValueByMessage) {
  Server server(GetParam());
  Caching a(server.url("timeout_ms=5000")), b(server.url("timeout_ms=5000"));
  std::vector<int64_t> late_us;
  for (int round = 0; round < 3; ++round) {
    const std::string key = "k" + std::to_string(round);
    const Found holder = a.get(key, TG_FILL);
    ASSERT_FALSE(holder.lease.empty());
    Reaper reaper(b.gate);
    for (int i = 0; i < 20; ++i)
      submit(reaper.ring(), {.cache = b.cache, .key = key, .flags = TG_FILL | TG_WAIT});
    EXPECT_TRUE(take(reaper.ring(), 1, 1'600).empty());
    std::atomic<int64_t> stored_us{0};
    std::thread filler([&] {
      EXPECT_EQ(a.put(key, "made", holder.lease).what, TG_CACHE_STORED);
      stored_us = monotonic_us();
    });
    const auto found = take(reaper.ring(), 20);
    const int64_t learned_us = monotonic_us();
    filler.join();
    ASSERT_EQ(found.size(), 20U);
    for (const Found& one : found) EXPECT_EQ(one.value, "made") << one;
    late_us.push_back(learned_us - stored_us);
  }
  std::ranges::sort(late_us);
  EXPECT_LT(late_us[1], 20'000) << "the median";
}

TEST_P(CacheServer, ThoseWhoWaitAskTheServerNoOftenerForBeingMany) {
  Server server(GetParam());
  Caching a(server.url("timeout_ms=5000")), b(server.url("timeout_ms=5000"));
  const auto asked_by = [&](int count, const std::string& key) {
    const Found holder = a.get(key, TG_FILL);
    Reaper reaper(b.gate);
    for (int i = 0; i < count; ++i)
      submit(reaper.ring(), {.cache = b.cache, .key = key, .flags = TG_FILL | TG_WAIT});
    take(reaper.ring(), 1, 100);
    const int64_t before = b.gate.stats().round_trips;
    take(reaper.ring(), 1, 500);
    const int64_t asked = b.gate.stats().round_trips - before;
    EXPECT_EQ(a.put(key, "made", holder.lease).what, TG_CACHE_STORED);
    EXPECT_EQ(take(reaper.ring(), static_cast<size_t>(count)).size(), static_cast<size_t>(count));
    return asked;
  };
  const int64_t one = asked_by(1, "one"), many = asked_by(300, "many");
  EXPECT_GT(one, 2);
  EXPECT_LT(many, 3 * one + 10);
}

// What packaging/PRODUCTION.md asks for is enough, and without the channel one learns by asking.
TEST_P(CacheServer, TheStatedRightsAreEnough) {
  Server server(GetParam());
  for (const std::string channel : {"&tg:1:c:wake", "resetchannels"}) {
    SCOPED_TRACE(channel);
    server.command({"FLUSHALL"});
    const std::string made = server.command(
        {"ACL",    "SETUSER", "cache", "reset",     "on",       ">secret",   "~tg:*",   channel,
         "-@all",  "+hello",  "+ping", "+evalsha",  "+eval",    "+mget",     "+exists", "+type",
         "+set",   "+del",    "+time", "+getrange", "+append",  "+get",      "+pttl",   "+pexpire",
         "+hmget", "+hset",   "+hget", "+hdel",     "+publish", "+subscribe"});
    ASSERT_EQ(made, "OK");
    std::string url = server.tcp_url("timeout_ms=5000");
    url.insert(url.find("//") + 2, "cache:secret@");
    Caching a(url), b(url);
    const Found holder = a.get("k", TG_FILL);
    ASSERT_FALSE(holder.lease.empty()) << holder;
    EXPECT_EQ(holder.source, TG_SOURCE_STORE);
    Reaper reaper(b.gate);
    submit(reaper.ring(), {.cache = b.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
    EXPECT_TRUE(take(reaper.ring(), 1, 200).empty());
    EXPECT_EQ(a.put("k", "made", holder.lease).what, TG_CACHE_STORED);
    const auto found = take(reaper.ring(), 1);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].value, "made") << found[0];
    EXPECT_EQ(a.ask({.op = TG_OP_CACHE_PURGE, .key = "t"}).status, TG_OK);
    EXPECT_EQ(a.ask({.op = TG_OP_CACHE_DELETE, .key = "k"}).what, TG_CACHE_DONE);
    EXPECT_EQ(a.ask({.op = TG_OP_CACHE_CLEAR}).what, TG_CACHE_DONE);
  }
}

TIDEGATE_ON_EVERY_SERVER(CacheServer);

}  // namespace
}  // namespace tidegate::test
