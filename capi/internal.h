// SPDX-License-Identifier: MIT
// What the seam's files share: the handles' insides, the guard, texts and layouts. tidegate.h is
// the manual.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "client/check.h"
#include "client/client.h"
#include "client/ring.h"
#include "tidegate.h"

struct tg_options {
  tidegate::Options core;
};

struct tg_client {
  std::unique_ptr<tidegate::Client> core;
  std::mutex hook_mutex;
  tg_event_fn hook = nullptr;
  void* hook_context = nullptr;
  size_t hook_size = 0;            // of the caller's tg_event
  tg_client* next_kept = nullptr;  // free_handle
};

namespace tidegate::capi {

// The sizes of the caller's records; the smaller of his and ours counts.
struct Layout {
  size_t entry, part, result;
  explicit Layout(uint64_t packed)
      : entry(packed & 0xffff), part(packed >> 16 & 0xffff), result(packed >> 32 & 0xffff) {}
  bool valid() const;
  bool same_parts() const { return part == sizeof(tg_part); }
};

int32_t fail(tg_error* error, const Error& why);
int32_t fail(tg_error* error, Code code, std::string_view message);

inline std::string_view view(const tg_text& text) { return {text.data, text.size}; }

// A caller's specification in our layout. TG_ESIZE; TG_EINVAL where it asks for what we do not
// know, or where a text of it has a size and is NULL.
template <class Spec>
int32_t read_spec(const Spec* spec, size_t size, const std::string& name,
                  std::initializer_list<tg_text Spec::*> texts, Spec& ours, tg_error* error) {
  constexpr size_t kMostBytes = 4'096;
  if (!spec) return fail(error, Code::kInvalid, "spec: expected no NULL");
  if (size < sizeof(tg_text) || size > kMostBytes)
    return fail(error, Code::kSize, name + " of " + std::to_string(size) + " bytes");
  std::memcpy(&ours, spec, std::min(size, sizeof ours));
  const char* bytes = reinterpret_cast<const char*>(spec);
  if (size > sizeof ours &&
      std::any_of(bytes + sizeof ours, bytes + size, [](char c) { return c; }))
    return fail(error, Code::kInvalid, name + " has fields this version does not know");
  for (const auto text : texts)
    if (!(ours.*text).data && (ours.*text).size)
      return fail(error, Code::kInvalid, "a text of " + name + " is NULL and has a size");
  return TG_OK;
}

// What every entry point asks first. Is it there, and this process's: TG_EINVAL, TG_EFORK, TG_OK.
template <class Handle>
int32_t ours(const Handle* handle) {
  if (!handle) return TG_EINVAL;
  return handle->core->forked() ? TG_EFORK : TG_OK;
}
// And open: TG_ECLOSED.
inline int32_t usable(const tg_client* client) {
  const int32_t status = ours(client);
  return status == TG_OK && client->core->closed() ? TG_ECLOSED : status;
}
// The client whose event hook this thread is in, or null: it cannot be asked from there.
const tg_client*& in_hook_of();

// Copies text into a caller's buffer, cut to fit and closed with NUL; returns the length needed.
int64_t put_text(std::string_view text, char* buffer, size_t size);

// A decision as the caller sees it; its parts stay where they are.
inline void put_decision(const Decision& decision, uint64_t user_data, const RateResult* parts,
                         tg_result& result) {
  result = {.user_data = user_data,
            .status = TG_OK,
            .flags = (decision.allowed ? TG_ALLOWED : 0) |
                     (decision.would_deny ? TG_WOULD_DENY : 0) |
                     static_cast<uint32_t>(decision.source) << 8,
            .part_count = decision.part_count,
            .binding = decision.binding,
            .parts = reinterpret_cast<const tg_part*>(parts),
            .data = nullptr,
            .data_len = 0,
            .found = nullptr};
}

// Writes `count` results of ours into the caller's, parts in the caller's layout (copied into
// `scratch` where it differs from ours), and a check's answer, which is in `scratch` too.
void put_result(Call& call, const Layout& layout, std::vector<char>& scratch, char* out);
// How much scratch put_result needs for the call.
size_t scratch_needed(const Call& call, const Layout& layout);

// What holds of every entry whatever its operation and flags: nothing reserved is set, the time is
// no time before now, and a key that has a length is there.
inline bool is_plain(const tg_entry& entry) {
  const auto reserved = reinterpret_cast<uintptr_t>(entry.value) | entry.value_len |
                        static_cast<uint64_t>(entry.arg2 | entry.arg3);
  return reserved == 0 && entry.timeout_us >= 0 && (entry.key || !entry.key_len);
}

// A guard's: attributes in place of a cost.
inline bool is_check(const tg_entry& entry) {
  return !entry.flags && !(entry.arg | entry.arg2 | entry.arg3) && entry.timeout_us >= 0 &&
         (entry.key || !entry.key_len) && (entry.value || !entry.value_len);
}

// Is the entry one that this version knows, alone or as the first of its request? (why_malformed
// says the same in words.)
inline bool well_formed(const tg_entry& entry, bool first) {
  if (entry.op == TG_OP_CHECK) return first && is_check(entry);
  const bool back = entry.op == TG_OP_REFUND || entry.op == TG_OP_DEBIT;
  const uint32_t known = TG_LINK | (back ? TG_SOURCE_FLAGS(15u) : 0);
  const bool wrong =
      !is_operation(entry.op) || entry.flags & ~known || TG_SOURCE(entry.flags) > TG_SOURCE_NEAR;
  if (wrong || !is_plain(entry)) [[unlikely]]
    return false;
  if (entry.op == TG_OP_PING)
    return first && !(entry.flags & TG_LINK) && !entry.handle && !entry.key_len && !entry.arg;
  return true;
}
std::string why_malformed(const tg_entry& entry, bool first);

inline HolderId holder_id(const tg_entry& entry) {
  HolderId id;
  static_assert(sizeof id.words == sizeof entry.id);
  std::memcpy(id.words, entry.id, sizeof id.words);
  return id;
}

// One request of a caller's entries, checked for shape.
struct ShapedRequest {
  Ring::Request request;
  Part parts[kMaxParts];
  CacheRequest cache;   // of the operations of that family, and then request.cache
  int32_t entries = 0;  // how many it took
};
// An entry in our layout: the caller's own where the sizes agree, else `copy`. Null: it asks for
// something this version does not know.
const tg_entry* entry_at(const void* entries, int32_t at, const Layout& layout, tg_entry& copy);
// The request of a cache that starts at `at`; as read_request.
int32_t read_cache_request(const void* entries, int32_t at, int32_t n, const Layout& layout,
                           ShapedRequest& shaped, std::string* why);
// What a cache's call found, in the caller's result; `scratch` has room, and does not move.
void put_found(const Call& call, std::vector<char>& scratch, tg_result& result);
// Reads the request that starts at entry `at` of `n`: TG_OK, or TG_EINVAL, and then `why` (if
// there) says which entry and what of it.
int32_t read_request(const void* entries, int32_t at, int32_t n, const Layout& layout,
                     ShapedRequest& shaped, std::string* why = nullptr);

// Frees a handle; in a forked child closes its descriptors, and keeps the rest, which a thread of
// the parent's may have been changing.
template <class Handle>
void free_handle(Handle* handle) {
  if (!handle || !handle->core->forked()) {
    delete handle;
    return;
  }
  handle->core->abandon();
  static std::atomic<Handle*> kept{nullptr};  // in a list, so that it is no leak
  handle->next_kept = kept.exchange(handle);
}

// Nothing is thrown across the C ABI: what libstdc++ throws ends here.
template <class F>
auto guard(F&& f) noexcept -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return static_cast<decltype(f())>(TG_ENOMEM);
  } catch (const std::exception&) {
    return static_cast<decltype(f())>(TG_EINTERNAL);
  }
}

}  // namespace tidegate::capi
