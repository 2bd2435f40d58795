// SPDX-License-Identifier: MIT
#include "base/text.h"
#include "options/table.h"

namespace tidegate {
namespace {

bool is_plain(char c, std::string_view extra) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~' || extra.find(c) != extra.npos;
}

void append_encoded(std::string& out, std::string_view text, std::string_view extra = "") {
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain(c, extra))
      out += c;
    else
      out.append({'%', kUpperHex[byte >> 4], kUpperHex[byte & 15]});
  }
}

void append_host(std::string& out, const StoreUrl& url) {
  if (url.host.find(':') == url.host.npos) {
    out.append(url.host);
  } else {
    const size_t zone = url.host.find('%');
    out.append("[").append(url.host, 0, zone);
    if (zone != url.host.npos) out.append("%25").append(url.host, zone + 1);
    out += ']';
  }
  if (url.port != StoreUrl{}.port) out.append(":").append(std::to_string(url.port));
  if (url.database) out.append("/").append(std::to_string(url.database));
}

Error refuse(std::string message) { return {Code::kOption, std::move(message)}; }

}  // namespace

std::string StoreUrl::redacted() const {
  std::string out = scheme + "://";
  if (!user.empty() || !password.empty()) {
    append_encoded(out, user);
    out.append(password.empty() ? ":@" : ":***@");
  }
  char separator = '?';
  if (kind == StoreKind::kTcp) append_host(out, *this);
  if (kind == StoreKind::kUnix) {
    append_encoded(out, path, "/");
    if (database) {
      out.append("?db=").append(std::to_string(database));
      separator = '&';
    }
  }
  for (size_t i = 0; i < kOptionTable.size(); ++i) {
    if (!(options.given >> i & 1)) continue;
    out += separator;
    separator = '&';
    out.append(kOptionTable[i].name).append("=");
    append_encoded(out, value_text(options, i), "/:,");
  }
  return out;
}

Status check_store(const StoreUrl& url, const Options& merged) {
  const bool server = url.kind != StoreKind::kMemory;
  if (server && merged.manual_clock && !merged.testing)
    return refuse("clock \"manual\": expected testing=1 with it, since " + url.redacted() +
                  " is a server");
  if (is_given(merged, "read_bytes") && !merged.testing)
    return refuse("read_bytes: expected testing=1 with it");
  if (merged.tls_cert.empty() != merged.tls_key.empty())
    return refuse(merged.tls_key.empty() ? "tls_cert: expected tls_key with it"
                                         : "tls_key: expected tls_cert with it");
  const bool files = !merged.tls_ca.empty() || !merged.tls_cert.empty();
  if (url.kind == StoreKind::kTcp && !url.tls && files)
    return refuse("tls_ca, tls_cert, tls_key: expected rediss:// or valkeys://, since " +
                  url.redacted() + " is spoken to in the clear");
  return Nothing{};
}

}  // namespace tidegate
