// SPDX-License-Identifier: MIT
// What is in the server: only states of ours, each with an expiry, written only when something is
// charged, and small.
#include <set>

#include "support/every_server.h"
#include "support/gate.h"

namespace tidegate::test {
namespace {

const char* const kAlgorithms[] = {"token_bucket", "fixed_window", "sliding_window", "sliding_log"};
const std::string kId = "sixteen letters.";
constexpr int64_t kStart = 1'800'000'000'000'000;

class ValkeyExact : public OnEveryServer {};

std::vector<std::string> keys_of(Server& server) {
  std::vector<std::string> keys;
  std::string all = server.command({"KEYS", "*"});
  while (!all.empty()) {
    const std::string key = all.substr(0, all.find('\n'));
    keys.push_back(key);
    all.erase(0, std::min(all.size(), key.size() + 1));
  }
  return keys;
}

std::string state_key(Server& server, const std::string& of) {
  for (const std::string& key : keys_of(server))
    if (key.ends_with("{" + of + "}")) return key;
  return "";
}

TEST_P(ValkeyExact, EveryKeyIsOursAndExpires) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=5000"));
  int at = 0;
  for (const std::string algorithm : kAlgorithms) {
    const uint64_t limiter = gate.open("3/min; 10/h", "l" + std::to_string(at++), algorithm);
    for (int i = 0; i < 5; ++i) gate.consume(limiter, "user:" + std::to_string(i % 2));
    gate.call(TG_OP_REFUND, {{limiter, "user:1"}});
    gate.call(TG_OP_PEEK, {{limiter, "user:7"}});
  }
  for (const std::string algorithm : kAlgorithms) {  // a debit is the first to touch its states
    const uint64_t limiter = gate.open("3/min overdraft 5; 10/h", "d" + algorithm, algorithm);
    EXPECT_EQ(gate.call(TG_OP_DEBIT, {{limiter, "user:0", 9}}).parts.at(0).shortfall, 1);
    EXPECT_EQ(gate.call(TG_OP_DEBIT, {{limiter, "user:1", TG_MAX_COST}}).parts.at(0).remaining, 0);
  }
  const uint64_t slots = gate.open("300 at once", "slots");
  for (int i = 0; i < 300; ++i)  // one state in pieces, another in one
    gate.call(TG_OP_CONSUME,
              {{slots, "user:" + std::to_string(i % 50 == 0), 1, std::to_string(i)}});
  gate.call(TG_OP_PEEK, {{slots, "user:7", 1, kId}});
  gate.call(TG_OP_REFUND, {{slots, "user:8", 1, kId}});
  gate.call(TG_OP_CONSUME, {{slots, "user:9", 0, kId}});
  const auto keys = keys_of(server);
  EXPECT_EQ(keys.size(), 2 * (4u * 2 * 2 + 4) + 2 + 1)
      << testing::PrintToString(keys);  // and each name's numbers
  for (const std::string& key : keys) {
    EXPECT_TRUE(key.starts_with("tg:1:")) << key;
    EXPECT_GT(std::stoll(server.command({"PTTL", key})), 0) << key;
  }
}

TEST_P(ValkeyExact, ADenialWritesNothing) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=5000"));
  int at = 0;
  for (const std::string algorithm : kAlgorithms) {
    SCOPED_TRACE(algorithm);
    const uint64_t limiter = gate.open("2/d", "l" + std::to_string(at++), algorithm);
    const uint64_t other = gate.open("9/d", "m" + std::to_string(at++), algorithm);
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(gate.consume(limiter, "u").allowed);
    const std::string key = state_key(server, "u");
    ASSERT_NE(key, "");
    gate.call(TG_OP_PEEK, {{other, "announced"}});
    const std::string before = server.command({"GET", key});
    const std::string size = server.command({"DBSIZE"});
    const std::string expires = server.command({"PEXPIRETIME", key});
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(gate.consume(limiter, "u").allowed);
      EXPECT_FALSE(gate.call(TG_OP_CONSUME, {{other, "v"}, {limiter, "u"}}).allowed);
      EXPECT_FALSE(gate.consume(limiter, "w", 3).allowed);
      gate.call(TG_OP_PEEK, {{limiter, "x"}});
      EXPECT_TRUE(gate.consume(limiter, "y", 0).allowed);
    }
    EXPECT_EQ(server.command({"GET", key}), before);
    EXPECT_EQ(server.command({"PEXPIRETIME", key}), expires);
    EXPECT_EQ(server.command({"DBSIZE"}), size);
    server.command({"FLUSHALL"});
  }
}

