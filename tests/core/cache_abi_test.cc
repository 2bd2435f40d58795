// SPDX-License-Identifier: MIT
// Caches through the C ABI, embedded: the model's answers, one fill for all who ask, and bad input.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "support/cache_gate.h"

namespace tidegate::test {
namespace {

using Json = nlohmann::json;

const std::string kManual = "memory://?clock=manual", kReal = "memory://";

TEST(CacheAbi, EmbeddedAnswersAsTheModel) {
  std::ifstream file(TIDEGATE_SOURCE_DIR "/tests/conformance/cache.jsonl");
  int scenarios = 0, wrong = 0;
  for (std::string line; std::getline(file, line) && wrong < 3; ++scenarios) {
    const std::string difference = run_cache_scenario(Json::parse(line), kManual);
    wrong += !difference.empty();
    EXPECT_EQ(difference, "");
  }
  EXPECT_EQ(scenarios, 300);
}

struct Caching {
  Gate gate;
  uint64_t cache;
  explicit Caching(const CacheTexts& texts = {}, const std::string& url = kReal)
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
  std::string metrics() {
    std::string text(1 << 16, '\0');
    text.resize(static_cast<size_t>(tg_client_metrics(gate.client(), text.data(), text.size())));
    return text;
  }
};

TEST(CacheAbi, AnEntryComesBackWithAllThatItHas) {
  Caching c;
  const std::string value("with\0zero", 9);
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_PUT,
                   .key = "k",
                   .flags = TG_KIND_FLAGS(TG_KIND_JSON),
                   .value = value,
                   .meta = "tokens=3",
                   .tags = {"a", std::string(255, 'b')}})
                .what,
            TG_CACHE_STORED);
  const Found found = c.get("k");
  EXPECT_EQ(found.what, TG_CACHE_HIT);
  EXPECT_EQ(found.value, value);
  EXPECT_EQ(found.kind, TG_KIND_JSON);
  EXPECT_EQ(found.meta, "tokens=3");
  EXPECT_EQ(found.tags, (std::vector<std::string>{"a", std::string(255, 'b')}));
  EXPECT_EQ(found.source, TG_SOURCE_MEMORY);
  EXPECT_GT(found.fresh_us, 3'500'000'000);
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_PURGE, .key = "a"}).what, TG_CACHE_DONE);
  EXPECT_EQ(c.get("k").what, TG_CACHE_MISS);
}

TEST(CacheAbi, AnEmptyValueIsAValue) {
  Caching c;
  c.put("k", "");
  EXPECT_EQ(c.get("k").what, TG_CACHE_HIT);
  EXPECT_TRUE(c.get("k").has_value);
  EXPECT_FALSE(c.get("other").has_value);
}

TEST(CacheAbi, ManyThreadsOfOneColdKeyAreOneFill) {
  Caching c;
  std::atomic<int> fills{0}, served{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 32; ++i)
    threads.emplace_back([&] {
      const Found found = c.get("cold", TG_FILL | TG_WAIT);
      if (found.what == TG_CACHE_MISS) {
        ++fills;
        sleep_ms(50);
        EXPECT_EQ(c.put("cold", "made", found.lease).what, TG_CACHE_STORED);
        ++served;
      } else if (found.value == "made") {
        ++served;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fills, 1);
  EXPECT_EQ(served, 32);
}

TEST(CacheAbi, ALookUpOnARingCompletesWhenAnothersFillDoes) {
  Caching c;
  Reaper reaper(c.gate);
  const Found holder = c.get("k", TG_FILL);
  ASSERT_FALSE(holder.lease.empty());
  for (uint64_t i = 1; i <= 200; ++i)
    ASSERT_TRUE(submit(reaper.ring(),
                       {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT, .user_data = i}));
  EXPECT_TRUE(take(reaper.ring(), 1, 50).empty());
  const int64_t start_ms = now_ms();
  std::thread filler([&] { c.put("k", "made", holder.lease); });
  const auto found = take(reaper.ring(), 200);
  filler.join();
  EXPECT_LT(now_ms() - start_ms, 1'000);
  ASSERT_EQ(found.size(), 200U);
  for (const Found& one : found) {
    EXPECT_EQ(one.what, TG_CACHE_SHARED) << one;
    EXPECT_EQ(one.value, "made");
  }
}

TEST(CacheAbi, AFillThatFailsReachesWhoWaitsWithItsWords) {
  Caching c;
  const Found holder = c.get("k", TG_FILL);
  Reaper reaper(c.gate);
  for (int i = 0; i < 3; ++i)
    submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_RELEASE,
                   .key = "k",
                   .flags = TG_FAILED,
                   .lease = holder.lease,
                   .value = "the origin is on fire"})
                .what,
            TG_CACHE_DONE);
  const auto found = take(reaper.ring(), 3);
  ASSERT_EQ(found.size(), 3U);
  for (const Found& one : found) {
    EXPECT_EQ(one.what, TG_CACHE_FAILED) << one;
    EXPECT_EQ(one.value, "the origin is on fire");
  }
  EXPECT_FALSE(c.get("k", TG_FILL).lease.empty()) << "the next one fills";
}

