// SPDX-License-Identifier: MIT
#include <algorithm>
#include <charconv>

#include "http/http.h"
#include "http/units.h"
#include "limiter/numbers.h"

namespace tidegate {
namespace {

bool store_was_asked(Source source) {
  return source == Source::kMemory || source == Source::kStore || source == Source::kFallback;
}

bool visible(const PolicyView& part) { return !part.shadow && !part.off; }

// A structured field's string. Names are plain by rule; whatever one holds, it stays inside its
// quotes and its line.
void append_name(std::string& out, std::string_view name) {
  out += '"';
  for (char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    out += c >= 0x20 && c < 0x7f ? c : '_';
  }
  out += '"';
}

void append_number(std::string& out, int64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, std::end(digits), value).ptr);
}

void append_parameter(std::string& out, std::string_view name, int64_t value) {
  out.append(name);
  append_number(out, value);
}

void append_field(std::string& out, std::string_view name, int64_t value) {
  out.append(name).append(": ");
  append_number(out, value);
  out += '\n';
}

void append_policies(std::string& out, std::span<const PolicyView> parts) {
  std::string_view separator = "RateLimit-Policy: ";
  for (const PolicyView& part : parts) {
    if (!visible(part)) continue;
    out.append(separator);
    separator = ", ";
    append_name(out, part.name);
    append_parameter(out, ";q=", part.limit);
    if (part.window_us % kSecondUs == 0) append_parameter(out, ";w=", part.window_us / kSecondUs);
    if (part.capacity != part.limit) append_parameter(out, ";burst=", part.capacity);
  }
  out += '\n';
}

void append_remaining(std::string& out, std::span<const PolicyView> parts) {
  std::string_view separator = "RateLimit: ";
  for (const PolicyView& part : parts) {
    if (!visible(part)) continue;
    out.append(separator);
    separator = ", ";
    append_name(out, part.name);
    append_parameter(out, ";r=", part.remaining);
    if (part.next_us > 0) append_parameter(out, ";t=", ceil_seconds(part.next_us));
  }
  out += '\n';
}

void append_legacy(std::string& out, const PolicyView& part, int64_t reset_s) {
  append_field(out, "X-RateLimit-Limit", part.capacity);
  append_field(out, "X-RateLimit-Remaining", part.remaining);
  append_field(out, "X-RateLimit-Reset", reset_s);
}

// In two addends, since the sum of two times may not fit into one.
int64_t reset_epoch_s(int64_t reset_us, int64_t wall_us) {
  return reset_us / kSecondUs + wall_us / kSecondUs +
         ceil_seconds(reset_us % kSecondUs + wall_us % kSecondUs);
}

}  // namespace

int http_status(bool allowed, Source source) {
  if (allowed) return 200;
  return source == Source::kFailClosed ? 503 : 429;
}

void append_http_headers(std::string& out, const DecisionView& decision, HeaderStyle style,
                         int64_t wall_us) {
  const auto parts = decision.parts;
  if (decision.binding >= parts.size()) return;
  const PolicyView& binding = parts[decision.binding];
  if (store_was_asked(decision.source) && std::any_of(parts.begin(), parts.end(), visible)) {
    if (style.standard) {
      append_policies(out, parts);
      append_remaining(out, parts);
    }
    if (style.legacy && !binding.off)
      append_legacy(out, binding, reset_epoch_s(binding.reset_after_us, wall_us));
    if (style.legacy_delta && !binding.off)
      append_legacy(out, binding, ceil_seconds(binding.reset_after_us));
  }
  if (!decision.allowed && binding.retry_after_us != kNever)
    append_field(out, "Retry-After", retry_seconds(binding.retry_after_us));
}

std::string http_headers(const DecisionView& decision, HeaderStyle style, int64_t wall_us) {
  std::string out;
  append_http_headers(out, decision, style, wall_us);
  return out;
}

}  // namespace tidegate
