// SPDX-License-Identifier: MIT
#include "http/digest.h"

#include <openssl/evp.h>

namespace tidegate {

std::optional<Sha256> sha256(std::string_view bytes) {
  Sha256 digest;
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    return std::nullopt;
  return digest;
}

}  // namespace tidegate
