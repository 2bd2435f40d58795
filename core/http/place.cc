// SPDX-License-Identifier: MIT
#include <openssl/evp.h>

#include <algorithm>

#include "base/text.h"
#include "http/http.h"

namespace tidegate {
namespace {

constexpr size_t kMostName = 64, kKept = 55, kDigestBytes = 4;

bool letter(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_';
}

// "-1a2b3c4d" behind what cannot say all that the text says.
std::string with_digest(std::string name, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE] = {};
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  name.resize(std::min(name.size(), kKept));
  name += '-';
  append_hex(name, digest, kDigestBytes);
  return name;
}

// {id}, :id, <id>, and what takes the rest of a path: {rest...}, {*rest}, *rest. Leaves its name.
bool take_parameter(std::string_view& segment) {
  const char open = segment.front(), close = segment.back();
  const bool braces = (open == '{' && close == '}') || (open == '<' && close == '>');
  if (!braces && open != ':' && (open != '*' || segment.size() == 1)) return false;
  segment.remove_prefix(1);
  if (braces) segment.remove_suffix(1);
  if (segment.starts_with('*')) segment.remove_prefix(1);
  if (segment.ends_with("...")) segment.remove_suffix(3);
  return true;
}

// GET for HEAD, which routers serve by it; one name for all that callers make up.
std::string_view method_word(std::string_view method) {
  constexpr std::string_view kKnown[] = {"",      "GET",     "POST",  "PUT",     "DELETE",
                                         "PATCH", "OPTIONS", "TRACE", "CONNECT", "WS"};
  if (method == "HEAD") return "GET";
  return std::ranges::find(kKnown, method) != std::end(kKnown) ? method : "OTHER";
}

// "/items/{id}" as "items-id", "/my-items" as "my--items", "/v1.0" as "v1..0": a parameter stands
// behind one "-", however its framework writes it ({id}, :id, <id>), a slash is a ".". Whatever
// else there is has no place in a name: `lossy`.
void append_path(std::string& name, std::string_view path, bool& lossy) {
  const std::string_view separator = name.empty() ? "" : ".";
  size_t at = 0;
  for (bool first = true; at < path.size(); first = false) {
    while (at < path.size() && path[at] == '/') ++at;
    const size_t end = std::min(path.find('/', at), path.size());
    if (at == end) break;
    std::string_view segment = path.substr(at, end - at);
    at = end;
    if (segment == "{$}") continue;  // the end of a path, as Go writes it
    const bool named = take_parameter(segment);
    name.append(first ? separator : named ? "-" : ".");
    if (first && named) name += '-';
    for (const char c : segment) {
      if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) continue;  // the rest of a character
      const bool doubled = (c == '-' || c == '.') && !named;
      if (doubled) name += c;
      lossy |= !letter(c) && !doubled;
      name += letter(c) || doubled ? c : '_';
    }
  }
}

}  // namespace

std::string short_name(std::string_view text) {
  std::string name;
  bool lossy = false;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xc0) == 0x80) continue;
    const bool plain = letter(c) || c == '.' || c == '-';
    lossy |= !plain;
    name += plain ? c : '_';
  }
  return lossy || name.size() > kMostName ? with_digest(std::move(name), text) : name;
}

std::string place_name(std::string_view mount, std::string_view method,
                       std::optional<std::string_view> route) {
  std::string name;
  bool lossy = false;
  append_path(name, mount, lossy);
  method = method_word(method);
  for (const std::string_view word : {method, route ? std::string_view() : "unmatched"})
    append_path(name, word, lossy);
  if (route) append_path(name, *route, lossy);
  if (name.empty()) return "everything";
  if (!lossy && name.size() <= kMostName) return name;
  std::string whole(mount);
  whole.append("\n").append(method).append("\n").append(route.value_or("unmatched"));
  return with_digest(std::move(name), whole);
}

}  // namespace tidegate
