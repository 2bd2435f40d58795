// SPDX-License-Identifier: MIT
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

extern "C" {

tg_options* tg_options_new(void) { return new (std::nothrow) tg_options; }

int32_t tg_options_set(tg_options* options, const char* name, const char* value, tg_error* error) {
  return guard([&]() -> int32_t {
    if (!options || !name || !value)
      return fail(error, Code::kInvalid, "options, name and value: expected no NULL");
    auto set = options->core.set(name, value);
    return set ? TG_OK : fail(error, set.error());
  });
}

int64_t tg_options_describe(char* buffer, size_t size) {
  return guard([&] { return put_text(describe_options(), buffer, size); });
}

void tg_options_free(tg_options* options) { delete options; }

int64_t tg_caller_key(const tg_options* options, const char* peer, size_t peer_len,
                      const char* forwarded_for, size_t forwarded_for_len, const char* identity,
                      size_t identity_len, char* buffer, size_t size) {
  return guard([&]() -> int64_t {
    if ((!peer && peer_len) || (!forwarded_for && forwarded_for_len) || (!identity && identity_len))
      return TG_EINVAL;
    static const Options kDefaults;
    const Options& use = options ? options->core : kDefaults;
    const std::string_view name(identity, identity_len);
    if (!name.empty()) return put_text(caller_key(name, {}), buffer, size);
    const std::string address =
        client_address({peer, peer_len}, {forwarded_for, forwarded_for_len}, use.trusted_proxies,
                       static_cast<int>(use.ipv6_prefix));
    return put_text(caller_key({}, address), buffer, size);
  });
}

}  // extern "C"
