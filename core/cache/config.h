// SPDX-License-Identifier: MIT
// A cache: its name and its numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/decide.h"

namespace tidegate {

// As a caller writes it; an empty text and a 0 are the default.
struct CacheSpec {
  std::string_view name;
  std::string_view ttl, stale, stale_if_error;  // "1h"; "0"
  std::string_view jitter;                      // "0.1": 0 to 1
  std::string_view lease, wait, retry, near;
  int64_t max_entry = 0;
};

struct CacheConfig {
  std::string name;
  CacheNumbers numbers{{3'600'000'000, 0, 0}};
  int64_t jitter_millionths = 100'000;  // each ttl is shortened by chance by up to this part
  int64_t wait_us = 30'000'000;         // so long a caller waits for somebody else's fill
  int64_t near_us = 0;                  // entries of a server are kept in the process for so long
  int64_t max_entry = 1 << 20;

  // Any thread. kName, kInvalid, kRate (of a time).
  static Result<std::unique_ptr<CacheConfig>> make(const CacheSpec& spec);
  std::string text() const;  // the numbers; equal ones have equal texts

  // The lifetimes with the jitter that `chance` (any bits) draws.
  Lifetimes jittered(Lifetimes life, uint64_t chance) const {
    const auto drawn = static_cast<int64_t>(chance % static_cast<uint64_t>(jitter_millionths + 1));
    life.ttl_us -= life.ttl_us / 1'000'000 * drawn + life.ttl_us % 1'000'000 * drawn / 1'000'000;
    return life;
  }
};

}  // namespace tidegate
