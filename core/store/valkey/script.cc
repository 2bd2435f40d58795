// SPDX-License-Identifier: MIT
#include "store/valkey/script.h"

#include <openssl/evp.h>

#include <string>

#include "base/text.h"
#include "limiter_lua.h"  // generated: kLimiterLua
#include "policy_lua.h"   // generated: kPolicyLua

namespace tidegate {

std::string_view script_source() { return kLimiterLua; }
std::string_view policy_script() { return kPolicyLua; }

std::string_view script_digest() {
  static const std::string digest = [] {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_Digest(kLimiterLua.data(), kLimiterLua.size(), bytes, &size, EVP_sha1(), nullptr);
    std::string text;
    append_hex(text, bytes, size);
    return text;
  }();
  return digest;
}

}  // namespace tidegate
