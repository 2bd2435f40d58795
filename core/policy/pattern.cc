// SPDX-License-Identifier: MIT
#include "policy/pattern.h"

#include <algorithm>

namespace tidegate {

Pattern Pattern::of_text(std::string_view text) {
  Pattern pattern;
  pattern.add_glob(text);
  if (pattern.tokens_.empty()) pattern.tokens_.push_back({Kind::kText});
  return pattern;
}

Pattern Pattern::of_path(std::string_view text) {
  Pattern pattern;
  pattern.path_ = true;
  while (!text.empty()) {
    text.remove_prefix(1);  // its slash
    const std::string_view segment = text.substr(0, text.find('/'));
    text.remove_prefix(segment.size());
    if (segment.empty()) continue;
    if (segment == "**") {
      pattern.add(Kind::kSegments);
    } else if (segment == "*") {
      pattern.add_text("/");
      pattern.add(Kind::kOne);
      pattern.add(Kind::kStar);
    } else {
      pattern.add_text("/");
      pattern.add_glob(segment);
    }
  }
  if (pattern.tokens_.empty()) pattern.tokens_.push_back({Kind::kText});
  return pattern;
}

void Pattern::add(Kind kind) {
  // Twice any number of segments is any number of them.
  if (kind == Kind::kSegments && !tokens_.empty() && tokens_.back().kind == kind) return;
  tokens_.push_back({.kind = kind});
}

void Pattern::add_text(std::string_view text) {
  if (text.empty()) return;
  if (tokens_.empty() || tokens_.back().kind != Kind::kText)
    tokens_.push_back({.kind = Kind::kText, .begin = static_cast<uint32_t>(text_.size())});
  text_.append(text);
  tokens_.back().size += static_cast<uint32_t>(text.size());
}

void Pattern::add_glob(std::string_view text) {
  while (!text.empty()) {
    const size_t star = std::min(text.find('*'), text.size());
    add_text(text.substr(0, star));
    text.remove_prefix(star);
    if (text.starts_with("**")) {
      add(Kind::kStars);
      text.remove_prefix(2);
    } else if (!text.empty()) {
      add(Kind::kStar);
      text.remove_prefix(1);
    }
  }
}

bool Pattern::matches(std::string_view text, PatternScratch& scratch) const {
  if (path_ && text == "/") {
    // The root has no segment; what a pattern may say of its last slash, it says of this one.
    return run({}, scratch) || run(text, scratch);
  }
  return run(text, scratch);
}

}  // namespace tidegate
