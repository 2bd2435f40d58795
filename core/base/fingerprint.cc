// SPDX-License-Identifier: MIT
#include "base/fingerprint.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <random>

namespace tidegate {

Fingerprinter::Fingerprinter(uint64_t seed) {
  if (seed == 0) {
    size_t done = 0;
    while (done < kSecretBytes) {
      const ssize_t got = getrandom(secret_ + done, kSecretBytes - done, 0);
      if (got > 0) done += static_cast<size_t>(got);
    }
    return;
  }
  std::mt19937_64 generator(seed);
  for (size_t i = 0; i < kSecretBytes; i += sizeof(uint64_t)) {
    const uint64_t word = generator();
    std::memcpy(secret_ + i, &word, sizeof word);
  }
}

Fingerprint Fingerprinter::operator()(std::string_view text) const {
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(text.data(), text.size(), secret_, kSecretBytes);
  return {hash.low64, hash.high64};
}

}  // namespace tidegate
