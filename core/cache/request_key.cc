// SPDX-License-Identifier: MIT
#include <algorithm>
#include <map>

#include "base/text.h"
#include "cache/canonical_json.h"
#include "cache/key.h"
#include "cache/parts.h"
#include "cache/unicode.h"

namespace tidegate {
namespace {

// A method or a field's name (RFC 9110).
bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+.^_`|~-";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           kMarks.find(c) != kMarks.npos;
  });
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return out;
}

std::string_view trimmed(std::string_view value) {
  const size_t first = value.find_first_not_of(" \t");
  if (first == value.npos) return {};
  return value.substr(first, value.find_last_not_of(" \t") - first + 1);
}

// The chosen fields: parts of name, value, name, value ..., names in order.
Status append_fields(std::string& out, const std::vector<RequestField>& fields) {
  std::map<std::string, std::optional<std::string>> chosen;
  for (const RequestField& field : fields) {
    if (!is_token(field.name))
      return Error{Code::kKey, "header " + quote(field.name) + ": expected a field's name"};
    std::optional<std::string>& joined = chosen[lower(field.name)];
    if (!field.value) continue;
    if (joined)
      joined->append(", ").append(trimmed(*field.value));
    else
      joined = trimmed(*field.value);
  }
  for (const auto& [name, value] : chosen) {
    append_part(out, name);
    append_part(out, value);
  }
  return Nothing{};
}

// Kind, what was left out, and the body itself.
Status append_body(std::string& out, const KeyRequest& request) {
  std::vector<std::string> names(request.leave_out.begin(), request.leave_out.end());
  std::ranges::sort(names, utf16_less);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::optional<std::string> canonical;
  if (request.as_json) canonical = canonical_json(request.body, names);
  append_part(out, canonical ? "json" : "raw");
  if (!canonical) {
    append_part(out, std::nullopt);
    append_part(out, request.body);
    return Nothing{};
  }
  std::string left_out;
  for (const std::string& name : names) {
    if (!is_utf8(name))
      return Error{Code::kKey, "a name to leave out, " + quote(name) + ": expected UTF-8"};
    append_part(left_out, name);
  }
  append_part(out, left_out);
  append_part(out, *canonical);
  return Nothing{};
}

}  // namespace

Result<std::string> request_key(const KeyRequest& request) {
  if (!is_token(request.method))
    return Error{Code::kKey, "method " + quote(request.method) + ": expected a token"};
  std::string out;
  append_part(out, "request");
  append_part(out, upper(request.method));
  for (const auto& text : {request.route, request.provider, request.model}) {
    if (text && !is_utf8(*text))
      return Error{Code::kKey, "route, provider or model " + quote(*text) + ": expected UTF-8"};
    append_part(out, text);
  }
  {
    const PartScope fields(out);
    if (auto status = append_fields(out, request.fields); !status) return status.error();
  }
  if (request.body.empty()) {
    for (int i = 0; i < 3; ++i) append_part(out, std::nullopt);
    return out;
  }
  if (auto status = append_body(out, request); !status) return status.error();
  return out;
}

}  // namespace tidegate
