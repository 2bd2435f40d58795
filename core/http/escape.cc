// SPDX-License-Identifier: MIT
#include <openssl/evp.h>

#include "base/text.h"
#include "http/http.h"

namespace tidegate {
namespace {

constexpr size_t kMaxPlainKey = 512;

}  // namespace

void append_escaped_key(std::string& out, std::string_view key) {
  if (key.size() > kMaxPlainKey) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    // Without memory for a digest the long name still is the right caller's, and nobody else's.
    if (EVP_Digest(key.data(), key.size(), digest, &size, EVP_sha256(), nullptr) == 1) {
      out += '#';
      append_hex(out, digest, size);
      return;
    }
  }
  for (size_t i = 0; i < key.size(); ++i) {
    const char c = key[i];
    if (c == '%' || c == '{' || c == '}' || c == '\0' || (c == '#' && i == 0)) {
      const auto byte = static_cast<unsigned char>(c);
      out.append({'%', kUpperHex[byte >> 4], kUpperHex[byte & 15]});
    } else {
      out += c;
    }
  }
}

std::string escape_key(std::string_view key) {
  std::string out;
  append_escaped_key(out, key);
  return out;
}

std::string caller_key(std::string_view identity, std::string_view address) {
  if (identity.empty()) return "@" + std::string(address);
  std::string buffer;
  return std::string(identity_key(identity, buffer));
}

std::string_view identity_key(std::string_view identity, std::string& buffer) {
  if (identity.front() != '@') return identity;
  buffer.assign("@").append(identity);
  return buffer;
}

}  // namespace tidegate
