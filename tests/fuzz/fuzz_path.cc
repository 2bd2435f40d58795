// SPDX-License-Identifier: MIT
// Normal forms are normal, and a pattern is matched alike by every way. The input is a text, and
// behind the first line a pattern.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "policy/path.h"
#include "policy/pattern.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

std::string check_path(std::string_view text) {
  std::string buffer, again;
  const std::string path(tidegate::normal_path(text, buffer));
  require(path.front() == '/' && (path.size() == 1 || path.back() != '/'));
  require(path.find("//") == path.npos && !path.ends_with("/.") && !path.ends_with("/.."));
  require(path.find("/./") == path.npos && path.find("/../") == path.npos);
  for (char c : path) require(c > 0x20 && c < 0x7f && c != '?' && c != '#');
  require(tidegate::normal_path(path, again) == path);
  return path;
}

void check_others(std::string_view text) {
  std::string buffer, again;
  const std::string method(tidegate::normal_method(text, buffer));
  require(method.size() == text.size() && tidegate::normal_method(method, again) == method);
  require(tidegate::normal_host(text, buffer).size() <= text.size());
  for (const int prefix : {0, 48, 64, 128}) {
    tidegate::normal_address(text, prefix, buffer);
    require(buffer.size() > 1 && buffer[0] == '@');
    const std::string once = buffer.substr(1);
    tidegate::normal_address(once, prefix, buffer);
    require(buffer.substr(1) == once);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string_view text = all.substr(0, all.find('\n'));
  const std::string_view given = all.substr(std::min(text.size() + 1, all.size()));
  const std::string path = check_path(text), pattern = check_path(given);
  check_others(text);

  tidegate::PatternScratch scratch;
  const bool matches = tidegate::Pattern::of_path(pattern).matches(path, scratch);
  // What a pattern matches without stars is itself.
  if (pattern.find('*') == pattern.npos) require(matches == (pattern == path));
  require(tidegate::Pattern::of_path("/**").matches(path, scratch));
  const auto of_text = tidegate::Pattern::of_text(given);
  if (given.find('*') == given.npos) require(of_text.matches(text, scratch) == (given == text));
  // More stars match more.
  if (of_text.matches(text, scratch))
    require(tidegate::Pattern::of_text("**" + std::string(given)).matches(text, scratch));
  return 0;
}
