// SPDX-License-Identifier: MIT
#include "support/guard.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tidegate::test {
namespace {

std::string copied(const tg_text& text) { return {text.data ? text.data : "", text.size}; }

void append(std::string& out, const std::string& text) {
  const auto size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
}

tg_guard_spec spec_of(const std::string& policy, const std::string& headers) {
  tg_guard_spec spec{};
  spec.policy = {policy.data(), policy.size()};
  spec.headers = {headers.data(), headers.size()};
  return spec;
}

}  // namespace

std::string attributes_of(const Pairs& pairs) {
  std::string out;
  for (const auto& [name, value] : pairs) {
    append(out, name);
    append(out, value);
  }
  return out;
}

Checked::Checked(const tg_result& result) : Outcome(result) {
  if (result.status != TG_OK || !result.data) return;
  tg_answer answer{};
  std::memcpy(&answer, result.data, std::min<size_t>(sizeof answer, result.data_len));
  http = answer.status;
  verdict = answer.verdict;
  limit = answer.limit;
  body = copied(answer.body);
  scope = copied(answer.scope);
  caller = copied(answer.caller);
  reason = copied(answer.reason);
  retry_after_us = answer.retry_after_us;
  renew_us = answer.renew_us;
  finish = answer.finish;
  std::string lines = copied(answer.fields);
  for (size_t end; (end = lines.find('\n')) != lines.npos; lines.erase(0, end + 1)) {
    const size_t colon = lines.find(": ");
    fields[lines.substr(0, colon)] = lines.substr(colon + 2, end - colon - 2);
  }
  text.clear();  // data is no text here
}

std::string Checked::field(const std::string& name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second;
}

Guarded::Guarded(Gate& gate, const std::string& policy, const std::string& headers,
                 const std::string& trusted_proxies)
    : gate_(gate) {
  tg_guard_spec spec = spec_of(policy, headers);
  spec.trusted_proxies = {trusted_proxies.data(), trusted_proxies.size()};
  tg_error error{};
  if (tg_guard_open(gate.client(), &spec, &handle_, &error) == TG_OK) return;
  std::fprintf(stderr, "tg_guard_open: %s\n", error.message);
  std::abort();
}

Guarded::Guarded(Gate& gate, const File& file) : gate_(gate) {
  tg_guard_spec spec{};
  spec.file = {file.path.data(), file.path.size()};
  tg_error error{};
  if (tg_guard_open(gate.client(), &spec, &handle_, &error) == TG_OK) return;
  std::fprintf(stderr, "tg_guard_open: %s\n", error.message);
  std::abort();
}

Checked Guarded::check(const Pairs& attributes, const std::string& scope) {
  const std::string said = attributes_of(attributes);
  tg_entry entry{};
  entry.op = TG_OP_CHECK;
  entry.handle = handle_;
  entry.key = scope.empty() ? nullptr : scope.data();
  entry.key_len = static_cast<uint32_t>(scope.size());
  entry.value = said.data();
  entry.value_len = static_cast<uint32_t>(said.size());
  tg_result result{};
  if (const int32_t count = tg_call(gate_.client(), &entry, 1, &result, 1); count != 1) {
    std::fprintf(stderr, "tg_call: %d\n", count);
    std::abort();
  }
  return Checked(result);
}

Checked Guarded::ask(const std::string& line, Pairs more, const std::string& scope) {
  const size_t blank = line.find(' ');
  more.insert(more.begin(), {{"method", line.substr(0, blank)}, {"path", line.substr(blank + 1)}});
  return check(more, scope);
}

std::vector<Outcome> Guarded::finish(const std::string& scope, int32_t status, const Pairs& more,
                                     uint32_t flags) {
  const std::string said = attributes_of(more);
  tg_entry entries[64] = {};
  const int32_t count = tg_guard_finish(scope.data(), scope.size(), status, said.data(),
                                        said.size(), flags, entries, 64);
  if (count < 0 || count > 64) {
    std::fprintf(stderr, "tg_guard_finish: %d\n", count);
    std::abort();
  }
  std::vector<Outcome> out;
  for (int32_t i = 0; i < count; ++i) {
    tg_result result{};
    if (tg_call(gate_.client(), &entries[i], 1, &result, 1) != 1) std::abort();
    out.emplace_back(result);
  }
  return out;
}

std::string Guarded::replace(const std::string& policy) {
  tg_error error{};
  return tg_guard_replace(gate_.client(), handle_, policy.data(), policy.size(), &error) < 0
             ? error.message
             : "";
}

std::string Guarded::edit(const std::string& patch, uint32_t flags) {
  tg_error error{};
  return tg_guard_edit(gate_.client(), handle_, flags, patch.data(), patch.size(), "test", 4,
                       &error) < 0
             ? error.message
             : "";
}

std::string Guarded::explain(const Pairs& attributes) {
  const std::string said = attributes_of(attributes);
  std::string out(65'536, '\0');
  tg_error error{};
  const int64_t size = tg_guard_explain(gate_.client(), handle_, said.data(), said.size(),
                                        out.data(), out.size(), &error);
  if (size < 0) return error.message;
  out.resize(static_cast<size_t>(size));
  return out;
}

std::string refusal(Gate& gate, const std::string& policy) {
  const tg_guard_spec spec = spec_of(policy, "");
  tg_error error{};
  uint64_t handle = 0;
  return tg_guard_open(gate.client(), &spec, &handle, &error) < 0 ? error.message : "";
}

std::string refusal(Gate& gate, const File& file) {
  tg_guard_spec spec{};
  spec.file = {file.path.data(), file.path.size()};
  tg_error error{};
  uint64_t handle = 0;
  return tg_guard_open(gate.client(), &spec, &handle, &error) < 0 ? error.message : "";
}

std::string live_of(Gate& gate) {
  std::string out(65'536, '\0');
  out.resize(static_cast<size_t>(tg_client_live(gate.client(), out.data(), out.size())));
  return out;
}

}  // namespace tidegate::test
