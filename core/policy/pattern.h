// SPDX-License-Identifier: MIT
// A text of `when`: exact, or with `*` (any text without a slash) and `**` (any text). As a whole
// segment of a path `*` is one segment, and `**` any number of them, none too. Immutable: any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

// What a match that turns out to be hard works in; kept by whoever matches.
using PatternScratch = std::vector<uint64_t>;

class Pattern {
 public:
  // Of any attribute but `path`; `text` in its normal form.
  static Pattern of_text(std::string_view text);
  // Of normal paths.
  static Pattern of_path(std::string_view text);

  // O(length) almost always, and never worse than O(length * pattern / 64).
  bool matches(std::string_view text, PatternScratch& scratch) const;

  // It matches one text only, which is text().
  bool literal() const { return tokens_.size() == 1 && tokens_[0].kind == Kind::kText; }
  std::string_view text() const { return text_; }

 private:
  enum class Kind : uint8_t {
    kText,      // these bytes
    kOne,       // one byte that is no slash
    kStar,      // any that are no slash
    kStars,     // any
    kSegments,  // segments of a path with their slashes, perhaps none
  };
  struct Token {
    Kind kind;
    uint32_t begin = 0, size = 0;  // of text_
  };
  class Machine;

  void add(Kind kind);
  void add_text(std::string_view text);
  void add_glob(std::string_view text);
  bool run(std::string_view text, PatternScratch& scratch) const;
  // -1: it takes too many steps.
  int match_fast(std::string_view text) const;

  std::string text_;  // all of kText; of a pattern without others, the pattern
  std::vector<Token> tokens_;
  bool path_ = false;
};

}  // namespace tidegate
