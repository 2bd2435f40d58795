// SPDX-License-Identifier: MIT
// Patterns by their definition, both ways of matching; paths, methods, hosts and addresses in their
// one spelling.
#include "policy/pattern.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "policy/path.h"

namespace tidegate {
namespace {

bool matches(const Pattern& pattern, std::string_view text) {
  PatternScratch scratch;
  return pattern.matches(text, scratch);
}

// `*` and `**` by their definition.
bool fits(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] != '*')
    return !text.empty() && text[0] == pattern[0] && fits(pattern.substr(1), text.substr(1));
  const bool any = pattern.starts_with("**");
  for (size_t i = 0; i <= text.size(); ++i) {
    if (!any && i > 0 && text[i - 1] == '/') return false;
    if (fits(pattern.substr(any ? 2 : 1), text.substr(i))) return true;
  }
  return false;
}

std::vector<std::string> segments_of(const std::string& path) {
  std::vector<std::string> out;
  std::string segment;
  for (char c : path + "/") {
    if (c != '/') {
      segment += c;
    } else if (!segment.empty()) {
      out.push_back(segment);
      segment.clear();
    }
  }
  return out;
}

bool fits_path(const std::vector<std::string>& pattern, size_t p,
               const std::vector<std::string>& path, size_t i) {
  if (p == pattern.size()) return i == path.size();
  const std::string& head = pattern[p];
  if (head == "**") {
    for (size_t k = i; k <= path.size(); ++k)
      if (fits_path(pattern, p + 1, path, k)) return true;
    return false;
  }
  std::string joined;
  const size_t most = head.find("**") != head.npos ? path.size() : std::min(i + 1, path.size());
  for (size_t k = i; k < most; ++k) {
    joined += (k > i ? "/" : "") + path[k];
    if (fits(head, joined) && (head != "*" || !joined.empty()) &&
        fits_path(pattern, p + 1, path, k + 1))
      return true;
  }
  return false;
}

std::string random_text(std::mt19937& random, const std::vector<std::string>& pieces) {
  std::string out = "/";
  for (size_t i = random() % 9; i > 0; --i) out += pieces[random() % pieces.size()];
  return out;
}

TEST(Pattern, MatchesWhatItsDefinitionSays) {
  std::mt19937 random(7);
  size_t hits = 0, path_hits = 0;
  for (int round = 0; round < 40'000; ++round) {
    const std::string pattern =
        random_text(random, {"a", "b", "ab", "*", "**", "/", "/", "*/", "**/"});
    const std::string text = random_text(random, {"a", "b", "ab", "/", "a/", "b/"});
    if (pattern.find("***") != pattern.npos) continue;
    const bool expected = fits(pattern, text);
    hits += expected;
    ASSERT_EQ(matches(Pattern::of_text(pattern), text), expected) << pattern << " " << text;
    std::string one, other;
    const std::string normal(normal_path(pattern, one)), path(normal_path(text, other));
    if (normal.find("***") != normal.npos) continue;
    const bool path_expected = fits_path(segments_of(normal), 0, segments_of(path), 0);
    path_hits += path_expected;
    ASSERT_EQ(matches(Pattern::of_path(normal), path), path_expected) << normal << " " << path;
  }
  EXPECT_GT(hits, 500u);
  EXPECT_GT(path_hits, 500u);
}

