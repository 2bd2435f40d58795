// SPDX-License-Identifier: MIT
#include "cache/config.h"

#include <algorithm>

#include "base/text.h"
#include "cache/entry.h"
#include "cache/key.h"
#include "limiter/rate.h"

namespace tidegate {
namespace {

constexpr int64_t kDayUs = 86'400'000'000;
constexpr int64_t kMostLifeUs = 366 * kDayUs;
constexpr int64_t kMostWaitUs = 3'600'000'000;

// "0.1" as millionths; -1: none of 0 to 1 with at most 6 digits behind the point.
int64_t millionths(std::string_view text) {
  const std::string_view whole = text.substr(0, text.find('.'));
  std::string part(text.size() > whole.size() ? text.substr(whole.size() + 1) : "");
  if (whole.size() != 1 || (whole != "0" && whole != "1") || part.size() > 6 ||
      part.find_first_not_of("0123456789") != part.npos)
    return -1;
  part.resize(6, '0');
  const int64_t all = (whole == "1" ? 1'000'000 : 0) + std::stoll(part);
  return all <= 1'000'000 ? all : -1;
}

}  // namespace

Result<std::unique_ptr<CacheConfig>> CacheConfig::make(const CacheSpec& spec) {
  auto made = std::make_unique<CacheConfig>();
  if (!is_cache_name(spec.name))
    return Error{Code::kName,
                 "cache " + quote(spec.name) + ": expected a name of 1 to 64 of A-Z a-z 0-9 _ . -"};
  made->name = spec.name;
  struct Row {
    std::string_view what, text;
    int64_t& us;
    int64_t least_us, most_us;
  };
  Lifetimes& life = made->numbers.life;
  for (const Row& row : {Row{"ttl", spec.ttl, life.ttl_us, 1, kMostLifeUs},
                         Row{"stale", spec.stale, life.stale_us, 0, kMostLifeUs},
                         Row{"stale_if_error", spec.stale_if_error, life.error_us, 0, kMostLifeUs},
                         Row{"lease", spec.lease, made->numbers.lease_us, 1'000, kDayUs},
                         Row{"wait", spec.wait, made->wait_us, 0, kMostWaitUs},
                         Row{"retry", spec.retry, made->numbers.retry_us, 1, kDayUs},
                         Row{"near", spec.near, made->near_us, 0, kDayUs}}) {
    if (row.text.empty()) continue;
    const auto us = parse_duration(row.what, row.text, row.most_us);
    if (!us) return us.error();
    if (*us < row.least_us || *us > row.most_us)
      return Error{Code::kRate, std::string(row.what) + " " + quote(row.text) + ": expected " +
                                    std::to_string(row.least_us) + " to " +
                                    std::to_string(row.most_us) + " us"};
    row.us = *us;
  }
  if (!spec.jitter.empty()) made->jitter_millionths = millionths(spec.jitter);
  if (made->jitter_millionths < 0)
    return Error{Code::kInvalid, "jitter " + quote(spec.jitter) + ": expected 0 to 1, as \"0.1\""};
  if (spec.max_entry != 0) made->max_entry = spec.max_entry;
  if (made->max_entry < 1 || made->max_entry > kMaxEntryBytes)
    return Error{Code::kInvalid, "max_entry " + std::to_string(spec.max_entry) +
                                     ": expected 1 to " + std::to_string(kMaxEntryBytes)};
  return made;
}

std::string CacheConfig::text() const {
  std::string out;
  for (const int64_t number :
       {numbers.life.ttl_us, numbers.life.stale_us, numbers.life.error_us, numbers.lease_us,
        numbers.retry_us, jitter_millionths, wait_us, near_us, max_entry})
    out.append(out.empty() ? "" : " ").append(std::to_string(number));
  return out;
}

}  // namespace tidegate
