// SPDX-License-Identifier: MIT
// Keys of caches: pure functions, without a client.
#include <cstddef>

#include "cache/key.h"
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

constexpr size_t kMostRequestBytes = 4'096;

std::optional<std::string_view> optional_view(const tg_text& text) {
  if (!text.data) return std::nullopt;
  return view(text);
}
bool dangles(const tg_text& text) { return !text.data && text.size; }

int64_t put_bytes(std::string_view bytes, void* buffer, size_t size) {
  if (const size_t fits = std::min(bytes.size(), size)) std::memcpy(buffer, bytes.data(), fits);
  return static_cast<int64_t>(bytes.size());
}

int64_t put_key(const Result<std::string>& key, void* buffer, size_t size, tg_error* error) {
  return key ? put_bytes(*key, buffer, size) : fail(error, key.error());
}

// The caller's request in our layout, checked for shape.
int32_t read_request_record(const tg_request* request, size_t record_size, tg_request& copy,
                            tg_error* error) {
  if (!request) return fail(error, Code::kInvalid, "request: expected no NULL");
  if (record_size < offsetof(tg_request, field_count) || record_size > kMostRequestBytes)
    return fail(error, Code::kSize, "tg_request of " + std::to_string(record_size) + " bytes");
  std::memcpy(&copy, request, std::min(record_size, sizeof copy));
  const char* bytes = reinterpret_cast<const char*>(request);
  const bool unknown =
      record_size > sizeof copy &&
      std::any_of(bytes + sizeof copy, bytes + record_size, [](char c) { return c; });
  if (unknown || copy.flags & ~TG_REQUEST_NOT_JSON || copy.reserved)
    return fail(error, Code::kInvalid, "tg_request has fields or flags this version does not know");
  for (const tg_text* text : {&copy.method, &copy.route, &copy.provider, &copy.model, &copy.body})
    if (dangles(*text))
      return fail(error, Code::kInvalid, "a text of tg_request is NULL and has a size");
  if ((!copy.fields && copy.field_count) || (!copy.leave_out && copy.leave_out_count))
    return fail(error, Code::kInvalid, "a list of tg_request is NULL and has a count");
  return TG_OK;
}

}  // namespace

extern "C" {

int64_t tg_cache_key(const void* values, size_t values_len, void* buffer, size_t size,
                     tg_error* error) {
  return guard([&]() -> int64_t {
    if ((!values && values_len) || (!buffer && size))
      return fail(error, Code::kInvalid, "values, buffer: expected no NULL where there is a size");
    return put_key(call_key({static_cast<const char*>(values), values_len}), buffer, size, error);
  });
}

int64_t tg_request_key_sized(const tg_request* request, size_t record_size, void* buffer,
                             size_t size, tg_error* error) {
  return guard([&]() -> int64_t {
    tg_request copy{};
    if (const int32_t status = read_request_record(request, record_size, copy, error); status < 0)
      return status;
    if (!buffer && size)
      return fail(error, Code::kInvalid, "buffer: expected no NULL where there is a size");
    KeyRequest asked{.method = view(copy.method),
                     .route = optional_view(copy.route),
                     .provider = optional_view(copy.provider),
                     .model = optional_view(copy.model),
                     .fields = {},
                     .body = view(copy.body),
                     .as_json = !(copy.flags & TG_REQUEST_NOT_JSON)};
    for (const tg_field& field : std::span(copy.fields, copy.field_count)) {
      if (dangles(field.name) || dangles(field.value))
        return fail(error, Code::kInvalid, "a header of tg_request is NULL and has a size");
      asked.fields.push_back({view(field.name), optional_view(field.value)});
    }
    if (copy.leave_out) asked.leave_out.clear();
    for (const tg_text& name : std::span(copy.leave_out, copy.leave_out_count)) {
      if (dangles(name))
        return fail(error, Code::kInvalid, "a name to leave out is NULL and has a size");
      asked.leave_out.push_back(view(name));
    }
    return put_key(request_key(asked), buffer, size, error);
  });
}

int32_t tg_cache_digest(const char* cache, size_t cache_len, const char* scope, size_t scope_len,
                        const void* key, size_t key_len, uint8_t* digest, tg_error* error) {
  return guard([&]() -> int32_t {
    if ((!cache && cache_len) || (!scope && scope_len) || (!key && key_len) || !digest)
      return fail(error, Code::kInvalid,
                  "digest: expected no NULL; cache, scope, key: none where there is a size");
    std::optional<std::string_view> partition;
    if (scope) partition.emplace(scope, scope_len);
    const auto made =
        entry_digest({cache, cache_len}, partition, {static_cast<const char*>(key), key_len});
    if (!made) return fail(error, made.error());
    std::memcpy(digest, made->data(), made->size());
    return TG_OK;
  });
}

}  // extern "C"
