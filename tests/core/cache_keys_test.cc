// SPDX-License-Identifier: MIT
// The bytes that name an entry: the reference model's, through the C ABI.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"
#include "cache/canonical_json.h"
#include "cache/key.h"
#include "cache/unicode.h"
#include "tidegate_cache.h"

namespace tidegate::test {
namespace {

using Json = nlohmann::json;

std::string from_base64(const std::string& text) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const size_t value = letters.find(c);
    if (value == letters.npos) break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    have += 6;
    if (have >= 8) out += static_cast<char>(bits >> (have -= 8));
  }
  return out;
}

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
std::string sized(char letter, const std::string& bytes) {
  return letter + raw(static_cast<uint32_t>(bytes.size())) + bytes;
}

// UTF-16 as UTF-8, and half a pair as a language makes it that does not check: three bytes.
std::string text_of_units(const std::string& hex) {
  std::string out;
  std::vector<uint32_t> units;
  for (size_t i = 0; i < hex.size(); i += 4)
    units.push_back(static_cast<uint32_t>(std::stoul(hex.substr(i, 4), nullptr, 16)));
  for (size_t i = 0; i < units.size(); ++i) {
    const uint32_t low = i + 1 < units.size() ? units[i + 1] : 0;
    const bool pair = units[i] >> 10 == 0xd800 >> 10 && low >> 10 == 0xdc00 >> 10;
    append_utf8(out, pair ? 0x10000 + ((units[i] & 0x3ff) << 10) + (low & 0x3ff) : units[i]);
    i += pair;
  }
  return out;
}

std::string flat(const Json& part);

std::string flat_list(const Json& items) {
  std::string out = 'l' + raw(static_cast<uint32_t>(items.size()));
  for (const Json& item : items) out += flat(item);
  return out;
}

std::string flat(const Json& part) {
  const std::string type = part["t"];
  if (type == "none") return "z";
  if (type == "bool") return part["v"].get<bool>() ? "t" : "f";
  if (type == "int") return sized('n', part["v"]);
  if (type == "str") return sized('s', part["v"]);
  if (type == "bytes") return sized('x', from_base64(part["v"]));
  if (type == "utf16") return sized('s', text_of_units(part["v"]));
  if (type == "list") return flat_list(part["v"]);
  if (type == "float")
    return 'd' + raw(static_cast<uint64_t>(std::stoull(part["v"].get<std::string>(), nullptr, 16)));
  if (type == "map") {
    std::string out = 'm' + raw(static_cast<uint32_t>(part["v"].size()));
    for (const Json& member : part["v"]) out += sized('s', member[0]) + flat(member[1]);
    return out;
  }
  EXPECT_EQ(type, "nest");
  std::string out;
  const int depth = part["n"];
  for (int i = 1; i < depth; ++i) out += 'l' + raw(uint32_t{1});
  return out + 'l' + raw(uint32_t{0});
}

tg_text text_of(const Json& value, std::string& keep) {
  if (value.is_null()) return {nullptr, 0};
  keep = value;
  return {keep.data(), keep.size()};
}

// The key parts, or an error's code.
int64_t key_of(const Json& row, std::string& parts) {
  tg_error error{};
  parts.assign(1 << 20, '\0');
  int64_t size;
  if (row["op"] == "key") {
    std::string values;
    for (const Json& part : row["parts"]) values += flat(part);
    size = tg_cache_key(values.data(), values.size(), parts.data(), parts.size(), &error);
  } else {
    std::string keep[4], body;
    std::vector<std::string> texts;
    texts.reserve(64);
    tg_request request{};
    request.method = text_of(row["method"], keep[0]);
    request.route = text_of(row["route"], keep[1]);
    request.provider = text_of(row["provider"], keep[2]);
    request.model = text_of(row["model"], keep[3]);
    if (!row["body"].is_null()) body = from_base64(row["body"]);
    request.body = {body.data(), body.size()};
    std::vector<tg_field> fields;
    for (const Json& header : row["headers"]) {
      const std::string& name = texts.emplace_back(header[0]);
      tg_field field{{name.data(), name.size()}, {nullptr, 0}};
      if (!header[1].is_null()) {
        const std::string& value = texts.emplace_back(from_base64(header[1]));
        field.value = {value.data(), value.size()};
      }
      fields.push_back(field);
    }
    static const tg_text kNoName{};
    std::vector<tg_text> names;
    for (const Json& name : row["leave_out"]) {
      const std::string& kept = texts.emplace_back(name);
      names.push_back({kept.data(), kept.size()});
    }
    request.fields = fields.data();
    request.field_count = static_cast<uint32_t>(fields.size());
    request.leave_out = names.empty() ? &kNoName : names.data();
    request.leave_out_count = static_cast<uint32_t>(names.size());
    if (!row["as_json"].get<bool>()) request.flags = TG_REQUEST_NOT_JSON;
    size = tg_request_key(&request, parts.data(), parts.size(), &error);
  }
  EXPECT_EQ(size < 0, error.message[0] != '\0') << row["id"] << " " << error.message;
  if (size >= 0) parts.resize(static_cast<size_t>(size));
  return size;
}

