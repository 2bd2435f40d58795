// SPDX-License-Identifier: MIT
// What the vectors do not hold: what faults say, rates beyond the model's grammar, one object for
// equal numbers, live documents, explanations, bounds, and that no memory is taken.
#include "policy/policy.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "policy/policy_helper.h"
#include "policy/texts.h"

namespace tidegate {
namespace {

using ::testing::HasSubstr;
using Attributes = std::vector<Attribute>;

constexpr int64_t kNow = 1'763'683'200'000'000;

PolicyPtr compiled(const std::string& text) {
  const CompiledPolicy out = compile_policy("version: 1\n" + text);
  EXPECT_NE(out.policy, nullptr) << out.fault.text();
  return out.policy;
}

PolicyPtr live_over(const PolicyPtr& file, const std::string& text) {
  const CompiledPolicy out = compile_live(text, file);
  EXPECT_NE(out.policy, nullptr) << out.fault.text();
  return out.policy;
}

std::string fault_of(const std::string& text) {
  return compile_policy("version: 1\n" + text).fault.text();
}

TEST(Policy, FaultsSayWhatWasExpectedAndWhatIsNear) {
  const std::string two = "limiters: {images: 1/s, tokens: 2/s}\n";
  const std::vector<std::pair<std::string, std::string>> kCases{
      {two + "rules:\n- limit: image\n",
       "line 4, column 10: rules[0].limit: unknown \"image\", expected one of images, tokens; did "
       "you mean images?"},
      {two + "rules:\n- limt: images\n",
       "line 4, column 9: rules[0].limt: unknown member, expected one of when, exempt, limit, per, "
       "cost, mode, count, settle; did you mean limit?"},
      {"limters: {}\n",
       "line 2, column 10: limters: unknown member, expected one of version, mode, limiters, "
       "tiers, default_tier, rules, callers; did you mean limiters?"},
      {"limiters: {a: {algorithm: fixed_window}}\n",
       "line 2, column 15: limiters.a.rate: is missing, expected a mapping of rate, mode, "
       "on_failure, algorithm, lease"},
      {"mode: shadows\n",
       "line 2, column 7: mode: unknown \"shadows\", expected one of enforce, shadow, off; did you "
       "mean shadow?"},
      {"tiers: {pro: [a]}\n",
       "line 2, column 15: tiers.pro[0]: unknown \"a\", expected none, for there are none"},
      {"callers: {203.0.113.7/24: {}}\n",
       "line 2, column 27: callers[\"203.0.113.7/24\"]: expected no bits behind the prefix: "
       "203.0.113.0/24"},
      {"callers: {k: {until: tomorrow}}\n",
       "line 2, column 22: callers.k.until: expected a time like 2026-12-01T00:00:00Z, found "
       "\"tomorrow\""}};
  for (const auto& [text, expected] : kCases) EXPECT_EQ(fault_of(text), expected);
  EXPECT_THAT(fault_of("limiters: {a: 100/fortnight}\n"), HasSubstr("expected a unit"));
  EXPECT_EQ(fault_json(compile_policy("version: 2").fault),
            R"({"path":"version","message":"expected 1, found 2","line":1,"column":10,)"
            R"("text":"line 1, column 10: version: expected 1, found 2"})");
}

TEST(Policy, RatesAreThoseOfTheCore) {
  const auto file = compiled(
      "limiters:\n"
      "  jobs: {rate: 5 at once, lease: 45s}\n"
      "  spend: 90000/month overdraft 20000, 10/s\n"
      "callers: {k: {limits: {jobs: 9 at once, spend: 1/s}}, l: {limits: {jobs: 1/s}}}\n"
      "rules: [{limit: [jobs, spend]}]\n");
  ASSERT_NE(file, nullptr);
  const PolicyNumbers& jobs = *file->limiter(0).numbers;
  EXPECT_EQ(jobs.canonical, "5-at-once-45s");
  EXPECT_EQ(jobs.lease, "45s");
  EXPECT_EQ(jobs.rates, "5 at once");
  EXPECT_TRUE(jobs.own);
  PolicyResolver resolver;
  const Attributes k{{"identity", "k"}}, l{{"identity", "l"}};
  const Resolution& answer = resolver.resolve(*file, nullptr, k, kNow);
  ASSERT_EQ(answer.parts.size(), 2u);
  EXPECT_EQ(answer.parts[0].numbers->canonical, "9-at-once-45s");
  EXPECT_EQ(answer.parts[0].numbers->lease, "45s");
  EXPECT_FALSE(answer.parts[0].numbers->own);
  // A caller whose numbers are no slots has nothing to be leased.
  EXPECT_EQ(resolver.resolve(*file, nullptr, l, kNow).parts[0].numbers->lease, "");
  EXPECT_THAT(fault_of("limiters: {a: {rate: 1/s, lease: 3s}}\n"), HasSubstr("limiters.a.lease: "));
  EXPECT_THAT(fault_of("limiters: {a: {rate: 5 at once, lease: 3y}}\n"),
              HasSubstr("limiters.a.lease: "));
}

TEST(Policy, EqualNumbersAreOneObject) {
  const auto file = compiled(
      "limiters: {a: 60/minute, b: 60/minute}\nrules: [{limit: [a, b]}]\n"
      "callers: {k: {limits: {a: 60/60s}}, l: {limits: {a: 5/s}}, m: {limits: {a: 5/1s}}}\n");
  PolicyResolver resolver;
  const auto numbers = [&](std::string_view who, size_t part) {
    const Attributes request{{"identity", who}};
    return resolver.resolve(*file, nullptr, request, kNow).parts[part].numbers;
  };
  EXPECT_EQ(numbers("k", 0), numbers("x", 0));
  EXPECT_EQ(numbers("l", 0), numbers("m", 0));
  EXPECT_NE(numbers("l", 0), numbers("x", 0));
  EXPECT_NE(numbers("x", 0), numbers("x", 1));
}

TEST(Policy, ALiveDocumentSaysOnFailureModeAndNumbersAndKeepsItsFile) {
  auto file = compiled(
      "limiters: {a: {rate: 5/s, on_failure: closed}, b: 1/s}\nrules: [{limit: [a, b]}]\n");
  const auto live = live_over(
      file, "limiters: {a: {on_failure: open, mode: shadow}, b: 2/s, gone: 1/s}\ntiers: {t: []}");
  EXPECT_EQ(live->ignored(), (std::vector<std::string>{"limiters.gone", "tiers.t"}));
  EXPECT_EQ(live->file(), file);
  PolicyResolver resolver;
  const Policy& of = *file;
  file.reset();
  const Resolution& answer = resolver.resolve(of, live.get(), {}, kNow);
  EXPECT_EQ(answer.parts[0].on_failure, static_cast<int>(OnFailure::kOpen));
  EXPECT_EQ(answer.parts[0].mode, Mode::kShadow);
  EXPECT_EQ(answer.parts[0].numbers->canonical, "5-per-1s");
  EXPECT_EQ(answer.parts[1].on_failure, -1);
  EXPECT_EQ(answer.parts[1].numbers->canonical, "2-per-1s");
  EXPECT_EQ(resolver.resolve(of, nullptr, {}, kNow).parts[0].on_failure,
            static_cast<int>(OnFailure::kClosed));
  EXPECT_EQ(live_over(live->file(), " \n")->ignored().size(), 0u);
}

TEST(Policy, ALiveDocumentOverAnotherFileSaysNothing) {
  const auto one = compiled("limiters: {a: 1/s, b: 2/s, c: 3/s}\ntiers: {t: []}\n");
  const auto other = compiled("limiters: {z: 9/s}\nrules: [{limit: z}]\n");
  const auto live = live_over(one, "{limiters: {c: 4/s}, callers: {k: {ban: true, tier: t}}}");
  PolicyResolver resolver;
  const Attributes k{{"identity", "k"}};
  EXPECT_EQ(resolver.resolve(*other, live.get(), k, kNow).parts.size(), 1u);
  EXPECT_EQ(Json::parse(explain_json(*other, live.get(), k, kNow))["entries"].size(), 0u);
  EXPECT_EQ(resolver.resolve(*one, live.get(), k, kNow).verdict, PolicyVerdict::kBanned);
}

TEST(Policy, OfSeveralAttributesWithOneNameTheLastCounts) {
  const auto file = compiled("limiters: {a: 1/s}\nrules: [{limit: a, when: {tenant: t}}]\n");
  PolicyResolver resolver;
  const Attributes last{{"tenant", "x"}, {"tenant", "t"}}, none{{"tenant", "t"}, {"tenant", ""}};
  EXPECT_EQ(resolver.resolve(*file, nullptr, last, kNow).parts.size(), 1u);
  EXPECT_EQ(resolver.resolve(*file, nullptr, none, kNow).parts.size(), 0u);
}

TEST(Policy, Ipv6CallersAreAsWideAsTheClientSays) {
  const CompiledPolicy wide = compile_policy(
      "version: 1\ncallers: {'2001:db8:1:ff::1': {ban: true}, '2001:db8:2::/56': {ban: true}}", 56);
  ASSERT_NE(wide.policy, nullptr) << wide.fault.text();
  PolicyResolver resolver;
  for (const std::string address : {"2001:db8:1:0:5::9", "2001:db8:1::/56", "2001:db8:2:7::1"}) {
    const Attributes request{{"address", address}};
    EXPECT_EQ(resolver.resolve(*wide.policy, nullptr, request, kNow, 56).verdict,
              PolicyVerdict::kBanned)
        << address;
  }
}

TEST(Policy, TheFileIsAskedForWhatItHas) {
  const auto file = compiled(
      "mode: shadow\nlimiters: {a: 1/s, b: {rate: 1/s, mode: 'off', on_failure: local}}\n"
      "tiers: {t: []}\nrules: [{limit: a}]\ncallers: {k: {}, 10.0.0.0/8: {}}\n");
  EXPECT_EQ(file->limiter_count(), 2u);
  EXPECT_EQ(file->find_limiter("b"), 1);
  EXPECT_EQ(file->find_limiter("c"), -1);
  EXPECT_EQ(file->limiter(0).mode, Mode::kShadow);
  EXPECT_EQ(file->limiter(1).mode, Mode::kOff);
  EXPECT_EQ(file->limiter(1).on_failure, static_cast<int>(OnFailure::kLocal));
  EXPECT_TRUE(file->has_tier("t"));
  EXPECT_FALSE(file->has_tier("u"));
  EXPECT_EQ(file->rule_count(), 1u);
  EXPECT_EQ(file->caller_count(), 2u);
  EXPECT_EQ(file->file(), nullptr);
}

TEST(Policy, ExplanationsSayWhy) {
  const auto file = compiled(
      "limiters: {a: 1/s, b: 2/s}\ntiers: {t: [a], u: [b]}\ndefault_tier: t\n"
      "rules:\n- {limit: a, when: {method: POST, path: /x}}\n- {limit: tier}\n"
      "- {exempt: true, when: {path: /x}}\n- {limit: b}\n"
      "callers: {k: {tier: u}, 10.0.0.0/8: {ban: false}}\n");
  const auto live = live_over(file, "callers: {10.0.0.0/8: {exempt: false}}");
  const Attributes request{
      {"method", "get"}, {"path", "//x"}, {"identity", "k"}, {"address", "10.1.2.3"}};
  EXPECT_EQ(Json::parse(explain_json(*file, live.get(), request, kNow)), Json::parse(R"({
      "verdict": "limits",
      "parts": [{"limiter": "b", "rates": "2-per-1s", "mode": "enforce", "key": "k", "cost": 1}],
      "rules": [1, 2], "caller": "k", "address": "10.1.2.3", "tier": "u", "tier_from": "caller",
      "entries": [{"name": "k", "live": false, "tier": "u"},
                  {"name": "10.0.0.0/8", "live": true, "exempt": false},
                  {"name": "10.0.0.0/8", "live": false, "ban": false}],
      "why": [{"rule": 0, "matched": false, "unmet": "method"}, {"rule": 1, "matched": true},
              {"rule": 2, "matched": true}, {"rule": 3}]})"));
  const auto from = [&](const Attributes& given) {
    return Json::parse(explain_json(*file, nullptr, given, kNow))["tier_from"];
  };
  EXPECT_EQ(from({}), "default");
  EXPECT_EQ(from({{"tier", "u"}}), "request");
  const Json wrong = Json::parse(explain_json(*file, nullptr, Attributes{{"tier", "x"}}, kNow));
  EXPECT_EQ(wrong["error"], "tier");
  EXPECT_EQ(wrong["why"].dump(),
            R"([{"rule":0,"matched":false,"unmet":"method"},{"rule":1,"matched":true},)"
            R"({"rule":2},{"rule":3}])");
}

TEST(Policy, TheLargestOfEverythingIsTaken) {
  std::string callers = "version: 1\ncallers:\n";
  for (int i = 0; i < 100'000; ++i) {
    std::string name = " ";
    for (int k = 0, n = i; k < 4; ++k, n /= 26) name += static_cast<char>('a' + n % 26);
    callers += name + ": {}\n";
  }
  const CompiledPolicy most = compile_policy(callers);
  ASSERT_NE(most.policy, nullptr) << most.fault.text();
  EXPECT_EQ(most.policy->caller_count(), 100'000u);
  EXPECT_EQ(compile_policy(callers + " zzzz: {}\n").fault.path, "callers");
  std::string rules = "limiters: {a: 1/s}\nrules:\n";
  for (int i = 0; i < 1'000; ++i)
    rules += "- {limit: a, when: {path: /p" + std::to_string(i) + "}}\n";
  EXPECT_EQ(compiled(rules)->rule_count(), 1'000u);
  EXPECT_THAT(fault_of(rules + "- {limit: a}\n"), HasSubstr("rules: expected a list of 0 to 1000"));
}

}  // namespace
}  // namespace tidegate
