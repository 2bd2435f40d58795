// SPDX-License-Identifier: MIT
#include "support/gate.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

namespace tidegate::test {
namespace {

void must(int32_t status, const tg_error& error) {
  if (status >= 0) return;
  std::fprintf(stderr, "tidegate: %d %s\n", status, error.message);
  std::abort();
}

tg_text text_of(const std::string& from) { return {from.data(), from.size()}; }

}  // namespace

Outcome::Outcome(const tg_result& result)
    : user_data(result.user_data),
      status(result.status),
      allowed(result.flags & TG_ALLOWED),
      would_deny(result.flags & TG_WOULD_DENY),
      source(TG_SOURCE(result.flags)),
      binding(result.binding),
      parts(result.parts, result.parts + (result.parts ? result.part_count : 0)),
      text(static_cast<const char*>(result.data), result.data ? result.data_len : 0) {}

std::string Outcome::figures() const {
  std::string all = "status " + std::to_string(status) + (allowed ? " allowed" : " denied") +
                    (would_deny ? " would_deny" : "") + " binding " + std::to_string(binding);
  for (const tg_part& part : parts) {
    all += " [" + std::to_string(part.rate) + " flags " + std::to_string(part.flags);
    for (const int64_t n : {part.limit, part.remaining, part.retry_after_us, part.next_us,
                            part.reset_after_us, part.window_us, part.capacity, part.shortfall})
      all += " " + std::to_string(n);
    all += "]";
  }
  return all;
}

std::vector<tg_entry> entries_of(uint32_t op, const std::vector<Part>& parts, uint64_t user_data,
                                 int64_t timeout_us, uint32_t source) {
  std::vector<tg_entry> entries(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    tg_entry& entry = entries[i];
    entry.op = op;
    entry.handle = parts[i].handle;
    entry.key = parts[i].key.data();
    entry.key_len = static_cast<uint32_t>(parts[i].key.size());
    entry.arg = parts[i].cost;
    std::memcpy(entry.id, parts[i].id.data(), std::min(parts[i].id.size(), sizeof entry.id));
    entry.flags = (i + 1 < parts.size() ? TG_LINK : 0) | TG_SOURCE_FLAGS(source);
  }
  entries[0].user_data = user_data;
  entries[0].timeout_us = timeout_us;
  return entries;
}

Gate::Gate(const std::string& url) {
  tg_error error{};
  must(tg_client_open(url.data(), url.size(), nullptr, &client_, &error), error);
}

uint64_t Gate::open(const std::string& rates, const std::string& name, const std::string& algorithm,
                    const std::string& mode, const std::string& on_failure,
                    const std::string& lease) {
  tg_limiter_spec spec{text_of(rates), text_of(name),       text_of(algorithm),
                       text_of(mode),  text_of(on_failure), text_of(lease)};
  tg_error error{};
  uint64_t handle = 0;
  must(tg_limiter_open(client_, &spec, &handle, &error), error);
  return handle;
}

void Gate::change(uint64_t handle, const std::string& rates) {
  tg_limiter_spec spec{};
  spec.rates = text_of(rates);
  tg_error error{};
  must(tg_limiter_change(client_, handle, &spec, &error), error);
}

Outcome Gate::call(uint32_t op, const std::vector<Part>& parts, int64_t timeout_us,
                   uint32_t source) {
  const auto entries = entries_of(op, parts, 0, timeout_us, source);
  tg_result result{};
  const int32_t n =
      tg_call(client_, entries.data(), static_cast<int32_t>(entries.size()), &result, 1);
  if (n < 0) result.status = n;
  return Outcome(result);
}

Outcome Gate::ping() {
  tg_entry entry{};
  entry.op = TG_OP_PING;
  tg_result result{};
  const int32_t n = tg_call(client_, &entry, 1, &result, 1);
  if (n < 0) result.status = n;
  return Outcome(result);
}

tg_stats Gate::stats() {
  tg_stats stats{};
  tg_client_stats(client_, &stats);
  return stats;
}

std::vector<tg_event> Gate::events() {
  std::vector<tg_event> all;
  for (tg_event event; tg_client_next_event(client_, &event) == 1;) all.push_back(event);
  return all;
}

std::string Gate::event_texts() {
  std::string all;
  for (const tg_event& event : events()) all += std::string(event.text) + "\n";
  return all;
}

void Gate::set_time(int64_t now_us) {
  if (tg_client_set_time(client_, now_us) != TG_OK) std::abort();
}

bool Gate::comes_back(uint64_t handle) {
  const int64_t end = now_ms() + 10'000;
  while (now_ms() < end) {
    if (call(TG_OP_PEEK, {{handle, "comes-back"}}).source == TG_SOURCE_STORE) return true;
    sleep_ms(5);
  }
  return false;
}

Reaper::Reaper(Gate& gate, int32_t capacity, uint32_t flags) {
  tg_error error{};
  must(tg_ring_open(gate.client(), capacity, flags, &ring_, &error), error);
}

bool Reaper::submit(uint32_t op, const std::vector<Part>& parts, uint64_t user_data,
                    int64_t timeout_us, uint32_t source) {
  const auto entries = entries_of(op, parts, user_data, timeout_us, source);
  return tg_submit(ring_, entries.data(), static_cast<int32_t>(entries.size())) ==
         static_cast<int32_t>(entries.size());
}

std::vector<Outcome> Reaper::take(size_t count, int64_t most_ms) {
  std::vector<Outcome> all;
  std::vector<tg_result> results(count ? count : 1);
  const int64_t end = now_ms() + most_ms;
  while (all.size() < count && now_ms() < end) {
    const int32_t n = tg_ring_wait(ring_, results.data(), static_cast<int32_t>(count - all.size()),
                                   (end - now_ms()) * 1'000);
    for (int32_t i = 0; i < n; ++i) all.emplace_back(results[static_cast<size_t>(i)]);
    if (n < 0) break;
  }
  return all;
}

int open_descriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void sleep_ms(int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace tidegate::test
