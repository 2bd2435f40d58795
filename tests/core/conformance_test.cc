// SPDX-License-Identifier: MIT
// Every scenario of the reference model, through the embedded engine: the same answers, bit for
// bit.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "store/memory/memory_store.h"

namespace tidegate {
namespace {

using nlohmann::json;

Numbers limit_of(const json& spec) {
  const json burst = spec.value("burst", json());
  auto limit = Numbers::make(*parse_algorithm(spec["algorithm"].get<std::string>()), spec["limit"],
                             spec["window_us"],
                             burst.is_null() ? std::nullopt : std::optional(burst.get<int64_t>()));
  if (!limit) ADD_FAILURE() << "no limit: " << spec;
  return *limit;
}

json json_of(const Leg& leg) {
  return {{"allowed", leg.answer.allowed},
          {"remaining", leg.answer.remaining},
          {"retry_after_us", leg.answer.retry_after_us},
          {"next_us", leg.answer.next_us},
          {"reset_after_us", leg.answer.reset_after_us}};
}

// Plays scenarios against one store each; a state is named by (limit's index, algorithm, window,
// key).
class Player {
 public:
  explicit Player(const json& scenario) : scenario_(scenario) {
    for (const json& spec : scenario["limits"]) add(spec);
  }

  void play() {
    for (const json& step : scenario_["steps"]) {
      run(step);
      if (::testing::Test::HasFailure()) {
        ADD_FAILURE() << "in scenario " << scenario_["id"] << ", step " << step;
        return;
      }
    }
  }

 private:
  void add(const json& spec) {
    limits_.push_back(limit_of(spec));
    current_.push_back(&limits_.back());
    shadow_.push_back(spec["shadow"]);
  }

  void run(const json& step) {
    const std::string op = step["op"];
    const int64_t now_us = step["at"];
    if (op == "change") {
      const size_t index = step["limit"];
      limits_.push_back(limit_of(step["to"]));
      current_[index] = &limits_.back();
      shadow_[index] = step["to"]["shadow"];
      return;
    }
    std::vector<Leg> legs;
    for (const json& part : step["parts"]) legs.push_back(leg_of(part));
    prepare(legs);
    if (op == "refund") return store_.refund(legs, now_us);
    if (op == "reset") return store_.reset(legs);
    const Verdict verdict =
        op == "consume" ? store_.consume(legs, now_us) : store_.peek(legs, now_us);
    json parts = json::array();
    for (const Leg& leg : legs) parts.push_back(json_of(leg));
    const json answer = {
        {"allowed", verdict.allowed}, {"binding", verdict.binding}, {"parts", parts}};
    EXPECT_EQ(answer, step["expect"]);
  }

  Leg leg_of(const json& part) const {
    const size_t index = part["limit"];
    const Numbers& limit = *current_[index];
    const std::string rate = std::to_string(index) + ":" +
                             std::string(algorithm_name(limit.algorithm)) + ":" +
                             std::to_string(limit.window_us);
    return {.id = fingerprint_(rate) ^ fingerprint_(part["key"].get<std::string>()),
            .limit = &limit,
            .cost = part["cost"],
            .shadow = shadow_[index]};
  }

  const json& scenario_;
  Fingerprinter fingerprint_{7};
  std::deque<Numbers> limits_;
  std::vector<const Numbers*> current_;
  std::vector<bool> shadow_;
  MemoryStore store_{{.max_keys = 1000, .max_bytes = 1 << 20}};
};

size_t play_line(const std::string& line) {
  const json scenario = json::parse(line);
  Player(scenario).play();
  return 1;
}

TEST(Conformance, EveryRecordedScenarioAnswersLikeTheModel) {
  std::ifstream vectors(TIDEGATE_SOURCE_DIR "/tests/conformance/vectors.jsonl");
  size_t played = 0;
  for (std::string line; std::getline(vectors, line) && !HasFailure();) played += play_line(line);
  EXPECT_EQ(played, 300u);
}

TEST(Conformance, FreshScenariosAnswerLikeTheModel) {
  const char* given = std::getenv("TIDEGATE_SEED");
  const std::string seed = given ? given : std::to_string(std::time(nullptr));
  std::printf("TIDEGATE_SEED=%s\n", seed.c_str());
  const std::string command =
      "python3 '" TIDEGATE_SOURCE_DIR "/tests/conformance/generate.py' --count 2000 --seed " + seed;
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  size_t played = 0;
  std::string line;
  for (int c; (c = std::fgetc(pipe)) != EOF;) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    if (!HasFailure()) played += play_line(line);
    line.clear();
  }
  EXPECT_EQ(pclose(pipe), 0);
  EXPECT_EQ(played, 2000u) << "TIDEGATE_SEED=" << seed;
}

}  // namespace
}  // namespace tidegate
