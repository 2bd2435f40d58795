// SPDX-License-Identifier: MIT
// The embedded engine of caches: the reference model's answers, its bound, and who leaves first.
#include "store/memory/cache_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"

namespace tidegate::test {
namespace {

using Json = nlohmann::json;
constexpr int64_t kNow = 1'763'683'200'000'000, kHour = 3'600'000'000;

Sha256 digest_of(const std::string& key) { return *sha256(key); }

SharedBytes entry_of(const std::string& key, const std::string& value,
                     const std::vector<std::string>& tags = {}) {
  const std::vector<std::string_view> views(tags.begin(), tags.end());
  return make_entry({0, digest_of(key), views, "", value});
}

std::string value_of(const SharedBytes& entry) {
  return std::string(read_entry(entry.view())->value);
}

const char* name_of(CacheStatus status) {
  constexpr const char* kNames[] = {"none", "hit",  "stale",  "rescued",
                                    "miss", "wait", "shared", "failed"};
  return kNames[static_cast<size_t>(status)];
}

// One scenario of the model on a table of its own.
struct Scenario {
  CacheTable table{64 << 20, true};
  Cache cache;
  Lifetimes life;

  explicit Scenario(const Json& spec) {
    auto config = std::make_unique<CacheConfig>();
    life = {spec["ttl_us"], spec["stale_us"], spec["error_us"]};
    config->name = "c";
    config->numbers = {life, spec["lease_us"], spec["retry_us"]};
    cache = {std::move(config), table.space("c")};
  }

  Json run(const Json& step) {
    const int64_t at = step["at"];
    const std::string op = step["op"];
    const uint64_t token = step.value("token", uint64_t{0});
    if (op == "purge") return table.purge(cache, step["tag"].get<std::string>(), at), Json();
    if (op == "clear") return table.clear(cache, at), Json();
    const Sha256 digest = digest_of(step["key"]);
    if (op == "get") return get(digest, step["fill"].get<bool>() ? token : 0, at);
    if (op == "release") return table.release(cache, digest, token, step["failed"], at);
    if (op == "renew") return table.renew(cache, digest, token, at);
    if (op == "delete") return table.erase(cache, digest, at);
    const Lifetimes asked{step.value("ttl_us", life.ttl_us), step.value("stale_us", life.stale_us),
                          step.value("error_us", life.error_us)};
    const SharedBytes entry = entry_of(step["key"], step["value"], step["tags"]);
    switch (table.put(cache, digest, {token, step.value("born", int64_t{0}), asked}, entry, at)) {
      case PutStatus::kStored:
        return "stored";
      case PutStatus::kLate:
        return "late";
      case PutStatus::kRefused:
        return "refused";
    }
    return Json();
  }

