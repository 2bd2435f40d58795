// SPDX-License-Identifier: MIT
#include "limiter/rate.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"

namespace tidegate {
namespace {

constexpr size_t kMaxText = 4096;

struct Unit {
  std::string_view name;
  int64_t us;
};

constexpr std::array<Unit, 16> kUnits{{
    {"us", 1},
    {"ms", 1'000},
    {"s", 1'000'000},
    {"sec", 1'000'000},
    {"second", 1'000'000},
    {"m", 60'000'000},
    {"min", 60'000'000},
    {"minute", 60'000'000},
    {"h", 3'600'000'000},
    {"hour", 3'600'000'000},
    {"d", 86'400'000'000},
    {"day", 86'400'000'000},
    {"w", 604'800'000'000},
    {"wk", 604'800'000'000},
    {"week", 604'800'000'000},
    {"month", 2'592'000'000'000},
}};

constexpr std::string_view kExpectedUnit =
    "expected a unit (us, ms, s, sec, second, m, min, minute, h, hour, d, day, w, wk, week or "
    "month)";

constexpr bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

bool equal(std::string_view word, std::string_view name) {
  if (word.size() != name.size()) return false;
  for (size_t i = 0; i < word.size(); ++i)
    if (lower(word[i]) != name[i]) return false;
  return true;
}

// "ms" is a unit of its own before it could be the plural of "m": exact names go first.
std::optional<int64_t> unit_us(std::string_view word) {
  for (const Unit& unit : kUnits)
    if (equal(word, unit.name)) return unit.us;
  if (word.empty() || lower(word.back()) != 's') return std::nullopt;
  word.remove_suffix(1);
  for (const Unit& unit : kUnits)
    if (equal(word, unit.name)) return unit.us;
  return std::nullopt;
}

class Parser {
 public:
  Parser(std::string_view what, std::string_view text, Algorithm algorithm, int64_t lease_us)
      : what_(what), text_(text), algorithm_(algorithm), lease_us_(lease_us) {}

  Result<std::vector<Numbers>> rates() {
    std::vector<Numbers> out;
    do {
      skip_blanks();
      if (at_ == text_.size() && !out.empty()) break;
      const size_t begin = at_;
      if (out.size() == kMaxRates)
        return fail(begin, "expected at most " + std::to_string(kMaxRates) + " rates");
      auto limit = rate();
      if (!limit) return limit.error();
      for (const Numbers& other : out)
        if (other.window_us == limit->window_us)
          return fail(begin, "expected another window than that of a rate before it, found " +
                                 window_text(limit->window_us) + " again");
      out.push_back(*limit);
    } while (take(';') || take(','));
    if (at_ != text_.size()) return unexpected(at_, "expected " + may_follow_ + "\";\" or the end");
    return out;
  }

  Result<int64_t> lease_us() {
    auto lease = window_us("a lease", kMaxLeaseUs);
    if (!lease) return lease.error();
    if (at_ != text_.size()) return unexpected(at_, "expected the end");
    if (*lease < kMinLeaseUs || *lease > kMaxLeaseUs)
      return fail(0, "expected a lease of 1 ms to 1 day");
    return lease;
  }

  Result<int64_t> duration_us() {
    auto duration = window_us("a time", kMaxWindowUs);
    if (duration && at_ != text_.size()) return unexpected(at_, "expected the end");
    return duration;
  }

 private:
  Result<Numbers> rate() {
    const size_t begin = at_;
    may_follow_.clear();
    auto count = number("a count", 1, kMaxTokens, true);
    if (!count) return count.error();
    if (take_word("at")) return slots(begin, *count);
    if (algorithm_ == Algorithm::kConcurrency)
      return unexpected(at_, "expected \"at once\": concurrency is slots, no rate");
    if (!take('/') && !take_word("per"))
      return unexpected(at_, "expected \"/\", \"per\" or \"at once\"");
    auto window = window_us("a window", kMaxWindowUs);
    if (!window) return window.error();

    auto burst = option("burst", 1);
    if (!burst) return burst.error();
    auto overdraft = option("overdraft", 0);
    if (!overdraft) return overdraft.error();
    auto limit = Numbers::make(algorithm_, *count, *window, *burst, overdraft->value_or(0));
    if (!limit)
      return fail(begin, "expected a rate that can be kept exactly: " + limit.error().message);
    return limit;
  }

  Result<Numbers> slots(size_t begin, int64_t count) {
    if (!take_word("once")) return unexpected(at_, "expected \"once\"");
    if (is_word("burst") || is_word("overdraft"))
      return fail(at_, "expected no " + lower(word()) + ": it belongs to rates, not to slots");
    auto limit = Numbers::make(Algorithm::kConcurrency, count, lease_us_);
    if (!limit) return fail(begin, "expected slots that can be held: " + limit.error().message);
    return limit;
  }

  // A count behind its word, if that is there.
  Result<std::optional<int64_t>> option(std::string_view name, int64_t least) {
    const bool belongs = name != "burst" || algorithm_ == Algorithm::kTokenBucket;
    const size_t begin = at_;
    if (!take_word(name)) {
      if (belongs) may_follow_.append("\"").append(name).append("\", ");
      return std::optional<int64_t>();
    }
    if (!belongs)
      return fail(begin, "expected no burst: it belongs to token_bucket, not to " +
                             std::string(algorithm_name(algorithm_)));
    may_follow_.clear();
    auto given = number(name == "burst" ? "a burst" : "an overdraft", least, kMaxTokens, true);
    if (!given) return given.error();
    return std::optional<int64_t>(*given);
  }

  Result<int64_t> window_us(std::string_view what, int64_t most_us) {
    skip_blanks();
    const size_t begin = at_;
    int64_t times = 1;
    if (at_ < text_.size() && is_digit(text_[at_])) {
      auto given = number(what, 1, most_us, false);
      if (!given) return given.error();
      times = *given;
    }
    const size_t word_at = at_;
    const auto unit = unit_us(word());
    if (!unit) return unexpected(word_at, std::string(kExpectedUnit));
    at_ += word().size();
    skip_blanks();
    if (times > most_us / *unit)
      return fail(begin, "expected " + std::string(what) + " of at most " +
                             (most_us == kMaxLeaseUs ? "1 day" : "366 days"));
    return times * *unit;
  }

  // A number from `least` to `most`. It is read to its end even where it is too large, so that "at"
  // is honest.
  Result<int64_t> number(std::string_view what, int64_t least, int64_t most, bool underscores) {
    skip_blanks();
    const size_t begin = at_;
    int64_t value = 0;
    bool too_large = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '_' && underscores && at_ > begin) continue;
      if (!is_digit(c)) break;
      value = value * 10 + (c - '0');
      if (value > most) {
        too_large = true;
        value = most;
      }
    }
    if (at_ == begin) return unexpected(begin, "expected " + std::string(what));
    if (too_large || value < least)
      return fail(begin, "expected " + std::string(what) + " from " + std::to_string(least) +
                             " to " + std::to_string(most) + ", found " +
                             quote(text_.substr(begin, at_ - begin), 0, 24));
    skip_blanks();
    return value;
  }

  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  std::string_view word() const {
    size_t end = at_;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }

  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    skip_blanks();
    return true;
  }

  bool is_word(std::string_view name) const { return equal(word(), name); }

  bool take_word(std::string_view name) {
    if (!is_word(name)) return false;
    at_ += name.size();
    skip_blanks();
    return true;
  }

  Error fail(size_t position, const std::string& expected) const {
    return {Code::kRate,
            std::string(what_) + " " + quote(text_, position) + " at " + std::to_string(position) +
                ": " + expected,
            static_cast<int32_t>(position)};
  }

  Error unexpected(size_t position, const std::string& expected) const {
    if (position == text_.size()) return fail(position, expected + ", found the end");
    size_t size = 1;
    while (is_letter(text_[position]) && position + size < text_.size() &&
           is_letter(text_[position + size]))
      ++size;
    return fail(position, expected + ", found " + quote(text_.substr(position, size), 0, 24));
  }

  const std::string_view what_, text_;
  const Algorithm algorithm_;
  const int64_t lease_us_;
  size_t at_ = 0;
  std::string may_follow_;  // what the rate read last could have had at its end
};

constexpr size_t kMostLease = 64;

Error too_long(std::string_view what, std::string_view text, size_t most) {
  return {Code::kRate,
          std::string(what) + " " + quote(text) + " at " + std::to_string(most) +
              ": expected at most " + std::to_string(most) + " bytes",
          static_cast<int32_t>(most)};
}

}  // namespace

Result<std::vector<Numbers>> parse_rates(std::string_view text, Algorithm algorithm,
                                         int64_t lease_us) {
  if (text.size() > kMaxText) return too_long("rate", text, kMaxText);
  return Parser("rate", text, algorithm, lease_us).rates();
}

Result<int64_t> parse_lease(std::string_view text) {
  if (text.size() > kMostLease) return too_long("lease", text, kMostLease);
  return Parser("lease", text, Algorithm::kConcurrency, kDefaultLeaseUs).lease_us();
}

Result<int64_t> parse_duration(std::string_view text) {
  if (text.size() > kMostLease) return too_long("time", text, kMostLease);
  return Parser("time", text, Algorithm::kTokenBucket, kDefaultLeaseUs).duration_us();
}

std::string default_name(const std::vector<Numbers>& rates) {
  std::string name;
  for (const Numbers& limit : rates) name.append(name.empty() ? "" : "_").append(rate_text(limit));
  return name;
}

}  // namespace tidegate
