// SPDX-License-Identifier: MIT
// Whose state it is, in 128 bits: XXH3 under a secret of the process. A caller's key is never kept,
// and who does not know the secret cannot make two keys meet.
#pragma once

#include <cstdint>
#include <string_view>

namespace tidegate {

// Two 64-bit words that name a rate or a state in this process.
struct Fingerprint {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Fingerprint&) const = default;
};

// A state is named by its rate (limiter's name, algorithm, window) and its key.
// (In one 128-bit integer: as two words GCC makes it a vector operation, which waits for the stores
// of both.)
constexpr Fingerprint operator^(Fingerprint a, Fingerprint b) {
  __extension__ using Wide = unsigned __int128;
  const Wide both = (Wide{a.high} << 64 | a.low) ^ (Wide{b.high} << 64 | b.low);
  return {static_cast<uint64_t>(both), static_cast<uint64_t>(both >> 64)};
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
