// SPDX-License-Identifier: MIT
// What resolving takes of memory: nothing, once its buffers are there.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace {

thread_local size_t allocations = 0;

}  // namespace

// What is freed here was allocated above: GCC looks at one of them alone.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace tidegate {
namespace {

TEST(PolicyMemory, ResolvingTakesNoneInSteadyState) {
  const CompiledPolicy file = compile_policy(
      "version: 1\nlimiters: {a: 1/s, b: 2/s}\ntiers: {t: [a, b]}\n"
      "rules:\n- {limit: tier, per: ['{tenant}', '{path}']}\n- {limit: b, cost: '{n}'}\n"
      "- {limit: a, when: {path: '/**b*c*/**', host: '*.example.com'}, per: address}\n"
      "callers: {'2001:db8::/32': {tier: t}, '@@evil-enough-for-the-heap': {ban: true}}\n");
  ASSERT_NE(file.policy, nullptr) << file.fault.text();
  const CompiledPolicy live = compile_live("callers: {k: {limits: {a: 9/s}}}", file.policy);
  const std::string hard = "/%61/" + std::string(3'000, 'b') + "/c";
  std::vector<Attribute> usual{{"method", "post"},
                               {"path", "//a/very/long//path/that/is/not/normal/bxc"},
                               {"host", "API.a-long-name-indeed.example.com:8443"},
                               {"address", "2001:db8:1111:2222:3333::4"},
                               {"tenant", "a|tenant\\with|a|long|name|indeed"},
                               {"n", "3"}};
  auto banned = usual, unusual = usual;
  banned.push_back({"identity", "@evil-enough-for-the-heap"});
  unusual[1].value = hard;
  PolicyResolver resolver;
  size_t parts = 0;
  const auto round = [&] {
    for (const auto* request : {&usual, &banned, &unusual})
      parts += resolver.resolve(*file.policy, live.policy.get(), *request, 1'000).parts.size();
  };
  round();
  const size_t before = allocations;
  for (int i = 0; i < 100; ++i) round();
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(parts, 101u * (4 + 0 + 3));
}

}  // namespace
}  // namespace tidegate
