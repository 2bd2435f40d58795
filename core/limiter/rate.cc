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

constexpr std::array<Unit, 14> kUnits{{
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
    {"week", 604'800'000'000},
}};

constexpr std::string_view kExpectedUnit =
    "expected a unit (us, ms, s, sec, second, m, min, minute, h, hour, d, day, w or week)";

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
  Parser(std::string_view text, Algorithm algorithm) : text_(text), algorithm_(algorithm) {}

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
    } while (take(';'));
    if (at_ != text_.size())
      return unexpected(at_, burst_given_ || algorithm_ != Algorithm::kTokenBucket
                                 ? "expected \";\" or the end"
                                 : "expected \"burst\", \";\" or the end");
    return out;
  }

 private:
  Result<Numbers> rate() {
    const size_t begin = at_;
    auto count = number("a count", kMaxTokens, true);
    if (!count) return count.error();
    if (!take('/') && !take_word("per")) return unexpected(at_, "expected \"/\" or \"per\"");
    auto window = window_us();
    if (!window) return window.error();

    std::optional<int64_t> burst;
    const size_t burst_at = at_;
    burst_given_ = take_word("burst");
    if (burst_given_) {
      if (algorithm_ != Algorithm::kTokenBucket)
        return fail(burst_at, "expected no burst: it belongs to token_bucket, not to " +
                                  std::string(algorithm_name(algorithm_)));
      auto given = number("a burst", kMaxTokens, true);
      if (!given) return given.error();
      burst = *given;
    }
    auto limit = Numbers::make(algorithm_, *count, *window, burst);
    if (!limit)
      return fail(begin, "expected a rate that can be kept exactly: " + limit.error().message);
    return limit;
  }

  Result<int64_t> window_us() {
    skip_blanks();
    const size_t begin = at_;
    int64_t times = 1;
    if (at_ < text_.size() && is_digit(text_[at_])) {
      auto given = number("a window", kMaxWindowUs, false);
      if (!given) return given.error();
      times = *given;
    }
    const size_t word_at = at_;
    const auto unit = unit_us(word());
    if (!unit) return unexpected(word_at, std::string(kExpectedUnit));
    at_ += word().size();
    skip_blanks();
    if (times > kMaxWindowUs / *unit) return fail(begin, "expected a window of at most 366 days");
    return times * *unit;
  }

  // A number from 1 to `most`. It is read to its end even where it is too large, so that "at" is
  // honest.
  Result<int64_t> number(std::string_view what, int64_t most, bool underscores) {
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
    if (too_large || value == 0)
      return fail(begin, "expected " + std::string(what) + " from 1 to " + std::to_string(most) +
                             ", found " + quote(text_.substr(begin, at_ - begin), 0, 24));
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

  bool take_word(std::string_view name) {
    if (!equal(word(), name)) return false;
    at_ += name.size();
    skip_blanks();
    return true;
  }

  Error fail(size_t position, const std::string& expected) const {
    return {Code::kRate,
            "rate " + quote(text_, position) + " at " + std::to_string(position) + ": " + expected,
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

  std::string_view text_;
  Algorithm algorithm_;
  size_t at_ = 0;
  bool burst_given_ = false;  // by the rate read last
};

}  // namespace

Result<std::vector<Numbers>> parse_rates(std::string_view text, Algorithm algorithm) {
  if (text.size() > kMaxText)
    return Error{Code::kRate,
                 "rate " + quote(text) + " at " + std::to_string(kMaxText) + ": expected at most " +
                     std::to_string(kMaxText) + " bytes",
                 static_cast<int32_t>(kMaxText)};
  return Parser(text, algorithm).rates();
}

std::string default_name(const std::vector<Numbers>& rates) {
  std::string name;
  for (const Numbers& limit : rates) name.append(name.empty() ? "" : "_").append(rate_text(limit));
  return name;
}

}  // namespace tidegate
