// SPDX-License-Identifier: MIT
// What a document may not have is refused where it stands; what an unquoted scalar is.
#include "policy/document.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "policy/policy.h"

namespace tidegate {
namespace {

using ::testing::HasSubstr;
using Kind = Document::Kind;

struct Fault {
  std::string text;
  int32_t line, column;
  std::string path, says;
};

void expect_faults(const std::vector<Fault>& faults) {
  for (const Fault& one : faults) {
    const CompiledPolicy compiled = compile_policy(one.text);
    ASSERT_EQ(compiled.policy, nullptr) << one.text;
    EXPECT_EQ(compiled.fault.line, one.line) << one.text << compiled.fault.text();
    EXPECT_EQ(compiled.fault.column, one.column) << one.text << compiled.fault.text();
    EXPECT_EQ(compiled.fault.path, one.path) << one.text << compiled.fault.text();
    EXPECT_THAT(compiled.fault.message, HasSubstr(one.says)) << one.text;
  }
}

TEST(Document, ItsFaultsStandWhereTheyAre) {
  expect_faults({
      {"", 1, 1, "", "found nothing"},
      {"# only this\n", 1, 1, "", "found nothing"},
      {"version: 1\n---\nversion: 1\n", 2, 1, "", "one document"},
      {"version: 1\n\tmode: off\n", 2, 1, "", "YAML or JSON"},
      {"version: [1\n", 2, 1, "", "YAML or JSON"},
      {"version: 1\nmode: \"\\q\"\n", 2, 8, "", "YAML or JSON"},
      {"version: 1\nversion: 1\n", 2, 1, "version", "each name once, found it in line 1"},
      {"version: 1\ncallers:\n  k: {}\n  'k': {}\n", 4, 3, "callers.k", "each name once"},
      {"rules:\n- {limit: a}\n- {limit: a, limit: b}\n", 3, 14, "rules[1].limit", "each name once"},
      {"version: 1\n? [a]\n: b\n", 2, 3, "", "a text as a name"},
      {"a: &a 1\n*a : 2\n", 2, 1, "", "found an alias"},
      {"version: !!int 1\n", 1, 10, "version", "no tag"},
      {"version: 1\nrules: !x []\n", 2, 8, "rules", "no tag"},
      {"version: 1\nrules: [{when: *no}]\n", 2, 16, "rules[0].when", "unknown anchor"},
      {"version: 1\nrules: &r [*r]\n", 2, 12, "rules[0]", "stands within itself"},
      {"version: 1\nx: \xff\n", 2, 4, "", "YAML or JSON"},
      {"version: 1\nx: \x01\n", 2, 4, "", "YAML or JSON"},
      {"version: 1\nmode: \"\\ud800\"\n", 2, 10, "", "YAML or JSON"},
      {"{\"version\": \"\\", 1, 14, "", "YAML or JSON"},
      {"{\"version\": \"\\ud83d", 1, 16, "", "YAML or JSON"},
      {"['", 1, 3, "", "YAML or JSON"},
      {"{\"version\": 1, \"mode\": \"\\udc80x\"}", 1, 27, "", "YAML or JSON"},
  });
}

TEST(Document, TheBoundsOfSizeDepthAndAliases) {
  expect_faults({{std::string(kMaxPolicyBytes + 1, ' '), 0, 0, "", "at most 1048576 bytes"}});

  const std::string deep = "version: 1\nrules: " + std::string(64, '[');
  expect_faults({{deep, 2, 71,
                  "rules" +
                      [] {
                        std::string steps;
                        for (int i = 0; i < 63; ++i) steps += "[0]";
                        return steps;
                      }(),
                  "at most 64 levels"}});

  // Nine anchors, each ten of the one before: 10^9 values in 300 bytes.
  std::string bomb = "version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string name = "a" + std::to_string(i), before = "*a" + std::to_string(i - 1);
    bomb += name + ": &" + name + " [";
    for (int k = 0; k < 10; ++k) bomb += (k ? "," : "") + before;
    bomb += "]\n";
  }
  const CompiledPolicy compiled = compile_policy(bomb);
  EXPECT_THAT(compiled.fault.message, HasSubstr("at most 400000 values"));
  EXPECT_EQ(compiled.fault.line, 7);

  // Anchors that make levels.
  std::string tower = "version: 1\na0: &a0 [x]\n";
  for (int i = 1; i < 70; ++i)
    tower += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) +
             "]\n";
  EXPECT_THAT(compile_policy(tower).fault.message, HasSubstr("at most 64 levels"));
  EXPECT_EQ(compile_policy(tower).fault.line, 2 + 63);
}

