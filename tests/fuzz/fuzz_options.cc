// SPDX-License-Identifier: MIT
// Whatever a store URL looks like, no message and no shown URL holds its password, and what is
// shown parses to itself. The input is a URL, an option "name=value", and the surroundings of a
// password.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "options/options.h"

namespace {

using tidegate::Options;
using tidegate::StoreUrl;

constexpr std::string_view kSecret = "Xs3cr3tX";

void require(bool condition) {
  if (!condition) std::abort();
}

void check_error(const tidegate::Error& error, size_t text_size) {
  require(error.code == tidegate::Code::kUrl || error.code == tidegate::Code::kOption);
  require(error.position >= -1 && error.position <= static_cast<int64_t>(text_size));
  for (char c : error.message) require(c >= 0x20 && c < 0x7f);
}

void check_shown(const StoreUrl& url) {
  const std::string shown = url.redacted();
  for (char c : shown) require(c > 0x20 && c < 0x7f);
  StoreUrl other = url;
  if (!other.password.empty()) other.password = "another";
  require(other.redacted() == shown);
  const auto again = tidegate::parse_store_url(shown);
  require(again.ok() && again->redacted() == shown);
  require(again->host == url.host && again->port == url.port && again->path == url.path);
  require(again->user == url.user && again->database == url.database && again->tls == url.tls);
  require(again->options.given == url.options.given);
  require(url.kind == tidegate::StoreKind::kTcp ? !url.host.empty() : url.host.empty());
  require(url.port >= 1 && url.port <= 65'535);
}

void check_url(std::string_view text) {
  const auto url = tidegate::parse_store_url(text);
  if (!url) return check_error(url.error(), text.size());
  check_shown(*url);
  const auto status = tidegate::check_store(*url, url->options);
  if (!status) check_error(status.error(), text.size());
}

// The input on both sides of a password: where it breaks the URL, the message still is silent.
void check_secret(std::string_view text) {
  const size_t half = text.size() / 2;
  const std::string before(text.substr(0, half)), after(text.substr(half));
  for (const std::string scheme : {"redis://", "unix://", "memory://", ""}) {
    const auto url =
        tidegate::parse_store_url(scheme + before + std::string(kSecret) + after + "@h/0");
    if (!url) require(url.error().message.find(kSecret) == std::string::npos);
    const auto shown =
        tidegate::parse_store_url(scheme + "u:" + std::string(kSecret) + "@" + before);
    const auto& message = shown ? shown->redacted() : shown.error().message;
    require(message.find(kSecret) == std::string::npos || text.find(kSecret) != text.npos);
  }
}

void check_option(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == text.npos) return;
  const std::string_view value = text.substr(equals + 1);
  Options options;
  const auto status = options.set(text.substr(0, equals), value);
  require(status.ok() == (options.given != 0));
  if (!status) check_error(status.error(), value.size());
  Options merged;
  merged.override_with(options);
  require(merged.given == options.given);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_url(text);
  check_option(text);
  check_secret(text);
  return 0;
}
