// SPDX-License-Identifier: MIT
#include <array>
#include <utility>

#include "base/text.h"
#include "http/address.h"
#include "options/table.h"

namespace tidegate {
namespace {

constexpr size_t kMaxText = 65'536;
constexpr size_t kMaxSocketPath = 107;  // sockaddr_un's, without its NUL
constexpr size_t kMaxHost = 255;
constexpr int64_t kMaxPort = 65'535;
constexpr int64_t kMaxDatabase = 1'000'000;

struct Scheme {
  std::string_view name;
  StoreKind kind;
  bool tls;
};
constexpr std::array<Scheme, 6> kSchemes{{{"memory", StoreKind::kMemory, false},
                                          {"redis", StoreKind::kTcp, false},
                                          {"rediss", StoreKind::kTcp, true},
                                          {"valkey", StoreKind::kTcp, false},
                                          {"valkeys", StoreKind::kTcp, true},
                                          {"unix", StoreKind::kUnix, false}}};
constexpr std::string_view kExpectedScheme =
    "expected memory://, redis://, rediss://, valkey://, valkeys:// or unix://";

constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_host(char c) {
  return is_digit(c) || is_letter(c) || c == '.' || c == '-' || c == '_';
}

template <class Predicate>
bool all(std::string_view text, Predicate predicate) {
  for (char c : text)
    if (!predicate(c)) return false;
  return true;
}

std::optional<int64_t> parse_number(std::string_view text, int64_t least, int64_t most) {
  if (text.empty() || !all(text, is_digit)) return std::nullopt;
  int64_t value = 0;
  for (char c : text)
    if (value = value * 10 + (c - '0'); value > most) return std::nullopt;
  if (value < least) return std::nullopt;
  return value;
}

// Every function takes a piece of text_ and knows by its address where it stands.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<StoreUrl> parse() {
    if (auto status = check_characters(); !status) return status.error();
    const size_t colon = text_.find("://");
    const Scheme* scheme = find_scheme(text_.substr(0, colon));
    if (colon == text_.npos || !scheme) return fail(0, kExpectedScheme);
    url_.kind = scheme->kind;
    url_.tls = scheme->tls;
    url_.scheme = scheme->name;

    const std::string_view rest = text_.substr(colon + 3);
    const size_t question = rest.find('?');
    const std::string_view before = rest.substr(0, question);
    const size_t slash = std::min(before.find('/'), before.size());
    auto status = address(before.substr(0, slash), before.substr(slash));
    if (status && question != rest.npos && question + 1 < rest.size())
      status = query(rest.substr(question + 1));
    if (!status) return status.error();
    return std::move(url_);
  }

 private:
  static const Scheme* find_scheme(std::string_view text) {
    for (const Scheme& scheme : kSchemes) {
      if (scheme.name.size() != text.size()) continue;
      bool same = true;
      for (size_t i = 0; i < text.size(); ++i)
        same = same && is_letter(text[i]) && (text[i] | 0x20) == scheme.name[i];
      if (same) return &scheme;
    }
    return nullptr;
  }

  Status check_characters() {
    if (text_.size() > kMaxText) return fail(kMaxText, "expected at most 65536 bytes");
    for (size_t i = 0; i < text_.size(); ++i) {
      if (is_control(text_[i])) return fail(i, "expected no control character");
      if (text_[i] == '#') return fail(i, "expected no fragment: write # as %23");
    }
    return Nothing{};
  }

  Status address(std::string_view authority, std::string_view path) {
    if (url_.kind == StoreKind::kMemory) {
      if (!authority.empty())
        return fail(offset(authority), "expected no host: the embedded store has none");
      if (!path.empty() && path != "/") return fail(offset(path), "expected no path");
      return Nothing{};
    }
    const size_t at = authority.rfind('@');
    if (at != authority.npos) {
      if (auto status = login(authority.substr(0, at)); !status) return status;
      authority.remove_prefix(at + 1);
    }
    return url_.kind == StoreKind::kUnix ? socket(authority, path) : server(authority, path);
  }

  // A lone word is refused: some tools take it for the user, others for the password.
  Status login(std::string_view text) {
    const size_t colon = text.find(':');
    if (colon == text.npos) return fail(offset(text), "expected user:password@ or :password@");
    if (auto status = decode(text.substr(0, colon), url_.user); !status) return status;
    return decode(text.substr(colon + 1), url_.password);
  }

  Status server(std::string_view authority, std::string_view path) {
    auto status = authority.starts_with('[') ? bracketed_host(authority) : host(authority);
    if (!status) return status;
    if (path.size() <= 1) return Nothing{};
    return database(path.substr(1));
  }

  Status host(std::string_view authority) {
    const size_t colon = authority.find(':');
    const std::string_view name = authority.substr(0, colon);
    if (name.empty()) return fail(offset(authority), "expected a host");
    if (name.size() > kMaxHost || !all(name, is_host))
      return fail(offset(authority),
                  "expected a host of at most 255 letters, digits, \".\", \"-\" and \"_\"");
    url_.host = name;
    return colon == authority.npos ? Status(Nothing{}) : port(authority.substr(colon + 1));
  }

