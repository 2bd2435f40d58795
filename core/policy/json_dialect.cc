// SPDX-License-Identifier: MIT
#include "base/text.h"
#include "policy/document.h"

namespace tidegate {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// What libyaml takes for a line's end or refuses, though JSON may have it in a text.
struct Foreign {
  std::string_view raw, escaped;
};
constexpr Foreign kForeign[] = {{"\x7f", "\\x7F"},
                                {"\xc2\x85", "\\N"},
                                {"\xe2\x80\xa8", "\\L"},
                                {"\xe2\x80\xa9", "\\P"},
                                {"\xef\xbb\xbf", "\\uFEFF"}};

class Dialect {
 public:
  Dialect(std::string_view text, std::vector<Shift>& shifts) : text_(text), shifts_(shifts) {}

  std::string run() {
    out_.reserve(text_.size());
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool opens = before_ == '{' || before_ == '[' || before_ == ',' || before_ == ':';
      if (c == '"' && opens) {
        quoted();
      } else if (c == '\'' && opens) {
        copy_through('\'');
      } else if (c == '#' && at_ > 0 && is_blank(text_[at_ - 1])) {
        copy_line();
      } else {
        if (!is_blank(c)) before_ = c;
        put(c == '\t' ? ' ' : c);
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  void put(char c) {
    out_ += c;
    if (c == '\n') {
      place_ = {place_.line + 1, 1};
      moved_ = 0;
    } else if ((c & 0xc0) != 0x80) {
      ++place_.column;
    }
  }

  void put(std::string_view bytes) {
    for (char c : bytes) put(c);
  }

  // `bytes` for the next `size` bytes, which are `characters`.
  void replace(size_t size, int32_t characters, std::string_view bytes) {
    const int32_t begin = place_.column;
    put(bytes);
    moved_ += characters - (place_.column - begin);
    shifts_.push_back({place_, moved_});
    at_ += size;
  }

  void copy_through(char end) {
    do put(text_[at_++]);
    while (at_ < text_.size() && text_[at_] != end);
    if (at_ < text_.size()) put(text_[at_++]);
    before_ = end;
  }

  void copy_line() {
    while (at_ < text_.size() && text_[at_] != '\n') put(text_[at_++]);
  }

  void quoted() {
    put(text_[at_++]);
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') {
        escape();
      } else if (!foreign()) {
        put(text_[at_++]);
      }
    }
    if (at_ < text_.size()) put(text_[at_++]);
    before_ = '"';
  }

  bool foreign() {
    for (const Foreign& one : kForeign) {
      if (text_.substr(at_, one.raw.size()) != one.raw) continue;
      replace(one.raw.size(), 1, one.escaped);
      return true;
    }
    return false;
  }

  // The value of the \uXXXX at `at`, or -1.
  int32_t unit(size_t at) const {
    if (text_.size() < at + 6 || text_.substr(at, 2) != "\\u") return -1;
    int32_t value = 0;
    for (size_t i = at + 2; i < at + 6; ++i) {
      if (hex_value(text_[i]) < 0) return -1;
      value = value * 16 + hex_value(text_[i]);
    }
    return value;
  }

  void escape() {
    const int32_t first = unit(at_), second = unit(at_ + 6);
    const auto byte = [](int32_t value) { return static_cast<char>(value); };
    const auto follow = [&](int32_t value, int shift) {
      return byte(0x80 | (value >> shift & 0x3f));
    };
    if (first >= 0xd800 && first < 0xdc00 && second >= 0xdc00 && second < 0xe000) {
      const int32_t all = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
      const char bytes[] = {byte(0xf0 | all >> 18), follow(all, 12), follow(all, 6),
                            follow(all, 0)};
      replace(12, 12, {bytes, sizeof bytes});
    } else if (first >= 0xa0 && first < 0x800) {
      const char bytes[] = {byte(0xc0 | first >> 6), follow(first, 0)};
      replace(6, 6, {bytes, sizeof bytes});
    } else if (first >= 0x800 && first < 0xfe00 && (first < 0xd800 || first > 0xdfff) &&
               first != 0x2028 && first != 0x2029) {
      const char bytes[] = {byte(0xe0 | first >> 12), follow(first, 6), follow(first, 0)};
      replace(6, 6, {bytes, sizeof bytes});
    } else {
      put(text_[at_++]);
      if (at_ < text_.size()) put(text_[at_++]);
    }
  }

  std::string_view text_;
  std::vector<Shift>& shifts_;
  std::string out_;
  size_t at_ = 0;
  Place place_;        // of what is put next
  int32_t moved_ = 0;  // in its line
  char before_ = ',';  // the last character that is no blank: whether a quote opens a text
};

}  // namespace

std::string prepare_document(std::string_view text, std::vector<Shift>& shifts) {
  const size_t begin = text.find_first_not_of(" \t\n\r");
  if (begin == text.npos || (text[begin] != '{' && text[begin] != '[')) return std::string(text);
  return Dialect(text, shifts).run();
}

}  // namespace tidegate