TEST(CacheAbi, AFillThatFailsIsRescuedWhereThereIsSomething) {
  Caching c({.ttl = "20ms", .stale_if_error = "1h"});
  c.put("k", "old");
  sleep_ms(40);
  const Found holder = c.get("k", TG_FILL);
  EXPECT_EQ(holder.what, TG_CACHE_MISS);
  EXPECT_EQ(holder.value, "old") << "what to serve if the fill fails";
  Reaper reaper(c.gate);
  submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  c.ask({.op = TG_OP_CACHE_RELEASE, .key = "k", .flags = TG_FAILED, .lease = holder.lease});
  const auto found = take(reaper.ring(), 1);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].what, TG_CACHE_RESCUED);
  EXPECT_EQ(found[0].value, "old");
}

TEST(CacheAbi, AHolderWhoGivesUpHandsTheFillOn) {
  Caching c;
  const Found holder = c.get("k", TG_FILL);
  Reaper reaper(c.gate);
  for (int i = 0; i < 3; ++i)
    submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  c.ask({.op = TG_OP_CACHE_RELEASE, .key = "k", .lease = holder.lease});
  const auto next = take(reaper.ring(), 2, 200);
  ASSERT_EQ(next.size(), 1U) << "one fills, two wait on";
  EXPECT_EQ(next[0].what, TG_CACHE_MISS);
  ASSERT_FALSE(next[0].lease.empty());
  c.put("k", "made", next[0].lease);
  EXPECT_EQ(take(reaper.ring(), 2).size(), 2U);
}

TEST(CacheAbi, AHolderWhoDiesIsReplacedWhenItsLeaseRunsOut) {
  Caching c({.lease = "100ms"});
  ASSERT_FALSE(c.get("k", TG_FILL).lease.empty());
  const int64_t start_ms = now_ms();
  const Found next = c.get("k", TG_FILL | TG_WAIT);  // blocks
  EXPECT_EQ(next.what, TG_CACHE_MISS);
  EXPECT_FALSE(next.lease.empty());
  EXPECT_GE(now_ms() - start_ms, 90);
  EXPECT_LT(now_ms() - start_ms, 2'000);
}

TEST(CacheAbi, ALeaseThatIsRenewedIsKept) {
  Caching c({.lease = "300ms", .wait = "700ms"});
  const Found holder = c.get("k", TG_FILL);
  std::atomic<bool> stop{false};
  std::thread renews([&] {
    while (!stop) {
      EXPECT_EQ(c.ask({.op = TG_OP_CACHE_RENEW, .key = "k", .lease = holder.lease}).what,
                TG_CACHE_DONE);
      sleep_ms(50);
    }
  });
  const Found waited = c.get("k", TG_FILL | TG_WAIT);
  stop = true;
  renews.join();
  EXPECT_EQ(waited.what, TG_CACHE_MISS) << "it waited for 700 ms";
  EXPECT_TRUE(waited.lease.empty()) << "and may fill for itself, without storing";
}

TEST(CacheAbi, ALookUpThatWaitsCanBeCanceled) {
  Caching c;
  c.get("k", TG_FILL);
  Reaper reaper(c.gate);
  submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT, .user_data = 7});
  submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT, .user_data = 8});
  EXPECT_EQ(tg_cancel(reaper.ring(), 7), 1);
  const auto found = take(reaper.ring(), 2, 100);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].user_data, 7U);
  EXPECT_EQ(found[0].status, TG_ECANCELED);
  EXPECT_EQ(tg_cancel(reaper.ring(), 7), 0);
}

