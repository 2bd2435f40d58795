// SPDX-License-Identifier: MIT
// Two ways to match. The fast one goes back to the last star of each kind only: what stands before
// it has taken as little as it can, and whatever it could take more, the star can. Where that takes
// too many steps, all the places of the pattern are followed at once, a bit for each.
#include <algorithm>

#include "policy/pattern.h"

namespace tidegate {
namespace {

constexpr size_t kStepsPerByte = 8;
constexpr size_t kFewSteps = 256;

}  // namespace

int Pattern::match_fast(std::string_view text) const {
  struct Retry {
    size_t token = SIZE_MAX, at = 0;  // the star's, and where what is behind it was tried
  };
  Retry star, stars;
  size_t token = 0, at = 0;
  size_t left = kFewSteps + kStepsPerByte * (text.size() + text_.size());
  const auto at_boundary = [&](size_t i) { return i == text.size() || text[i] == '/'; };
  for (;;) {
    bool fits = false;
    size_t steps = 1;
    if (token == tokens_.size()) {
      if (at == text.size()) return 1;
    } else {
      const Token& next = tokens_[token];
      switch (next.kind) {
        case Kind::kText: {
          const std::string_view wanted = std::string_view(text_).substr(next.begin, next.size);
          fits = text.substr(at).starts_with(wanted);
          steps += next.size;
          if (fits) at += next.size;
          break;
        }
        case Kind::kOne:
          fits = at < text.size() && text[at] != '/';
          if (fits) ++at;
          break;
        case Kind::kStar:
          star = {token, at};
          fits = true;
          break;
        case Kind::kSegments:
          fits = at_boundary(at);
          if (!fits) break;
          [[fallthrough]];
        case Kind::kStars:
          stars = {token, at};
          star = {};
          fits = true;
          break;
      }
    }
    if (left < steps) return -1;
    left -= steps;
    if (fits) {
      ++token;
      continue;
    }
    if (star.token != SIZE_MAX && star.at < text.size() && text[star.at] != '/') {
      token = star.token + 1;
      at = ++star.at;
    } else if (stars.token != SIZE_MAX && stars.at < text.size()) {
      do ++stars.at;
      while (tokens_[stars.token].kind == Kind::kSegments && !at_boundary(stars.at));
      token = stars.token + 1;
      at = stars.at;
      star = {};
    } else {
      return 0;
    }
  }
}

// State i: i of the bytes that the pattern takes one by one are taken. A star is a state that keeps
// itself.
class Pattern::Machine {
 public:
  Machine(const Pattern& pattern, PatternScratch& scratch) : pattern_(pattern) {
    for (const Token& token : pattern.tokens_)
      states_ += token.kind == Kind::kText ? token.size : taking(token.kind);
    words_ = states_ / 64 + 1;
    scratch.assign((kRows + 256) * words_, 0);
    rows_ = scratch.data();
    size_t state = 0;
    for (const Token& token : pattern.tokens_) state = put(token, state);
  }

  bool run(std::string_view text) {
    uint64_t* now = row(kNow);
    uint64_t* next = row(kNext);
    now[0] = 1;
    for (char c : text) {
      step(now, next, c);
      std::swap(now, next);
    }
    const auto is_set = [&](size_t state) { return now[state / 64] >> (state % 64) & 1; };
    if (is_set(states_)) return true;
    return pattern_.tokens_.back().kind == Kind::kSegments && is_set(states_ - 1);
  }

 private:
  enum Row { kNow, kNext, kKeepAny, kKeepSegment, kOpensSegments, kRows };

  static size_t taking(Kind kind) { return kind == Kind::kOne || kind == Kind::kSegments; }

  uint64_t* row(size_t index) { return rows_ + index * words_; }
  uint64_t* row_of(char c) { return row(kRows + static_cast<uint8_t>(c)); }
  static void set(uint64_t* bits, size_t state) { bits[state / 64] |= uint64_t{1} << state % 64; }

  size_t put(const Token& token, size_t state) {
    switch (token.kind) {
      case Kind::kText:
        for (size_t i = 0; i < token.size; ++i)
          set(row_of(pattern_.text_[token.begin + i]), state++);
        return state;
      case Kind::kOne:
        for (int c = 0; c < 256; ++c)
          if (c != '/') set(row_of(static_cast<char>(c)), state);
        return state + 1;
      case Kind::kStar:
        set(row(kKeepSegment), state);
        return state;
      case Kind::kStars:
        set(row(kKeepAny), state);
        return state;
      case Kind::kSegments:
        set(row(kOpensSegments), state);
        set(row(kKeepAny), state + 1);
        return state + 1;
    }
    return state;
  }

  // Segments are opened by a slash, or passed over, so that the slash is what stands behind them.
  void step(const uint64_t* now, uint64_t* next, char c) {
    const uint64_t* takes = row_of(c);
    const uint64_t* any = row(kKeepAny);
    const uint64_t* segment = row(kKeepSegment);
    const uint64_t* opens = row(kOpensSegments);
    const uint64_t all = ~uint64_t{0};
    const uint64_t slash = c == '/' ? all : 0;
    uint64_t carry = 0, passed_carry = 0;
    for (size_t i = 0; i < words_; ++i) {
      const uint64_t opened = now[i] & opens[i];
      const uint64_t passed = opened << 1 | passed_carry;
      passed_carry = opened >> 63;
      const uint64_t taken = ((now[i] | passed) & takes[i]) | (opened & slash);
      next[i] = taken << 1 | carry | (now[i] & any[i]) | (now[i] & segment[i] & ~slash);
      carry = taken >> 63;
    }
  }

  const Pattern& pattern_;
  uint64_t* rows_ = nullptr;
  size_t states_ = 0, words_ = 0;
};

bool Pattern::run(std::string_view text, PatternScratch& scratch) const {
  if (literal()) return text == text_;
  const int fast = match_fast(text);
  return fast >= 0 ? fast == 1 : Machine(*this, scratch).run(text);
}

}  // namespace tidegate
