// SPDX-License-Identifier: MIT
// Random records into the C ABI: whatever they are, every accepted request has one result, and
// nothing is touched that is not the caller's.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tidegate.h"

namespace {

struct Bytes {
  const uint8_t* at;
  size_t left;

  template <class T>
  T take() {
    T value{};
    const size_t n = left < sizeof value ? left : sizeof value;
    std::memcpy(&value, at, n);
    at += n;
    left -= n;
    return value;
  }
};

void check(bool true_thing) {
  if (!true_thing) std::abort();
}

// An entry that is mostly plausible, so that the fuzzer gets past the first check.
tg_entry entry_from(Bytes& in, const uint64_t* handles, const char* keys) {
  tg_entry entry{};
  const auto wild = in.take<uint8_t>();
  entry.user_data = in.take<uint8_t>();
  entry.op = wild & 1 ? in.take<uint32_t>() : 1 + in.take<uint8_t>() % 5;
  entry.flags = wild & 2 ? in.take<uint32_t>() : in.take<uint8_t>() % 4 == 0;
  entry.handle = wild & 4 ? in.take<uint64_t>() : handles[in.take<uint8_t>() % 4];
  entry.key = keys;
  entry.key_len = in.take<uint8_t>() % 40;
  entry.arg = wild & 8 ? in.take<int64_t>() : in.take<int8_t>();
  if (wild & 16) entry.timeout_us = in.take<int64_t>();
  if (wild & 32) entry.arg2 = in.take<uint8_t>();
  if (wild & 64) entry.id[in.take<uint8_t>() % 16] = 1;
  if (entry.op == TG_OP_PING) entry.handle = 0, entry.key_len = 0, entry.arg = 0;
  return entry;
}

int32_t requests_in(const std::vector<tg_entry>& entries, int32_t n) {
  int32_t count = 0;
  for (int32_t i = 0; i < n; ++i) count += !(entries[static_cast<size_t>(i)].flags & TG_LINK);
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static char keys[40] = "abcdefghijklmnopqrstuvwxyz0123456789abc";
  Bytes in{data, size};
  tg_client* client = nullptr;
  tg_ring* ring = nullptr;
  check(tg_client_open("memory://?clock=manual&max_keys=8", 33, nullptr, &client, nullptr) ==
        TG_OK);
  check(tg_ring_open(client, 1 + in.take<uint8_t>() % 8, 0, &ring, nullptr) == TG_OK);
  uint64_t handles[4] = {};
  const char* rates[3] = {"3/s burst 5; 9/minute", "4/100ms", "2/h"};
  const char* algorithms[3] = {"token_bucket", "sliding_log", "sliding_window"};
  for (int i = 0; i < 3; ++i) {
    tg_limiter_spec spec{};
    spec.rates = {rates[i], std::strlen(rates[i])};
    spec.algorithm = {algorithms[i], std::strlen(algorithms[i])};
    check(tg_limiter_open(client, &spec, &handles[i], nullptr) == TG_OK);
  }
  uint64_t layout = TG_LAYOUT;
  if (in.take<uint8_t>() % 8 == 0) layout = in.take<uint64_t>();
  int64_t now_us = 1'000'000'000;
  while (in.left > 0) {
    now_us += in.take<int16_t>() * 1'000;
    tg_client_set_time(client, now_us);
    std::vector<tg_entry> entries(1 + in.take<uint8_t>() % 20);
    for (tg_entry& entry : entries) entry = entry_from(in, handles, keys);
    const auto n = static_cast<int32_t>(entries.size());
    std::vector<tg_result> results(entries.size());
    if (layout == TG_LAYOUT) {
      const int32_t got = tg_call(client, entries.data(), n, results.data(), n);
      check(got < 0 || got == requests_in(entries, n));
      for (int32_t i = 0; i < got; ++i) {
        const tg_result& result = results[static_cast<size_t>(i)];
        check(result.status < 0 || result.part_count == 0 || result.binding < result.part_count);
        char text[64];
        if (result.status == TG_OK && result.part_count)
          check(tg_decision_headers(client, &result, 3, 1, text, sizeof text) > 0);
      }
      const int32_t taken = tg_submit(ring, entries.data(), n);
      if (taken > 0) check(tg_reap(ring, results.data(), n) == requests_in(entries, taken));
    } else {
      // Other sizes: the arrays are large enough for whatever the sizes say.
      std::vector<char> large(entries.size() * 4'096), out(entries.size() * 4'096);
      std::memcpy(large.data(), entries.data(), entries.size() * sizeof(tg_entry));
      tg_call_sized(client, reinterpret_cast<tg_entry*>(large.data()), n,
                    reinterpret_cast<tg_result*>(out.data()), n, layout);
    }
  }
  tg_ring_free(ring);
  tg_client_free(client);
  return 0;
}
