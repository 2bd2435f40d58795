// SPDX-License-Identifier: MIT
// A text is a policy that answers any request, or a fault that says where and what was expected.
// The input is a policy, and behind a line "%%%" a live document and a request, "name=value" a
// line.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "policy/texts.h"

namespace {

using tidegate::Attribute;
using tidegate::CompiledPolicy;
using tidegate::Resolution;

constexpr std::string_view kBreak = "\n%%%\n";

void require(bool condition) {
  if (!condition) std::abort();
}

std::string_view take_part(std::string_view& text) {
  const size_t at = text.find(kBreak);
  const std::string_view part = text.substr(0, at);
  text = at == text.npos ? std::string_view() : text.substr(at + kBreak.size());
  return part;
}

void check_fault(const CompiledPolicy& compiled) {
  require(compiled.fault.message.find("expected") != std::string::npos);
  require(compiled.fault.message.size() < 4096);
  require(compiled.fault.line > 0 && compiled.fault.column > 0);
  require(!tidegate::fault_json(compiled.fault).empty());
}

void check_answer(const Resolution& answer) {
  using Verdict = tidegate::PolicyVerdict;
  require(answer.parts.size() <= 16);
  require(answer.parts.empty() || answer.verdict == Verdict::kLimits);
  for (const auto& part : answer.parts)
    require(!part.key.empty() && part.cost >= 0 && part.numbers &&
            !part.numbers->canonical.empty());
  for (size_t i = 1; i < answer.rules.size(); ++i) require(answer.rules[i - 1] < answer.rules[i]);
  require(!answer.caller.empty() && !answer.address.empty());
  if (answer.verdict == Verdict::kBanned)
    require((answer.until_us < 0) == (answer.retry_after_us < 0));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string_view file_text = take_part(rest), live_text = take_part(rest);
  const auto file = tidegate::compile_policy(file_text);
  if (!file.policy) {
    check_fault(file);
    return 0;
  }
  const auto live = tidegate::compile_live(live_text, file.policy);
  if (!live.policy) check_fault(live);

  std::vector<Attribute> request;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t equals = std::min(line.find('='), line.size());
    request.push_back({line.substr(0, equals), line.substr(std::min(equals + 1, line.size()))});
  }
  static tidegate::PolicyResolver resolver;
  constexpr int64_t kNow = 1'763'683'200'000'000;
  const auto& answer = resolver.resolve(*file.policy, live.policy.get(), request, kNow);
  check_answer(answer);
  // The explanation is of the same answer.
  std::string json = tidegate::resolution_json(answer);
  json.pop_back();
  require(tidegate::explain_json(*file.policy, live.policy.get(), request, kNow).starts_with(json));
  return 0;
}
