// SPDX-License-Identifier: MIT
// Every scenario of the reference model, through the embedded engine: the same answers, bit for
// bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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
                             burst.is_null() ? std::nullopt : std::optional(burst.get<int64_t>()),
                             spec.value("overdraft", int64_t{0}));
  if (!limit) ADD_FAILURE() << "no limit: " << spec;
  return *limit;
}

json json_of(const Leg& leg, bool debit) {
  json all = {{"allowed", leg.answer.allowed},
              {"remaining", leg.answer.remaining},
              {"retry_after_us", leg.answer.retry_after_us},
              {"next_us", leg.answer.next_us},
              {"reset_after_us", leg.answer.reset_after_us}};
  if (debit) all["short"] = leg.answer.shortfall;
  return all;
}

HolderId holder_of(const std::string& text) {
  HolderId id;
  std::memcpy(id.words, text.data(), std::min(text.size(), sizeof id.words));
  return id;
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
      if (step["at"].get<int64_t>() >= kExact) return;  // no clock goes further
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
    prepare(legs, op == "refund" || op == "debit");
    if (op == "refund") return store_.refund(legs, now_us);
    if (op == "reset") return store_.reset(legs);
    const Verdict verdict = op == "consume" ? store_.consume(legs, now_us)
                            : op == "debit" ? store_.debit(legs, now_us)
                                            : store_.peek(legs, now_us);
    json parts = json::array();
    for (const Leg& leg : legs) parts.push_back(json_of(leg, op == "debit"));
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
            .holder = holder_of(part.value("id", "")),
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

class Conformance : public ::testing::TestWithParam<const char*> {};

TEST_P(Conformance, EveryRecordedScenarioAnswersLikeTheModel) {
  const bool slots = std::string(GetParam()) == "slots";
  std::ifstream vectors(std::string(TIDEGATE_SOURCE_DIR "/tests/conformance/") +
                        (slots ? "slots.jsonl" : "vectors.jsonl"));
  size_t played = 0;
  for (std::string line; std::getline(vectors, line) && !HasFailure();) played += play_line(line);
  EXPECT_EQ(played, 300u);
}

TEST_P(Conformance, FreshScenariosAnswerLikeTheModel) {
  const bool slots = std::string(GetParam()) == "slots";
  const char* given = std::getenv("TIDEGATE_SEED");
  const char* how_many = std::getenv("TIDEGATE_SCENARIOS");
  const std::string seed = given ? given : std::to_string(std::time(nullptr));
  const std::string count = how_many ? how_many : "2000";
  std::printf("TIDEGATE_SEED=%s\n", seed.c_str());
  const std::string command = std::string("python3 '" TIDEGATE_SOURCE_DIR "/tests/conformance/") +
                              (slots ? "generate_slots.py" : "generate.py") + "' --count " + count +
                              " --seed " + seed;
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
  EXPECT_EQ(played, std::stoul(count)) << "TIDEGATE_SEED=" << seed;
}

INSTANTIATE_TEST_SUITE_P(Of, Conformance, ::testing::Values("rates", "slots"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace tidegate
