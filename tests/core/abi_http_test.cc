// SPDX-License-Identifier: MIT
// http.jsonl, byte for byte, through tg_decision_status, _headers, _problem and tg_caller_key.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tidegate.h"

namespace {

using Json = nlohmann::json;

std::vector<Json> cases(const std::string& kind) {
  std::vector<Json> found;
  std::ifstream in(TIDEGATE_SOURCE_DIR "/tests/conformance/http.jsonl");
  for (std::string line; std::getline(in, line);) {
    Json one = Json::parse(line);
    if (one.contains(kind)) found.push_back(one);
  }
  return found;
}

// The result that an engine would have given: the case's policies as limiters, its answers as
// parts.
struct Given {
  tg_client* client = nullptr;
  std::vector<tg_part> parts;
  tg_result result{};

  explicit Given(const Json& from) {
    tg_error error;
    EXPECT_EQ(tg_client_open("memory://", 9, nullptr, &client, &error), TG_OK) << error.message;
    for (size_t i = 0; i < from["policies"].size(); ++i)
      add(from["policies"][i], from["answers"][i]);
    const std::string source = from["source"];
    const uint32_t code = source == "memory"      ? TG_SOURCE_MEMORY
                          : source == "store"     ? TG_SOURCE_STORE
                          : source == "fallback"  ? TG_SOURCE_FALLBACK
                          : source == "fail_open" ? TG_SOURCE_FAIL_OPEN
                                                  : TG_SOURCE_FAIL_CLOSED;
    result.flags = TG_SOURCE_FLAGS(code) | (from["allowed"] ? TG_ALLOWED : 0u);
    result.binding = from["binding"];
    result.part_count = static_cast<uint32_t>(parts.size());
    result.parts = parts.data();
  }
  ~Given() { tg_client_free(client); }

  void add(const Json& policy, const Json& answer) {
    std::string rates = std::to_string(policy["limit"].get<int64_t>()) + "/" +
                        std::to_string(policy["window_us"].get<int64_t>()) + "us";
    if (!policy["burst"].is_null()) rates += " burst " + std::to_string(int64_t{policy["burst"]});
    const std::string name = policy["name"], algorithm = policy["algorithm"];
    const bool named = name.size() <= 64 && name.find("-per-") == std::string::npos;
    tg_limiter_spec spec{};
    spec.rates = {rates.data(), rates.size()};
    if (named) spec.name = {name.data(), name.size()};
    spec.algorithm = {algorithm.data(), algorithm.size()};
    if (policy["shadow"]) spec.mode = TG_TEXT("shadow");
    tg_part part{};
    tg_error error;
    EXPECT_EQ(tg_limiter_open(client, &spec, &part.handle, &error), TG_OK) << error.message;
    part.flags = (answer["allowed"] ? TG_ALLOWED : 0u) | (policy["shadow"] ? TG_SHADOW : 0u);
    part.limit = policy["limit"];
    part.window_us = policy["window_us"];
    part.capacity = policy["burst"].is_null() ? policy["limit"] : policy["burst"];
    part.remaining = answer["remaining"];
    part.retry_after_us = answer["retry_after_us"];
    part.next_us = answer["next_us"];
    part.reset_after_us = answer["reset_after_us"];
    parts.push_back(part);
  }
};

uint32_t styles(const Json& style) {
  uint32_t flags = 0;
  for (const std::string word : style)
    flags |= word == "standard" ? TG_HEADERS_STANDARD
             : word == "legacy" ? TG_HEADERS_LEGACY
                                : TG_HEADERS_LEGACY_DELTA;
  return flags;
}

TEST(AbiHttp, HeadersAndBodiesAreTheModels) {
  const auto all = cases("headers");
  ASSERT_EQ(all.size(), 150u);
  for (const Json& one : all) {
    const Json& from = one["headers"];
    Given given(from);
    char text[8192];
    std::string expected;
    for (const Json& field : one["expect"]["headers"])
      expected += field[0].get<std::string>() + ": " + field[1].get<std::string>() + "\n";
    const int32_t length = tg_decision_headers(given.client, &given.result, styles(from["style"]),
                                               from["wall_us"], text, sizeof text);
    ASSERT_EQ(std::string(text), expected) << one;
    EXPECT_EQ(length, static_cast<int32_t>(expected.size()));
    EXPECT_EQ(tg_decision_status(&given.result), one["expect"]["status"]);
    tg_decision_problem(given.client, &given.result, text, sizeof text);
    const Json& body = one["expect"]["body"];
    ASSERT_EQ(std::string(text), body.is_null() ? "" : body.get<std::string>()) << one;
  }
}

TEST(AbiHttp, CallersKeysAreTheModels) {
  const auto all = cases("caller");
  ASSERT_EQ(all.size(), 120u);
  for (const Json& one : all) {
    const Json& from = one["caller"];
    std::string trusted, forwarded;
    if (from["trusted"].is_number())
      trusted = std::to_string(from["trusted"].get<int>());
    else
      for (const std::string network : from["trusted"])
        trusted += (trusted.empty() ? "" : ",") + network;
    for (const std::string line : from["forwarded_for"])
      forwarded += (forwarded.empty() ? "" : ",") + line;
    tg_options* options = tg_options_new();
    tg_error error;
    ASSERT_EQ(tg_options_set(options, "trusted_proxies", trusted.c_str(), &error), TG_OK);
    const std::string prefix = std::to_string(from["ipv6_prefix"].get<int>());
    ASSERT_EQ(tg_options_set(options, "ipv6_prefix", prefix.c_str(), &error), TG_OK);
    const std::string peer = from["peer"];
    const std::string who = from["identity"].is_null() ? "" : from["identity"].get<std::string>();
    char key[600];
    const bool none = from["forwarded_for"].empty();
    const int64_t length =
        tg_caller_key(options, peer.data(), peer.size(), none ? nullptr : forwarded.data(),
                      none ? 0 : forwarded.size(), who.data(), who.size(), key, sizeof key);
    EXPECT_EQ(std::string(key), one["expect"]["key"].get<std::string>()) << one;
    EXPECT_EQ(length, static_cast<int64_t>(std::string(key).size()));
    tg_caller_key(options, peer.data(), peer.size(), none ? nullptr : forwarded.data(),
                  none ? 0 : forwarded.size(), nullptr, 0, key, sizeof key);
    EXPECT_EQ(std::string(key), "@" + one["expect"]["address"].get<std::string>()) << one;
    tg_options_free(options);
  }
}

TEST(AbiHttp, AResultThatCannotBeIsRefused) {
  Given given(cases("headers")[0]["headers"]);
  char text[8192];
  tg_result bad = given.result;
  bad.binding = bad.part_count;
  EXPECT_EQ(tg_decision_headers(given.client, &bad, 1, 0, text, sizeof text), TG_EINVAL);
  bad = given.result;
  bad.status = TG_EKEY;
  EXPECT_EQ(tg_decision_problem(given.client, &bad, text, sizeof text), TG_EINVAL);
  EXPECT_EQ(tg_decision_status(&bad), TG_EINVAL);
  given.parts[0].handle = 5;
  EXPECT_EQ(tg_decision_headers(given.client, &given.result, 1, 0, text, sizeof text), TG_EHANDLE);
  EXPECT_EQ(tg_decision_headers(given.client, &given.result, 64, 0, text, sizeof text), TG_EINVAL);
}

}  // namespace
