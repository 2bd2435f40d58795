// SPDX-License-Identifier: MIT
// Caches: opening them, and their requests and answers in the caller's records.
#include <cstddef>

#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

std::string_view bytes_of(const void* data, size_t size) {
  return {static_cast<const char*>(data), size};
}

int32_t read_cache(const tg_cache_spec* spec, size_t size, CacheSpec& out, tg_error* error) {
  using Spec = tg_cache_spec;
  Spec copy{};
  if (const int32_t status =
          read_spec(spec, size, "tg_cache_spec",
                    {&Spec::name, &Spec::ttl, &Spec::stale, &Spec::stale_if_error, &Spec::jitter,
                     &Spec::lease, &Spec::wait, &Spec::retry, &Spec::near},
                    copy, error);
      status < 0)
    return status;
  out = {view(copy.name),   view(copy.ttl),   view(copy.stale), view(copy.stale_if_error),
         view(copy.jitter), view(copy.lease), view(copy.wait),  view(copy.retry),
         view(copy.near),   copy.max_entry};
  return TG_OK;
}

// What each operation's entry may have beside op, handle, user_data, timeout_us and TG_LINK.
struct Shape {
  uint32_t flags;
  bool handle, key, value, id, arg, more_args, links;
};
Shape shape_of(uint32_t op) {
  switch (op) {
    case TG_OP_CACHE_GET:
      return {TG_FILL | TG_WAIT, true, true, false, false, true, false, false};
    case TG_OP_CACHE_PUT:
      return {TG_KIND_FLAGS(255), true, true, true, true, true, true, true};
    case TG_OP_CACHE_RELEASE:
      return {TG_FAILED, true, true, true, true, false, false, false};
    case TG_OP_CACHE_RENEW:
      return {0, true, true, false, true, false, false, false};
    case TG_OP_CACHE_DELETE:
    case TG_OP_CACHE_PURGE:
      return {0, true, true, false, false, false, false, false};
    case TG_OP_CACHE_CLEAR:
      return {0, true, false, false, false, false, false, false};
    case TG_OP_CACHE_TAG:
      return {0, false, true, false, false, false, false, true};
    case TG_OP_CACHE_META:
      return {0, false, false, true, false, false, false, true};
  }
  return {};
}

// What is wrong with the entry; "": nothing.
const char* why_not(const tg_entry& entry) {
  const Shape may = shape_of(entry.op);
  if (entry.flags & ~(may.flags | TG_LINK)) return "flags that this operation does not have";
  if (entry.flags & TG_LINK && !may.links) return "TG_LINK: only a put has entries behind it";
  if (!may.handle && entry.handle) return "handle: expected 0";
  if (entry.timeout_us < 0) return "timeout_us: expected 0 (the client's) or more";
  if ((!entry.key && entry.key_len) || (!may.key && entry.key_len))
    return "key: expected none, or a length of 0 where it is NULL";
  if ((!entry.value && entry.value_len) || (!may.value && entry.value_len))
    return "value: expected none, or a length of 0 where it is NULL";
  if (!may.id && holder_id(entry).given()) return "id: expected none";
  if ((!may.arg && entry.arg) || (!may.more_args && entry.arg2 | entry.arg3))
    return "arg, arg2, arg3: expected 0";
  if (entry.op == TG_OP_CACHE_GET && entry.arg < 0)
    return "arg, the longest wait: expected 0 or more";
  if (entry.op == TG_OP_CACHE_GET && entry.flags & TG_WAIT && !(entry.flags & TG_FILL))
    return "TG_WAIT: expected with TG_FILL";
  return "";
}

void read_first(const tg_entry& entry, ShapedRequest& shaped) {
  shaped.request.user_data = entry.user_data;
  shaped.request.op = static_cast<Op>(entry.op);
  shaped.request.refund_to = Source::kNone;
  shaped.request.timeout_us = entry.timeout_us;
  shaped.request.parts = {};
  shaped.request.cache = &shaped.cache;
  CacheRequest& cache = shaped.cache;
  cache.handle = entry.handle;
  cache.key = bytes_of(entry.key, entry.key_len);
  cache.fills = entry.flags & TG_FILL;
  cache.waits = entry.flags & TG_WAIT;
  cache.failed = entry.flags & TG_FAILED;
  static_assert(sizeof cache.lease == sizeof entry.id);
  std::memcpy(&cache.lease, entry.id, sizeof entry.id);
  cache.kind = static_cast<uint8_t>(entry.flags >> 24);
  cache.value = bytes_of(entry.value, entry.value_len);
  cache.meta = {};
  cache.tag_count = 0;
  cache.life = {entry.arg, entry.arg2, entry.arg3};
  cache.wait_us = entry.arg;
}

// An entry that describes the put it is linked to.
const char* read_description(const tg_entry& entry, CacheRequest& cache) {
  if (entry.op == TG_OP_CACHE_META) {
    if (cache.meta.data()) return "metadata twice";
    cache.meta = bytes_of(entry.value ? entry.value : "", entry.value_len);
    return "";
  }
  if (entry.op != TG_OP_CACHE_TAG) return "linked to a put: expected a tag or metadata";
  if (cache.tag_count == kMaxTags) return "more than 16 tags";
  cache.tags[cache.tag_count++] = bytes_of(entry.key, entry.key_len);
  return "";
}

