// SPDX-License-Identifier: MIT
// tests/http/cases.json against the core: what every adapter says is the guard's, so this is the
// table without any framework.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/guard.h"

namespace tidegate::test {
namespace {

using Json = nlohmann::json;

constexpr const char* kOurs[] = {"RateLimit-Policy",      "RateLimit",         "X-RateLimit-Limit",
                                 "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"};

std::string lowered(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

struct Request {
  std::string method, path;
  std::map<std::string, std::string> fields;  // lower case

  explicit Request(const Json& json) : method(json["method"]), path(json["path"]) {
    path = path.substr(0, path.find('?'));
    for (const Json& pair : json["headers"])
      fields[lowered(pair[0].get<std::string>())] = pair[1].get<std::string>();
  }
  const std::string* field(const Json& name) const {
    if (name.is_null()) return nullptr;
    const auto found = fields.find(name.get<std::string>());
    return found == fields.end() ? nullptr : &found->second;
  }
};

std::string joined(const Json& list) {
  std::string out;
  for (const Json& one : list) out.append(out.empty() ? "" : ",").append(one.get<std::string>());
  return out;
}

// One middleware of a case, as an adapter is: options to attributes.
class Layer {
 public:
  Layer(Gate& gate, const Json& config) : config_(config) {
    const std::string policy = member("policy").is_null() ? "" : config["policy"].dump();
    const std::string headers = config["headers"].empty() ? "none" : joined(config["headers"]);
    const Json& trusted = config["trusted_proxies"];
    const std::string proxies = trusted.is_array() ? joined(trusted) : trusted.dump();
    guard_ = std::make_unique<Guarded>(gate, policy, headers, proxies);
  }

  Checked check(const Request& request, const std::string& scope) {
    Pairs said = {{"method", request.method}, {"path", request.path}, {"@peer", "127.0.0.1"}};
    const auto pass = [&](const char* name, const char* header) {
      if (const std::string* value = request.field(header)) said.push_back({name, *value});
    };
    pass("@forwarded_for", "x-forwarded-for");
    pass("@origin", "origin");
    pass("@requested_method", "access-control-request-method");
    for (const Json& path : config_["exempt"]) said.push_back({"@exempt", path.get<std::string>()});
    const auto from = [&](const char* name, const Json& header) {
      if (const std::string* value = request.field(header)) said.push_back({name, *value});
    };
    from("identity", member("identity_header"));
    from("tier", member("tier_header"));
    const Json& more = member("attribute_headers");
    for (const auto& [name, header] : more.items()) from(name.c_str(), header);
    add_limits(request, said);
    return guard_->check(said, scope);
  }

  const Json& member(const char* name) const {
    static const Json none;
    return config_.contains(name) ? config_[name] : none;
  }
  Guarded& guard() { return *guard_; }

 private:
  void add_limits(const Request& request, Pairs& said) {
    const Json& keys = member("key_headers");
    for (size_t i = 0; i < config_["limits"].size(); ++i) {
      const Json& limit = config_["limits"][i];
      said.push_back({"@limit", limit["rates"].get<std::string>()});
      if (!limit["name"].is_null()) said.push_back({"@name", limit["name"].get<std::string>()});
      said.push_back({"@algorithm", limit["algorithm"].get<std::string>()});
      said.push_back({"@mode", limit["mode"].get<std::string>()});
      const Json& header = keys.is_array() ? keys[i] : config_["key_header"];
      if (const std::string* key = request.field(header)) said.push_back({"@key", *key});
      const std::string* cost = request.field(config_["cost_header"]);
      said.push_back({"@cost", cost ? *cost : config_["cost"].dump()});
    }
  }

  const Json& config_;
  std::unique_ptr<Guarded> guard_;
};

void expect_fields(const Checked& answer, const Json& expected, const Json& app_fields) {
  std::map<std::string, Json> listed;
  for (const Json& pair : expected) listed[pair[0].get<std::string>()] = pair[1];
  const bool own_list = !app_fields.empty();  // the adapter leaves ours of that family out
  for (const char* name : kOurs) {
    if (own_list && std::string(name).starts_with("RateLimit")) continue;
    const auto found = listed.find(name);
    if (found == listed.end()) {
      EXPECT_FALSE(answer.fields.contains(name)) << name;
    } else if (found->second.is_string()) {
      EXPECT_EQ(answer.field(name), found->second.get<std::string>()) << name;
    } else {  // in epoch seconds
      EXPECT_GT(std::stoll(answer.field(name)), 1'763'683'200) << name;
    }
  }
}

void run(const Json& one) {
  Gate gate("memory://?clock=manual&testing=1");
  Layer outer(gate, one["middleware"]);
  std::unique_ptr<Layer> inner;
  if (!outer.member("inner").is_null())
    inner = std::make_unique<Layer>(gate, outer.member("inner"));
  for (const Json& step : one["requests"]) {
    gate.set_time(step["at_us"].get<int64_t>());
    const Request request(step);
    Checked answer = outer.check(request, "");
    if (answer.http == 200 && inner && request.path == "/inner")
      answer = inner->check(request, answer.scope);
    ASSERT_EQ(answer.status, TG_OK) << answer.text;
    const Json& expected = step["expect"];
    EXPECT_EQ(answer.http, expected["status"].get<int>());
    expect_fields(answer, expected["headers"], outer.member("app_fields"));
    if (answer.http != 200 && request.method != "HEAD" && one["middleware"]["message"].is_null()) {
      EXPECT_EQ(answer.body, expected["body"].get<std::string>());
    }
    if (answer.finish) outer.guard().finish(answer.scope, answer.http);
  }
}

TEST(GuardTable, EveryCaseHolds) {
  std::ifstream file(TIDEGATE_SOURCE_DIR "/tests/http/cases.json");
  const Json cases = Json::parse(file);
  ASSERT_GE(cases.size(), 48u);
  for (const Json& one : cases) {
    SCOPED_TRACE(one["title"].get<std::string>());
    run(one);
  }
}

}  // namespace
}  // namespace tidegate::test
