// SPDX-License-Identifier: MIT
// Debits and slots while the store is away, and what is refused of both: by each failure policy,
// and to whom a settlement goes.
#include "support/every_server.h"
#include "support/gate.h"

namespace tidegate::test {
namespace {

const std::string kNobody = "redis://127.0.0.1:1?timeout_ms=200&connect_timeout_ms=200";
constexpr int64_t kDay = 86'400'000'000;

TEST(ValkeyDebit, LocalChargesTheEmbeddedEngineOthersSayWhyNot) {
  Gate gate(kNobody);
  const uint64_t local = gate.open("10/d overdraft 5", "l");
  const Outcome owing = gate.call(TG_OP_DEBIT, {{local, "k", 16}});
  EXPECT_EQ(owing.status, TG_OK);
  EXPECT_TRUE(owing.allowed);
  EXPECT_EQ(owing.source, TG_SOURCE_FALLBACK);
  EXPECT_EQ(owing.parts.at(0).shortfall, 1);
  EXPECT_FALSE(gate.consume(local, "k").allowed);
  for (const std::string policy : {"open", "closed"}) {
    const uint64_t limiter = gate.open("10/d overdraft 5", policy, "", "", policy);
    for (const auto& parts :
         {std::vector<Part>{{limiter, "k", 3}}, {{local, "j", 3}, {limiter, "k", 3}}}) {
      if (policy == "open" && parts.size() == 2) continue;  // local is stricter
      const Outcome refused = gate.call(TG_OP_DEBIT, parts);
      EXPECT_EQ(refused.status, TG_ECONNECT) << policy;
      EXPECT_NE(refused.text, "");
    }
  }
  EXPECT_EQ(gate.call(TG_OP_PEEK, {{local, "j", 0}}).parts.at(0).remaining, 10);
}

TEST(ValkeyDebit, ASettlementGoesWhereTheDecisionCameFrom) {
  Gate gate(kNobody);
  const uint64_t limiter = gate.open("10/d overdraft 5", "l");
  const auto left = [&] {
    return gate.call(TG_OP_PEEK, {{limiter, "k", 0}}).parts.at(0).remaining;
  };
  EXPECT_EQ(gate.call(TG_OP_DEBIT, {{limiter, "k", 3}}, 0, TG_SOURCE_FALLBACK).source,
            TG_SOURCE_FALLBACK);
  EXPECT_EQ(left(), 7);
  for (const uint32_t source : {TG_SOURCE_FAIL_OPEN, TG_SOURCE_FAIL_CLOSED, TG_SOURCE_POLICY}) {
    const Outcome nowhere = gate.call(TG_OP_DEBIT, {{limiter, "k", 3}}, 0, source);
    EXPECT_EQ(nowhere.status, TG_OK);
    EXPECT_EQ(nowhere.source, source);
    EXPECT_TRUE(nowhere.allowed);
    EXPECT_EQ(nowhere.parts.at(0).remaining, -1);
    EXPECT_EQ(nowhere.parts.at(0).shortfall, 0);
  }
  // What the store decided is the store's to charge: it is away, and its caller is told.
  EXPECT_EQ(gate.call(TG_OP_DEBIT, {{limiter, "k", 3}}, 0, TG_SOURCE_STORE).status, TG_ECONNECT);
  EXPECT_EQ(left(), 7);
}

TEST(ValkeyDebit, SlotsAreHeldInTheEmbeddedEngineMeanwhile) {
  Gate gate(kNobody + "&fallback_share=2");
  const uint64_t slots = gate.open("5 at once", "s"), one = gate.open("1 at once", "o");
  for (const std::string id : {"a", "b"}) {
    const Outcome held = gate.call(TG_OP_CONSUME, {{slots, "k", 1, id}, {one, id, 1, id}});
    EXPECT_TRUE(held.allowed);
    EXPECT_EQ(held.source, TG_SOURCE_FALLBACK);
  }
  EXPECT_FALSE(gate.call(TG_OP_CONSUME, {{slots, "k", 1, "c"}}).allowed);  // floor(5 / 2)
  EXPECT_TRUE(gate.call(TG_OP_CONSUME, {{slots, "k", 1, "a"}}).parts.at(0).flags & TG_RENEWED);
  EXPECT_EQ(gate.call(TG_OP_REFUND, {{slots, "k", 1, "b"}}, 0, TG_SOURCE_FALLBACK).status, TG_OK);
  EXPECT_TRUE(gate.call(TG_OP_CONSUME, {{slots, "k", 1, "c"}}).allowed);
}

// The same refusals, embedded and on a server.
void refuse_bad_input(Gate& gate) {
  const uint64_t rate = gate.open("10/d overdraft 5", "r"), slots = gate.open("3 at once", "s");
  EXPECT_EQ(gate.call(TG_OP_DEBIT, {{rate, "k", int64_t{1} << 52}}).status, TG_ECOST);
  EXPECT_EQ(gate.call(TG_OP_DEBIT, {{rate, "k", -1}}).status, TG_ECOST);
  EXPECT_EQ(gate.call(TG_OP_DEBIT, {{rate, "k", TG_MAX_COST}}).parts.at(0).shortfall,
            TG_MAX_COST - 15);
  const Outcome nobody = gate.call(TG_OP_CONSUME, {{rate, "j", 1}, {slots, "k", 1}});
  EXPECT_EQ(nobody.status, TG_EID);
  EXPECT_NE(nobody.text.find("'s'"), std::string::npos) << nobody.text;
  EXPECT_EQ(gate.call(TG_OP_PEEK, {{rate, "j", 0}}).parts.at(0).remaining, 10);  // did nothing
  // The first part of a state says in whose name.
  EXPECT_EQ(gate.call(TG_OP_CONSUME, {{slots, "k", 0}, {slots, "k", 1, "x"}}).status, TG_EID);
  EXPECT_TRUE(gate.call(TG_OP_CONSUME, {{slots, "k", 1, "x"}, {slots, "k", 1}}).allowed);
  EXPECT_EQ(gate.call(TG_OP_CONSUME, {{slots, "k", 0}}).parts.at(0).remaining, 1);
  EXPECT_EQ(gate.call(TG_OP_CONSUME, {{slots, "k", 4, "y"}}).parts.at(0).retry_after_us, -1);
  EXPECT_EQ(gate.call(TG_OP_DEBIT, {{slots, "k", 2, "x"}}).parts.at(0).shortfall, 2);
  EXPECT_EQ(gate.call(TG_OP_REFUND, {{slots, "k", 2, "y"}}).status, TG_OK);  // somebody else
  EXPECT_EQ(gate.call(TG_OP_REFUND, {{slots, "k", 2}}).status, TG_OK);       // nobody
  EXPECT_EQ(gate.call(TG_OP_PEEK, {{slots, "k", 1}}).parts.at(0).remaining, 1);
  gate.change(slots, "1 at once");
  const Outcome renewed = gate.call(TG_OP_CONSUME, {{slots, "k", 1, "x"}});
  EXPECT_TRUE(renewed.allowed);
  EXPECT_TRUE(renewed.parts.at(0).flags & TG_RENEWED);
  EXPECT_EQ(renewed.parts.at(0).remaining, 0);
  EXPECT_FALSE(gate.call(TG_OP_CONSUME, {{slots, "k", 1, "y"}}).allowed);
  EXPECT_EQ(gate.call(TG_OP_REFUND, {{slots, "k", 1, "x"}}).status, TG_OK);
  EXPECT_TRUE(gate.call(TG_OP_CONSUME, {{slots, "k", 1, "y"}}).allowed);
}

TEST(ValkeyDebit, BadInputIsRefusedEmbedded) {
  Gate gate("memory://");
  refuse_bad_input(gate);
}

class ValkeyDebits : public OnEveryServer {};

TEST_P(ValkeyDebits, BadInputIsRefused) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=20000"));
  refuse_bad_input(gate);
}

TEST_P(ValkeyDebits, OneDebitSettlesWhatTheStoreDecided) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=20000"));
  const uint64_t limiter = gate.open("10/d burst 12 overdraft 5", "l");
  EXPECT_EQ(gate.consume(limiter, "k", 8).source, TG_SOURCE_STORE);
  const Outcome settled = gate.call(TG_OP_DEBIT, {{limiter, "k", 7}}, 0, TG_SOURCE_STORE);
  EXPECT_EQ(settled.source, TG_SOURCE_STORE);
  EXPECT_EQ(settled.parts.at(0).shortfall, 0);
  EXPECT_EQ(settled.parts.at(0).remaining, 0);
  EXPECT_NEAR(static_cast<double>(settled.parts.at(0).retry_after_us), kDay * 4.0 / 10, kDay / 1e3);
}

// A worker that holds slots and dies: they are free after the lease, not before.
TEST_P(ValkeyDebits, SlotsOfACrashedWorkerComeBackByThemselves) {
  Server server(GetParam());
  const auto open = [](Gate& gate) { return gate.open("2 at once", "s", "", "", "", "700ms"); };
  const int64_t began = now_ms();
  {
    Gate worker(server.url("timeout_ms=20000"));
    EXPECT_TRUE(worker.call(TG_OP_CONSUME, {{open(worker), "k", 2, "worker"}}).allowed);
  }
  Gate gate(server.url("timeout_ms=20000"));
  const uint64_t slots = open(gate);
  Outcome asked = gate.call(TG_OP_CONSUME, {{slots, "k", 1, "next"}});
  while (!asked.allowed) {
    EXPECT_LE(asked.parts.at(0).retry_after_us, 700'000);
    sleep_ms(asked.parts.at(0).retry_after_us / 1'000 + 1);
    asked = gate.call(TG_OP_CONSUME, {{slots, "k", 1, "next"}});
  }
  EXPECT_GE(now_ms() - began, 699);
}

TIDEGATE_ON_EVERY_SERVER(ValkeyDebits);

}  // namespace
}  // namespace tidegate::test
