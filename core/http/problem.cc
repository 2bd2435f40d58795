// SPDX-License-Identifier: MIT
#include "base/json.h"
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