  Json get(const Sha256& digest, uint64_t token, int64_t at) {
    const auto found = table.get(cache, digest, token, at);
    Json out{{"status", name_of(found.seen.status)}, {"lease", found.seen.granted}};
    if (found.seen.status == CacheStatus::kWait) out["wait_us"] = found.seen.wait_us;
    if (!found.seen.shows_entry) return out;
    if (found.seen.status == CacheStatus::kMiss) {
      out["rescue"] = value_of(found.entry);
      return out;
    }
    out["value"] = value_of(found.entry);
    out["age_us"] = std::max<int64_t>(0, at - found.times.born);
    out["fresh_us"] = std::max<int64_t>(0, found.times.fresh_until - at);
    return out;
  }
};

TEST(CacheTable, AnswersAsTheModel) {
  std::ifstream file(TIDEGATE_SOURCE_DIR "/tests/conformance/cache.jsonl");
  int scenarios = 0;
  for (std::string line; std::getline(file, line); ++scenarios) {
    const Json row = Json::parse(line);
    Scenario scenario(row["spec"]);
    int at = 0;
    for (const Json& step : row["steps"]) {
      const Json got = scenario.run(step);
      ASSERT_EQ(got, step.value("expect", Json())) << row["id"] << " step " << at << " " << step;
      ++at;
    }
  }
  EXPECT_EQ(scenarios, 300);
}

// A cache whose entries live for an hour, or as it is told.
struct Simple {
  CacheTable table;
  Cache cache;
  explicit Simple(int64_t max_bytes, bool manual = true) : table(max_bytes, manual) {
    auto config = std::make_unique<CacheConfig>();
    config->max_entry = 4 << 20;
    cache = {std::move(config), table.space("c")};
  }
  PutStatus set(const std::string& key, const std::string& value, int64_t now = kNow,
                int64_t ttl = kHour) {
    return table.put(cache, digest_of(key), {.life = {ttl, 0, 0}}, entry_of(key, value), now);
  }
  bool has(const std::string& key, int64_t now = kNow) {
    return table.get(cache, digest_of(key), 0, now).seen.status == CacheStatus::kHit;
  }
};

TEST(CacheTable, AHitIsTheStoredBytesThemselves) {
  Simple simple(1 << 20);
  const SharedBytes entry = entry_of("k", "value");
  simple.table.put(simple.cache, digest_of("k"), {.life = {kHour, 0, 0}}, entry, kNow);
  EXPECT_EQ(simple.table.get(simple.cache, digest_of("k"), 0, kNow).entry.data, entry.data);
}

TEST(CacheTable, NamesDoNotMeetUnderOneDigest) {
  Simple simple(1 << 20);
  const Cache other{std::make_unique<CacheConfig>(), simple.table.space("d")};
  simple.set("k", "value");
  EXPECT_EQ(simple.table.get(other, digest_of("k"), 0, kNow).seen.status, CacheStatus::kMiss);
  EXPECT_EQ(simple.table.space("c"), simple.cache.space);
}

TEST(CacheTable, BytesStayWithinTheBoundUnderManyThreads) {
  constexpr int64_t kMost = 16 << 20;
  Simple simple(kMost, false);
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<uint64_t>(t));
      for (int i = 0; i < 4'000; ++i) {
        const size_t size = size_t{10} << random() % 17;
        simple.set("k" + std::to_string(random() % 20'000), std::string(size, 'x'), wall_us());
        if (i % 64 == 0 && simple.table.stats(wall_us()).bytes > kMost) over = true;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(over);
  const CacheStats stats = simple.table.stats(wall_us());
  EXPECT_GT(stats.evicted, 1'000);
  EXPECT_GT(stats.bytes, kMost / 2) << "room is used";
}

TEST(CacheTable, NothingIsLeftBookedWhenEverythingIsGone) {
  Simple simple(1 << 20, false);
  for (int i = 0; i < 500; ++i) {
    const std::string key = "k" + std::to_string(i);
    simple.set(key, "value", kNow, kHour);
    simple.table.get(simple.cache, digest_of("l" + key), 7, kNow);
    simple.table.put(simple.cache, digest_of("m" + key), {7, kNow - 1, {1, 0, 0}},
                     entry_of("m", "late"), kNow + 5);
    if (i % 2) simple.table.erase(simple.cache, digest_of(key), kNow);
  }
  const CacheStats full = simple.table.stats(kNow);
  EXPECT_EQ(full.entries, 250);
  EXPECT_GT(full.bytes, 500 * int64_t{sizeof(CacheRecord)});
  const CacheStats later = simple.table.stats(kNow + 2 * kHour);
  EXPECT_EQ(later.entries, 0);
  EXPECT_EQ(later.bytes, 0) << "expired entries, leases and tombs leave without being asked for";
}

TEST(CacheTable, WhatHasRunOutGoesBeforeWhatIsAlive) {
  Simple simple(1 << 20);
  for (int i = 0; i < 600; ++i)
    simple.set("short" + std::to_string(i), std::string(700, 's'), kNow, kHour);
  for (int i = 0; i < 300; ++i)
    simple.set("long" + std::to_string(i), std::string(700, 'l'), kNow + 2, 10 * kHour);
  EXPECT_EQ(simple.table.stats(kNow).evicted, 0);
  for (int i = 0; i < 500; ++i)
    simple.set("new" + std::to_string(i), std::string(700, 'n'), kNow + kHour + 3, 10 * kHour);
  EXPECT_EQ(simple.table.stats(kNow).evicted, 0) << "600 had run out";
  for (int i = 0; i < 300; ++i) EXPECT_TRUE(simple.has("long" + std::to_string(i), kNow + kHour));
}

TEST(CacheTable, AScanDoesNotPushOutWhatIsAskedForAgain) {
  Simple simple(4 << 20);
  const auto hot = [](int i) { return "hot" + std::to_string(i); };
  for (int i = 0; i < 1'000; ++i) simple.set(hot(i), std::string(500, 'h'));
  for (int round = 0; round < 3; ++round)
    for (int i = 0; i < 1'000; ++i) simple.has(hot(i));
  for (int i = 0; i < 50'000; ++i) simple.set("cold" + std::to_string(i), std::string(500, 'c'));
  int kept = 0;
  for (int i = 0; i < 1'000; ++i) kept += simple.has(hot(i));
  EXPECT_GT(kept, 950);
}

TEST(CacheTable, LeasesAndTombsThatFillEverythingWipeMoreNotLess) {
  Simple simple(200'000);
  int granted = 0;
  for (int i = 0; i < 2'000; ++i)
    granted +=
        simple.table.get(simple.cache, digest_of("k" + std::to_string(i)), 7, kNow).seen.granted;
  EXPECT_GT(granted, 100);
  EXPECT_LT(granted, 2'000) << "beyond the bound callers fill without a lease";
  EXPECT_LE(simple.table.stats(kNow).bytes, 200'000);
  // A fill is under way for a key whose delete finds no room for a tomb.
  simple.table.erase(simple.cache, digest_of("other"), kNow + 1);
  EXPECT_EQ(simple.table.put(simple.cache, digest_of("other"), {9, kNow, {kHour, 0, 0}},
                             entry_of("other", "made before"), kNow + 2),
            PutStatus::kLate);
}

}  // namespace
}  // namespace tidegate::test
