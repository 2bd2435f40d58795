// SPDX-License-Identifier: MIT
#include "support/cache_gate.h"

#include <cstdio>
#include <cstdlib>
#include <map>

namespace tidegate::test {
namespace {

tg_text text_of(const std::string& from) { return {from.data(), from.size()}; }

std::string us(int64_t time) { return time == 0 ? "0" : std::to_string(time) + "us"; }

const char* name_of(uint32_t what) {
  switch (what) {
    case TG_CACHE_HIT:
      return "hit";
    case TG_CACHE_STALE:
      return "stale";
    case TG_CACHE_RESCUED:
      return "rescued";
    case TG_CACHE_MISS:
      return "miss";
    case TG_CACHE_WAITING:
      return "wait";
    case TG_CACHE_SHARED:
      return "shared";
    case TG_CACHE_FAILED:
      return "failed";
    case TG_CACHE_STORED:
      return "stored";
    case TG_CACHE_LATE:
      return "late";
    case TG_CACHE_REFUSED:
      return "refused";
    case TG_CACHE_DONE:
      return "done";
    case TG_CACHE_NOT:
      return "not";
  }
  return "?";
}

}  // namespace

Found::Found(const tg_result& result)
    : user_data(result.user_data), status(result.status), source(TG_SOURCE(result.flags)) {
  has_value = result.data != nullptr;
  value.assign(static_cast<const char*>(result.data), result.data ? result.data_len : 0);
  if (!result.found) return;
  const tg_found& found = *result.found;
  what = found.status;
  kind = found.kind;
  meta.assign(static_cast<const char*>(found.meta), found.meta ? found.meta_len : 0);
  const char* tag = static_cast<const char*>(found.tags);
  for (const char* const end = tag + found.tags_len; tag < end;) {
    const auto size = static_cast<unsigned char>(*tag);
    tags.emplace_back(tag + 1, size);
    tag += 1 + size;
  }
  const std::string id(reinterpret_cast<const char*>(found.lease), sizeof found.lease);
  if (id != std::string(16, '\0')) lease = id;
  age_us = found.age_us;
  fresh_us = found.fresh_us;
  wait_us = found.wait_us;
  born_us = found.born_us;
}

std::ostream& operator<<(std::ostream& out, const Found& found) {
  return out << found.status << " " << name_of(found.what) << " '" << found.value.substr(0, 80)
             << "' source " << found.source << (found.lease.empty() ? "" : " leads");
}

std::string digest_of(const std::string& key) {
  std::string values = "s", parts(key.size() + 64, '\0'), digest(TG_CACHE_DIGEST_BYTES, '\0');
  const auto size = static_cast<uint32_t>(key.size());
  values.append(reinterpret_cast<const char*>(&size), sizeof size).append(key);
  const int64_t made =
      tg_cache_key(values.data(), values.size(), parts.data(), parts.size(), nullptr);
  if (made < 0 || tg_cache_digest("c", 1, nullptr, 0, parts.data(), static_cast<size_t>(made),
                                  reinterpret_cast<uint8_t*>(digest.data()), nullptr) != TG_OK)
    std::abort();
  return digest;
}

std::vector<tg_entry> entries_of(const CacheAsked& asked, const std::string& digest) {
  tg_entry entry{};
  entry.op = asked.op;
  entry.flags = asked.flags;
  entry.handle = asked.cache;
  entry.user_data = asked.user_data;
  if (asked.op != TG_OP_CACHE_CLEAR) {
    entry.key = digest.data();
    entry.key_len = static_cast<uint32_t>(digest.size());
  }
  entry.value = asked.value.data();
  entry.value_len = static_cast<uint32_t>(asked.value.size());
  entry.arg = asked.arg;
  entry.arg2 = asked.arg2;
  entry.arg3 = asked.arg3;
  std::memcpy(entry.id, asked.lease.data(), std::min(asked.lease.size(), sizeof entry.id));
  std::vector<tg_entry> all{entry};
  for (const std::string& tag : asked.tags) {
    tg_entry described{};
    described.op = TG_OP_CACHE_TAG;
    described.key = tag.data();
    described.key_len = static_cast<uint32_t>(tag.size());
    all.push_back(described);
  }
  if (!asked.meta.empty()) {
    tg_entry described{};
    described.op = TG_OP_CACHE_META;
    described.value = asked.meta.data();
    described.value_len = static_cast<uint32_t>(asked.meta.size());
    all.push_back(described);
  }
  for (size_t i = 0; i + 1 < all.size(); ++i) all[i].flags |= TG_LINK;
  return all;
}

std::string name_asked(const CacheAsked& asked) {
  const bool by_tag = asked.op == TG_OP_CACHE_PURGE || asked.op == TG_OP_CACHE_CLEAR;
  return by_tag ? asked.key : digest_of(asked.key);
}

Found call(tg_client* client, const CacheAsked& asked) {
  const std::string name = name_asked(asked);
  const auto entries = entries_of(asked, name);
  tg_result result{};
  const int32_t n =
      tg_call(client, entries.data(), static_cast<int32_t>(entries.size()), &result, 1);
  if (n < 0) result.status = n;
  return Found(result);
}

bool submit(tg_ring* ring, const CacheAsked& asked) {
  const std::string name = name_asked(asked);
  const auto entries = entries_of(asked, name);
  const auto n = static_cast<int32_t>(entries.size());
  return tg_submit(ring, entries.data(), n) == n;
}

std::vector<Found> take(tg_ring* ring, size_t count, int64_t most_ms) {
  std::vector<Found> all;
  std::vector<tg_result> results(count ? count : 1);
  const int64_t end = now_ms() + most_ms;
  while (all.size() < count && now_ms() < end) {
    const int32_t n = tg_ring_wait(ring, results.data(), static_cast<int32_t>(count - all.size()),
                                   (end - now_ms()) * 1'000);
    if (n < 0) break;
    for (int32_t i = 0; i < n; ++i) all.emplace_back(results[static_cast<size_t>(i)]);
  }
  return all;
}

uint64_t open_cache(tg_client* client, const CacheTexts& texts) {
  tg_cache_spec spec{};
  spec.name = text_of(texts.name);
  spec.ttl = text_of(texts.ttl);
  spec.stale = text_of(texts.stale);
  spec.stale_if_error = text_of(texts.stale_if_error);
  spec.jitter = text_of(texts.jitter);
  spec.lease = text_of(texts.lease);
  spec.wait = text_of(texts.wait);
  spec.retry = text_of(texts.retry);
  spec.near = text_of(texts.near);
  spec.max_entry = texts.max_entry;
  tg_error error{};
  uint64_t handle = 0;
  if (tg_cache_open(client, &spec, &handle, &error) == TG_OK) return handle;
  std::fprintf(stderr, "tidegate: %s\n", error.message);
  std::abort();
}

namespace {

using Json = nlohmann::json;

Json answer_of(const std::string& op, const Found& found) {
  if (op == "put") return name_of(found.what);
  if (op == "purge" || op == "clear") return Json();
  if (op != "get") return found.what == TG_CACHE_DONE;
  Json out{{"status", name_of(found.what)}, {"lease", !found.lease.empty()}};
  if (found.what == TG_CACHE_WAITING) out["wait_us"] = found.wait_us;
  if (!found.has_value) return out;
  if (found.what == TG_CACHE_MISS) {
    out["rescue"] = found.value;
    return out;
  }
  out["value"] = found.value;
  out["age_us"] = found.age_us;
  out["fresh_us"] = found.fresh_us;
  return out;
}

uint32_t op_of(const std::string& name) {
  const std::map<std::string, uint32_t> ops{
      {"get", TG_OP_CACHE_GET},         {"put", TG_OP_CACHE_PUT},
      {"release", TG_OP_CACHE_RELEASE}, {"renew", TG_OP_CACHE_RENEW},
      {"delete", TG_OP_CACHE_DELETE},   {"purge", TG_OP_CACHE_PURGE},
      {"clear", TG_OP_CACHE_CLEAR}};
  return ops.at(name);
}

int64_t lifetime(const Json& step, const char* name) {
  if (!step.contains(name)) return 0;
  return step[name] == 0 ? TG_NEVER : step[name].get<int64_t>();
}

}  // namespace

std::string run_cache_scenario(const Json& scenario, const std::string& url) {
  Gate gate(url);
  const Json& spec = scenario["spec"];
  const uint64_t cache = open_cache(gate.client(), {.ttl = us(spec["ttl_us"]),
                                                    .stale = us(spec["stale_us"]),
                                                    .stale_if_error = us(spec["error_us"]),
                                                    .lease = us(spec["lease_us"]),
                                                    .retry = us(spec["retry_us"])});
  std::map<uint64_t, std::string> leases;  // of the model's tokens
  int at = 0;
  for (const Json& step : scenario["steps"]) {
    gate.set_time(step["at"]);
    const std::string op = step["op"];
    CacheAsked asked{.op = op_of(op), .cache = cache};
    asked.key = step.value(step.contains("tag") ? "tag" : "key", "");
    if (op == "get" && step["fill"].get<bool>()) asked.flags = TG_FILL;
    if (op == "release" && step["failed"].get<bool>()) asked.flags = TG_FAILED;
    // A token that was never granted is somebody's, whom the engine has never heard of.
    const uint64_t token = step.value("token", uint64_t{0});
    if (op != "get" && token)
      asked.lease = leases.contains(token) ? leases[token] : "nobody's lease";
    asked.value = step.value("value", "");
    if (step.contains("tags")) asked.tags = step["tags"].get<std::vector<std::string>>();
    asked.arg = lifetime(step, "ttl_us");
    asked.arg2 = lifetime(step, "stale_us");
    asked.arg3 = lifetime(step, "error_us");
    const Found found = call(gate.client(), asked);
    if (found.status != TG_OK) return "status " + std::to_string(found.status) + " " + found.value;
    if (!found.lease.empty()) leases[token] = found.lease;
    const Json got = answer_of(op, found), expected = step.value("expect", Json());
    if (got != expected)
      return scenario["id"].get<std::string>() + " step " + std::to_string(at) + ": " +
             step.dump() + ": got " + got.dump();
    ++at;
  }
  return "";
}

}  // namespace tidegate::test
