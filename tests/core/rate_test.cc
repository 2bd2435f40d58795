// SPDX-License-Identifier: MIT
#include "limiter/rate.h"

#include <gmock/gmock.h>

#include <cctype>
#include <string>
#include <vector>

namespace tidegate {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000;

TEST(Rate, TextsOfTheGrammar) {
  const std::vector<std::pair<std::string, std::string>> kCases{
      {"100/minute", "100-per-60s"},
      {"10 per second", "10-per-1s"},
      {"5/30s", "5-per-30s"},
      {"1_000/day", "1000-per-86400s"},
      {"1__0_/s", "10-per-1s"},
      {"100/minute burst 20", "100-per-60s-burst-20"},
      {"100/minute burst 1_0", "100-per-60s-burst-10"},
      {"10/second; 1000/hour", "10-per-1s_1000-per-3600s"},
      {"10/second;1000/hour ; ", "10-per-1s_1000-per-3600s"},
      {"10/second burst 5; 1000/hour burst 7", "10-per-1s-burst-5_1000-per-3600s-burst-7"},
      {" \t10\n/\r5 SECONDS\t", "10-per-5s"},
      {"10PER5Minutes Burst3", "10-per-300s-burst-3"},
      {"007/007s", "7-per-7s"},
      {"1/250ms", "1-per-250ms"},
      {"1/7us", "1-per-7us"},
      {"10/second, 1000/hour,", "10-per-1s_1000-per-3600s"},
      {"90000/minute overdraft 20000", "90000-per-60s-overdraft-20000"},
      {"9/m Burst 3 OVERDRAFT 1_0", "9-per-60s-burst-3-overdraft-10"},
      {"9/m overdraft 0", "9-per-60s"},
      {"5 at once", "5-at-once-30s"},
      {" 1_000AT\tOnce ;", "1000-at-once-30s"},
      {"5 at once, 100/minute", "5-at-once-30s_100-per-60s"},
  };
  for (const auto& [text, name] : kCases) {
    const auto rates = parse_rates(text, Algorithm::kTokenBucket);
    ASSERT_TRUE(rates.ok()) << rates.error().message;
    EXPECT_EQ(default_name(*rates), name) << text;
  }
}

// "ms" is the millisecond, never several of "m".
TEST(Rate, EveryUnitWithAndWithoutPluralInAnyCase) {
  const std::vector<std::pair<std::string, int64_t>> kUnits{
      {"us", 1},
      {"uss", 1},
      {"ms", 1'000},
      {"mss", 1'000},
      {"s", kSecond},
      {"ss", kSecond},
      {"sec", kSecond},
      {"secs", kSecond},
      {"second", kSecond},
      {"seconds", kSecond},
      {"m", 60 * kSecond},
      {"min", 60 * kSecond},
      {"mins", 60 * kSecond},
      {"minute", 60 * kSecond},
      {"minutes", 60 * kSecond},
      {"h", 3600 * kSecond},
      {"hs", 3600 * kSecond},
      {"hour", 3600 * kSecond},
      {"hours", 3600 * kSecond},
      {"d", 86'400 * kSecond},
      {"ds", 86'400 * kSecond},
      {"day", 86'400 * kSecond},
      {"days", 86'400 * kSecond},
      {"w", 604'800 * kSecond},
      {"ws", 604'800 * kSecond},
      {"week", 604'800 * kSecond},
      {"weeks", 604'800 * kSecond},
      {"wk", 604'800 * kSecond},
      {"wks", 604'800 * kSecond},
      {"month", 2'592'000 * kSecond},
      {"months", 2'592'000 * kSecond},
  };
  for (const auto& [unit, us] : kUnits) {
    std::string upper = unit;
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    for (const std::string& text : {"1/" + unit, "1 per " + upper, "1/1" + unit}) {
      const auto rates = parse_rates(text, Algorithm::kFixedWindow);
      ASSERT_TRUE(rates.ok()) << rates.error().message;
      EXPECT_EQ((*rates)[0].window_us, us) << text;
    }
  }
}

struct Refused {
  std::string text;
  int32_t position;
  std::string expected;
};

TEST(Rate, AnErrorShowsTheTextThePositionAndWhatWasExpected) {
  const std::vector<Refused> kCases{
      {"", 0, "expected a count, found the end"},
      {"  ", 2, "expected a count, found the end"},
      {";", 0, "expected a count, found \";\""},
      {"_1/s", 0, "expected a count, found \"_\""},
      {"-1/s", 0, "expected a count, found \"-\""},
      {"many/s", 0, "expected a count, found \"many\""},
      {"10", 2, "expected \"/\", \"per\" or \"at once\", found the end"},
      {"1 000/day", 2, "expected \"/\", \"per\" or \"at once\", found \"0\""},
      {"1.5/s", 1, "expected \"/\", \"per\" or \"at once\", found \".\""},
      {"10 persecond", 3, "expected \"/\", \"per\" or \"at once\", found \"persecond\""},
      {"10/", 3, "expected a unit (us, ms, s,"},
      {"100/fortnight", 4, "found \"fortnight\""},
      {"100/sss", 4, "expected a unit"},
      {"5/1_0s", 3, "expected a unit"},
      {"5/30", 4, "expected a unit"},
      {"5/3 0s", 4, "expected a unit"},
      {"100/minuteburst 20", 4, "found \"minuteburst\""},
      {"100/minute bursts 20", 11,
       "expected \"burst\", \"overdraft\", \";\" or the end, found \"bursts\""},
      {"100/minute burst", 16, "expected a burst, found the end"},
      {"100/minute burst 20 30", 20, "expected \"overdraft\", \";\" or the end"},
      {"100/minute overdraft", 20, "expected an overdraft, found the end"},
      {"100/minute overdraft 5 burst 6", 23, "expected \";\" or the end, found \"burst\""},
      {"100/minute overdraft -1", 21, "expected an overdraft, found \"-\""},
      {"1/s overdraft 1000000000001", 14, "expected an overdraft from 0 to 1000000000000, found"},
      {"5/s; 450/day overdraft 999999999", 5,
       "at most 521249956 can be counted exactly in 86400s, the overdraft"},
      {"5 at", 4, "expected \"once\", found the end"},
      {"5 at twice", 5, "expected \"once\", found \"twice\""},
      {"5 atonce", 2, "expected \"/\", \"per\" or \"at once\", found \"atonce\""},
      {"0 at once", 0, "expected a count from 1"},
      {"5/s, 1001 at once", 5,
       "expected slots that can be held: slots 1001 is out of range: expected 1 "},
      {"5 at once burst 2", 10, "expected no burst: it belongs to rates, not to slots"},
      {"5 at once OVERDRAFT 2", 10, "expected no overdraft: it belongs to rates, not to slots"},
      {"5 at once 30s", 10, "expected \";\" or the end, found \"3\""},
      {"5 at once; 10/30s", 11, "expected another window than that of a rate before it, found 30s"},
      {"100/minute burst 0", 17, "expected a burst from 1 to 1000000000000, found \"0\""},
      {"100/minute. 5/s", 10, "expected \"burst\", \"overdraft\", \";\" or the end, found \".\""},
      {"1,000/day", 1, "expected \"/\", \"per\" or \"at once\", found \",\""},
      {"10/s,;", 5, "expected a count, found \";\""},
      {"10/s;;", 5, "expected a count, found \";\""},
      {"10/s; 20/1000ms", 6, "expected another window than that of a rate before it, found 1s"},
      {"0/s", 0, "expected a count from 1 to 1000000000000, found \"0\""},
      {"1000000000001/s", 0, "expected a count from 1 to 1000000000000"},
      {"99999999999999999999999999/s", 0, "expected a count from 1 to 1000000000000"},
      {"1/0s", 2, "expected a window from 1"},
      {"1/367d", 2, "expected a window of at most 366 days"},
      {"1/31622400000001us", 2, "expected a window from 1 to 31622400000000"},
      {"1/99999999999999999999w", 2, "expected a window from 1"},
      {"1/9999999999999w", 2, "expected a window of at most 366 days"},
      {"1/s; 1000000000000/366d", 5, "expected a rate that can be kept exactly: too many tokens"},
      {"1/1000000000001us", 0, "must be a multiple of 1000000 us"},
      {std::string("1\0/s", 4), 1, "found \"\\x00\""},
      {"1/s\xc3\xa9", 3, "found \"\\xc3\""},
  };
  for (const Refused& c : kCases) {
    const auto rates = parse_rates(c.text, Algorithm::kTokenBucket);
    ASSERT_FALSE(rates.ok()) << c.text;
    EXPECT_EQ(rates.error().code, Code::kRate);
    EXPECT_EQ(rates.error().position, c.position) << rates.error().message;
    EXPECT_THAT(rates.error().message, HasSubstr(c.expected));
    EXPECT_THAT(rates.error().message, HasSubstr("at " + std::to_string(c.position) + ": "));
  }
  EXPECT_EQ(parse_rates("100/fortnight", Algorithm::kTokenBucket).error().message,
            "rate \"100/fortnight\" at 4: expected a unit (us, ms, s, sec, second, m, min, minute, "
            "h, hour, d, day, w, wk, week or month), found \"fortnight\"");
}

TEST(Rate, ABurstBelongsToTheTokenBucket) {
  const auto rates = parse_rates("5/s; 9/m burst 2", Algorithm::kSlidingWindow);
  ASSERT_FALSE(rates.ok());
  EXPECT_EQ(rates.error().position, 9);
  EXPECT_THAT(rates.error().message,
              HasSubstr("it belongs to token_bucket, not to sliding_window"));
  EXPECT_THAT(parse_rates("5/s x", Algorithm::kFixedWindow).error().message,
              HasSubstr("expected \"overdraft\", \";\" or the end"));
}

TEST(Rate, SlotsAreSlotsWhateverTheAlgorithmOfRates) {
  const auto mixed = parse_rates("5 at once; 9/m", Algorithm::kSlidingLog, 2 * kSecond);
  ASSERT_TRUE(mixed.ok()) << mixed.error().message;
  EXPECT_EQ(mixed->at(0).algorithm, Algorithm::kConcurrency);
  EXPECT_EQ(mixed->at(0).window_us, 2 * kSecond);
  EXPECT_EQ(mixed->at(0).ticks, 2 * kSecond);
  EXPECT_EQ(mixed->at(1).algorithm, Algorithm::kSlidingLog);
  const auto refused = parse_rates("5/minute", Algorithm::kConcurrency);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().position, 1);
  EXPECT_THAT(refused.error().message, HasSubstr("expected \"at once\": concurrency is slots"));
}

TEST(Rate, ALeaseIsADurationOfAMillisecondToADay) {
  const std::vector<std::pair<std::string, int64_t>> kCases{
      {"30s", 30 * kSecond},       {"1ms", 1'000},           {" 1500 ms ", 1'500'000},
      {"1 Day", 86'400 * kSecond}, {"minute", 60 * kSecond}, {"86400000000us", 86'400 * kSecond}};
  for (const auto& [text, us] : kCases) {
    const auto lease = parse_lease(text);
    ASSERT_TRUE(lease.ok()) << lease.error().message;
    EXPECT_EQ(*lease, us) << text;
  }
  const std::vector<Refused> kRefused{{"0s", 0, "expected a lease from 1 to "},
                                      {"0", 0, "expected a lease from 1 to "},
                                      {"30", 2, "expected a unit"},
                                      {"999us", 0, "expected a lease of 1 ms to 1 day"},
                                      {"2d", 0, "expected a lease of at most 1 day"},
                                      {"week", 0, "expected a lease of at most 1 day"},
                                      {"30s 5", 4, "expected the end, found \"5\""},
                                      {"-1s", 0, "expected a unit"},
                                      {std::string(65, ' '), 64, "expected at most 64 bytes"}};
  for (const Refused& c : kRefused) {
    const auto lease = parse_lease(c.text);
    ASSERT_FALSE(lease.ok()) << c.text;
    EXPECT_EQ(lease.error().code, Code::kRate);
    EXPECT_EQ(lease.error().position, c.position) << lease.error().message;
    EXPECT_THAT(lease.error().message, HasSubstr(c.expected));
    EXPECT_THAT(lease.error().message, HasSubstr("lease \""));
  }
}

TEST(Rate, EightAtMostEachWithAnotherWindow) {
  std::string text;
  for (int i = 1; i <= 8; ++i) text += "5/" + std::to_string(i) + "s;";
  EXPECT_EQ(parse_rates(text, Algorithm::kTokenBucket)->size(), kMaxRates);
  const auto refused = parse_rates(text + "5/9s", Algorithm::kTokenBucket);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().position, 40);
  EXPECT_THAT(refused.error().message, HasSubstr("expected at most 8 rates"));
}

TEST(Rate, ALongTextIsShownAroundItsFault) {
  const auto rates = parse_rates(std::string(2000, ' ') + "5/parsec" + std::string(2000, ' '),
                                 Algorithm::kTokenBucket);
  ASSERT_FALSE(rates.ok());
  EXPECT_EQ(rates.error().position, 2002);
  EXPECT_THAT(rates.error().message, HasSubstr("5/parsec"));
  EXPECT_LT(rates.error().message.size(), 504u);
  const auto huge = parse_rates(std::string(5000, ' '), Algorithm::kTokenBucket);
  EXPECT_THAT(huge.error().message, HasSubstr("expected at most 4096 bytes"));
}

}  // namespace
}  // namespace tidegate
