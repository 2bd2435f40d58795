// SPDX-License-Identifier: MIT
// What one embedded decision costs: through the C ABI as users ask (abi/...), and by the store
// alone (store/...). Names are engine/algorithm/answer/keys:N/threads:N. Keys are texts of 21
// bytes, visited in random order.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/fingerprint.h"
#include "base/time.h"
#include "limiter/rate.h"
#include "store/memory/memory_store.h"
#include "tidegate.h"

// Every allocation of the program, C's and C++'s, is counted.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
}
namespace {
std::atomic<int64_t> allocations{0};
}
extern "C" void* malloc(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
extern "C" void* calloc(size_t count, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
extern "C" void* realloc(void* memory, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, size);
}

namespace {

using namespace tidegate;

struct Case {
  Algorithm algorithm;
  bool denied;
  size_t keys;
};

void must(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s failed\n", what);
  std::abort();
}

std::vector<std::string> make_keys(size_t count) {
  std::vector<std::string> keys;
  for (size_t i = 0; i < count; ++i) {
    char text[32];
    std::snprintf(text, sizeof text, "user:%016zu", i);
    keys.emplace_back(text);
  }
  return keys;
}

std::vector<uint32_t> random_order(size_t count) {
  std::vector<uint32_t> order(std::max<size_t>(count, 4096));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i % count);
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  return order;
}

// Logs remember each charge: they are asked for few that expire soon, the others for as many as
// there are.
std::string rate_of(const Case& c) {
  if (c.denied) return "1/day";
  return c.algorithm == Algorithm::kSlidingLog ? "10000/us" : "1_000_000_000/second";
}

class AbiEngine {
 public:
  explicit AbiEngine(const Case& c) {
    must(tg_client_open("memory://", 9, nullptr, &client_, nullptr) == TG_OK, "tg_client_open");
    const std::string rate = rate_of(c);
    const std::string algorithm(algorithm_name(c.algorithm));
    tg_limiter_spec spec{};
    spec.rates = {rate.data(), rate.size()};
    spec.algorithm = {algorithm.data(), algorithm.size()};
    must(tg_limiter_open(client_, &spec, &limiter_, nullptr) == TG_OK, "tg_limiter_open");
    consume_.op = TG_OP_CONSUME;
    consume_.handle = limiter_;
    consume_.arg = 1;
  }
  ~AbiEngine() { tg_client_free(client_); }

  bool ask(const std::string& key) {
    tg_entry entry = consume_;
    entry.key = key.data();
    entry.key_len = static_cast<uint32_t>(key.size());
    tg_result result;
    must(tg_call(client_, &entry, 1, &result, 1) == 1, "tg_call");
    return result.flags & TG_ALLOWED;
  }

 private:
  tg_client* client_ = nullptr;
  uint64_t limiter_ = 0;
  tg_entry consume_{};  // all of an entry but the key
};

class StoreEngine {
 public:
  explicit StoreEngine(const Case& c)
      : limit_(parse_rates(rate_of(c), c.algorithm)->front()), store_({}) {}

  bool ask(const std::string& key) {
    Figures figures;
    return store_.consume_one(fingerprint_(key), limit_, 1, clock_.now_us(), figures);
  }

 private:
  const Numbers limit_;
  Fingerprinter fingerprint_;
  Clock clock_{false};
  MemoryStore store_;
};

template <class Engine>
struct World {
  World(const Case& c) : keys(make_keys(c.keys)), order(random_order(c.keys)), engine(c) {
    for (const std::string& key : keys) must(engine.ask(key), "the first request of a key");
  }
  const std::vector<std::string> keys;
  const std::vector<uint32_t> order;
  Engine engine;
};

template <class Engine>
void decide(benchmark::State& state, const Case& c) {
  static std::unique_ptr<World<Engine>> world;
  static int64_t allocated;
  if (state.thread_index() == 0) {
    world = std::make_unique<World<Engine>>(c);
    allocated = allocations;
  }
  size_t at = 0;
  bool first = true;
  int64_t allowed = 0;
  for (auto _ : state) {
    if (first) {  // only now is the world there for every thread
      at = world->order.size() / static_cast<size_t>(state.threads()) *
           static_cast<size_t>(state.thread_index());
      first = false;
    }
    allowed += world->engine.ask(world->keys[world->order[at]]);
    if (++at == world->order.size()) at = 0;
  }
  must(c.denied ? allowed == 0 : allowed == state.iterations(), "the expected answer");
  state.SetItemsProcessed(state.iterations());
  if (state.thread_index() == 0) {
    state.counters["allocations"] = benchmark::Counter(
        static_cast<double>(allocations - allocated) / static_cast<double>(state.iterations()));
    world.reset();
  }
}

template <class Engine>
void add(const char* engine, const Case& c, int threads) {
  const std::string name = std::string(engine) + "/" + std::string(algorithm_name(c.algorithm)) +
                           (c.denied ? "/denied" : "/allowed") + "/keys:" + std::to_string(c.keys);
  benchmark::RegisterBenchmark(name.c_str(), [c](benchmark::State& s) { decide<Engine>(s, c); })
      ->Threads(threads)
      ->UseRealTime();
}

}  // namespace

int main(int argc, char** argv) {
  for (const auto algorithm : {Algorithm::kTokenBucket, Algorithm::kFixedWindow,
                               Algorithm::kSlidingWindow, Algorithm::kSlidingLog})
    for (const bool denied : {false, true})
      for (const size_t keys : {size_t{1}, size_t{100'000}, size_t{1'000'000}})
        for (const int threads : {1, 2}) {
          add<AbiEngine>("abi", {algorithm, denied, keys}, threads);
          add<StoreEngine>("store", {algorithm, denied, keys}, threads);
        }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
