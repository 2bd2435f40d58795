// SPDX-License-Identifier: MIT
// A server's rows of the table: one blocking caller, 64 in flight, a hot key, server CPU, bytes per
// state. Every figure is a ratio inside one run, both sides in turn, medians of the rounds. Prints
// a JSON list; a test of nothing.
//
//   store_benchmark [--rounds 5] [--url-of NAME]
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "raw.h"
#include "support/server.h"
#include "tidegate.h"

namespace {

using tidegate::bench::cpu_us;
using tidegate::bench::now_us;
using tidegate::bench::Raw;

constexpr int kKeys = 5'000;
int rounds = 5;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Gate {
  tg_client* client = nullptr;
  uint64_t api = 0, all = 0;
  tg_ring* ring = nullptr;

  explicit Gate(const std::string& url) {
    tg_error error;
    tg_limiter_spec spec{}, whole{};
    spec.rates = TG_TEXT("1000000/hour");
    spec.name = TG_TEXT("bench");
    whole.rates = TG_TEXT("100000000/hour");
    whole.name = TG_TEXT("everybody");
    if (tg_client_open(url.data(), url.size(), nullptr, &client, &error) < 0 ||
        tg_limiter_open(client, &spec, &api, &error) < 0 ||
        tg_limiter_open(client, &whole, &all, &error) < 0 ||
        tg_ring_open(client, 1024, TG_RING_LOCAL, &ring, &error) < 0) {
      std::fprintf(stderr, "%s\n", error.message);
      std::exit(1);
    }
  }
  ~Gate() {
    tg_ring_free(ring);
    tg_client_free(client);
  }

  static void must(const tg_result& result) {
    if (result.status == TG_OK && TG_SOURCE(result.flags) == TG_SOURCE_STORE) return;
    std::fprintf(stderr, "the store did not answer: %s\n", tg_strerror(result.status));
    std::exit(1);
  }

  void decide(int key) {
    char text[24];
    tg_entry entry{};
    entry.op = TG_OP_CONSUME;
    entry.handle = api;
    entry.key = text;
    entry.key_len = static_cast<uint32_t>(std::snprintf(text, sizeof text, "user:%d", key));
    entry.arg = 1;
    tg_result result;
    tg_call(client, &entry, 1, &result, 1);
    must(result);
  }

  enum class Shape { kDistinct, kHot, kGlobal };

  void submit(int key, Shape shape) {
    char text[24];
    tg_entry entries[2]{};
    for (tg_entry& entry : entries) {
      entry.op = TG_OP_CONSUME;
      entry.arg = 1;
    }
    entries[0].handle = api;
    entries[0].key = text;
    entries[0].key_len = static_cast<uint32_t>(
        std::snprintf(text, sizeof text, "user:%d", shape == Shape::kHot ? 0 : key % kKeys));
    entries[1].handle = all;
    entries[1].key = "all";
    entries[1].key_len = 3;
    if (shape == Shape::kGlobal) entries[0].flags = TG_LINK;
    tg_submit(ring, entries, shape == Shape::kGlobal ? 2 : 1);
  }

  // Decisions a second with so many in flight; 0 are left out at the end.
  double run(int in_flight, int total, Shape shape) {
    std::vector<tg_result> results(1024);
    int sent = 0, done = 0;
    const double start = now_us();
    for (; sent < in_flight; ++sent) submit(sent, shape);
    tg_ring_flush(ring);
    while (done < total) {
      pollfd event{.fd = static_cast<int>(tg_ring_fd(ring)), .events = POLLIN, .revents = 0};
      poll(&event, 1, -1);
      const int n = tg_reap(ring, results.data(), 1024);
      for (int i = 0; i < n; ++i) {
        must(results[static_cast<size_t>(i)]);
        if (sent < total) submit(sent++, shape);
      }
      done += n;
      tg_ring_flush(ring);
    }
    return total / (now_us() - start) * 1e6;
  }
};

double p50_of(int count, const std::function<void(int)>& call) {
  std::vector<double> took;
  for (int i = 0; i < count; ++i) {
    const double start = now_us();
    call(i % kKeys);
    took.push_back(now_us() - start);
  }
  return median(took);
}

double raw_pipelined(Raw& raw, int depth, int total) {
  const double start = now_us();
  for (int done = 0; done < total; done += depth) {
    for (int i = 0; i < depth; ++i) raw.append((done + i) % kKeys);
    for (int i = 0; i < depth; ++i) raw.take();
  }
  return total / (now_us() - start) * 1e6;
}

void print_row(const char* row, double ours, double peer, const char* unit, const char* target,
               bool met, const std::string& server, bool first = false) {
  std::printf(
      "%s\n  {\"row\": \"%s\", \"ours\": %.4g, \"peer\": %.4g, \"peer_version\": "
      "\"raw hiredis, %s\", \"ratio\": %.3g, \"target\": \"%s\", \"met\": %s, \"unit\": \"%s\"}",
      first ? "" : ",", row, ours, peer, server.c_str(), ours / peer, target,
      met ? "true" : "false", unit);
}

void measure(const tidegate::test::ServerKind& kind) {
  tidegate::test::Server server(kind);
  Gate gate(server.url("timeout_ms=2000"));
  Raw raw(server.socket());
  std::string version = raw.info("valkey_version");
  version = version.empty() ? "Redis " + raw.info("redis_version") : "Valkey " + version;
  for (int i = 0; i < kKeys; ++i) raw.decide(i), gate.decide(i);

  std::vector<double> ours, peer, many, pipelined, hot, global, batched_us, single_us;
  for (int round = 0; round < rounds; ++round) {
    long long calls = 0;
    peer.push_back(p50_of(3000, [&](int key) { raw.decide(key); }));
    ours.push_back(p50_of(3000, [&](int key) { gate.decide(key); }));
    raw.reset();
    pipelined.push_back(raw_pipelined(raw, 64, 64'000));
    single_us.push_back(raw.server_us(&calls) / 64'000);
    raw.reset();
    many.push_back(gate.run(64, 100'000, Gate::Shape::kDistinct));
    batched_us.push_back(raw.server_us(&calls) / 100'000);
    hot.push_back(gate.run(64, 100'000, Gate::Shape::kHot));
    global.push_back(gate.run(64, 100'000, Gate::Shape::kGlobal));
  }
  const double wait = median(ours), raw_wait = median(peer), rate = median(many);
  print_row("one blocking caller, p50", wait, raw_wait, "us", "<= 0.5 x", wait <= 0.5 * raw_wait,
            version, true);
  print_row("C, 64 in flight, distinct keys", rate, median(pipelined), "decisions/s", ">= 2 x",
            rate >= 2 * median(pipelined), version);
  print_row("one hot key, 64 in flight, against distinct keys", median(hot), rate, "decisions/s",
            ">= 2 x", median(hot) >= 2 * rate, version);
  print_row("a global limit and a per-caller one, against one limit", median(global), rate,
            "decisions/s", "none stated", true, version);
  print_row("server CPU per decision, 64 in flight, against one decision a call",
            median(batched_us), median(single_us), "us", "<= 0.5 x",
            median(batched_us) <= 0.5 * median(single_us), version);
  // A name of 34 bytes: tg:1:bench:b3600s:{user:...}
  tidegate::bench::Raw other(server.socket());
  const std::string key = "tg:1:bench:b3600s:{" + std::string(14, 'k') + "}";
  server.command({"SET", key, std::string(14, 'v'), "PX", "3600000"});
  const double bytes = std::stod(server.command({"MEMORY", "USAGE", key}));
  print_row("server memory per token bucket, 34-byte name", bytes, 96, "bytes", "<= 96",
            bytes <= 96, version);
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (std::strcmp(argv[i], "--rounds") == 0) rounds = std::max(1, std::atoi(argv[i + 1]));
  const auto kinds = tidegate::test::server_kinds();
  if (kinds.empty()) {
    std::fprintf(stderr, "no server: set TIDEGATE_SERVERS, or run packaging/setup\n");
    return 2;
  }
  std::printf("[");
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (i) std::printf(",");
    measure(kinds[i]);
  }
  std::printf("\n]\n");
}
