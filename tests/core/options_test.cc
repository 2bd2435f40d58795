// SPDX-License-Identifier: MIT
#include "options/options.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <bit>
#include <sstream>
#include <string>
#include <vector>

#include "options/table.h"

namespace tidegate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Options, EveryDefaultOfTheTableIsTheOneOfTheStruct) {
  for (size_t i = 0; i < kOptionTable.size(); ++i) {
    const OptionRow& row = kOptionTable[i];
    EXPECT_EQ(value_text({}, i), row.initial) << row.name;
    Options options;
    const auto status = options.set(row.name, row.initial);
    EXPECT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(options.given, uint64_t{1} << i);
  }
}

TEST(Options, TheDescriptionHasFiveFieldsInEachRow) {
  std::istringstream text(describe_options());
  size_t rows = 0;
  for (std::string line; std::getline(text, line); ++rows)
    EXPECT_EQ(std::count(line.begin(), line.end(), '\t'), 4) << line;
  EXPECT_EQ(rows, kOptionTable.size());
  EXPECT_THAT(describe_options(),
              HasSubstr("timeout_ms\tinteger\t1 to 3600000\t100\tthe deadline of a check\n"));
}

TEST(Options, ValuesThatAreTaken) {
  const std::vector<std::vector<std::string>> kCases{
      {"timeout_ms", "007", "7"},
      {"timeout_ms", "3600000", "3600000"},
      {"namespace", "A-z_0.9", "A-z_0.9"},
      {"on_failure", "closed", "closed"},
      {"tls_verify", "no", "false"},
      {"tls_verify", "False", "false"},
      {"testing", "1", "true"},
      {"testing", "ON", "true"},
      {"clock", "manual", "manual"},
      {"spin_us", "0", "0"},
      {"tls_ca", "/etc/ssl/Ä ?.pem", "/etc/ssl/Ä ?.pem"},
      {"trusted_proxies", "2", "2"},
      {"trusted_proxies", "10.0.0.0/8, ::1", "10.0.0.0/8,::1/128"},
      {"ipv6_prefix", "128", "128"},
      {"read_bytes", "1", "1"},
      {"stats", "off", "off"},
      {"stats", "totals", "totals"},
      {"labels", "clear", "clear"},
      {"stats_bytes", "0", "0"},
  };
  for (const auto& c : kCases) {
    Options options;
    const auto status = options.set(c[0], c[1]);
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(value_text(options, *find_option(c[0])), c[2]);
  }
}

TEST(Options, AValueThatIsRefusedIsShownWithItsRangeAndChangesNothing) {
  const std::vector<std::vector<std::string>> kCases{
      {"timeout_ms", "0", "timeout_ms \"0\": expected 1 to 3600000"},
      {"timeout_ms", "", "timeout_ms \"\": expected 1 to"},
      {"timeout_ms", "+5", "\"+5\""},
      {"timeout_ms", "-5", "\"-5\""},
      {"timeout_ms", "1_000", "\"1_000\""},
      {"timeout_ms", "1e3", "\"1e3\""},
      {"timeout_ms", " 5", "\" 5\""},
      {"max_keys", "99999999999999999999999999", "expected 1 to 1000000000"},
      {"namespace", "", "expected 1 to 64 of A-Z a-z 0-9 _ . -"},
      {"namespace", "a:b", "\"a:b\": expected 1 to 64"},
      {"namespace", std::string(65, 'a'), "expected 1 to 64"},
      {"on_failure", "Local", "\"Local\": expected local, open or closed"},
      {"tls_verify", "maybe", "\"maybe\": expected true or false"},
      {"tls_verify", std::string("true\0\0\0\0\0", 9), "expected true or false"},
      {"tls_ca", "a\nb", "\"a\\x0ab\": expected a path"},
      {"tls_key", std::string(4096, 'a'), "expected a path of at most 4095 bytes"},
      {"clock", "sundial", "\"sundial\": expected system or manual"},
      {"trusted_proxies", "10.0.0.1/8", "expected no bits behind the prefix"},
      {"ipv6_prefix", "129", "expected 1 to 128"},
      {"stats", "full", "stats \"full\": expected off, totals or on"},
      {"labels", "", "labels \"\": expected masked, hashed or clear"},
  };
  for (const auto& c : kCases) {
    Options options;
    const auto status = options.set(c[0], c[1]);
    ASSERT_FALSE(status.ok()) << c[0] << " " << c[1];
    EXPECT_EQ(status.error().code, Code::kOption);
    EXPECT_THAT(status.error().message, AllOf(HasSubstr(c[0]), HasSubstr(c[2])));
    EXPECT_EQ(options.given, 0u);
    EXPECT_EQ(value_text(options, *find_option(c[0])), kOptionTable[*find_option(c[0])].initial);
  }
}

