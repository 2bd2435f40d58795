// SPDX-License-Identifier: MIT
// tests/conformance/http_model.py is the letter: the stored cases, fresh ones, and addresses bent
// by chance.
#include "http/http.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "limiter/numbers.h"

namespace tidegate {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kConformance = TIDEGATE_SOURCE_DIR "/tests/conformance";

Numbers limit_of(const Json& json) {
  std::optional<int64_t> burst;
  if (!json["burst"].is_null()) burst = json["burst"].get<int64_t>();
  const auto algorithm = parse_algorithm(json["algorithm"].get<std::string>());
  auto limit = Numbers::make(*algorithm, json["limit"].get<int64_t>(),
                             json["window_us"].get<int64_t>(), burst);
  EXPECT_TRUE(limit.ok()) << json << limit.error().message;
  return limit.ok() ? *limit : Numbers{};
}

Source source_of(const std::string& name) {
  static const std::vector<std::string> kNames{"none",     "memory",    "store",
                                               "fallback", "fail_open", "fail_closed"};
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Source>(i);
  ADD_FAILURE() << name;
  return Source::kNone;
}

void check_headers(const Json& given, const Json& expected) {
  std::vector<std::string> names;
  for (const Json& policy : given["policies"]) names.push_back(policy["name"]);
  std::vector<PolicyView> parts;
  for (size_t i = 0; i < names.size(); ++i) {
    const Numbers limit = limit_of(given["policies"][i]);
    const Json& answer = given["answers"][i];
    parts.push_back({.name = names[i],
                     .limit = limit.limit,
                     .window_us = limit.window_us,
                     .capacity = limit.capacity,
                     .allowed = answer["allowed"],
                     .shadow = given["policies"][i]["shadow"],
                     .remaining = answer["remaining"],
                     .retry_after_us = answer["retry_after_us"],
                     .next_us = answer["next_us"],
                     .reset_after_us = answer["reset_after_us"]});
  }
  const DecisionView decision{.allowed = given["allowed"],
                              .source = source_of(given["source"]),
                              .binding = given["binding"],
                              .parts = parts};
  HeaderStyle style{.standard = false, .legacy = false, .legacy_delta = false};
  for (const Json& name : given["style"]) {
    style.standard |= name == "standard";
    style.legacy |= name == "legacy";
    style.legacy_delta |= name == "legacy-delta";
  }
  std::string lines;
  for (const Json& field : expected["headers"])
    lines += field[0].get<std::string>() + ": " + field[1].get<std::string>() + "\n";
  EXPECT_EQ(http_status(decision.allowed, decision.source), expected["status"]);
  EXPECT_EQ(http_headers(decision, style, given["wall_us"]), lines);
  EXPECT_EQ(http_problem(decision),
            expected["body"].is_null() ? "" : expected["body"].get<std::string>());
}

void check_caller(const Json& given, const Json& expected) {
  std::string text;
  if (given["trusted"].is_number()) {
    text = std::to_string(given["trusted"].get<int>());
  } else {
    for (const Json& network : given["trusted"])
      text += (text.empty() ? "" : ", ") + network.get<std::string>();
  }
  const auto trusted = parse_trusted_proxies(text);
  ASSERT_TRUE(trusted.ok()) << trusted.error().message;
  std::string forwarded;
  for (const Json& line : given["forwarded_for"])
    forwarded += (forwarded.empty() ? "" : ",") + line.get<std::string>();
  const std::string address =
      client_address(given["peer"].get<std::string>(), forwarded, *trusted, given["ipv6_prefix"]);
  EXPECT_EQ(address, expected["address"]) << given;
  const std::string identity =
      given["identity"].is_null() ? "" : given["identity"].get<std::string>();
  EXPECT_EQ(caller_key(identity, address), expected["key"]);
}

void check_state_key(const Json& given, const Json& expected) {
  const Numbers limit = limit_of(given["limit"]);
  const char letter = "bfsl"[static_cast<size_t>(limit.algorithm)];
  EXPECT_EQ(given["namespace"].get<std::string>() + ":1:" + given["name"].get<std::string>() + ":" +
                letter + window_text(limit.window_us) + ":{" +
                escape_key(given["key"].get<std::string>()) + "}",
            expected);
}

void check(const std::string& line) {
  const Json json = Json::parse(line);
  if (json.contains("headers")) check_headers(json["headers"], json["expect"]);
  if (json.contains("caller")) check_caller(json["caller"], json["expect"]);
  if (json.contains("state_key")) check_state_key(json["state_key"], json["expect"]);
}

std::vector<std::string> lines_of(const std::string& command) {
  std::vector<std::string> lines(1);
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return {};
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) {
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += static_cast<char>(c);
  }
  lines.pop_back();
  if (pclose(pipe) != 0) return {};
  return lines;
}

