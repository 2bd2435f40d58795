// SPDX-License-Identifier: MIT
// A guard as a test wants it, over the C ABI.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/gate.h"
#include "tidegate_guard.h"

namespace tidegate::test {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string attributes_of(const Pairs& pairs);

// A check's answer, copied.
struct Checked : Outcome {
  int32_t http = 0;
  uint32_t verdict = 0, limit = 0;
  std::map<std::string, std::string> fields;
  std::string body, scope, caller, reason;
  int64_t retry_after_us = 0, renew_us = 0;
  bool finish = false;

  explicit Checked(const tg_result& result);
  std::string field(const std::string& name) const;  // "": it is not there
};

struct File {
  std::string path;
};

class Guarded {
 public:
  Guarded(Gate& gate, const File& file);
  // Aborts the test program where it is refused.
  Guarded(Gate& gate, const std::string& policy, const std::string& headers = "",
          const std::string& trusted_proxies = "");

  Checked check(const Pairs& attributes, const std::string& scope = "");
  // "GET /path", and more attributes.
  Checked ask(const std::string& line, Pairs more = {}, const std::string& scope = "");
  std::vector<Outcome> finish(const std::string& scope, int32_t status, const Pairs& more = {},
                              uint32_t flags = 0);
  // The error's text, or "".
  std::string replace(const std::string& policy);
  std::string edit(const std::string& patch, uint32_t flags = 0);
  std::string explain(const Pairs& attributes);
  uint64_t handle() const { return handle_; }

 private:
  Gate& gate_;
  uint64_t handle_ = 0;
};

// What opening says of it, or "".
std::string refusal(Gate& gate, const std::string& policy);
std::string refusal(Gate& gate, const File& file);
std::string live_of(Gate& gate);

}  // namespace tidegate::test