TEST_P(ValkeyExact, AStampFromTheFutureIsMendedEvenByADenial) {
  Server server(GetParam());
  for (const std::string algorithm : kAlgorithms) {
    SCOPED_TRACE(algorithm);
    Gate gate(server.url("timeout_ms=5000&clock=manual&testing=1"));
    const uint64_t limiter = gate.open("2/min", "l", algorithm);
    gate.set_time(kStart + 3'600'000'000);
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(gate.consume(limiter, "u").allowed);
    const std::string key = state_key(server, "u"), before = server.command({"GET", key});
    gate.set_time(kStart);
    const Outcome denied = gate.consume(limiter, "u", 2);
    EXPECT_EQ(denied.source, TG_SOURCE_STORE);
    EXPECT_NE(server.command({"GET", key}), before);
    gate.set_time(kStart + 121'000'000);
    EXPECT_TRUE(gate.consume(limiter, "u", 2).allowed);
    server.command({"FLUSHALL"});
  }
}

constexpr int kManyHolders = 140;  // whose state is written in pieces

const std::vector<std::string> kMinimal{"hello", "ping", "evalsha", "eval", "mget",     "exists",
                                        "type",  "set",  "del",     "time", "getrange", "append"};

std::vector<std::string> acl_user(const std::string& but = "") {
  std::vector<std::string> words{"ACL",   "SETUSER", "limiter",       "reset", "on",
                                 ">pass", "~tg:*",   "resetchannels", "-@all"};
  for (const std::string& command : kMinimal)
    if (command != but) words.push_back("+" + command);
  return words;
}

std::string url_of_user(Server& server, const std::string& options) {
  return "redis://limiter:pass@127.0.0.1:" + std::to_string(server.port()) + "?" + options;
}

TEST_P(ValkeyExact, TheMinimalUserMayDoEverything) {
  Server server(GetParam());
  ASSERT_EQ(server.command(acl_user()), "OK");
  Gate gate(url_of_user(server, "timeout_ms=5000"));
  EXPECT_EQ(gate.ping().status, TG_OK) << gate.event_texts();
  for (const std::string algorithm : kAlgorithms) {
    const uint64_t limiter = gate.open("2/d; 50/2d", algorithm, algorithm);
    EXPECT_EQ(gate.consume(limiter, "u").source, TG_SOURCE_STORE);
    EXPECT_EQ(gate.call(TG_OP_REFUND, {{limiter, "u"}}).status, TG_OK);
    EXPECT_EQ(gate.call(TG_OP_PEEK, {{limiter, "u"}}).source, TG_SOURCE_STORE);
    server.command({"SET", "tg:1:" + algorithm + ":x", "1"});
    EXPECT_EQ(gate.call(TG_OP_RESET, {{limiter, "u"}}).status, TG_OK);
    server.command({"SCRIPT", "FLUSH"});
  }
  const uint64_t slots = gate.open("1000 at once", "slots");
  for (int i = 0; i < kManyHolders; ++i)
    EXPECT_TRUE(gate.call(TG_OP_CONSUME, {{slots, "u", 1, "h" + std::to_string(i)}}).allowed);
  EXPECT_EQ(gate.call(TG_OP_DEBIT, {{slots, "u"}}).parts.at(0).remaining, 1000 - kManyHolders);
  for (int i = 0; i < kManyHolders; ++i)
    EXPECT_EQ(gate.call(TG_OP_REFUND, {{slots, "u", 1, "h" + std::to_string(i)}}).status, TG_OK);
  EXPECT_EQ(state_key(server, "u"), "");
  const tg_stats stats = gate.stats();
  EXPECT_EQ(stats.noperm_errors + stats.other_errors + stats.auth_errors, 0);
}

TEST_P(ValkeyExact, EachMissingCommandIsNopermAndNamed) {
  Server server(GetParam());
  for (const std::string& command : kMinimal) {
    if (command == "hello" || command == "ping") continue;  // no check needs ping; hello is AUTH's
    SCOPED_TRACE(command);
    server.command({"SCRIPT", "FLUSH"});
    server.command({"FLUSHALL"});
    ASSERT_EQ(server.command(acl_user(command)), "OK");
    Gate gate(url_of_user(server, "timeout_ms=5000&on_failure=closed"));
    const uint64_t limiter = gate.open("20/d", "l");
    server.command({"RPUSH", "tg:1:l:b86400s:{foreign}", "1"});  // what asks for the types
    gate.consume(limiter, "foreign");
    gate.consume(limiter, "u");
    gate.call(TG_OP_RESET, {{limiter, "u"}});
    const uint64_t slots = gate.open("1000 at once", "slots");
    for (int i = 0; i < (command == "append" ? kManyHolders : 1); ++i)
      gate.call(TG_OP_CONSUME, {{slots, "u", 1, "h" + std::to_string(i)}});
    EXPECT_GT(gate.stats().noperm_errors, 0);
    EXPECT_EQ(gate.stats().other_errors, 0);
    const std::string told = gate.event_texts();
    // Redis 7.0 names no command that is refused inside a program.
    const bool inside = command != "eval" && command != "evalsha";
    if (!inside || !GetParam().name.starts_with("redis-7.0")) {
      EXPECT_NE(told.find(command), std::string::npos) << told;
    }
  }
  server.command(acl_user("ping"));
  Gate gate(url_of_user(server, "timeout_ms=5000"));
  EXPECT_EQ(gate.ping().status, TG_ENOPERM);
}

TEST_P(ValkeyExact, AForeignStateIsAnErrorOfItsRequestAlone) {
  Server server(GetParam());
  for (const std::string algorithm : kAlgorithms) {
    for (const std::vector<std::string>& make : {std::vector<std::string>{"RPUSH", "KEY", "1", "2"},
                                                 {"HSET", "KEY", "a", "1"},
                                                 {"SET", "KEY", "short"},
                                                 {"SET", "KEY", std::string(14, '\xff')},
                                                 {"SET", "KEY", std::string(21, '\xff')},
                                                 {"SET", "KEY", "2"},
                                                 {"SADD", "KEY", "x"}}) {
      SCOPED_TRACE(algorithm + " " + make[0]);
      Gate gate(server.url("timeout_ms=5000&on_failure=closed"));
      const uint64_t limiter = gate.open("5/d", "l", algorithm);
      EXPECT_TRUE(gate.consume(limiter, "bad").allowed);
      const std::string key = state_key(server, "bad");
      auto words = make;
      words[1] = key;
      server.command({"DEL", key});
      server.command(words);
      const std::string before = server.command({"DUMP", key});
      Reaper ring(gate);
      for (uint64_t i = 0; i < 9; ++i)
        ring.submit(TG_OP_CONSUME, {{limiter, i % 3 == 1 ? "bad" : "good"}}, i);
      ring.submit(TG_OP_CONSUME, {{limiter, "good"}, {limiter, "bad"}}, 1);
      ring.submit(TG_OP_REFUND, {{limiter, "bad"}}, 100);
      int good = 0;
      for (const Outcome& outcome : ring.take(11)) {
        if (outcome.user_data == 100) {
          EXPECT_EQ(outcome.status, TG_EWRONGTYPE);
        } else if (outcome.user_data % 3 == 1) {
          EXPECT_EQ(outcome.source, TG_SOURCE_FAIL_CLOSED) << outcome;
        } else {
          EXPECT_EQ(outcome.source, TG_SOURCE_STORE) << outcome;
          good += outcome.allowed;
        }
      }
      EXPECT_EQ(good, 5);
      EXPECT_EQ(gate.stats().wrongtype_errors, 5);
      EXPECT_EQ(server.command({"DUMP", key}), before);
      EXPECT_EQ(gate.call(TG_OP_RESET, {{limiter, "bad"}}).status, TG_EWRONGTYPE);
      server.command({"FLUSHALL"});
    }
  }
}

TEST_P(ValkeyExact, NamesThatDisagreeAreToldOnce) {
  Server server(GetParam());
  Gate one(server.url("timeout_ms=5000")), other(server.url("timeout_ms=5000"));
  const uint64_t mine = one.open("5/d", "api"), theirs = other.open("6/d", "api");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(one.consume(mine, "u").source, TG_SOURCE_STORE);
    EXPECT_EQ(other.consume(theirs, "u").source, TG_SOURCE_STORE);
  }
  EXPECT_EQ(one.stats().name_conflicts, 0);
  EXPECT_EQ(other.stats().name_conflicts, 1);
  const auto events = other.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].code, TG_ECONFLICT);
  EXPECT_NE(std::string(events[0].text).find("api"), std::string::npos);
}

