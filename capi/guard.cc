// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>

#include "base/json.h"
#include "internal.h"
#include "policy/texts.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

std::string_view view(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

int32_t read_guard(const tg_guard_spec* spec, size_t size, tg_guard_spec& ours, tg_error* error) {
  using Spec = tg_guard_spec;
  if (const int32_t status = read_spec(
          spec, size, "tg_guard_spec",
          {&Spec::policy, &Spec::file, &Spec::headers, &Spec::trusted_proxies}, ours, error);
      status < 0)
    return status;
  if (ours.policy.size && ours.file.size)
    return fail(error, Code::kInvalid, "policy and file: expected one of them");
  return TG_OK;
}

}  // namespace

extern "C" {

int32_t tg_guard_open_sized(tg_client* client, const tg_guard_spec* spec, size_t size,
                            uint64_t* handle, tg_error* error) {
  return guard([&]() -> int32_t {
    if (const int32_t status = usable(client); status < 0)
      return fail(error, static_cast<Code>(status), tg_strerror(status));
    if (!handle) return fail(error, Code::kInvalid, "handle: expected no NULL");
    tg_guard_spec ours{};
    if (const int32_t status = read_guard(spec, size, ours, error); status < 0) return status;
    auto opened = client->core->open_guard({.policy = view(ours.policy),
                                            .file = view(ours.file),
                                            .headers = view(ours.headers),
                                            .trusted_proxies = view(ours.trusted_proxies),
                                            .ipv6_prefix = ours.ipv6_prefix});
    if (!opened) return fail(error, opened.error());
    *handle = *opened;
    return TG_OK;
  });
}

int32_t tg_guard_replace(tg_client* client, uint64_t handle, const char* policy, size_t size,
                         tg_error* error) {
  return guard([&]() -> int32_t {
    if (const int32_t status = usable(client); status < 0)
      return fail(error, static_cast<Code>(status), tg_strerror(status));
    if (!policy) return fail(error, Code::kInvalid, "policy: expected no NULL");
    auto replaced = client->core->guards().replace(handle, {policy, size});
    return replaced ? TG_OK : fail(error, replaced.error());
  });
}

int32_t tg_guard_close(tg_client* client, uint64_t handle) {
  if (const int32_t status = usable(client); status < 0) return status;
  return guard([&] {
    auto closed = client->core->guards().close(handle);
    return closed ? TG_OK : static_cast<int32_t>(closed.error().code);
  });
}

int32_t tg_guard_finish_sized(const void* scope, size_t size, int32_t status,
                              const void* attributes, size_t attributes_size, uint32_t flags,
                              tg_entry* entries, int32_t max, uint64_t packed) {
  return guard([&]() -> int32_t {
    const Layout layout(packed);
    if (!layout.valid()) return TG_ESIZE;
    if ((!scope && size) || (!attributes && attributes_size) ||
        flags & ~(TG_FINISH_RENEW | TG_FINISH_DENIED) || max < 0 || (max && !entries))
      return TG_EINVAL;
    static thread_local std::vector<Settlement> found;
    const Settle how = flags & TG_FINISH_DENIED  ? Settle::kDenied
                       : flags & TG_FINISH_RENEW ? Settle::kRenew
                                                 : Settle::kFinish;
    if (!settle(view(scope, size), how, status, view(attributes, attributes_size), found))
      return TG_EINVAL;
    char* out = reinterpret_cast<char*>(entries);
    for (size_t i = 0; i < found.size() && i < static_cast<size_t>(max); ++i, out += layout.entry) {
      const Settlement& one = found[i];
      tg_entry entry{};
      entry.op = static_cast<uint32_t>(one.op);
      if (one.op != Op::kConsume) entry.flags = TG_SOURCE_FLAGS(one.to);
      entry.handle = one.part.handle;
      entry.key = one.part.key.data();
      entry.key_len = static_cast<uint32_t>(one.part.key.size());
      entry.arg = one.part.cost;
      std::memcpy(entry.id, one.part.id.words, sizeof entry.id);
      std::memset(out, 0, layout.entry);
      std::memcpy(out, &entry, std::min(layout.entry, sizeof entry));
    }
    return static_cast<int32_t>(found.size());
  });
}

int64_t tg_guard_explain(tg_client* client, uint64_t handle, const void* attributes, size_t size,
                         char* buffer, size_t buffer_size, tg_error* error) {
  return guard([&]() -> int64_t {
    if (const int32_t status = usable(client); status < 0)
      return fail(error, static_cast<Code>(status), tg_strerror(status));
    if (!attributes && size) return fail(error, Code::kInvalid, "attributes: expected no NULL");
    auto explained = client->core->explain(handle, view(attributes, size));
    if (!explained) return fail(error, explained.error());
    return put_text(*explained, buffer, buffer_size);
  });
}

int64_t tg_guard_edit(tg_client* client, uint64_t handle, uint32_t flags, const char* patch,
                      size_t size, const char* who, size_t who_size, tg_error* error) {
  return guard([&]() -> int64_t {
    if (const int32_t status = usable(client); status < 0)
      return fail(error, static_cast<Code>(status), tg_strerror(status));
    if (!patch || (!who && who_size) || flags & ~TG_EDIT_REPLACE)
      return fail(error, Code::kInvalid,
                  "patch: expected no NULL; flags: expected TG_EDIT_REPLACE or 0");
    if (in_hook_of() == client) return fail(error, Code::kInvalid, "it would wait for itself");
    const auto how = flags & TG_EDIT_REPLACE ? Live::How::kReplace : Live::How::kMerge;
    auto edited = client->core->live().edit(handle, how, {patch, size}, {who, who_size});
    if (!edited) return fail(error, edited.error());
    return static_cast<int64_t>(edited->version);
  });
}

int64_t tg_client_live(tg_client* client, char* buffer, size_t size) {
  return guard([&]() -> int64_t {
    if (const int32_t status = ours(client); status < 0) return status;
    const Live::Document now = client->core->live().document();
    return put_text("{\"version\":" + std::to_string(now.version) +
                        ",\"live\":" + (now.text.empty() ? "{}" : now.text) + "}",
                    buffer, size);
  });
}

int64_t tg_policy_validate(const char* policy, size_t size, char* buffer, size_t buffer_size) {
  return guard([&]() -> int64_t {
    if (!policy && size) return TG_EINVAL;
    const CompiledPolicy compiled = compile_policy({policy, size});
    return put_text(compiled.policy ? "[]" : "[" + fault_json(compiled.fault) + "]", buffer,
                    buffer_size);
  });
}

int64_t tg_policy_ignored(const char* policy, size_t size, const char* live, size_t live_size,
                          char* buffer, size_t buffer_size, tg_error* error) {
  return guard([&]() -> int64_t {
    if ((!policy && size) || (!live && live_size))
      return fail(error, Code::kInvalid, "policy, live: expected no NULL with a size");
    const CompiledPolicy file = compile_policy({policy, size});
    if (!file.policy) return fail(error, Code::kPolicy, file.fault.text());
    const CompiledPolicy over = compile_live({live, live_size}, file.policy);
    if (!over.policy) return fail(error, Code::kPolicy, "live: " + over.fault.text());
    std::string list = "[";
    for (const std::string& place : over.policy->ignored()) {
      if (list.size() > 1) list += ',';
      append_json(list, place);
    }
    return put_text(list += ']', buffer, buffer_size);
  });
}

int64_t tg_policy_resolve(const char* policy, size_t size, const char* live, size_t live_size,
                          const void* attributes, size_t attributes_size, int64_t now_us,
                          char* buffer, size_t buffer_size, tg_error* error) {
  return guard([&]() -> int64_t {
    if ((!policy && size) || (!live && live_size) || (!attributes && attributes_size) || now_us < 0)
      return fail(error, Code::kInvalid, "expected no NULL with a size, and a time of 0 or more");
    const CompiledPolicy file = compile_policy({policy, size});
    if (!file.policy) return fail(error, Code::kPolicy, file.fault.text());
    CompiledPolicy over;
    if (live_size) {
      over = compile_live({live, live_size}, file.policy);
      if (!over.policy) return fail(error, Code::kPolicy, "live: " + over.fault.text());
    }
    std::vector<Attribute> request;
    if (!read_attributes(view(attributes, attributes_size), request))
      return fail(error, Code::kInvalid,
                  "attributes: expected names and values, each behind its "
                  "length in 4 bytes");
    PolicyResolver resolver;
    return put_text(
        resolution_json(resolver.resolve(*file.policy, over.policy.get(), request, now_us)), buffer,
        buffer_size);
  });
}

int64_t tg_place_name(const char* mount, size_t mount_size, const char* method, size_t method_size,
                      const char* route, size_t route_size, char* buffer, size_t buffer_size) {
  return guard([&]() -> int64_t {
    if ((!mount && mount_size) || (!method && method_size) || (!route && route_size))
      return TG_EINVAL;
    std::optional<std::string_view> known;
    if (route) known = view(route, route_size);
    return put_text(place_name({mount, mount_size}, {method, method_size}, known), buffer,
                    buffer_size);
  });
}

}  // extern "C"
