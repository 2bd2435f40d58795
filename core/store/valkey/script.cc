// SPDX-License-Identifier: MIT
#include "store/valkey/script.h"

#include <openssl/evp.h>

#include <string>

#include "base/text.h"
#include "cache_lua.h"    // generated: kCacheLua
#include "limiter_lua.h"  // generated: kLimiterLua
#include "policy_lua.h"   // generated: kPolicyLua

namespace tidegate {
namespace {

std::string sha1_of(std::string_view program) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(program.data(), program.size(), bytes, &size, EVP_sha1(), nullptr);
  std::string text;
  append_hex(text, bytes, size);
  return text;
}

}  // namespace

std::string_view script_source() { return kLimiterLua; }
std::string_view policy_script() { return kPolicyLua; }

std::string_view script_digest() {
  static const std::string digest = sha1_of(kLimiterLua);
  return digest;
}

std::string_view cache_script_source() { return kCacheLua; }
std::string_view cache_script_digest() {
  static const std::string digest = sha1_of(kCacheLua);
  return digest;
}

}  // namespace tidegate