TEST_P(ValkeyExact, AProgramThatIsForgottenIsLoadedAgain) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=5000"));
  const uint64_t limiter = gate.open("100/d", "l");
  int allowed = 0;
  for (int i = 0; i < 20; ++i) {
    if (i % 5 == 0) server.command({"SCRIPT", "FLUSH"});
    const Outcome outcome = gate.consume(limiter, "u");
    EXPECT_EQ(outcome.source, TG_SOURCE_STORE);
    allowed += outcome.allowed;
  }
  EXPECT_EQ(gate.stats().script_loads, 4);
  EXPECT_EQ(gate.call(TG_OP_PEEK, {{limiter, "u"}}).parts[0].remaining, 100 - allowed);
  server.command({"FLUSHALL"});
  EXPECT_EQ(gate.consume(limiter, "u").parts[0].remaining, 99);
  const tg_stats stats = gate.stats();
  EXPECT_EQ(stats.by_fallback + stats.timeouts + stats.connect_errors, 0);
}

// 112 bytes on Valkey 8.0 and 120 on Redis 7.0, of which 48 are the name and 24 the server's entry.
TEST_P(ValkeyExact, AStateTakesNoMoreThanFourteenBytesUnderItsName) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=5000"));
  const uint64_t limiter = gate.open("100/min", "api-requests");
  const std::string user = "user:4242";
  gate.consume(limiter, user, 7);
  const std::string key = state_key(server, user);
  ASSERT_EQ(key.size(), 34u) << key;
  const int bytes = std::stoi(server.command({"MEMORY", "USAGE", key}));
  EXPECT_LE(bytes, 120);
  server.command({"SET", key, std::string(14, 'x'), "PX", "100000"});
  EXPECT_LE(bytes, std::stoi(server.command({"MEMORY", "USAGE", key})));
}

