// SPDX-License-Identifier: MIT
#include "base/text.h"
#include "http/http.h"
#include "http/units.h"
#include "limiter/numbers.h"

namespace tidegate {
namespace {

constexpr std::string_view kQuotaExceeded =
    R"({"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",)"
    R"("title":"Request cannot be satisfied as assigned quota has been exceeded",)"
    R"("status":429,"detail":)";
constexpr std::string_view kUnavailable =
    R"({"type":"about:blank","title":"Service Unavailable","status":503,)"
    R"("detail":"The rate limit cannot be checked at the moment.")";

constexpr uint32_t kReplacement = 0xfffd;

// The code point at `at`, and how many bytes it takes; a byte that is no UTF-8 stands for U+FFFD.
std::pair<uint32_t, size_t> decode(std::string_view text, size_t at) {
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

void append_unit(std::string& out, uint32_t unit) {
  constexpr std::string_view kHex = kLowerHex;
  out.append(
      {'\\', 'u', kHex[unit >> 12], kHex[unit >> 8 & 15], kHex[unit >> 4 & 15], kHex[unit & 15]});
}

// As Python's json.dumps writes it: ASCII only, surrogate pairs above U+FFFF.
void append_json(std::string& out, std::string_view text) {
  constexpr std::string_view kShort = "\b\f\n\r\t\"\\";
  constexpr std::string_view kLetters = "bfnrt\"\\";
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const auto [point, size] = decode(text, at);
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

std::string detail(const PolicyView& part) {
  if (part.retry_after_us == kNever)
    return "This request costs more than the " + std::to_string(part.capacity) + " that " +
           std::string(part.name) + " can ever allow at once.";
  return "The limit of " + std::to_string(part.limit) + " per " + window_text(part.window_us) +
         " is reached. Retry in " + std::to_string(retry_seconds(part.retry_after_us)) + " s.";
}

void append_violated(std::string& out, std::span<const PolicyView> parts) {
  out.append(R"(,"violated-policies":[)");
  std::string_view separator;
  for (const PolicyView& part : parts) {
    if (part.allowed || part.shadow || part.off) continue;
    out.append(separator);
    separator = ",";
    append_json(out, part.name);
  }
  out += ']';
}

}  // namespace

std::string http_problem(const DecisionView& decision) {
  if (decision.allowed || decision.binding >= decision.parts.size()) return {};
  const PolicyView& binding = decision.parts[decision.binding];
  std::string out;
  if (decision.source == Source::kFailClosed) {
    out = kUnavailable;
  } else {
    out = kQuotaExceeded;
    append_json(out, detail(binding));
    append_violated(out, decision.parts);
  }
  if (binding.retry_after_us != kNever)
    out.append(R"(,"retry_after":)").append(std::to_string(retry_seconds(binding.retry_after_us)));
  out += '}';
  return out;
}

}  // namespace tidegate