TEST(CacheAbi, ClosingAnswersAllThatWait) {
  Caching c;
  c.get("k", TG_FILL);
  Reaper reaper(c.gate);
  for (int i = 0; i < 5; ++i)
    submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  std::thread blocked([&] { EXPECT_EQ(c.get("k", TG_FILL | TG_WAIT).status, TG_ECLOSED); });
  sleep_ms(50);
  EXPECT_EQ(tg_client_close(c.gate.client()), TG_OK);
  blocked.join();
  const auto found = take(reaper.ring(), 5);
  ASSERT_EQ(found.size(), 5U);
  for (const Found& one : found) EXPECT_EQ(one.status, TG_ECLOSED);
}

TEST(CacheAbi, ARingThatGoesTakesItsWaitersAlong) {
  Caching c;
  const Found holder = c.get("k", TG_FILL);
  {
    Reaper reaper(c.gate);
    for (int i = 0; i < 5; ++i)
      submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  }
  EXPECT_EQ(c.put("k", "made", holder.lease).what, TG_CACHE_STORED);
}

TEST(CacheAbi, NobodyWhoAsksAfterAPurgeGetsWhatWasMadeBeforeIt) {
  Caching c;
  const Found holder = c.get("k", TG_FILL);
  Reaper reaper(c.gate);
  submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  c.ask({.op = TG_OP_CACHE_PURGE, .key = "t"});
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_PUT,
                   .key = "k",
                   .lease = holder.lease,
                   .value = "before",
                   .tags = {"t"}})
                .what,
            TG_CACHE_LATE);
  const auto next = take(reaper.ring(), 1);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].what, TG_CACHE_MISS) << "it fills anew";
  EXPECT_FALSE(next[0].lease.empty());
}

TEST(CacheAbi, AValueThatIsTooLargeIsSharedAndNotStored) {
  Caching c({.max_entry = 100});
  const Found holder = c.get("k", TG_FILL);
  Reaper reaper(c.gate);
  submit(reaper.ring(), {.cache = c.cache, .key = "k", .flags = TG_FILL | TG_WAIT});
  EXPECT_EQ(c.put("k", std::string(101, 'x'), holder.lease).what, TG_CACHE_REFUSED);
  const auto found = take(reaper.ring(), 1);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].what, TG_CACHE_SHARED);
  EXPECT_EQ(found[0].value, std::string(101, 'x'));
  EXPECT_FALSE(c.get("k", TG_FILL).lease.empty());
  c.put("l", "small");
  EXPECT_EQ(c.put("l", std::string(101, 'x')).what, TG_CACHE_REFUSED);
  EXPECT_EQ(c.get("l").what, TG_CACHE_MISS) << "not what was there before";
}

TEST(CacheAbi, WhatCannotBeIsRefusedWithAWord) {
  Caching c;
  const std::string digest = digest_of("k");
  const auto refused = [&](const CacheAsked& asked, const std::string& word) {
    const auto entries = entries_of(asked, digest);
    const auto n = static_cast<int32_t>(entries.size());
    tg_error error{};
    tg_result result{};
    EXPECT_EQ(tg_check_entries(entries.data(), n, &error), TG_EINVAL) << word;
    EXPECT_NE(std::string(error.message).find(word), std::string::npos) << error.message;
    EXPECT_EQ(tg_call(c.gate.client(), entries.data(), n, &result, 1), TG_EINVAL);
  };
  refused({.flags = TG_WAIT}, "TG_WAIT");
  refused({.flags = TG_FAILED}, "flags");
  refused({.value = "v"}, "value");
  refused({.lease = "l"}, "id");
  refused({.arg2 = 1}, "arg");
  refused({.tags = {"t"}}, "TG_LINK");
  refused({.op = TG_OP_CACHE_TAG}, "without a put");
  refused({.op = TG_OP_CACHE_PUT, .tags = std::vector<std::string>(17, "t")}, "16 tags");
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_PUT, .key = "k", .tags = {""}}).status, TG_EKEY);
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_PUT, .key = "k", .tags = {std::string(256, 't')}}).status,
            TG_EKEY);
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_PUT, .key = "k", .meta = std::string(4097, 'm')}).status,
            TG_EINVAL);
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_PUT, .key = "k", .arg = -2}).status, TG_EINVAL);
  EXPECT_EQ(c.ask({.op = TG_OP_CACHE_PURGE, .key = ""}).status, TG_EKEY);
  EXPECT_EQ(call(c.gate.client(), {.cache = c.cache + 1, .key = "k"}).status, TG_EHANDLE);
  const uint64_t limiter = c.gate.open("5/s", "api");
  EXPECT_EQ(call(c.gate.client(), {.cache = limiter, .key = "k"}).status, TG_EHANDLE);
  EXPECT_EQ(c.gate.consume(c.cache, "k").status, TG_EHANDLE);
}

