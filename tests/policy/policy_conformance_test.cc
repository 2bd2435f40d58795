// SPDX-License-Identifier: MIT
// tests/conformance/policy_model.py is the letter: its stored vectors, and fresh ones
// (TIDEGATE_SEED, TIDEGATE_SCENARIOS).
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>

#include "policy/policy_helper.h"
#include "policy/texts.h"

namespace tidegate {
namespace {

const std::string kConformance = TIDEGATE_SOURCE_DIR "/tests/conformance";

struct Played {
  size_t vectors = 0, cases = 0, faults = 0;
};

class Player {
 public:
  Played played;

  void play(const std::string& line) {
    const Json vector = parse_vector(line);
    ++played.vectors;
    const auto file = compile_policy(vector["policy"].dump());
    if (!check_fault(vector, file, "error_path")) return;
    const auto live = compile_live(vector.value("live", Json::object()).dump(), file.policy);
    if (!check_fault(vector, live, "live_error_path")) return;
    if (vector.contains("ignored")) {
      EXPECT_EQ(Json(live.policy->ignored()), vector["ignored"]) << vector["id"];
    }
    for (const Json& one : vector["cases"]) {
      ++played.cases;
      const Request request(one["request"]);
      const Resolution& answer =
          resolver_.resolve(*file.policy, live.policy.get(), request.attributes(), one["now_us"]);
      EXPECT_EQ(nlohmann::json::parse(resolution_json(answer)), unordered(one["expect"]))
          << vector["id"] << " " << one["request"] << "\n"
          << vector["policy"];
    }
  }

 private:
  // Whether there is a policy to go on with.
  bool check_fault(const Json& vector, const CompiledPolicy& compiled, const char* member) {
    const bool expected = vector.contains(member);
    EXPECT_EQ(compiled.policy == nullptr, expected)
        << vector["id"] << " " << compiled.fault.text() << "\n"
        << vector["policy"];
    if (compiled.policy) return !expected;
    ++played.faults;
    const PolicyFault& fault = compiled.fault;
    if (expected) {
      EXPECT_EQ(fault.path, bytes_of(vector[member].get<std::string>())) << fault.text();
    }
    EXPECT_NE(fault.message.find("expected"), fault.message.npos) << fault.text();
    EXPECT_GT(fault.line, 0);
    EXPECT_GT(fault.column, 0);
    return false;
  }

  PolicyResolver resolver_;
};

TEST(PolicyConformance, EveryRecordedVectorIsAnsweredLikeTheModel) {
  std::ifstream vectors(kConformance + "/policy.jsonl");
  Player player;
  for (std::string line; std::getline(vectors, line) && !HasFailure();) player.play(line);
  EXPECT_EQ(player.played.vectors, 333u);
  EXPECT_GT(player.played.cases, 1'000u);
  EXPECT_EQ(player.played.faults, 83u);
}

TEST(PolicyConformance, FreshVectorsAreAnsweredLikeTheModel) {
  const char* given = std::getenv("TIDEGATE_SEED");
  const char* how_many = std::getenv("TIDEGATE_SCENARIOS");
  const std::string seed = given ? given : std::to_string(std::time(nullptr));
  const std::string count = how_many ? how_many : "600";
  std::printf("TIDEGATE_SEED=%s\n", seed.c_str());
  const std::string command =
      "python3 '" + kConformance + "/generate_policy.py' --count " + count + " --seed " + seed;
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  Player player;
  std::string line;
  for (int c; (c = std::fgetc(pipe)) != EOF;) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    if (!HasFailure()) player.play(line);
    line.clear();
  }
  EXPECT_EQ(pclose(pipe), 0);
  EXPECT_EQ(player.played.vectors, std::stoul(count) + std::stoul(count) / 3);
  std::printf("%zu vectors, %zu cases, %zu faults\n", player.played.vectors, player.played.cases,
              player.played.faults);
}

}  // namespace
}  // namespace tidegate