uint32_t status_of(const CacheAnswer& answer) {
  static_assert(static_cast<uint32_t>(CacheStatus::kFailed) == TG_CACHE_FAILED);
  static_assert(static_cast<uint32_t>(CacheDone::kStored) + 15 == TG_CACHE_STORED);
  static_assert(static_cast<uint32_t>(CacheDone::kNot) + 15 == TG_CACHE_NOT);
  if (answer.done != CacheDone::kNone) return static_cast<uint32_t>(answer.done) + 15;
  return static_cast<uint32_t>(answer.status);
}

}  // namespace

namespace tidegate::capi {

static_assert(static_cast<uint32_t>(Op::kCacheClear) == TG_OP_CACHE_CLEAR);
static_assert(kMaxTags == TG_MAX_TAGS && kMaxMetaBytes == TG_MAX_META);
static_assert(Caches::kMaxCaches == TG_MAX_CACHES && sizeof(Sha256) == TG_CACHE_DIGEST_BYTES);

int32_t read_cache_request(const void* entries, int32_t at, int32_t n, const Layout& layout,
                           ShapedRequest& shaped, std::string* why) {
  const auto refuse = [&](int32_t entry, const char* text) {
    if (why) *why = "entry " + std::to_string(entry) + ": " + text;
    return TG_EINVAL;
  };
  for (bool linked = true; linked; ++shaped.entries) {
    const int32_t here = at + shaped.entries;
    if (here >= n) return refuse(here - 1, "TG_LINK, and no entry follows");
    tg_entry copy;
    const tg_entry* entry = entry_at(entries, here, layout, copy);
    if (!entry) return refuse(here, "has fields that this version does not know");
    if (entry->op < TG_OP_CACHE_GET || entry->op > TG_OP_CACHE_META)
      return refuse(here, "another operation than the entry that it is linked to");
    if (const char* wrong = why_not(*entry); *wrong) return refuse(here, wrong);
    if (shaped.entries > 0) {
      if (const char* wrong = read_description(*entry, shaped.cache); *wrong)
        return refuse(here, wrong);
    } else if (!is_cache_operation(entry->op)) {
      return refuse(here, "a tag or metadata without a put that it is linked to");
    } else {
      read_first(*entry, shaped);
    }
    linked = entry->flags & TG_LINK;
  }
  return TG_OK;
}

void put_found(const Call& call, std::vector<char>& scratch, tg_result& result) {
  const CacheAnswer& answer = call.cache->answer;
  const size_t at = (scratch.size() + alignof(tg_found) - 1) & ~(alignof(tg_found) - 1);
  scratch.resize(at + sizeof(tg_found));
  tg_found found{};
  found.size = sizeof found;
  found.status = status_of(answer);
  found.age_us = answer.age_us;
  found.fresh_us = answer.fresh_us;
  found.wait_us = answer.wait_us;
  found.born_us = answer.granted.token ? answer.granted.born : answer.born_us;
  std::memcpy(found.lease, &answer.granted, sizeof found.lease);
  result.user_data = call.user_data;
  result.flags = static_cast<uint32_t>(answer.source) << 8;
  if (const auto entry = read_entry(answer.entry.view())) {
    found.kind = entry->kind;
    found.tag_count = entry->tag_count;
    found.meta = entry->meta.data();
    found.meta_len = entry->meta.size();
    found.tags = entry->tags.data();
    found.tags_len = entry->tags.size();
    result.data = entry->value.data();
    result.data_len = entry->value.size();
  } else if (answer.status == CacheStatus::kFailed) {
    result.data = answer.text.data();
    result.data_len = answer.text.size();
  }
  std::memcpy(scratch.data() + at, &found, sizeof found);
  result.found = reinterpret_cast<const tg_found*>(scratch.data() + at);
}

}  // namespace tidegate::capi

extern "C" {

int32_t tg_cache_open_sized(tg_client* client, const tg_cache_spec* spec, size_t size,
                            uint64_t* handle, tg_error* error) {
  return guard([&]() -> int32_t {
    if (const int32_t status = usable(client); status < 0)
      return fail(error, static_cast<Code>(status), tg_strerror(status));
    if (!handle) return fail(error, Code::kInvalid, "handle: expected no NULL");
    CacheSpec asked;
    if (const int32_t status = read_cache(spec, size, asked, error); status < 0) return status;
    auto opened = client->core->caches().open(asked);
    if (!opened) return fail(error, opened.error());
    *handle = *opened;
    return TG_OK;
  });
}

int32_t tg_cache_close(tg_client* client, uint64_t handle) {
  if (const int32_t status = usable(client); status < 0) return status;
  return guard([&] {
    auto closed = client->core->caches().close(handle);
    return closed ? TG_OK : static_cast<int32_t>(closed.error().code);
  });
}

}  // extern "C"
