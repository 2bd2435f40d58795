// SPDX-License-Identifier: MIT
// Whose key is shown, and how much of it, is the owner's choice: labels=masked|hashed|clear.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fingerprint.h"

namespace tidegate {

enum class LabelMode : int64_t { kMasked, kHashed, kClear };  // in the order of the option's words

// masked: the first three characters and a hash, "use~5f0c1a77e2"; of a key of six characters or
// fewer the hash alone, since three would be half of it. hashed: the hash. clear: the key, cut to
// kMostClear bytes.
// The hash is of the client's fingerprint: under a secret of the process, so that nobody finds a
// key by hashing guesses.
// What is no UTF-8 is shown as U+FFFD by whoever writes it as JSON.
struct Labels {
  static constexpr size_t kMostClear = 64;

  LabelMode mode = LabelMode::kMasked;

  std::string of(std::string_view key, const Fingerprint& print) const;
};

}  // namespace tidegate