// So long that the fast way gives up: what it would say of the short text holds for the long one.
TEST(Pattern, HardOnesMatchTheSame) {
  std::mt19937 random(8);
  const std::string hard = "**" + std::string("aaaaaaaa*aaaaaaaa*") + "aaaaaaaac";
  for (int round = 0; round < 300; ++round) {
    const std::string tail_pattern =
        random_text(random, {"a", "b", "ab", "*", "**", "/", "*/", "**/"});
    const std::string tail = random_text(random, {"a", "b", "ab", "/", "a/"});
    if (tail_pattern.find("***") != tail_pattern.npos) continue;
    const std::string run(4'000, 'a');
    const std::string pattern = "/x" + hard + tail_pattern, text = "/x" + run + "c" + tail;
    ASSERT_EQ(matches(Pattern::of_text(pattern), text), fits(tail_pattern, tail))
        << pattern << " " << tail;
    std::string one, other;
    const std::string normal(normal_path(pattern, one)), path(normal_path(text, other));
    const std::string head = "/x" + hard;
    ASSERT_EQ(matches(Pattern::of_path(normal), path),
              matches(Pattern::of_path("/x**c" + std::string(normal.substr(head.size()))), path))
        << normal << " " << path;
  }
}

TEST(Pattern, NoPatternTakesLong) {
  const std::string text(65'536, 'a');
  std::string stars = "**";
  while (stars.size() < 65'536) stars += "a*";
  std::vector<std::string> patterns{stars + "b", "**" + std::string(32'768, 'a') + "*b"};
  patterns.push_back("");
  while (patterns.back().size() < 65'536) patterns.back() += "**a";
  patterns.back() += "b";
  for (const std::string& pattern : patterns) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(matches(Pattern::of_text(pattern), text));
    EXPECT_FALSE(matches(Pattern::of_path("/" + pattern), "/" + text));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  }
  EXPECT_TRUE(matches(Pattern::of_text(stars), text));
}

TEST(Pattern, OfTheRoot) {
  for (const std::string pattern : {"/", "/**", "/***", "/**/**"})
    EXPECT_TRUE(matches(Pattern::of_path(pattern), "/")) << pattern;
  for (const std::string pattern : {"/*", "/**/*", "/a", "/**a", "/**/a"})
    EXPECT_FALSE(matches(Pattern::of_path(pattern), "/")) << pattern;
}

TEST(Path, HasOneSpelling) {
  const std::vector<std::pair<std::string, std::string>> kCases{
      {"", "/"},
      {"a/b", "/a/b"},
      {"//a///b//", "/a/b"},
      {"/a/./b/.", "/a/b"},
      {"/a/x/../b", "/a/b"},
      {"/../../a/..", "/"},
      {"/...", "/..."},
      {"/.well-known", "/.well-known"},
      {"/%61%2f%7e%c3%a9", "/a%2F~%C3%A9"},
      {"/a/%2e%2E/b", "/b"},
      {"/a b?c\xc3\xa9#", "/a%20b%3Fc%C3%A9%23"},
      {"/100%", "/100%25"},
      {"/%zz%4", "/%25zz%254"},
      {"/%2561", "/%2561"},
      {"/x:y;z=1,2@!$&'()*+~", "/x:y;z=1,2@!$&'()*+~"},
      {"/\xed\xb2\x80\xff", "/%ED%B2%80%FF"},
      {std::string("/\0", 2), "/%00"},
      {"/a/..%2Fb", "/a/..%2Fb"}};
  std::string buffer, again;
  for (const auto& [text, expected] : kCases) {
    EXPECT_EQ(normal_path(text, buffer), expected) << text;
    EXPECT_EQ(normal_path(expected, again), expected) << text;
  }
}

TEST(Path, OtherAttributesHaveOneSpellingToo) {
  std::string buffer;
  EXPECT_EQ(normal_method("pAtch", buffer), "PATCH");
  EXPECT_EQ(normal_method("GET", buffer), "GET");
  const std::vector<std::pair<std::string, std::string>> kHosts{
      {"Api.Example.COM.:80", "api.example.com"},
      {"[::1]:8080", "[::1]"},
      {"[::A", "[::a"},
      {":80", ""},
      {".", ""},
      {"a..", "a."}};
  for (const auto& [text, expected] : kHosts) EXPECT_EQ(normal_host(text, buffer), expected);
  const std::vector<std::pair<std::string, std::string>> kAddresses{
      {"::ffff:198.51.100.4", "@198.51.100.4"},
      {" 198.51.100.4:99 ", "@198.51.100.4"},
      {"2001:DB8:1:2:3::4", "@2001:db8:1:2::/64"},
      {"[2001:db8::3]:1", "@2001:db8::/64"},
      {"2001:db8::/64", "@2001:db8::/64"},
      {"2001:db8::/63", "@unknown"},
      {"testclient", "@unknown"},
      {"198.51.100.4/24", "@unknown"}};
  for (const auto& [text, expected] : kAddresses) {
    normal_address(text, 64, buffer);
    EXPECT_EQ(buffer, expected) << text;
  }
  normal_address("2001:db8:1:2:3::4/128", 128, buffer);
  EXPECT_EQ(buffer, "@2001:db8:1:2:3::4");
}

}  // namespace
}  // namespace tidegate
