// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "options/options.h"

namespace tidegate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

StoreUrl parsed(std::string_view text) {
  auto url = parse_store_url(text);
  EXPECT_TRUE(url.ok()) << text << ": " << url.error().message;
  return url.ok() ? *url : StoreUrl{};
}

TEST(Url, EveryPartOfAServerIsRead) {
  const StoreUrl url =
      parsed("rediss://app:s%3acr%40t@db.example:6380/2?timeout_ms=50&tls_ca=%2Fa%20b");
  EXPECT_EQ(url.kind, StoreKind::kTcp);
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.scheme, "rediss");
  EXPECT_EQ(url.user, "app");
  EXPECT_EQ(url.password, "s:cr@t");
  EXPECT_EQ(url.host, "db.example");
  EXPECT_EQ(url.port, 6380);
  EXPECT_EQ(url.database, 2);
  EXPECT_EQ(url.options.timeout_ms, 50);
  EXPECT_EQ(url.options.tls_ca, "/a b");
}

TEST(Url, DefaultsAndSchemes) {
  const StoreUrl redis = parsed("redis://localhost");
  EXPECT_EQ(redis.port, 6379);
  EXPECT_EQ(redis.database, 0);
  EXPECT_FALSE(redis.tls);
  EXPECT_TRUE(parsed("VALKEYS://h").tls);
  EXPECT_EQ(parsed("Valkey://h").scheme, "valkey");
  EXPECT_EQ(parsed("memory://").kind, StoreKind::kMemory);
  EXPECT_EQ(parsed("memory://?max_keys=10").options.max_keys, 10);
}

TEST(Url, ASocketHasAPathAndMayHaveALogin) {
  const StoreUrl url = parsed("unix://app:pw@/run/val%20key.sock?db=3&spin_us=0");
  EXPECT_EQ(url.kind, StoreKind::kUnix);
  EXPECT_EQ(url.path, "/run/val key.sock");
  EXPECT_EQ(url.user, "app");
  EXPECT_EQ(url.password, "pw");
  EXPECT_EQ(url.database, 3);
  EXPECT_EQ(url.options.spin_us, 0);
}

TEST(Url, AnIpv6HostStandsInBrackets) {
  EXPECT_EQ(parsed("redis://[2001:DB8::1]:7/1").host, "2001:db8::1");
  EXPECT_EQ(parsed("redis://[2001:DB8::1]:7/1").port, 7);
  EXPECT_EQ(parsed("redis://:p@[fe80::1%25eth0]").host, "fe80::1%eth0");
  EXPECT_EQ(parsed("redis://[fe80::1%25eth0]").redacted(), "redis://[fe80::1%25eth0]");
}

TEST(Url, APasswordMayHoldAnythingThatIsEscaped) {
  EXPECT_EQ(parsed("redis://:%25%23%2f%3F%40%3a@h").password, "%#/?@:");
  EXPECT_EQ(parsed("redis://:a:b@h").password, "a:b");
  EXPECT_EQ(parsed("redis://:a@b@h").password, "a@b");
  EXPECT_EQ(parsed("redis://u:@h").user, "u");
  EXPECT_EQ(parsed("redis://:a+b@h").password, "a+b");
}

TEST(Url, IsShownWithoutItsPasswordAndReadsAsItself) {
  const std::vector<std::pair<std::string, std::string>> kCases{
      {"memory:///", "memory://"},
      {"memory://?max_keys=010", "memory://?max_keys=10"},
      {"REDIS://h:6379/0", "redis://h"},
      {"redis://a%3ab:s3cret@h:1/2?", "redis://a%3Ab:***@h:1/2"},
      {"redis://:s3cret@[::1]/2", "redis://:***@[::1]/2"},
      {"redis://u:@h", "redis://u:@h"},
      {"redis://:@h", "redis://h"},
      {"unix://:s3cret@/a%20b?db=1&tls_verify=0", "unix://:***@/a%20b?db=1&tls_verify=false"},
      {"valkeys://h?tls_key=/a%26b&timeout_ms=5", "valkeys://h?timeout_ms=5&tls_key=/a%26b"},
      {"redis://h?trusted_proxies=10.0.0.0/8,%20::1",
       "redis://h?trusted_proxies=10.0.0.0/8,::1/128"},
  };
  for (const auto& [text, expected] : kCases) {
    EXPECT_EQ(parsed(text).redacted(), expected);
    EXPECT_EQ(parsed(expected).redacted(), expected);
  }
}

struct Refused {
  std::string text;
  int32_t position;
  std::string expected;
  Code code = Code::kUrl;
};