TEST(Document, UnquotedScalarsThatAreJsonAreThat) {
  const std::vector<std::pair<std::string, Kind>> kCases{{"null", Kind::kNull},
                                                         {"true", Kind::kBool},
                                                         {"false", Kind::kBool},
                                                         {"0", Kind::kInteger},
                                                         {"-0", Kind::kInteger},
                                                         {"12", Kind::kInteger},
                                                         {"1.5", Kind::kFloat},
                                                         {"-1e9", Kind::kFloat},
                                                         {"1E+2", Kind::kFloat},
                                                         {"NaN", Kind::kFloat},
                                                         {"Infinity", Kind::kFloat},
                                                         {"-Infinity", Kind::kFloat},
                                                         {"0x10", Kind::kText},
                                                         {"012", Kind::kText},
                                                         {"1.", Kind::kText},
                                                         {".5", Kind::kText},
                                                         {"+1", Kind::kText},
                                                         {"1_000", Kind::kText},
                                                         {"off", Kind::kText},
                                                         {"yes", Kind::kText},
                                                         {"True", Kind::kText},
                                                         {"~", Kind::kText},
                                                         {"", Kind::kText},
                                                         {"-", Kind::kText},
                                                         {"1e", Kind::kText},
                                                         {"-NaN", Kind::kText},
                                                         {"2026-12-01", Kind::kText},
                                                         {"12:30:45", Kind::kText},
                                                         {"1 2", Kind::kText},
                                                         {"00", Kind::kText},
                                                         {std::string(400, '9'), Kind::kInteger}};
  for (const auto& [text, kind] : kCases) EXPECT_EQ(scalar_kind(text), kind) << text;
}

TEST(Document, NamesAreTextAndQuotedScalarsToo) {
  const CompiledPolicy good = compile_policy(
      "version: 1\nlimiters: {4711: 1/s, 'off': 2/s, null: 3/s}\ntiers: {true: [4711a]}\n");
  EXPECT_EQ(good.fault.path, "tiers.true[0]");
  EXPECT_THAT(good.fault.message, HasSubstr("did you mean 4711?"));
  expect_faults({{"version: '1'\n", 1, 10, "version", "expected 1, found \"1\""},
                 {"version: 1\nlimiters:\nrules: []\n", 2, 10, "limiters", "expected a mapping"},
                 {"version: 1\nmode: off\nrules:\n", 3, 7, "rules", "expected a list"}});
}

TEST(Document, JsonIsTakenAsItIs) {
  // Tabs between values, pairs of surrogates, escaped slashes, no blanks, characters that YAML
  // takes for a line's end.
  const std::string text =
      "\xef\xbb\xbf{\t\"version\":1,\n\t\"limiters\":\t{\"a\":\"1\\/s\"},\"rules\":[{\"limit\":"
      "\"a\",\"when\":{\"tenant\":[\"\\uD83D\\uDE00\",\"\\u00e9\\u20ac\",\"a\xe2\x80\xa8z\","
      "\"tab\\there\"]}}]}";
  const CompiledPolicy compiled = compile_policy(text);
  ASSERT_NE(compiled.policy, nullptr) << compiled.fault.text();
  PolicyResolver resolver;
  for (const std::string tenant :
       {"\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac", "a\xe2\x80\xa8z", "tab\there"}) {
    const Attribute request[] = {{"tenant", tenant}};
    EXPECT_EQ(resolver.resolve(*compiled.policy, nullptr, request, 0).parts.size(), 1u) << tenant;
  }
}

TEST(Document, ColumnsCountTheCharactersOfTheTextAsItWas) {
  expect_faults({
      {"{\"version\":1,\"callers\":{\"\\uD83D\\uDE00\":{},\"k\":7}}", 1, 47, "callers.k",
       "a mapping"},
      {"{\"version\":1,\"callers\":{\"\\u00e9\\u00e9\":{},\n\"\\u00e9\":{},\"k\":7}}", 2, 17,
       "callers.k", "a mapping"},
      {"version: 1\ncallers: {\xc3\xa9\xe2\x82\xac: 7}\n", 2, 15,
       "callers[\"\xc3\xa9\xe2\x82\xac\"]", "a mapping"},
  });
}

TEST(Document, AliasesStandForTheirAnchors) {
  const CompiledPolicy compiled = compile_policy(
      "version: 1\nlimiters: {a: &rate 1/s, b: *rate}\nrules:\n- &r {limit: [a, b]}\n- *r\n");
  ASSERT_NE(compiled.policy, nullptr) << compiled.fault.text();
  EXPECT_EQ(compiled.policy->rule_count(), 2u);
  expect_faults({{"version: 1\nlimiters: {a: &r fast, b: 1/s}\ncallers: {k: {limits: {b: *r}}}\n",
                  2, 15, "limiters.a", "expected"},
                 {"version: 1\nlimiters: {a: 1/s}\nrules: [{when: {x: &x b}, limit: *x}]\n", 3, 20,
                  "rules[0].limit", "unknown \"b\""}});
}

}  // namespace
}  // namespace tidegate
