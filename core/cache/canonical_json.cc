// SPDX-License-Identifier: MIT
#include "cache/canonical_json.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"
#include "cache/number_text.h"
#include "cache/unicode.h"

namespace tidegate {
namespace {

void append_quoted(std::string& out, std::string_view text) {
  constexpr std::string_view kShort = "\"\\\b\f\n\r\t", kLetters = "\"\\bfnrt";
  out += '"';
  for (const char c : text) {
    if (const size_t at = kShort.find(c); at != kShort.npos) {
      out.append({'\\', kLetters[at]});
    } else if (const auto byte = static_cast<unsigned char>(c); byte < 0x20) {
      out.append("\\u00").append({kLowerHex[byte >> 4], kLowerHex[byte & 15]});
    } else {
      out += c;
    }
  }
  out += '"';
}

// Reads a text once, from left to right. False: it has no canonical form.
class Reader {
 public:
  Reader(std::string_view text, std::span<const std::string> leave_out)
      : text_(text), leave_out_(leave_out) {}

  bool document(std::string& out) { return value(out, 0) && at_ == text_.size(); }

 private:
  struct Member {
    std::string name, value;
  };

  // A value and the blanks around it; `depth` arrays and objects are open.
  bool value(std::string& out, int depth) {
    skip_blanks();
    bool good;
    if (found('{')) {
      good = depth < kMaxKeyDepth && object(out, depth + 1);
    } else if (found('[')) {
      good = depth < kMaxKeyDepth && array(out, depth + 1);
    } else if (found('"')) {
      std::string said;
      good = string(said);
      if (good) append_quoted(out, said);
    } else {
      good = word(out) || number(out);
    }
    skip_blanks();
    return good;
  }

  bool array(std::string& out, int depth) {
    out += '[';
    skip_blanks();
    for (bool first = true; !found(']'); first = false) {
      if (!first && !found(',')) return false;
      if (!first) out += ',';
      if (!value(out, depth)) return false;
      if (at_ == text_.size()) return false;
    }
    out += ']';
    return true;
  }

  bool object(std::string& out, int depth) {
    std::vector<Member> members;
    skip_blanks();
    while (!found('}')) {
      if (!members.empty() && !found(',')) return false;
      Member& member = members.emplace_back();
      skip_blanks();
      if (!found('"') || !string(member.name)) return false;
      skip_blanks();
      if (!found(':') || !value(member.value, depth)) return false;
    }
    std::ranges::sort(members, utf16_less, &Member::name);
    if (std::ranges::adjacent_find(members, {}, &Member::name) != members.end()) return false;
    if (depth == 1)
      std::erase_if(members, [this](const Member& member) {
        return std::ranges::find(leave_out_, member.name) != leave_out_.end();
      });
    out += '{';
    for (const Member& member : members) {
      if (&member != &members.front()) out += ',';
      append_quoted(out, member.name);
      out.append(":").append(member.value);
    }
    out += '}';
    return true;
  }

  // What a string says, from behind its first quotation mark.
  bool string(std::string& out) {
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\')
        out += c;
      else if (!escape(out))
        return false;
    }
    return false;
  }

  bool escape(std::string& out) {
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    if (at_ == text_.size()) return false;
    const char letter = text_[at_++];
    if (const size_t of = kLetters.find(letter); of != kLetters.npos) {
      out += kMeant[of];
      return true;
    }
    uint32_t unit = 0, low = 0;
    if (letter != 'u' || !code_unit(unit)) return false;
    if (unit >= 0xd800 && unit <= 0xdfff) {
      if (unit >= 0xdc00 || !found('\\') || !found('u') || !code_unit(low) || low < 0xdc00 ||
          low > 0xdfff)
        return false;
      unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, unit);
    return true;
  }

  bool code_unit(uint32_t& unit) {
    if (text_.size() - at_ < 4) return false;
    for (int i = 0; i < 4; ++i) {
      const int digit = hex_value(text_[at_++]);
      if (digit < 0) return false;
      unit = unit << 4 | static_cast<uint32_t>(digit);
    }
    return true;
  }

  bool word(std::string& out) {
    for (const std::string_view known : {"true", "false", "null"}) {
      if (!text_.substr(at_).starts_with(known)) continue;
      at_ += known.size();
      out.append(known);
      return true;
    }
    return false;
  }

  bool number(std::string& out) {
    const size_t start = at_;
    found('-');
    if (!found('0') && !digits()) return false;
    const size_t integer_end = at_;
    if (found('.') && !digits()) return false;
    if (found('e') || found('E')) {
      if (!found('+')) found('-');
      if (!digits()) return false;
    }
    const std::string_view all = text_.substr(start, at_ - start);
    if (at_ == integer_end) {
      out.append(all == "-0" ? "0" : all);
      return true;
    }
    const auto nearest = nearest_double(all);
    if (nearest) out.append(number_text(*nearest));
    return nearest.has_value();
  }

  bool digits() {
    const size_t start = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > start;
  }
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }
  bool found(char c) {
    const bool here = at_ < text_.size() && text_[at_] == c;
    at_ += here;
    return here;
  }

  const std::string_view text_;
  const std::span<const std::string> leave_out_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::string> canonical_json(std::string_view text,
                                          std::span<const std::string> leave_out) {
  if (!is_utf8(text)) return std::nullopt;
  std::string out;
  out.reserve(text.size());
  if (!Reader(text, leave_out).document(out)) return std::nullopt;
  return out;
}

}  // namespace tidegate