TEST(Url, AnErrorSaysWhereAndWhatWasExpectedButNeverThePassword) {
  const std::vector<Refused> kCases{
      {"", 0, "expected memory://, redis://, rediss://, valkey://, valkeys:// or unix://"},
      {"s3cret", 0, "expected memory://"},
      {"http://u:s3cret@h", 0, "expected memory://"},
      {"redis:u:s3cret@h", 0, "expected memory://"},
      {"redis:/u:s3cret@h", 0, "expected memory://"},
      {"memory://h", 9, "expected no host"},
      {"memory://u:s3cret@", 9, "expected no host"},
      {"memory:///s3cret", 9, "expected no path"},
      {"redis://", 8, "expected a host"},
      {"redis:///2", 8, "expected a host"},
      {"redis://u:s3cret@", 17, "expected a host"},
      {"redis://s3cret@h", 8, "expected user:password@ or :password@"},
      {"redis://@h", 8, "expected user:password@"},
      {"redis://:s3cret%4@h", 15, "expected two hexadecimal digits"},
      {"redis://:s3cret%zz@h", 15, "expected two hexadecimal digits"},
      {"redis://:s3cret%00@h", 15, "expected no control character"},
      {"redis://:s3cret%0a@h", 15, "expected no control character"},
      {std::string("redis://:s3cret\0@h", 18), 15, "expected no control character"},
      {"redis://h\r\n", 9, "expected no control character"},
      {"redis://:s3cret#x@h", 15, "expected no fragment: write # as %23"},
      {"redis://h#s3cret", 9, "expected no fragment"},
      {"redis://u:s3cret", 10, "expected a port from 1 to 65535"},
      {"redis://u:12/s3cret@h", 13, "expected a database"},
      {"redis://u:s3/s3cret@h", 10, "expected a port"},
      {"redis://u:12?s3cret@h=1", 13, "unknown option: expected one of", Code::kOption},
      {"redis://u:12?timeout_ms=s3cret@h", 24, "timeout_ms: expected 1 to 3600000", Code::kOption},
      {"redis://u:12?trusted_proxies=s3cret@h", 29, "trusted_proxies: expected a count",
       Code::kOption},
      {"redis://h:0", 10, "expected a port"},
      {"redis://h:", 10, "expected a port"},
      {"redis://h:65536", 10, "expected a port"},
      {"redis://::1", 8, "expected a host"},
      {"redis://[::1", 12, "expected \"]\""},
      {"redis://[127.0.0.1]", 9, "expected an IPv6 address"},
      {"redis://[::1%]", 9, "expected an IPv6 address"},
      {"redis://[::1]6379", 13, "expected \":\" and a port"},
      {"redis://h h", 8, "expected a host of"},
      {"redis://" + std::string(256, 'h'), 8, "expected a host of at most 255"},
      {"redis://h/-1", 10, "expected a database from 0 to 1000000"},
      {"redis://h/1/2", 10, "expected a database"},
      {"redis://h/99999999999999999999", 10, "expected a database"},
      {"redis://h?db=1", 10, "expected db only with unix://"},
      {"unix://run/s", 7, "expected an absolute path"},
      {"unix://", 7, "expected an absolute path"},
      {"unix:///", 7, "expected the path of a socket"},
      {"unix:///" + std::string(107, 'x'), 7, "at most 107 bytes"},
      {"unix:///s?db=1&db=1", 15, "expected db only once"},
      {"unix:///s?db=x", 13, "expected a database"},
      {"redis://h?timeout_ms", 10, "expected name=value"},
      {"redis://h?=1", 10, "expected name=value"},
      {"redis://h?spin_us=1&", 20, "expected name=value"},
      {"redis://h?spin_us=1&spin_us=1", 20, "expected spin_us only once"},
      {"redis://h?timeout_ms=0", 21, "timeout_ms \"0\": expected 1 to 3600000", Code::kOption},
      {"redis://h?timout_ms=1", 10, "unknown option \"timout_ms\": did you mean timeout_ms",
       Code::kOption},
      {"redis://h?password=s3cret", 10, "unknown option \"password\"", Code::kOption},
      {std::string(70'000, ' '), 65'536, "expected at most 65536 bytes"},
  };
  for (const Refused& c : kCases) {
    const auto url = parse_store_url(c.text);
    ASSERT_FALSE(url.ok()) << c.text;
    EXPECT_EQ(url.error().code, c.code) << c.text;
    EXPECT_EQ(url.error().position, c.position) << c.text;
    EXPECT_THAT(url.error().message, AllOf(HasSubstr("at " + std::to_string(c.position) + ": "),
                                           HasSubstr(c.expected), Not(HasSubstr("s3cret"))));
  }
}

}  // namespace
}  // namespace tidegate