TEST(CacheAbi, ASpecificationIsCheckedAndKept) {
  Caching c;
  tg_error error{};
  uint64_t handle = 0;
  const auto open = [&](tg_cache_spec spec) {
    return tg_cache_open(c.gate.client(), &spec, &handle, &error);
  };
  EXPECT_EQ(open({.name = TG_TEXT("c"), .ttl = TG_TEXT("1h"), .jitter = TG_TEXT("0")}), TG_OK);
  EXPECT_EQ(handle, c.cache) << "the same name and numbers";
  EXPECT_EQ(open({.name = TG_TEXT("c"), .ttl = TG_TEXT("2h")}), TG_ECONFLICT);
  EXPECT_EQ(open({.name = TG_TEXT("a b")}), TG_ENAME);
  EXPECT_EQ(open({.name = TG_TEXT("d"), .ttl = TG_TEXT("soon")}), TG_ERATE);
  EXPECT_EQ(open({.name = TG_TEXT("d"), .ttl = TG_TEXT("0")}), TG_ERATE);
  EXPECT_EQ(open({.name = TG_TEXT("d"), .jitter = TG_TEXT("1.1")}), TG_EINVAL);
  EXPECT_EQ(open({.name = TG_TEXT("d"), .max_entry = (64 << 20) + 1}), TG_EINVAL);
  EXPECT_EQ(tg_cache_close(c.gate.client(), c.cache), TG_OK);
  EXPECT_EQ(tg_cache_close(c.gate.client(), c.cache), TG_EHANDLE);
  EXPECT_EQ(c.get("k").status, TG_EHANDLE);
  EXPECT_EQ(open({.name = TG_TEXT("c"), .ttl = TG_TEXT("2h")}), TG_OK) << "closed: other numbers";
}

TEST(CacheAbi, JitterShortensAndNeverLengthens) {
  Caching c({.ttl = "100s", .jitter = "0.5"}, kManual);
  c.gate.set_time(1'763'683'200'000'000);
  int64_t least = INT64_MAX, most = 0;
  for (int i = 0; i < 500; ++i) {
    c.put("k", "v");
    const int64_t fresh_us = c.get("k").fresh_us;
    least = std::min(least, fresh_us);
    most = std::max(most, fresh_us);
  }
  EXPECT_GE(least, 50'000'000);
  EXPECT_LT(least, 60'000'000);
  EXPECT_GT(most, 90'000'000);
  EXPECT_LE(most, 100'000'000);
}

TEST(CacheAbi, EverythingIsCounted) {
  Caching c;
  const Found holder = c.get("k", TG_FILL);
  c.put("k", "v", holder.lease);
  c.get("k");
  c.put("k", "late", holder.lease);
  c.ask({.op = TG_OP_CACHE_PURGE, .key = "t"});
  c.ask({.op = TG_OP_CACHE_CLEAR});
  const std::string text = c.metrics();
  for (const char* line :
       {"tidegate_cache_lookups_total{result=\"hit\"} 1",
        "tidegate_cache_lookups_total{result=\"miss\"} 1",
        "tidegate_cache_stores_total{result=\"stored\"} 1",
        "tidegate_cache_stores_total{result=\"late\"} 1",
        "tidegate_cache_wipes_total{what=\"purge\"} 1",
        "tidegate_cache_wipes_total{what=\"clear\"} 1", "tidegate_cache_entries 1"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
}

}  // namespace
}  // namespace tidegate::test