  Status bracketed_host(std::string_view authority) {
    const size_t end = authority.find(']');
    if (end == authority.npos) return fail(text_end(authority), "expected \"]\"");
    std::string_view name = authority.substr(1, end - 1);
    const size_t percent = std::min(name.find('%'), name.size());
    const auto parsed = Address::parse(name.substr(0, percent));
    std::string_view zone = name.substr(percent);
    zone.remove_prefix(zone.starts_with("%25") ? 3 : zone.empty() ? 0 : 1);
    const bool zone_ok = percent == name.size() || (!zone.empty() && all(zone, is_host));
    if (!parsed || !parsed->v6 || !zone_ok || name.size() > kMaxHost)
      return fail(offset(name), "expected an IPv6 address in the brackets");
    url_.host = parsed->text();
    if (!zone.empty()) url_.host.append("%").append(zone);
    const std::string_view rest = authority.substr(end + 1);
    if (rest.empty()) return Nothing{};
    if (rest[0] != ':')
      return fail(offset(rest), "expected \":\" and a port, \"/\", \"?\" or the end");
    return port(rest.substr(1));
  }

  Status port(std::string_view text) {
    const auto value = parse_number(text, 1, kMaxPort);
    if (!value) return fail(offset(text), "expected a port from 1 to 65535; IPv6 goes in brackets");
    url_.port = static_cast<int>(*value);
    return Nothing{};
  }

  Status database(std::string_view text) {
    const auto value = parse_number(text, 0, kMaxDatabase);
    if (!value) return fail(offset(text), "expected a database from 0 to 1000000");
    url_.database = static_cast<int>(*value);
    return Nothing{};
  }

  Status socket(std::string_view authority, std::string_view path) {
    if (!authority.empty() || path.empty())
      return fail(offset(authority), "expected an absolute path, as in unix:///run/valkey.sock");
    if (auto status = decode(path, url_.path); !status) return status;
    if (url_.path.size() < 2 || url_.path.size() > kMaxSocketPath)
      return fail(offset(path), "expected the path of a socket, at most 107 bytes");
    return Nothing{};
  }

  Status query(std::string_view text) {
    for (bool more = true; more;) {
      const size_t end = std::min(text.find('&'), text.size());
      if (auto status = option(text.substr(0, end)); !status) return status;
      more = end < text.size();
      text.remove_prefix(more ? end + 1 : end);
    }
    return Nothing{};
  }

  Status option(std::string_view item) {
    const size_t equals = item.find('=');
    if (equals == item.npos || equals == 0) return fail(offset(item), "expected name=value");
    const std::string_view name = item.substr(0, equals), raw = item.substr(equals + 1);
    if (name == "db") return query_database(name, raw);
    std::string value;
    if (auto status = decode(raw, value); !status) return status;
    const auto row = find_option(name);
    if (!row) return place(unknown_option(name, may_show(item)), offset(name));
    if (url_.options.given >> *row & 1)
      return fail(offset(name), "expected " + std::string(name) + " only once");
    auto status = set_row(url_.options, *row, value, may_show(item));
    if (!status) return place(status.error(), offset(raw));
    return Nothing{};
  }

  Status query_database(std::string_view name, std::string_view raw) {
    if (url_.kind != StoreKind::kUnix)
      return fail(offset(name),
                  "expected db only with unix://; elsewhere it is the path, as in /2");
    if (database_given_) return fail(offset(name), "expected db only once");
    database_given_ = true;
    return database(raw);
  }

  Status decode(std::string_view text, std::string& out) {
    out.clear();
    for (size_t i = 0; i < text.size(); ++i) {
      char c = text[i];
      if (c == '%') {
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0)
          return fail(offset(text) + i, "expected two hexadecimal digits after %; % itself is %25");
        c = static_cast<char>(high << 4 | low);
        if (is_control(c)) return fail(offset(text) + i, "expected no control character");
        i += 2;
      }
      out += c;
    }
    return Nothing{};
  }

  // What stands before the last "@" may be a password, or the rest of one that was not escaped: of
  // that nothing is ever shown, only where it is.
  bool may_show(std::string_view piece) const {
    const size_t at = text_.rfind('@');
    return at == text_.npos || offset(piece) > at;
  }

  size_t offset(std::string_view piece) const {
    return static_cast<size_t>(piece.data() - text_.data());
  }
  size_t text_end(std::string_view piece) const { return offset(piece) + piece.size(); }

  static Error fail(size_t position, std::string_view expected) {
    return place({Code::kUrl, std::string(expected)}, position);
  }

  static Error place(Error error, size_t position) {
    error.message = "store URL at " + std::to_string(position) + ": " + error.message;
    error.position = static_cast<int32_t>(position);
    return error;
  }

  std::string_view text_;
  StoreUrl url_;
  bool database_given_ = false;
};

}  // namespace

Result<StoreUrl> parse_store_url(std::string_view text) { return Parser(text).parse(); }

}  // namespace tidegate