// Two bytes and 25 for each holder, by when they leave; one who gives back leaves no trace, and the
// last one takes the key with him.
TEST_P(ValkeyExact, SlotsAreTheSumAndTheHoldersInOrder) {
  Server server(GetParam());
  Gate gate(server.url("timeout_ms=5000&clock=manual&testing=1"));
  const uint64_t slots = gate.open("9 at once", "s", "", "", "", "1m");
  const auto at = [&](int64_t second, uint32_t op, int64_t cost, const std::string& id) {
    gate.set_time(kStart + second * 1'000'000);
    return gate.call(op, {{slots, "u", cost, id}});
  };
  const auto entry = [&](int64_t until_s, std::string id, char slots_of) {
    std::string bytes;
    for (int i = 6; i >= 0; --i)
      bytes += static_cast<char>((kStart + until_s * 1'000'000) >> (8 * i));
    id.resize(16);
    return bytes + id + std::string(1, '\0') + slots_of;
  };
  const auto bytes = [&] { return server.command({"GET", "tg:1:s:c60s:{u}"}); };
  const auto sum = [](char n) { return std::string(1, '\0') + n; };
  at(0, TG_OP_CONSUME, 2, "a");
  at(1, TG_OP_CONSUME, 3, kId);
  at(2, TG_OP_CONSUME, 1, "c");
  EXPECT_EQ(bytes(), sum(6) + entry(60, "a", 2) + entry(61, kId, 3) + entry(62, "c", 1));
  EXPECT_TRUE(at(5, TG_OP_CONSUME, 9, "a").parts.at(0).flags & TG_RENEWED);
  EXPECT_EQ(bytes(), sum(6) + entry(61, kId, 3) + entry(62, "c", 1) + entry(65, "a", 2));
  at(5, TG_OP_REFUND, 1, kId);
  EXPECT_EQ(bytes(), sum(3) + entry(62, "c", 1) + entry(65, "a", 2));
  at(62, TG_OP_CONSUME, 1, "d");  // who is gone is left out by the next who writes
  EXPECT_EQ(bytes(), sum(3) + entry(65, "a", 2) + entry(122, "d", 1));
  at(63, TG_OP_REFUND, 1, "nobody");
  EXPECT_EQ(bytes(), sum(3) + entry(65, "a", 2) + entry(122, "d", 1));
  at(63, TG_OP_REFUND, 1, "a");
  at(63, TG_OP_REFUND, 1, "d");
  EXPECT_EQ(server.command({"EXISTS", "tg:1:s:c60s:{u}"}), "0");
}

