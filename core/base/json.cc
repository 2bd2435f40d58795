// SPDX-License-Identifier: MIT
#include "base/json.h"

#include "base/text.h"

namespace tidegate {
namespace {

constexpr uint32_t kReplacement = 0xfffd;

void append_unit(std::string& out, uint32_t unit) {
  constexpr std::string_view kHex = kLowerHex;
  out.append(
      {'\\', 'u', kHex[unit >> 12], kHex[unit >> 8 & 15], kHex[unit >> 4 & 15], kHex[unit & 15]});
}

}  // namespace

std::pair<uint32_t, size_t> decode_utf8(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + size > text.size()) return {kReplacement, 1};
  uint32_t point = first & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {kReplacement, 1};
    point = point << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (point < kLeast[size] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
    return {kReplacement, 1};
  return {point, size};
}

void append_json(std::string& out, std::string_view text) {
  constexpr std::string_view kShort = "\b\f\n\r\t\"\\";
  constexpr std::string_view kLetters = "bfnrt\"\\";
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const auto [point, size] = decode_utf8(text, at);
    const size_t special = point < 0x80 ? kShort.find(static_cast<char>(point)) : kShort.npos;
    if (special != kShort.npos) {
      out.append({'\\', kLetters[special]});
    } else if (point >= 0x20 && point < 0x7f) {
      out += static_cast<char>(point);
    } else if (point < 0x10000) {
      append_unit(out, point);
    } else {
      append_unit(out, 0xd800 + ((point - 0x10000) >> 10));
      append_unit(out, 0xdc00 + ((point - 0x10000) & 0x3ff));
    }
    at += size;
  }
  out += '"';
}

void JsonWriter::separate() {
  if (!out_.empty() && std::string_view("{[:,").find(out_.back()) == std::string_view::npos)
    out_ += ',';
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_json(out_, name);
  out_ += ':';
  return *this;
}

JsonWriter& JsonWriter::value(int64_t number) {
  separate();
  out_ += std::to_string(number);
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  append_json(out_, text);
  return *this;
}

JsonWriter& JsonWriter::truth(bool yes) {
  separate();
  out_ += yes ? "true" : "false";
  return *this;
}

}  // namespace tidegate
