// SPDX-License-Identifier: MIT
// Whose state it is, in 128 bits: XXH3 under a secret of the process. A caller's key is never kept,
// and who does not know the secret cannot make two keys meet.
#pragma once

#include <string_view>

#include "tidegate/limiter.h"

namespace tidegate {

// A state is named by its rate (limiter's name, algorithm, window) and its key.
constexpr Fingerprint operator^(Fingerprint a, Fingerprint b) {
  return {a.low ^ b.low, a.high ^ b.high};
}

// Hashes with a secret drawn from the system once per client. Immutable: any thread.
class Fingerprinter {
 public:
  // `seed` 0 draws the secret from the system's randomness; another is for replays.
  explicit Fingerprinter(uint64_t seed = 0);
  Fingerprint operator()(std::string_view text) const;

 private:
  static constexpr size_t kSecretBytes = 192;
  alignas(64) unsigned char secret_[kSecretBytes];
};

}  // namespace tidegate
