// SPDX-License-Identifier: MIT
// A guard's check of one HTTP request, beside the call that asks its limiters: what it was before
// the answer is there, and what the answer tells the adapter.
//
// One thread at a time: of whoever has the call. Its buffers keep their size.
#pragma once

#include <string>
#include <vector>

#include "client/scope.h"
#include "http/http.h"
#include "policy/policy.h"
#include "store/call.h"

namespace tidegate {

struct Check final : CallExtra {
  // Before.
  HeaderStyle style;
  PolicyVerdict verdict = PolicyVerdict::kLimits;
  std::string caller, reason;
  int64_t retry_after_us = kNever;  // of a ban
  std::string scope_before;
  std::string afters;                // of the parts, one behind another
  std::vector<uint32_t> after_ends;  // by part
  std::vector<uint32_t> named;       // of each part, which one of those that code names; 0: none
  std::vector<Part> parts;           // what is asked; keys point to what outlives prepare()
  std::string keys;                  // of parts that the caller made keys of

  // After.
  int32_t status = 200;
  std::string fields, body, scope;
  int64_t renew_us = 0;
  uint32_t limit = 0;  // of a refusal: the named part that denies
  bool finish = false;
  bool composed = false;

  // The answer, of the decision that the call has by now. The limiters are visited, or held by the
  // call.
  void compose(const Call& call);

  void clear();

 private:
  void view(const Call& call);
  bool said_again(const Call& call, const Charge& charge) const;
  void carry(const Charge& charge, bool denied);
  void write_scope(const Call& call);
  void refuse_banned();
  size_t binding(const Call& call) const;
  uint32_t denying(const Call& call) const;

  Scope before_;
  std::vector<PolicyView> views_;
  std::vector<std::string> names_;
  size_t first_ = 0;  // of this check's in views_
};

// What settles a request: operation, part and to whom, a request each. `entries` has room for as
// many as the scope has charges.
struct Settlement {
  Op op;
  Part part;
  Source to;
};
enum class Settle : uint8_t { kFinish, kRenew, kDenied };
// False: these are no bytes of ours. The parts point into `scope`.
bool settle(std::string_view scope, Settle how, int32_t status, std::string_view attributes,
            std::vector<Settlement>& out);

// The pairs of tidegate_guard.h. False: they end early, or are too many.
inline constexpr size_t kMostAttributes = 2'048;
bool read_attributes(std::string_view bytes, std::vector<Attribute>& out);

}  // namespace tidegate
