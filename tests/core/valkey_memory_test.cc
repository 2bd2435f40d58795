// SPDX-License-Identifier: MIT
// Memory that runs out at any point of a request: it is answered or refused, nothing stays locked,
// and the next one is answered by the store.
#include <cstdlib>
#include <new>
#include <thread>

#include "support/every_server.h"
#include "support/gate.h"

namespace {

thread_local int left = -1;  // allocations of this thread until one fails; -1: none does

void* allocate(size_t size) {
  if (left == 0) throw std::bad_alloc();
  if (left > 0) --left;
  void* memory = std::malloc(size ? size : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

// What is freed here was allocated above: GCC looks at one of them alone.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(size_t size) { return allocate(size); }
void* operator new[](size_t size) { return allocate(size); }
// What does not throw tells its caller in another way.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  if (left == 0) return nullptr;
  if (left > 0) --left;
  return std::malloc(size ? size : 1);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace tidegate::test {
namespace {

class ValkeyMemory : public OnEveryServer {};

// One request with no memory behind `allowed` allocations; the answer's status.
int32_t ask(Gate& gate, std::vector<tg_entry>& entries, int allowed) {
  tg_result result{};
  left = allowed;
  const int32_t n =
      tg_call(gate.client(), entries.data(), static_cast<int32_t>(entries.size()), &result, 1);
  left = -1;
  return n < 0 ? n : result.status;
}

TEST_P(ValkeyMemory, ARequestThatFindsNoneHarmsNoOther) {
  Server server(GetParam());
  int refused = 0;
  for (int allowed = 0; allowed < 60; ++allowed) {
    SCOPED_TRACE(allowed);
    Gate gate(server.url("timeout_ms=2000"));  // each is the first of its client, and connects
    const uint64_t limiter = gate.open("100000/d", "l" + std::to_string(allowed));
    const std::vector<Part> parts{{limiter, std::string(200, 'k')}};
    auto entries = entries_of(TG_OP_CONSUME, parts);
    const int32_t status = ask(gate, entries, allowed);
    EXPECT_TRUE(status == TG_OK || status == TG_ENOMEM) << status;
    refused += status != TG_OK;
    std::thread other([&] { EXPECT_TRUE(gate.comes_back(limiter)) << gate.event_texts(); });
    other.join();
    EXPECT_TRUE(gate.comes_back(limiter));
  }
  EXPECT_GT(refused, 0);  // else this test shows nothing
}

TEST_P(ValkeyMemory, ARingsCallsComeOutEachOnce) {
  Server server(GetParam());
  for (int allowed = 0; allowed < 60; ++allowed) {
    SCOPED_TRACE(allowed);
    Gate gate(server.url("timeout_ms=2000"));
    const uint64_t limiter = gate.open("100000/d", "l" + std::to_string(allowed));
    Reaper ring(gate, 16);
    const std::vector<Part> parts{{limiter, std::string(200, 'k')}};
    auto entries = entries_of(TG_OP_CONSUME, parts, 7);
    tg_result results[16];
    left = allowed;
    const int32_t taken = tg_submit(ring.ring(), entries.data(), 1);
    const int32_t reaped = taken == 1 ? tg_reap(ring.ring(), results, 16) : 0;
    left = -1;
    if (taken != 1) continue;
    EXPECT_EQ(reaped > 0 ? 1u : ring.take(1).size(), 1u);
    ASSERT_TRUE(ring.submit(TG_OP_CONSUME, parts, 8));
    const auto next = ring.take(1);
    ASSERT_EQ(next.size(), 1u);
    EXPECT_EQ(next[0].user_data, 8u);
  }
}

TIDEGATE_ON_EVERY_SERVER(ValkeyMemory);

}  // namespace
}  // namespace tidegate::test
