// SPDX-License-Identifier: MIT
// Canonical JSON is canonical: what comes out goes in and comes out again; the same text in any
// form of arguments and requests is a key, or an error with a word about it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cache/canonical_json.h"
#include "cache/key.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_body(std::string_view text) {
  const auto once = tidegate::canonical_json(text, {});
  tidegate::KeyRequest request{.method = "POST", .fields = {}, .body = text};
  require(tidegate::request_key(request).ok());
  if (!once) return;
  const auto again = tidegate::canonical_json(*once, {});
  require(again && *again == *once);
  const std::string blanks = " \n" + std::string(text) + "\t";
  require(tidegate::canonical_json(blanks, {}) == once);
}

void check_arguments(std::string_view flat) {
  const auto key = tidegate::call_key(flat);
  if (!key) {
    require(key.error().code == tidegate::Code::kKey && !key.error().message.empty());
    return;
  }
  require(tidegate::entry_digest("c", std::nullopt, *key).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.empty()) return 0;
  if (text[0] & 1)
    check_body(text.substr(1));
  else
    check_arguments(text.substr(1));
  return 0;
}
