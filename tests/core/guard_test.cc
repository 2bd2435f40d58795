// SPDX-License-Identifier: MIT
// A guard over the C ABI: what its checks charge and tell, alone, nested, and when the response is
// done. What applies to a request is policy_test's; this is what becomes of it.
#include "support/guard.h"

#include <gtest/gtest.h>

#include "support/every_server.h"

namespace tidegate::test {
namespace {

constexpr int64_t kNow = 1'763'683'200'000'000;

const char* const kPolicy = R"(
version: 1
limiters:
  basic: 3/minute
  pro: 100/minute
  images: {rate: 10/minute, mode: shadow}
  everybody: 1000/minute
tiers: {basic: [basic], pro: [pro]}
default_tier: basic
rules:
  - {when: {path: /health}, exempt: true}
  - {when: {path: /v1/images/*}, limit: images, cost: "{images}"}
  - limit: tier
  - {limit: everybody, per: everyone}
callers:
  k_pro: {tier: pro}
  k_evil: {ban: true, reason: scraping}
  k_soon: {ban: true, until: 2025-11-21T00:01:00Z}
  203.0.113.9: {exempt: true}
)";

// Embedded, and on every server.
class Guards : public OnEveryServer {
 protected:
  void SetUp() override {
    server_ = std::make_unique<Server>(GetParam());
    gate_ = std::make_unique<Gate>(server_->url("clock=manual&testing=1&timeout_ms=20000"));
    gate_->set_time(kNow);
  }
  Gate& gate() { return *gate_; }

 private:
  std::unique_ptr<Server> server_;
  std::unique_ptr<Gate> gate_;
};

struct Embedded {
  Gate gate{"memory://?clock=manual&testing=1"};
  Embedded() { gate.set_time(kNow); }
};

void charges_all_or_nothing(Gate& gate) {
  Guarded guard(gate, kPolicy);
  for (int i = 2; i >= 0; --i) {
    const Checked answer = guard.ask("GET /", {{"identity", "k_1"}});
    ASSERT_EQ(answer.status, TG_OK) << answer.text;
    EXPECT_EQ(answer.http, 200);
    EXPECT_EQ(answer.field("RateLimit"), "\"basic\";r=" + std::to_string(i) +
                                             ";t=20, \"everybody\";r=" + std::to_string(997 + i) +
                                             ";t=1");
    EXPECT_EQ(answer.field("X-RateLimit-Remaining"), std::to_string(i));
  }
  const Checked denied = guard.ask("GET /", {{"identity", "k_1"}});
  EXPECT_EQ(denied.http, 429);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.field("Retry-After"), "20");
  EXPECT_NE(denied.body.find("\"violated-policies\":[\"basic\"]"), denied.body.npos) << denied.body;
  EXPECT_EQ(denied.retry_after_us, 20'000'000);
  EXPECT_EQ(denied.caller, "k_1");
  const Checked other = guard.ask("GET /", {{"identity", "k_pro"}});
  EXPECT_EQ(other.field("RateLimit"), "\"pro\";r=99;t=1, \"everybody\";r=996;t=1");
}

TEST(GuardsEmbedded, ARequestIsOneCheckOfAllThatItMeets) {
  Embedded here;
  charges_all_or_nothing(here.gate);
}
TEST_P(Guards, ARequestIsOneCheckOfAllThatItMeets) { charges_all_or_nothing(gate()); }

TEST(GuardsEmbedded, BansAndExemptionsAskNobody) {
  Embedded here;
  Guarded guard(here.gate, kPolicy);
  const Checked banned = guard.ask("GET /", {{"identity", "k_evil"}});
  EXPECT_EQ(banned.http, 403);
  EXPECT_EQ(banned.verdict, TG_VERDICT_BANNED);
  EXPECT_EQ(banned.reason, "scraping");
  EXPECT_EQ(banned.source, TG_SOURCE_POLICY);
  EXPECT_EQ(
      banned.body,
      R"({"type":"about:blank","title":"Forbidden","status":403,"detail":"This caller is banned."})");
  EXPECT_TRUE(banned.fields.empty());
  const Checked soon = guard.ask("GET /", {{"identity", "k_soon"}});
  EXPECT_EQ(soon.field("Retry-After"), "60");
  EXPECT_EQ(soon.retry_after_us, 60'000'000);
  here.gate.set_time(kNow + 60'000'000);
  EXPECT_EQ(guard.ask("GET /", {{"identity", "k_soon"}}).http, 200);

  for (const Checked& exempt :
       {guard.ask("GET /health"), guard.ask("GET /", {{"address", "203.0.113.9"}})}) {
    EXPECT_EQ(exempt.http, 200);
    EXPECT_TRUE(exempt.allowed);
    EXPECT_EQ(exempt.verdict, TG_VERDICT_EXEMPT);
    EXPECT_TRUE(exempt.fields.empty() && exempt.scope.empty());
  }
  EXPECT_EQ(here.gate.stats().allowed, 1);
}

TEST(GuardsEmbedded, WhatWasSaidBeforeAnExemptionIsSaidBehindIt) {
  Embedded here;
  Guarded guard(here.gate, kPolicy), held(here.gate,
                                          "version: 1\nlimiters: {jobs: 1 at once}\n"
                                          "rules: [{limit: jobs}]");
  const Checked outer = held.ask("GET /", {{"identity", "k"}});
  const Checked inner = guard.ask("GET /health", {{"identity", "k"}}, outer.scope);
  EXPECT_EQ(inner.verdict, TG_VERDICT_EXEMPT);
  EXPECT_EQ(inner.fields, outer.fields);
  EXPECT_TRUE(inner.finish);
  EXPECT_EQ(inner.renew_us, outer.renew_us);
  EXPECT_EQ(guard.finish(inner.scope, 200).size(), 1u);
  EXPECT_EQ(held.ask("GET /", {{"identity", "k"}}).http, 200);
}

TEST(GuardsEmbedded, APreflightIsExempt) {
  Embedded here;
  Guarded guard(here.gate, kPolicy);
  EXPECT_EQ(
      guard.ask("OPTIONS /", {{"@origin", "https://a"}, {"@requested_method", "POST"}}).verdict,
      TG_VERDICT_EXEMPT);
  EXPECT_EQ(guard.ask("OPTIONS /", {{"@origin", "https://a"}}).verdict, TG_VERDICT_LIMITS);
  EXPECT_EQ(guard.ask("POST /", {{"@origin", "https://a"}, {"@requested_method", "POST"}}).verdict,
            TG_VERDICT_LIMITS);
}

TEST(GuardsEmbedded, TheAddressIsWorkedOut) {
  Embedded here;
  Guarded behind(here.gate, kPolicy, "", "1");
  EXPECT_EQ(
      behind.ask("GET /", {{"@peer", "198.51.100.1"}, {"@forwarded_for", "203.0.113.7"}}).caller,
      "@203.0.113.7");
  Guarded guard(here.gate, kPolicy);
  EXPECT_EQ(
      guard.ask("GET /", {{"@peer", "198.51.100.1"}, {"@forwarded_for", "203.0.113.7"}}).caller,
      "@198.51.100.1");
  EXPECT_EQ(guard.ask("GET /", {{"@peer", "198.51.100.1"}, {"address", "203.0.113.7"}}).caller,
            "@203.0.113.7");
  EXPECT_EQ(guard.ask("GET /").caller, "@unknown");
}

void nested_checks(Gate& gate) {
  Guarded guard(gate, "version: 1\nlimiters: {app: 10/minute}\nrules: [{limit: app}]");
  const Checked outer = guard.ask("POST /login", {{"identity", "k"}});
  EXPECT_EQ(outer.field("RateLimit"), "\"app\";r=9;t=6");
  const Pairs route = {{"identity", "k"}, {"@limit", "2/minute"}, {"@place", "POST.login"}};
  const Checked inner = guard.ask("POST /login", route, outer.scope);
  EXPECT_EQ(inner.field("RateLimit"), "\"app\";r=9;t=6, \"POST.login\";r=1;t=30");
  EXPECT_EQ(inner.field("X-RateLimit-Remaining"), "1");
  EXPECT_EQ(inner.parts.size(), 1u) << "the application's limit was charged before";
  const Checked again = guard.ask("POST /login", route, inner.scope);
  EXPECT_TRUE(again.parts.empty()) << "everything was charged before";
  EXPECT_EQ(again.field("RateLimit"), inner.field("RateLimit"));
  EXPECT_FALSE(again.finish);
}

TEST(GuardsEmbedded, WhatIsDearerFurtherInPaysTheDifference) {
  Embedded here;
  Guarded guard(here.gate, "");
  const auto ask = [&](const char* cost, const std::string& scope) {
    return guard.ask("GET /",
                     {{"identity", "k"}, {"@limit", "100/minute"}, {"@name", "a"}, {"@cost", cost}},
                     scope);
  };
  const Checked outer = ask("1", "");
  const Checked inner = ask("50", outer.scope);
  EXPECT_EQ(inner.field("RateLimit"), "\"a\";r=50;t=1");
  EXPECT_EQ(inner.field("RateLimit-Policy"), "\"a\";q=100;w=60");
  EXPECT_EQ(ask("20", inner.scope).field("X-RateLimit-Remaining"), "50");
  EXPECT_EQ(guard.finish(inner.scope, 200, {}, TG_FINISH_DENIED).size(), 2u);
  EXPECT_EQ(ask("0", "").field("X-RateLimit-Remaining"), "100");
}

TEST(GuardsEmbedded, APartOfCodeSaysWhomItCharges) {
  Embedded here;
  Guarded guard(here.gate, "");
  const auto ask = [&](const char* per, const char* key) {
    Pairs said = {{"identity", "k"},
                  {"address", "203.0.113.7"},
                  {"@limit", "9/minute"},
                  {"@name", "a"},
                  {"@per", per}};
    if (key) said.push_back({"@key", key});
    return guard.ask("GET /", said);
  };
  for (const auto& [per, key, left] :
       {std::tuple{"identity", static_cast<const char*>(nullptr), "8"},
        {"identity", "k", "7"},
        {"identity", "", "8"},
        {"address", nullptr, "7"},
        {"everyone", nullptr, "8"},
        {"everyone", "x", "7"}})
    EXPECT_EQ(ask(per, key).field("X-RateLimit-Remaining"), left) << per;
  EXPECT_EQ(ask("nobody", nullptr).status, TG_EATTRIBUTE);
}

TEST(GuardsEmbedded, ARefusalSaysWhichPartOfCodeDenies) {
  Embedded here;
  Guarded guard(here.gate, "version: 1\nlimiters: {all: 2/minute}\nrules: [{limit: all}]");
  const Pairs said = {{"identity", "k"}, {"@limit", "5/minute"}, {"@limit", "1/minute"}};
  EXPECT_EQ(guard.ask("GET /", said).limit, 0u);
  EXPECT_EQ(guard.ask("GET /", said).limit, 2u);
  guard.ask("GET /", {{"identity", "k"}});
  EXPECT_EQ(guard.ask("GET /", {{"identity", "k"}, {"@limit", "5/minute"}}).limit, 0u);
}

TEST(GuardsEmbedded, WhatIsMetTwiceIsChargedOnceAndFieldsAreJoined) {
  Embedded here;
  nested_checks(here.gate);
}
TEST_P(Guards, WhatIsMetTwiceIsChargedOnceAndFieldsAreJoined) { nested_checks(gate()); }

void denial_gives_back(Gate& gate) {
  Guarded guard(gate, "version: 1\nlimiters: {app: 10/minute}\nrules: [{limit: app}]");
  const Pairs route = {{"identity", "k"}, {"@limit", "1/minute"}, {"@place", "POST.login"}};
  const Checked first =
      guard.ask("POST /login", route, guard.ask("POST /login", {{"identity", "k"}}).scope);
  ASSERT_EQ(first.http, 200);
  const Checked outer = guard.ask("POST /login", {{"identity", "k"}});
  EXPECT_EQ(outer.field("X-RateLimit-Remaining"), "8");
  const Checked denied = guard.ask("POST /login", route, outer.scope);
  EXPECT_EQ(denied.http, 429);
  EXPECT_EQ(denied.field("RateLimit-Policy"), "\"app\";q=10;w=60, \"POST.login\";q=1;w=60");
  ASSERT_TRUE(denied.finish);
  const auto settled = guard.finish(denied.scope, denied.http);
  ASSERT_EQ(settled.size(), 1u);
  EXPECT_EQ(settled[0].status, TG_OK);
  EXPECT_EQ(guard.ask("GET /", {{"identity", "k"}}).field("X-RateLimit-Remaining"), "8");
}

TEST(GuardsEmbedded, WhatALaterCheckDeniesCostsNothing) {
  Embedded here;
  denial_gives_back(here.gate);
}
TEST_P(Guards, WhatALaterCheckDeniesCostsNothing) { denial_gives_back(gate()); }

void settles_by_response(Gate& gate) {
  Guarded guard(gate, R"(
version: 1
limiters: {logins: 5/minute, tokens: 1000/minute overdraft 1000, jobs: {rate: 2 at once, lease: 10s}}
rules:
  - {when: {path: /login}, limit: logins, count: failed}
  - {when: {path: /chat}, limit: tokens, cost: 100, settle: "{used}"}
  - {when: {path: /job}, limit: jobs}
)");
  const auto left = [&](const std::string& path) {
    return std::stoi(
        guard.ask("POST " + path, {{"identity", "probe"}}).field("X-RateLimit-Remaining"));
  };
  for (const int status : {200, 401}) {
    const Checked login = guard.ask("POST /login", {{"identity", "k"}});
    EXPECT_TRUE(login.finish);
    EXPECT_EQ(guard.finish(login.scope, status).size(), status == 200 ? 1u : 0u);
  }
  EXPECT_EQ(guard.ask("POST /login", {{"identity", "k"}}).field("X-RateLimit-Remaining"), "3");

  const Checked chat = guard.ask("POST /chat", {{"identity", "k"}});
  ASSERT_EQ(guard.finish(chat.scope, 200, {{"used", "350"}}).size(), 1u);
  EXPECT_EQ(guard.ask("POST /chat", {{"identity", "k"}}).field("X-RateLimit-Remaining"), "550");

  const Checked one = guard.ask("POST /job", {{"identity", "k"}});
  const Checked two = guard.ask("POST /job", {{"identity", "k"}});
  EXPECT_EQ(one.renew_us, 5'000'000);
  EXPECT_EQ(guard.ask("POST /job", {{"identity", "k"}}).http, 429);
  const auto renewed = guard.finish(two.scope, 0, {}, TG_FINISH_RENEW);
  ASSERT_EQ(renewed.size(), 1u);
  EXPECT_TRUE(renewed[0].parts.at(0).flags & TG_RENEWED);
  EXPECT_EQ(guard.finish(one.scope, 200).size(), 1u);
  EXPECT_EQ(guard.ask("POST /job", {{"identity", "k"}}).http, 200);
  EXPECT_EQ(left("/login"), 4);
}

TEST(GuardsEmbedded, TheResponseSettlesWhatCountsAndReleasesSlots) {
  Embedded here;
  settles_by_response(here.gate);
}
TEST_P(Guards, TheResponseSettlesWhatCountsAndReleasesSlots) { settles_by_response(gate()); }

TEST(GuardsEmbedded, MistakesOfTheApplicationAreErrors) {
  Embedded here;
  Guarded guard(here.gate, kPolicy);
  const auto fails = [&](const Pairs& more) {
    const Checked answer = guard.ask("GET /v1/images/x", more);
    EXPECT_EQ(answer.status, TG_EATTRIBUTE);
    return answer.status == TG_OK ? "" : answer.text;
  };
  EXPECT_EQ(guard.ask("GET /", {{"tier", "gold"}}).status, TG_EATTRIBUTE);
  fails({});  // no cost
  fails({{"images", "many"}});
  fails({{"images", "1"}, {"@cost", "1"}});
  fails({{"images", "1"}, {"@limit", "1/minute"}, {"@cost", "-1"}});
  fails({{"images", "1"}, {"@limiter", "short"}});
  fails({{"images", "1"}, {"@limit", "1/minute"}, {"@unheard", "of"}});
  EXPECT_EQ(guard.ask("GET /", {{"@limit", "nonsense"}}).status, TG_ERATE);
  EXPECT_EQ(guard.ask("GET /", {{"@limiter", std::string(8, '\1')}}).status, TG_EHANDLE);
  EXPECT_EQ(guard.check({}, "no scope of ours").status, TG_EINVAL);
  EXPECT_EQ(here.gate.stats().allowed, 0);
}

TEST(GuardsEmbedded, LimitersOfRatesAreKeptWhileTheyAreUsed) {
  Embedded here;
  Guarded guard(here.gate, "");
  for (int i = 1; i <= 3'000; ++i)
    ASSERT_EQ(guard.ask("GET /", {{"@limit", std::to_string(i) + "/minute"}}).http, 200);
  // Names that are taken get their numbers behind them.
  EXPECT_EQ(guard.ask("GET /", {{"@limit", "1/minute"}, {"@place", "GET.a"}}).field("RateLimit"),
            "\"GET.a\";r=0;t=60");
  EXPECT_EQ(guard.ask("GET /", {{"@limit", "2/minute"}, {"@place", "GET.a"}}).field("RateLimit"),
            "\"GET.a.2-per-60s\";r=1;t=30");
  EXPECT_EQ(guard.ask("GET /", {{"@limit", "3/minute"}, {"@place", "GET.a"}, {"@several", "1"}})
                .field("RateLimit"),
            "\"GET.a.3-per-60s\";r=2;t=20");
  EXPECT_EQ(guard.ask("GET /", {{"@limit", "4/minute"}, {"@name", "GET.a"}}).status, TG_ECONFLICT);
}

TEST(GuardsEmbedded, AnotherPolicyActsOnTheStatesThatAreThere) {
  Embedded here;
  Guarded guard(here.gate, "version: 1\nlimiters: {a: 2/minute}\nrules: [{limit: a}]");
  const Pairs who = {{"identity", "k"}};
  guard.ask("GET /", who);
  EXPECT_EQ(
      guard.replace("version: 1\nlimiters: {a: 4/minute, b: 9/minute}\nrules: [{limit: [a, b]}]"),
      "");
  EXPECT_EQ(guard.ask("GET /", who).field("RateLimit"), "\"a\";r=2;t=15, \"b\";r=8;t=7");
  const std::string why = guard.replace("version: 1\nlimiters: {a: 5/minute}\nrules: [{limit: c}]");
  EXPECT_NE(why.find("line 3"), why.npos) << why;
  EXPECT_NE(why.find("rules[0].limit"), why.npos) << why;
  EXPECT_EQ(guard.ask("GET /", who).field("X-RateLimit-Limit"), "4");
}

TEST(GuardsEmbedded, ANameIsOneLimitWhereverItIsUsed) {
  Embedded here;
  const uint64_t a = here.gate.open("2/minute", "a");
  Guarded guard(here.gate, "version: 1\nlimiters: {a: 2/minute}\nrules: [{limit: a}]");
  here.gate.consume(a, "k");
  EXPECT_EQ(guard.ask("GET /", {{"identity", "k"}}).field("X-RateLimit-Remaining"), "0");
  EXPECT_NE(refusal(here.gate, "version: 1\nlimiters: {a: 3/minute}"), "");
  // Others for one of its callers are the same states.
  Guarded other(here.gate,
                "version: 1\nlimiters: {a: 2/minute}\nrules: [{limit: a}]\n"
                "callers: {k: {limits: {a: 10/minute}}}");
  EXPECT_EQ(other.ask("GET /", {{"identity", "k"}}).http, 200);
  EXPECT_FALSE(here.gate.consume(a, "k").allowed);
}

void follows_live(Gate& gate) {
  Guarded guard(gate, kPolicy);
  EXPECT_EQ(guard.ask("GET /", {{"identity", "k"}}).http, 200);
  EXPECT_EQ(guard.edit(R"({"callers": {"k": {"ban": true, "reason": "now"}}})"), "");
  EXPECT_EQ(guard.ask("GET /", {{"identity", "k"}}).http, 403);
  EXPECT_EQ(guard.edit(R"({"limiters": {"basic": {"rate": "7/minute"}}})"), "");
  EXPECT_EQ(guard.ask("GET /", {{"identity", "j"}}).field("X-RateLimit-Limit"), "7");
  EXPECT_EQ(guard.edit(R"({"callers": {"k": null}})"), "");
  EXPECT_EQ(guard.ask("GET /", {{"identity", "k"}}).http, 200);
  EXPECT_EQ(live_of(gate), R"({"version":3,"live":{"limiters":{"basic":{"rate":"7/minute"}}}})");
  EXPECT_NE(guard.edit(R"({"limiters": {"unheard": {"rate": "7/minute"}}})"), "");
  EXPECT_NE(guard.edit(R"({"limiters": {"basic": {"rate": "7/fortnight"}}})"), "");
  EXPECT_EQ(guard.edit("{}", TG_EDIT_REPLACE), "");
  EXPECT_EQ(guard.ask("GET /", {{"identity", "j"}}).field("X-RateLimit-Limit"), "3");
}

TEST(GuardsEmbedded, ALiveDocumentIsSaidOverThePolicy) {
  Embedded here;
  follows_live(here.gate);
}
TEST_P(Guards, ALiveDocumentIsSaidOverThePolicy) { follows_live(gate()); }

TIDEGATE_ON_EVERY_SERVER(Guards);

}  // namespace
}  // namespace tidegate::test