TEST(Options, AnUnknownNameListsTheNearOnes) {
  const std::vector<std::pair<std::string, std::string>> kCases{
      {"timout_ms", "did you mean timeout_ms"},
      {"timeout", "did you mean timeout_ms"},
      {"TIMEOUT_MS", "did you mean timeout_ms"},
      {"tls_crt", "tls_cert"},
      {"tsting", "did you mean testing"},
      {"trusted_proxy", "did you mean trusted_proxies"},
      {"colour", "expected one of timeout_ms, connect_timeout_ms, namespace"},
      {"", "expected one of timeout_ms"},
      {std::string(100'000, 'x'), "expected one of timeout_ms"},
  };
  for (const auto& [name, expected] : kCases) {
    const auto status = Options{}.set(name, "s3cret");
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kOption);
    EXPECT_THAT(status.error().message, AllOf(HasSubstr(expected), Not(HasSubstr("s3cret"))));
    EXPECT_LT(status.error().message.size(), 504u);
  }
}

TEST(Options, WhatWasGivenByHandWins) {
  Options url, hand;
  for (const auto& [name, value] :
       {std::pair{"timeout_ms", "7"}, {"tls_ca", "/a"}, {"clock", "manual"}})
    ASSERT_TRUE(url.set(name, value).ok());
  for (const auto& [name, value] : {std::pair{"timeout_ms", "100"},
                                    {"on_failure", "open"},
                                    {"tls_verify", "0"},
                                    {"namespace", "n"},
                                    {"trusted_proxies", "3"}})
    ASSERT_TRUE(hand.set(name, value).ok());
  url.override_with(hand);
  EXPECT_EQ(url.timeout_ms, 100);  // the default, but given
  EXPECT_EQ(url.tls_ca, "/a");
  EXPECT_TRUE(url.manual_clock);
  EXPECT_EQ(url.on_failure, OnFailure::kOpen);
  EXPECT_FALSE(url.tls_verify);
  EXPECT_EQ(url.name_space, "n");
  EXPECT_EQ(url.trusted_proxies.hops, 3);
  EXPECT_EQ(std::popcount(url.given), 7);
}

TEST(CheckStore, WhatOnlyMakesSenseTogether) {
  struct Case {
    std::string url, error;  // no error: fine
  };
  const std::vector<Case> kCases{
      {"memory://?clock=manual", ""},
      {"redis://:s3cret@h?clock=manual",
       "expected testing=1 with it, since redis://:***@h?clock=manual"},
      {"redis://h?clock=manual&testing=1", ""},
      {"unix:///s?clock=manual", "expected testing=1"},
      {"redis://h?clock=system", ""},
      {"redis://h?read_bytes=1", "read_bytes: expected testing=1"},
      {"redis://h?read_bytes=1&testing=yes", ""},
      {"rediss://h?tls_cert=c", "tls_cert: expected tls_key"},
      {"rediss://h?tls_key=k", "tls_key: expected tls_cert"},
      {"rediss://h?tls_key=k&tls_cert=c", ""},
      {"redis://h?tls_ca=c", "expected rediss:// or valkeys://"},
      {"memory://?tls_ca=c", ""},
  };
  for (const Case& c : kCases) {
    const auto url = parse_store_url(c.url);
    ASSERT_TRUE(url.ok()) << url.error().message;
    const auto status = check_store(*url, url->options);
    EXPECT_EQ(status.ok(), c.error.empty()) << c.url;
    if (status.ok()) continue;
    EXPECT_EQ(status.error().code, Code::kOption);
    EXPECT_THAT(status.error().message, AllOf(HasSubstr(c.error), Not(HasSubstr("s3cret"))));
  }
}

TEST(OnFailure, NamesGoBothWays) {
  for (const OnFailure policy : {OnFailure::kLocal, OnFailure::kOpen, OnFailure::kClosed})
    EXPECT_EQ(*parse_on_failure(on_failure_name(policy)), policy);
  EXPECT_EQ(parse_on_failure("shut").error().message,
            "on_failure \"shut\": expected local, open or closed");
}

}  // namespace
}  // namespace tidegate