TEST_P(ValkeyExact, ForeignHoldersAreAnErrorOfTheirRequestAlone) {
  Server server(GetParam());
  const std::string holder = std::string("\0\6\x65\x13\xca\x42\0", 7) + kId;
  for (const std::vector<std::string>& make :
       {std::vector<std::string>{"RPUSH", "KEY", "1", "2"},
        {"HSET", "KEY", "a", "1"},
        {"SET", "KEY", "short"},
        {"SET", "KEY", std::string(27, '\xff')},
        {"SET", "KEY", std::string(25'027, '\0')},  // one holder too many
        {"SET", "KEY", std::string("\0\0", 2) + holder + std::string("\0\1", 2)},  // a wrong sum
        {"SET", "KEY", std::string(28, '\0')},
        {"SADD", "KEY", "x"}}) {
    SCOPED_TRACE(make[0] + " " + std::to_string(make[2].size()));
    Gate gate(server.url("timeout_ms=5000&on_failure=closed"));
    const uint64_t slots = gate.open("5 at once", "l"), rate = gate.open("5/d", "r");
    const std::string key = "tg:1:l:c30s:{bad}";
    auto words = make;
    words[1] = key;
    server.command(words);
    const std::string before = server.command({"DUMP", key});
    Reaper ring(gate);
    ring.submit(TG_OP_CONSUME, {{slots, "good", 1, "a"}}, 0);
    ring.submit(TG_OP_CONSUME, {{slots, "bad", 1, "a"}}, 1);
    ring.submit(TG_OP_CONSUME, {{rate, "u"}, {slots, "bad", 1, "a"}}, 2);
    ring.submit(TG_OP_DEBIT, {{rate, "u", 2}}, 3);
    ring.submit(TG_OP_REFUND, {{slots, "bad", 1, "a"}}, 4);
    ring.submit(TG_OP_CONSUME, {{rate, "u"}, {slots, "good", 1, "b"}}, 5);
    for (const Outcome& outcome : ring.take(6)) {
      SCOPED_TRACE(outcome.user_data);
      if (outcome.user_data == 4)
        EXPECT_EQ(outcome.status, TG_EWRONGTYPE);
      else if (outcome.user_data == 1 || outcome.user_data == 2)
        EXPECT_EQ(outcome.source, TG_SOURCE_FAIL_CLOSED) << outcome;
      else
        EXPECT_EQ(outcome.source, TG_SOURCE_STORE) << outcome;
      if (outcome.user_data == 5) {
        EXPECT_EQ(outcome.parts.at(0).remaining, 2) << outcome;
        EXPECT_EQ(outcome.parts.at(1).remaining, 3) << outcome;
      }
    }
    EXPECT_EQ(gate.stats().wrongtype_errors, 3);
    EXPECT_EQ(server.command({"DUMP", key}), before);
    server.command({"FLUSHALL"});
  }
}

TIDEGATE_ON_EVERY_SERVER(ValkeyExact);

}  // namespace
}  // namespace tidegate::test