TEST(Conformance, TheStoredCasesComeOutByteForByte) {
  std::ifstream file(kConformance + "/http.jsonl");
  size_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    SCOPED_TRACE("line " + std::to_string(count + 1));
    check(line);
  }
  EXPECT_EQ(count, 310u);
}

TEST(Conformance, FreshCasesComeOutByteForByte) {
  const std::string seed = std::to_string(std::random_device{}() % 1'000'000'000);
  std::printf("http_model.py --seed %s\n", seed.c_str());
  const auto lines = lines_of("python3 -B " + kConformance + "/http_model.py --seed " + seed);
  EXPECT_EQ(lines.size(), 310u) << "python3 is needed";
  for (const std::string& line : lines) {
    SCOPED_TRACE(line);
    check(line);
  }
}

// Addresses with a few characters changed, as Python's ipaddress module sees them.
constexpr const char* kBentAddresses = R"(
import json, random, sys
from http_model import HOPS, client_address
rng = random.Random(int(sys.argv[1]))
seeds = HOPS + """
    1:2:3:4:5:6:7:8 :: ::1.2.3.4 1:: 64:ff9b::192.0.2.33 1:0:0:2:0:0:0:3 1:0:2:3:4:5:6:7
    255.255.255.255 ::ffff:0:1.2.3.4 1:2:3:4:5:6:7:: ::FFFF:1.2.3.4 [::1]:80
    0:0:1:0:0:1:0:0""".split()
junk = ["", ":", "::", ".", "0", "00", "f", "g", "1", "256", "[", "]", "%", " ", "/", "ffff"]
for _ in range(4000):
    hop = rng.choice(seeds)
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        i = rng.randrange(len(hop) + 1)
        hop = hop[:i] + rng.choice(junk) + hop[i + rng.randrange(3):]
    case = {"peer": hop, "forwarded_for": [], "trusted": 0}
    case["ipv6_prefix"] = rng.choice([1, 48, 64, 127, 128])
    address = client_address(**case)
    expect = {"address": address, "key": "@" + address}
    print(json.dumps({"caller": {**case, "identity": None}, "expect": expect}))
)";

