// SPDX-License-Identifier: MIT
#include "store/valkey/script.h"

#include <openssl/evp.h>

#include <string>

#include "limiter_lua.h"  // generated: kLimiterLua

namespace tidegate {

std::string_view script_source() { return kLimiterLua; }

std::string_view script_digest() {
  static const std::string digest = [] {
    constexpr std::string_view kHex = "0123456789abcdef";
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_Digest(kLimiterLua.data(), kLimiterLua.size(), bytes, &size, EVP_sha1(), nullptr);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      text += kHex[bytes[i] >> 4];
      text += kHex[bytes[i] & 15];
    }
    return text;
  }();
  return digest;
}

}  // namespace tidegate