void check_canonical(const Json& row) {
  const std::vector<std::string> names = row["leave_out"];
  const auto got = canonical_json(from_base64(row["body"]), names);
  ASSERT_EQ(got.has_value(), !row["expect"].is_null()) << row["id"];
  EXPECT_EQ(got.value_or(""), from_base64(row["expect"].is_null() ? "" : row["expect"]))
      << row["id"];
}

void check_key(const Json& row) {
  std::string parts, keep;
  int64_t status = key_of(row, parts);
  Sha256 digest{};
  const std::string cache = row["cache"];
  const tg_text scope = text_of(row["scope"], keep);
  if (status >= 0)
    status = tg_cache_digest(cache.data(), cache.size(), scope.data, scope.size, parts.data(),
                             parts.size(), digest.data(), nullptr);
  ASSERT_EQ(status < 0, row["expect"].is_null()) << row["id"] << " " << status;
  if (status < 0) {
    EXPECT_TRUE(status == TG_EKEY || status == TG_ENAME) << row["id"] << " " << status;
    return;
  }
  const std::string preimage = from_base64(row["preimage"]);
  EXPECT_TRUE(preimage.ends_with(parts)) << row["id"];
  std::string hex;
  append_hex(hex, digest.data(), digest.size());
  EXPECT_EQ(hex, row["expect"]) << row["id"];
  EXPECT_EQ(entry_name("tg", cache, digest), row["name"]) << row["id"];
}

TEST(CacheKeys, AreTheModelsByteForByte) {
  std::ifstream file(TIDEGATE_SOURCE_DIR "/tests/conformance/keys.jsonl");
  ASSERT_TRUE(file);
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const Json row = Json::parse(line);
    row["op"] == "canonical" ? check_canonical(row) : check_key(row);
  }
  EXPECT_GT(rows, 450);
}

TEST(CacheKeys, ArgumentsInABrokenFormAreRefusedWhereverTheyAreCut) {
  const std::string whole = 'i' + raw(int64_t{7}) + sized('s', "text") + 'm' + raw(uint32_t{1}) +
                            sized('s', "name") + 'd' + raw(0.5) + 'l' + raw(uint32_t{2}) + "tz";
  ASSERT_TRUE(call_key(whole).ok());
  int good = 0;
  for (size_t size = 0; size < whole.size(); ++size)
    good += call_key(std::string_view(whole).substr(0, size)).ok();
  EXPECT_EQ(good, 3);  // behind the integer, the text and the map
  for (const std::string& wrong :
       {std::string("?"), 'l' + raw(uint32_t{0xffffffff}), 's' + raw(uint32_t{0xfffffff0}),
        sized('n', "1x"), sized('n', "-"), sized('n', ""),
        'm' + raw(uint32_t{2}) + sized('s', "a") + "z" + sized('s', "a") + "z"}) {
    const auto key = call_key(wrong);
    ASSERT_FALSE(key.ok()) << wrong;
    EXPECT_EQ(key.error().code, Code::kKey);
  }
}

TEST(CacheKeys, IntegersOfAllFormsAreOne) {
  const auto key = call_key('i' + raw(int64_t{-42}));
  for (const std::string& other : {'d' + raw(-42.0), sized('n', "-42"), sized('n', "-00042")})
    EXPECT_EQ(*key, *call_key(other));
  EXPECT_EQ(*call_key('d' + raw(-0.0)), *call_key(sized('n', "-0")));
  EXPECT_EQ(*call_key('d' + raw(0x1p60)), *call_key('i' + raw(int64_t{1} << 60)));
}

TEST(CacheKeys, BodiesOfDepthTenThousandHaveNoCanonicalForm) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 10'000; ++i) deep += open;
    EXPECT_FALSE(canonical_json(deep, {}).has_value());
  }
}

TEST(CacheKeys, TheCallersMistakesHaveNames) {
  tg_error error{};
  tg_request request{};
  EXPECT_EQ(tg_request_key_sized(&request, 3, nullptr, 0, &error), TG_ESIZE);
  EXPECT_EQ(tg_request_key(nullptr, nullptr, 0, &error), TG_EINVAL);
  EXPECT_EQ(tg_request_key(&request, nullptr, 0, &error), TG_EKEY) << "no method";
  request.method = {"GET", 3};
  request.flags = 8;
  EXPECT_EQ(tg_request_key(&request, nullptr, 0, &error), TG_EINVAL);
  request.flags = 0;
  char two[2] = {'?', '?'};
  EXPECT_GT(tg_request_key(&request, two, 1, &error), 20) << "cut to fit";
  EXPECT_EQ(two[1], '?');
  uint8_t digest[TG_CACHE_DIGEST_BYTES];
  EXPECT_EQ(tg_cache_digest("a b", 3, nullptr, 0, "k", 1, digest, &error), TG_ENAME);
  EXPECT_EQ(tg_cache_digest("a", 1, "\xff", 1, "k", 1, digest, &error), TG_EKEY);
  EXPECT_EQ(tg_cache_digest("a", 1, nullptr, 0, nullptr, 0, digest, &error), TG_EKEY);
  EXPECT_EQ(tg_cache_digest("a", 1, nullptr, 0, "k", 1, nullptr, &error), TG_EINVAL);
}

}  // namespace
}  // namespace tidegate::test
