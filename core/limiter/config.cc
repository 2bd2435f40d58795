// SPDX-License-Identifier: MIT
#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "limiter/make_config.h"
#include "limiter/rate.h"

namespace tidegate {
namespace {

constexpr std::string_view kModes[] = {"enforce", "shadow", "off"};
constexpr std::string_view kPolicies[] = {"local", "open", "closed"};
constexpr size_t kMaxName = 64;

bool name_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

Status check_name(std::string_view name) {
  const auto bad = std::ranges::find_if_not(name, name_char);
  if (bad == name.end() && name.size() <= kMaxName) return Nothing{};
  return Error{Code::kName,
               "limiter name '" + std::string(name.substr(0, 80)) +
                   "': expected 1 to 64 of A-Z a-z 0-9 _ . -",
               bad == name.end() ? static_cast<int32_t>(kMaxName)
                                 : static_cast<int32_t>(bad - name.begin())};
}

// `limit` per n windows with capacity max(1, floor(capacity / n)): n processes together keep the
// rate. Where n windows are longer than can be counted, fewer tokens for one window. Slots stay
// slots: a bucket could not give them back.
Result<Numbers> share_of(const Numbers& limit, int64_t n) {
  if (n == 1) return limit;
  const int64_t capacity = std::max<int64_t>(1, limit.capacity / n);
  if (limit.algorithm == Algorithm::kConcurrency)
    return Numbers::make(limit.algorithm, capacity, limit.window_us);
  const int64_t overdraft = limit.overdraft / n;
  const int64_t common = std::gcd(limit.limit, n);
  int64_t windows = 0;
  if (__builtin_mul_overflow(limit.window_us, n / common, &windows)) windows = kMaxWindowUs + 1;
  auto exact =
      Numbers::make(Algorithm::kTokenBucket, limit.limit / common, windows, capacity, overdraft);
  if (exact) return exact;
  return Numbers::make(Algorithm::kTokenBucket, std::max<int64_t>(1, limit.limit / n),
                       limit.window_us, capacity, overdraft);
}

template <size_t N>
int index_of(const std::string_view (&names)[N], std::string_view name) {
  const auto found = std::ranges::find(names, name);
  return found == std::end(names) ? -1 : static_cast<int>(found - names);
}

Status read_words(const LimiterSpec& spec, LimiterConfig& config) {
  if (!spec.algorithm.empty()) {
    const auto algorithm = parse_algorithm(spec.algorithm);
    if (!algorithm)
      return Error{Code::kInvalid,
                   "unknown algorithm '" + std::string(spec.algorithm.substr(0, 80)) +
                       "': expected token_bucket (gcra, leaky_bucket), fixed_window, "
                       "sliding_window, sliding_log or concurrency"};
    config.algorithm = *algorithm;
  }
  if (!spec.mode.empty()) {
    auto mode = parse_mode(spec.mode);
    if (!mode) return mode.error();
    config.mode = *mode;
  }
  if (!spec.on_failure.empty()) {
    auto policy = parse_on_failure(spec.on_failure);
    if (!policy) return policy.error();
    config.on_failure = *policy;
  }
  if (!spec.lease.empty()) {
    auto lease = parse_lease(spec.lease);
    if (!lease) return lease.error();
    config.lease_us = *lease;
  }
  return Nothing{};
}

// The limits of a change that names no rates: the old numbers, under what may be another algorithm
// or lease.
Result<std::vector<Numbers>> same_numbers(const LimiterConfig& before,
                                          const LimiterConfig& config) {
  std::vector<Numbers> limits;
  for (const Rate& rate : before.rates) {
    const Numbers& old = rate.limit;
    const bool slots = old.algorithm == Algorithm::kConcurrency;
    if (!slots && config.algorithm == Algorithm::kConcurrency)
      return Error{Code::kRate, "a rate of " + rate_text(old) +
                                    " under concurrency: expected slots, such as \"5 at once\""};
    const auto burst = old.burst && config.algorithm == Algorithm::kTokenBucket
                           ? std::optional<int64_t>(old.burst)
                           : std::nullopt;
    auto limit =
        slots ? Numbers::make(old.algorithm, old.limit, config.lease_us)
              : Numbers::make(config.algorithm, old.limit, old.window_us, burst, old.overdraft);
    if (!limit) return limit.error();
    for (const Numbers& other : limits)
      if (other.window_us == limit->window_us)
        return Error{Code::kRate, "lease " + window_text(limit->window_us) +
                                      ": expected another than the window of another rate"};
    limits.push_back(*limit);
  }
  return limits;
}

Fingerprint rate_id(const Fingerprinter& fingerprint, std::string_view engine,
                    const std::string& name, const Numbers& limit) {
  std::string text(engine);
  return fingerprint(text.append(state_head("", name, limit)));
}

// Of one limiter and the place of a rate in it, whatever its numbers are.
RateMark mark_of(const Fingerprinter& fingerprint, const std::string& name, size_t place) {
  const Fingerprint print = fingerprint("mark " + std::to_string(place) + " " + name);
  return {static_cast<uint32_t>(print.low) | 1};
}

}  // namespace

std::string_view mode_name(Mode mode) { return kModes[static_cast<size_t>(mode)]; }

Result<Mode> parse_mode(std::string_view text) {
  if (const int mode = index_of(kModes, text); mode >= 0) return static_cast<Mode>(mode);
  return Error{Code::kInvalid, "unknown mode '" + std::string(text.substr(0, 80)) +
                                   "': expected enforce, shadow or off"};
}

std::string_view on_failure_name(OnFailure policy) {
  return kPolicies[static_cast<size_t>(policy)];
}

Result<OnFailure> parse_on_failure(std::string_view text) {
  if (const int policy = index_of(kPolicies, text); policy >= 0)
    return static_cast<OnFailure>(policy);
  return Error{Code::kOption, "on_failure " + quote(text) + ": expected local, open or closed"};
}

std::string state_head(std::string_view name_space, std::string_view name, const Numbers& limit) {
  std::string head(name_space);
  head.append(":1:").append(name).append(":");
  head += algorithm_letter(limit.algorithm);
  return head + window_text(limit.window_us) + ":";
}

std::string LimiterConfig::text() const {
  std::string text = name;
  for (const Rate& rate : rates) text += ";" + rate_text(rate.limit);
  return text.append(";").append(mode_name(mode)).append(";").append(on_failure_name(on_failure));
}

Result<std::unique_ptr<const LimiterConfig>> make_limiter(const LimiterSpec& spec,
                                                          const LimiterConfig* before,
                                                          const LimiterDefaults& defaults,
                                                          const Fingerprinter& fingerprint) {
  auto config = std::make_unique<LimiterConfig>();
  config->on_failure = defaults.on_failure;
  if (before) {
    config->algorithm = before->algorithm;
    config->mode = before->mode;
    config->on_failure = before->on_failure;
    config->lease_us = before->lease_us;
  }
  if (auto read = read_words(spec, *config); !read) return read.error();
  config->mode = std::max(config->mode, defaults.mode);

  auto limits = spec.rates.empty() && before
                    ? same_numbers(*before, *config)
                    : parse_rates(spec.rates, config->algorithm, config->lease_us);
  if (!limits) return limits.error();
  config->has_slots = std::ranges::any_of(
      *limits, [](const Numbers& n) { return n.algorithm == Algorithm::kConcurrency; });
  if (!spec.lease.empty() && !config->has_slots)
    return Error{Code::kRate, "lease " + quote(spec.lease) +
                                  ": expected none, since it belongs to slots (\"5 at once\")"};

  if (before) {
    config->name = before->name;
  } else if (spec.name.empty()) {
    config->name = default_name(*limits);
  } else {
    if (auto named = check_name(spec.name); !named) return named.error();
    config->name = spec.name;
  }
  for (const Numbers& limit : *limits) {
    auto share = share_of(limit, defaults.fallback_share);
    if (!share) return share.error();
    Rate rate;
    rate.limit = limit;
    rate.share = *share;
    rate.limit.mark = rate.share.mark = mark_of(fingerprint, config->name, config->rates.size());
    rate.id = rate_id(fingerprint, "", config->name, limit);
    rate.share_id = rate_id(fingerprint, "share ", config->name, *share);
    rate.policy = config->name;
    if (limits->size() > 1) rate.policy += "-" + window_text(limit.window_us);
    rate.state_head = state_head(defaults.name_space, config->name, limit);
    config->rates.push_back(std::move(rate));
  }
  if (config->rates.size() == 1 && config->mode != Mode::kOff)
    config->way = config->has_slots ? LimiterConfig::Way::kOneOfSlots : LimiterConfig::Way::kOne;
  return std::unique_ptr<const LimiterConfig>(std::move(config));
}

Result<std::string> numbers_name(const LimiterSpec& spec) {
  LimiterConfig config;
  if (auto read = read_words(spec, config); !read) return read.error();
  auto limits = parse_rates(spec.rates, config.algorithm, config.lease_us);
  if (!limits) return limits.error();
  return default_name(*limits);
}

}  // namespace tidegate
