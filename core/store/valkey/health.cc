// SPDX-License-Identifier: MIT
#include "store/valkey/health.h"

#include <algorithm>
#include <new>

namespace tidegate {
namespace {

// A store without memory, or a replica, still answers what writes nothing: only a while without a
// refusal counts.
constexpr int64_t kRefusalHoldUs = 1'000'000;
constexpr int64_t kFailureSpacingUs = 10'000;

}  // namespace

Health::Health(std::string where, const Options& options, const Timeline& timeline,
               Counters& counters, EventLog& events)
    : where_(std::move(where)),
      spacing_us_(std::min(kFailureSpacingUs, options.timeout_ms * 1'000)),
      timeline_(timeline),
      counters_(counters),
      events_(events),
      breaker_(options.breaker_failures,
               (options.timeout_ms + options.connect_timeout_ms) * 1'000) {}

void Health::tell(Level level, Code code, std::string_view before, std::string_view why,
                  std::string_view after) noexcept {
  try {
    std::string text(before);
    events_.report(level, code, text.append(where_).append(after).append(why));
  } catch (const std::bad_alloc&) {  // an operator hears of less while there is no memory
  }
}

void Health::connected() noexcept { breaker_.may_retry(timeline_.now_us()); }

void Health::understood() noexcept {
  const bool closed = breaker_.success();
  if (lost_.load(std::memory_order_relaxed) && lost_.exchange(false))
    tell(Level::kInfo, Code::kOk, "the store at ", closed ? "; the circuit breaker closes" : "",
         " is back");
}

void Health::served() noexcept {
  if (refusing_.load(std::memory_order_relaxed) == 0) return;
  const int64_t now_us = timeline_.now_us();
  if (now_us - refused_us_.load(std::memory_order_relaxed) < kRefusalHoldUs) return;
  if (refusing_.exchange(0) == 0) return;
  tell(Level::kInfo, Code::kOk, "the store at ", "", " answers again");
}

void Health::refused(Code code, std::string_view why) noexcept {
  const auto number = static_cast<int32_t>(code);
  refused_us_.store(timeline_.now_us(), std::memory_order_relaxed);
  remember(code, why);
  if (refusing_.exchange(number) == number) return;
  tell(Level::kError, code, "", why, ": ");
}

void Health::remember(Code code, std::string_view why) noexcept {
  try {
    const MutexGuard guard(mutex_);
    away_.code = code;
    away_.why.assign(why);
  } catch (const std::bad_alloc&) {
  }
}

bool Health::failed(Code code, std::string_view why) noexcept {
  remember(code, why);
  const int64_t now_us = timeline_.now_us();
  int64_t before_us = failed_us_.load(std::memory_order_relaxed);
  if ((before_us != 0 && now_us - before_us < spacing_us_) ||
      !failed_us_.compare_exchange_strong(before_us, now_us))
    return breaker_.open();
  if (!lost_.exchange(true))
    tell(Level::kWarning, code, "the store at ", why, " does not answer: ");
  if (breaker_.failure(now_us)) {
    counters_.add(Counter::kBreakerOpened);
    tell(Level::kError, code,
         "the circuit breaker opens: the failure policy answers, the store at ", "",
         " is tried again in 1 s");
  }
  return breaker_.open();
}

Health::Away Health::away() const {
  const MutexGuard guard(mutex_);
  return away_;
}

int64_t Backoff::next_us() {
  pause_us_ = std::clamp(2 * pause_us_, kFirstUs, kLongestUs);
  jitter_ = jitter_ * 6364136223846793005ULL + 1442695040888963407ULL;
  const auto jitter_us = static_cast<int64_t>((jitter_ >> 33) % static_cast<uint64_t>(pause_us_));
  return pause_us_ / 2 + jitter_us / 2;
}

}  // namespace tidegate
