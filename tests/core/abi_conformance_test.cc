// SPDX-License-Identifier: MIT
// The reference model's answers, bit for bit, through the C ABI: embedded, and on every server.
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/scenario.h"
#include "support/server.h"

namespace tidegate::test {
namespace {

constexpr int kFresh = 2'000;
const char* const kKinds[] = {"rates", "slots"};

int fresh_count() {
  const char* given = std::getenv("TIDEGATE_SCENARIOS");
  return given ? std::atoi(given) : kFresh;
}

void run_all(const std::vector<Json>& scenarios, const std::string& url) {
  int at = 0, wrong = 0;
  for (const Json& scenario : scenarios) {
    const std::string space = "&namespace=n" + std::to_string(at++);
    const std::string difference = run_scenario(scenario, url + space);
    if (difference.empty()) continue;
    ADD_FAILURE() << difference;
    if (++wrong == 3) return;
  }
}

TEST(AbiConformance, EmbeddedAnswersAsTheModel) {
  for (const char* kind : kKinds) {
    run_all(stored_scenarios(kind), "memory://?clock=manual");
    run_all(fresh_scenarios(kind, fresh_count()), "memory://?clock=manual");
  }
}

TEST(AbiConformance, EveryServerAnswersAsTheModel) {
  const auto kinds = server_kinds();
  ASSERT_FALSE(kinds.empty()) << "no server: set TIDEGATE_SERVERS, or run packaging/setup";
  for (const char* of : kKinds) {
    const auto stored = stored_scenarios(of), fresh = fresh_scenarios(of, fresh_count());
    for (const ServerKind& kind : kinds) {
      SCOPED_TRACE(kind.name);
      Server server(kind);
      run_all(stored, server.url("clock=manual&testing=1&timeout_ms=5000"));
      server.command({"FLUSHALL"});
      run_all(fresh, server.url("clock=manual&testing=1&timeout_ms=5000"));
    }
  }
}

}  // namespace
}  // namespace tidegate::test
