// SPDX-License-Identifier: MIT
#include "cache/key.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "cache/canonical_json.h"
#include "cache/number_text.h"
#include "cache/parts.h"
#include "cache/unicode.h"

namespace tidegate {
namespace {

// Reads a call's arguments, and writes each as its letter and bytes:
//
//   z none · t true · f false · n number, as text · s text · x bytes
//   l a part for each item · m parts of name, value ..., names in order
class Arguments {
 public:
  explicit Arguments(std::string_view flat) : flat_(flat) {}

  bool left() const { return at_ < flat_.size(); }
  Status read(std::string& out, int depth = 0) {
    switch (const char letter = flat_[at_++]) {
      case 'z':
      case 't':
      case 'f':
        out += letter;
        return Nothing{};
      case 'i':
      case 'd':
        return number(out, letter);
      case 'n':
      case 's':
      case 'x':
        return bytes(out, letter);
      case 'l':
        return list(out, depth + 1);
      case 'm':
        return map(out, depth + 1);
      default:
        return wrong("an unknown letter");
    }
  }

 private:
  Error wrong(std::string_view what) const {
    return {Code::kKey, "a key's arguments: " + std::string(what) + " at byte " +
                            std::to_string(at_) + " of " + std::to_string(flat_.size())};
  }
  bool has(uint64_t size) const { return size <= flat_.size() - at_; }

  template <class T>
  bool take(T& value) {
    if (!has(sizeof value)) return false;
    static_assert(std::endian::native == std::endian::little);
    std::memcpy(&value, flat_.data() + at_, sizeof value);
    at_ += sizeof value;
    return true;
  }

  Status number(std::string& out, char letter) {
    if (int64_t whole = 0; letter == 'i') {
      if (!take(whole)) return wrong("an integer that is cut short");
      out.append("n").append(std::to_string(whole));
      return Nothing{};
    }
    double x = 0;
    if (!take(x)) return wrong("a double that is cut short");
    if (!std::isfinite(x)) return wrong("not a finite number");
    out.append("n").append(x == std::trunc(x) ? integer_text(x) : number_text(x));
    return Nothing{};
  }

  Status bytes(std::string& out, char letter) {
    uint32_t size = 0;
    if (!take(size) || !has(size)) return wrong("a size beyond the end");
    const std::string_view said = flat_.substr(at_, size);
    at_ += size;
    out += letter;
    if (letter == 'n') return digits(out, said);
    if (letter == 's' && !is_utf8(said)) return wrong("text that is not UTF-8");
    out.append(said);
    return Nothing{};
  }

  Status digits(std::string& out, std::string_view said) {
    const bool negative = said.starts_with('-');
    if (negative) said.remove_prefix(1);
    if (said.empty() || said.find_first_not_of("0123456789") != said.npos)
      return wrong("an integer that is no decimal digits");
    const size_t first = said.find_first_not_of('0');
    if (first == said.npos) {
      out += '0';
      return Nothing{};
    }
    if (negative) out += '-';
    out.append(said.substr(first));
    return Nothing{};
  }

  Status list(std::string& out, int depth) {
    uint32_t count = 0;
    if (depth > kMaxKeyDepth) return wrong("lists and maps deeper than 64");
    if (!take(count) || !has(count)) return wrong("a count beyond the end");
    out += 'l';
    for (uint32_t i = 0; i < count; ++i) {
      if (!left()) return wrong("fewer items than a list counts");
      const PartScope part(out);
      if (auto status = read(out, depth); !status) return status;
    }
    return Nothing{};
  }

  Status map(std::string& out, int depth) {
    uint32_t count = 0;
    if (depth > kMaxKeyDepth) return wrong("lists and maps deeper than 64");
    if (!take(count) || !has(count)) return wrong("a count beyond the end");
    std::vector<std::pair<std::string, std::string>> members;  // not reserved: the count may lie
    for (uint32_t i = 0; i < count; ++i) {
      auto& [name, value] = members.emplace_back();
      if (!left() || flat_[at_] != 's') return wrong("a name in a map that is no text");
      if (auto status = read(name, depth); !status) return status;
      name.erase(0, 1);  // its letter
      if (!left()) return wrong("a name in a map without a value");
      if (auto status = read(value, depth); !status) return status;
    }
    std::ranges::sort(members, utf16_less, [](const auto& member) { return member.first; });
    for (size_t i = 1; i < members.size(); ++i)
      if (members[i].first == members[i - 1].first) return wrong("a name twice in a map");
    out += 'm';
    for (const auto& [name, value] : members) {
      append_part(out, name);
      append_part(out, value);
    }
    return Nothing{};
  }

  const std::string_view flat_;
  size_t at_ = 0;
};

}  // namespace

Result<std::string> call_key(std::string_view values) {
  Arguments arguments(values);
  if (!arguments.left()) return Error{Code::kKey, "a key without arguments: expected 1 or more"};
  std::string out;
  append_part(out, "call");
  while (arguments.left()) {
    const PartScope part(out);
    if (auto status = arguments.read(out); !status) return status.error();
  }
  return out;
}

bool is_cache_name(std::string_view name) {
  constexpr size_t kMost = 64;
  return !name.empty() && name.size() <= kMost && std::ranges::all_of(name, [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' || c == '.' ||
           c == '-';
  });
}

Result<Sha256> entry_digest(std::string_view cache, std::optional<std::string_view> scope,
                            std::string_view key_parts) {
  if (!is_cache_name(cache))
    return Error{Code::kName,
                 "cache " + quote(cache) + ": expected a name of 1 to 64 of A-Z a-z 0-9 _ . -"};
  if (scope && !is_utf8(*scope)) return Error{Code::kKey, "a scope that is not UTF-8"};
  if (key_parts.empty()) return Error{Code::kKey, "empty key parts: tg_cache_key makes them"};
  std::string preimage("\x01");
  append_part(preimage, cache);
  append_part(preimage, scope);
  preimage.append(key_parts);
  if (const auto digest = sha256(preimage)) return *digest;
  return Error{Code::kNoMemory, "no memory for a digest"};
}

std::string entry_name(std::string_view name_space, std::string_view cache, const Sha256& digest) {
  std::string name(name_space);
  name.append(":1:c:").append(cache).append(":{");
  append_hex(name, digest.data(), digest.size() / 2);
  return name.append("}");
}

}  // namespace tidegate
