// SPDX-License-Identifier: MIT
// A policy: which limits a request meets. Parsed from YAML or JSON, compiled once, resolved for
// each request. The letter is tests/conformance/policy_model.py.
//
//   auto compiled = tidegate::compile_policy(text);
//   if (!compiled.policy) return print(compiled.fault.text());
//   tidegate::PolicyResolver resolver;   // one for each thread
//   const auto& answer = resolver.resolve(*compiled.policy, nullptr, request, now_us);
//
// A Policy never changes: any thread. A PolicyResolver: one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "limiter/config.h"

namespace tidegate {

inline constexpr size_t kMaxPolicyBytes = size_t{1} << 20;
inline constexpr int kDefaultIpv6Prefix = 64;

// What a document says that it may not, and where. Nothing of a faulty document is used.
struct PolicyFault {
  std::string path;     // rules[0].when.path, callers["10.0.0.0/8"].ban; "" for the whole document;
                        // of a missing member where it would be
  std::string message;  // what was found, what was expected, names that are near
  int32_t line = 0;     // from 1; 0: of no place
  int32_t column = 0;   // from 1, in characters
  std::string text() const;  // "line 3, column 7: rules[0].limit: unknown 'x', expected ..."
};

// Of a request; any bytes. An empty value is no attribute; of several with one name the last
// counts.
struct Attribute {
  std::string_view name, value;
};

// What a request meets. The last three are mistakes of the application: an unknown tier, a cost
// that is no number below 2^52, more than 16 parts.
enum class PolicyVerdict : uint8_t {
  kLimits,
  kExempt,
  kBanned,
  kTierError,
  kCostError,
  kPartsError
};

// What a part still needs when the response is there.
struct After {
  enum class Count : uint8_t { kAll, kFailed, kSuccessful, kStatuses };
  Count count = Count::kAll;
  std::vector<uint16_t> statuses;  // of kStatuses
  std::string settle;              // the attribute's name, or ""
};

// The numbers of one limiter, as one place of a document gives them (the limiter's own, live, or a
// caller's): one object for equal ones of a document.
struct PolicyNumbers {
  explicit PolicyNumbers(const std::string& of) : limiter(of) {}

  const std::string& limiter;  // its name
  std::string rates;           // as written
  std::string canonical;       // default_name of the rates
  std::string algorithm;       // "token_bucket", ...
  std::string lease;           // as written; "" where none was given, or the rates have no slots
  bool own = false;            // the file's own numbers of the limiter
  // The client's limiter for (mode, on_failure): [mode * 4 + on_failure + 1], on_failure -1 for the
  // client's; 0: none yet.
  mutable std::atomic<uint64_t> handles[12]{};
};

struct PolicyPart {
  const PolicyNumbers* numbers = nullptr;
  Mode mode = Mode::kEnforce;
  int on_failure = -1;  // -1: the client's; else an OnFailure
  std::string_view key;
  int64_t cost = 1;
  const After* after = nullptr;  // null: nothing
  uint32_t rule = 0;
};

struct Resolution {
  PolicyVerdict verdict = PolicyVerdict::kLimits;
  int64_t until_us = -1;        // of a ban: when nothing bans any more; -1: never
  int64_t retry_after_us = -1;  // until then; -1: never
  std::string_view reason;      // of the entry that bans
  bool has_reason = false;
  std::span<const PolicyPart> parts;  // one atomic check, in the order of the rules
  std::span<const uint32_t> rules;    // that matched
  std::string_view tier;              // "": none
  std::string_view address;           // "unknown" where there is none
  std::string_view caller;            // the key of `per: identity`
};

struct PolicyData;

// What a file says, or what a live document says over its file. Immutable.
class Policy {
 public:
  explicit Policy(std::unique_ptr<const PolicyData> data);
  ~Policy();

  // Of a live document: places that name limiters and tiers that the file has not. Services with
  // other files share it, so these places are left out.
  const std::vector<std::string>& ignored() const;
  const std::shared_ptr<const Policy>& file() const;  // of a live document; null for a file
  // Of a file: its limiters in the order of the text, with their own numbers, mode (the policy's
  // counted in) and on_failure.
  size_t limiter_count() const;
  PolicyPart limiter(size_t index) const;
  int64_t find_limiter(std::string_view name) const;  // its index, or -1
  bool has_tier(std::string_view name) const;
  size_t rule_count() const;
  size_t caller_count() const;
  const PolicyData& data() const { return *data_; }  // policy/data.h

 private:
  std::unique_ptr<const PolicyData> data_;
};
using PolicyPtr = std::shared_ptr<const Policy>;

struct CompiledPolicy {
  PolicyPtr policy;  // null: the fault
  PolicyFault fault;
};

// YAML or JSON, at most 1 MiB. `ipv6_prefix`: how much of an IPv6 address is one caller; whoever
// resolves by the policy says the same.
CompiledPolicy compile_policy(std::string_view text, int ipv6_prefix = kDefaultIpv6Prefix);
// A live document over `file`, which it keeps. An empty text says nothing.
CompiledPolicy compile_live(std::string_view text, PolicyPtr file);

// Keeps its buffers: in steady state nothing is allocated. What it returns points into it, into the
// policies and into the attributes given, until the next call.
class PolicyResolver {
 public:
  class State;  // policy/resolver.h

  PolicyResolver();
  ~PolicyResolver();
  PolicyResolver(PolicyResolver&&) noexcept;
  PolicyResolver& operator=(PolicyResolver&&) noexcept;

  // `live` is null or compiled over this very `file`: over another one it says nothing, so whoever
  // takes a new file compiles what is live over it in the same step.
  const Resolution& resolve(const Policy& file, const Policy* live,
                            std::span<const Attribute> request, int64_t now_us,
                            int ipv6_prefix = kDefaultIpv6Prefix);

 private:
  std::unique_ptr<State> state_;
};

}  // namespace tidegate