TEST(Conformance, BentAddressesAreReadAsPythonReadsThem) {
  const std::string seed = std::to_string(std::random_device{}() % 1'000'000'000);
  std::printf("bent addresses, seed %s\n", seed.c_str());
  const auto lines = lines_of("PYTHONPATH=" + kConformance + " python3 -B - " + seed + " <<'EOF'" +
                              kBentAddresses + "EOF\n");
  EXPECT_EQ(lines.size(), 4000u) << "python3 is needed";
  for (const std::string& line : lines) check(line);
}

TEST(ClientAddress, IsWrittenInItsCanonicalForm) {
  const std::vector<std::pair<std::string, std::string>> kCases{
      {"::1.2.3.4", "::102:304"},
      {"::ffff:1.2.3.4", "1.2.3.4"},
      {"2001:DB8::0:1", "2001:db8::1"},
      {"fe80::1%eth0", "fe80::1"},
      {"01.2.3.4", "unknown"},
      {"1.2.3.4\nX: y", "unknown"},
      {"", "unknown"},
  };
  for (const auto& [peer, expected] : kCases)
    EXPECT_EQ(client_address(peer, "", {}, 128), expected) << peer;
}

// A test client is called something and has no address.
TEST(ClientAddress, APeerThatIsANameIsAHopUnderACountAndACallerOfItsOwn) {
  const TrustedProxies one{.hops = 1};
  const TrustedProxies networks = *parse_trusted_proxies("10.0.0.0/8");
  EXPECT_EQ(client_address("testclient", "", {}, 64), "testclient");
  EXPECT_EQ(client_address("testclient", "203.0.113.7", {}, 64), "testclient");
  EXPECT_EQ(client_address("testclient", "203.0.113.7", one, 64), "203.0.113.7");
  EXPECT_EQ(client_address("testclient", "198.51.100.1, 203.0.113.7", one, 64), "203.0.113.7");
  EXPECT_EQ(client_address("testclient", "garbage", one, 64), "testclient");
  EXPECT_EQ(client_address("testclient", "203.0.113.7", networks, 64), "testclient");
  EXPECT_EQ(client_address("", "203.0.113.7", networks, 64), "203.0.113.7");  // a local socket
  for (const std::string& peer : {std::string("a b"), std::string("_x"), std::string(65, 'a')})
    EXPECT_EQ(client_address(peer, "", {}, 64), "unknown") << peer;
}

TEST(TrustedProxies, RefusesWhatItCannotMean) {
  struct Case {
    std::string text;
    int32_t position;
    std::string expected;
  };
  const std::vector<Case> kCases{
      {"", 0, "expected a count from 0 to 255, or networks"},
      {"256", 0, "expected a count from 0 to 255"},
      {"-1", 0, "expected a count"},
      {"10.0.0.1/8", 0, "expected no bits behind the prefix: 10.0.0.0/8, or 10.0.0.1/32"},
      {"10.0.0.0/8, 2001:db8::1/64", 12, "2001:db8::/64, or 2001:db8::1/128"},
      {"10.0.0.0/33", 9, "expected a prefix length from 0 to 32"},
      {"10.0.0.0/", 9, "expected a prefix length"},
      {"10.0.0.0/255.0.0.0", 9, "expected a prefix length"},
      {"10.0.0.0/8,", 11, "expected a count"},
      {"1,2", 0, "expected a count"},
      {"::ffff:10.0.0.0/104", 0, "IPv4's notation"},
      {"proxy.example", 0, "expected a count"},
  };
  for (const Case& c : kCases) {
    const auto trusted = parse_trusted_proxies(c.text);
    ASSERT_FALSE(trusted.ok()) << c.text;
    EXPECT_EQ(trusted.error().code, Code::kOption);
    EXPECT_EQ(trusted.error().position, c.position) << c.text;
    EXPECT_THAT(trusted.error().message, HasSubstr(c.expected));
  }
  EXPECT_EQ(parse_trusted_proxies(" 2 ")->hops, 2);
  EXPECT_EQ(parse_trusted_proxies("10.0.0.1, ::1")->networks[1].prefix, 128);
}

// A name is plain by rule; should one not be, a header still is one line and a body still is JSON.
TEST(Headers, AStrangeNameStaysInsideItsQuotes) {
  const std::string name =
      "a\"b\\c\r\nX-Evil: 1\x7f\xff"
      "é€😀";
  const std::vector<PolicyView> parts{{.name = name,
                                       .limit = 1,
                                       .window_us = 1'000'000,
                                       .capacity = 1,
                                       .allowed = false,
                                       .retry_after_us = 1}};
  const DecisionView decision{.allowed = false, .source = Source::kStore, .parts = parts};
  const std::string headers = http_headers(decision, {.legacy = false}, 0);
  EXPECT_THAT(headers, HasSubstr("RateLimit: \"a\\\"b\\\\c__X-Evil: 1"));
  EXPECT_THAT(headers, Not(HasSubstr("\nX-Evil")));
  EXPECT_EQ(std::count(headers.begin(), headers.end(), '\n'), 3);
  EXPECT_THAT(http_problem(decision),
              HasSubstr(R"(["a\"b\\c\r\nX-Evil: 1\u007f\ufffd\u00e9\u20ac\ud83d\ude00"])"));
}

TEST(Headers, OfALimiterThatIsOffSayNothing) {
  const std::vector<PolicyView> parts{{.name = "api", .limit = 1, .window_us = 1, .off = true}};
  EXPECT_EQ(http_headers({.parts = parts}, {.legacy_delta = true}, 0), "");
  EXPECT_EQ(http_headers({.parts = {}}, {}, 0), "");
}

TEST(Headers, ATimeAtTheEndOfTheWorldDoesNotOverflow) {
  const std::vector<PolicyView> parts{
      {.name = "api", .limit = 1, .window_us = 1, .reset_after_us = INT64_MAX}};
  EXPECT_THAT(http_headers({.parts = parts}, {}, INT64_MAX),
              HasSubstr("X-RateLimit-Reset: 18446744073710\n"));
}

}  // namespace
}  // namespace tidegate
