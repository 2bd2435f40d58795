// SPDX-License-Identifier: MIT
// Whatever befalls the store: answers in time and by the policy, counted and told once, and all is
// well again when it is.
#include <functional>
#include <map>

#include "support/every_server.h"
#include "support/gate.h"
#include "support/proxy.h"

namespace tidegate::test {
namespace {

// Far above every deadline below, and far below a hang.
constexpr int64_t kSlackMs = 3'000;

struct Scene {
  Server& server;
  Proxy& proxy;
  std::thread other{};
  ~Scene() {
    if (other.joinable()) other.join();
  }
};

struct Fault {
  std::string title;
  std::function<void(Scene&)> begin, end;
  int64_t tg_stats::* counter;
};

void block_with_script(Scene& scene) {
  scene.server.command({"CONFIG", "SET", "busy-reply-threshold", "10"});
  scene.other = std::thread([&] { scene.server.command({"EVAL", "while true do end", "0"}); });
  while (!scene.server.command({"GET", "x"}).starts_with("-BUSY")) sleep_ms(5);
}

std::vector<Fault> faults() {
  const auto config = [](std::vector<std::string> words) {
    return [words](Scene& scene) {
      auto all = words;
      const std::string answer = scene.server.command(all);
      if (answer.starts_with("-")) ADD_FAILURE() << answer;
    };
  };
  const auto pass = [](Scene& scene) { scene.proxy.pass(); };
  const auto change_user = [](const std::string& rule) {
    return [rule](Scene& scene) { scene.server.command({"ACL", "SETUSER", "limiter", rule}); };
  };
  return {
      {"Killed", [](Scene& s) { s.server.kill(); }, [](Scene& s) { s.server.start(); },
       &tg_stats::connect_errors},
      {"Stopped", [](Scene& s) { s.server.stop(); }, [](Scene& s) { s.server.go_on(); },
       &tg_stats::timeouts},
      {"RefusesConnections",
       [](Scene& s) {
         s.proxy.refuse();
         s.proxy.cut_all();
       },
       pass, &tg_stats::connect_errors},
      {"CutInTheMiddleOfReplies", [](Scene& s) { s.proxy.cut_replies_after(3); }, pass,
       &tg_stats::connect_errors},
      {"RepliesPastTheDeadline", [](Scene& s) { s.proxy.delay(400); }, pass, &tg_stats::timeouts},
      {"HalfOpen", [](Scene& s) { s.proxy.swallow(); }, pass, &tg_stats::timeouts},
      {"SpeaksAnotherProtocol",
       [](Scene& s) { s.proxy.answer("HTTP/1.1 400 Bad Request\r\n\r\n"); }, pass,
       &tg_stats::protocol_errors},
      {"AnswersNonsense", [](Scene& s) { s.proxy.answer("$5\r\nhello\r\n"); }, pass,
       &tg_stats::protocol_errors},
      {"AnswersNumbers", [](Scene& s) { s.proxy.answer(":1\r\n"); }, pass,
       &tg_stats::protocol_errors},
      {"AnswersOnlyZeroes",
       [](Scene& s) { s.proxy.answer("$32\r\n" + std::string(32, '\0') + "\r\n"); }, pass,
       &tg_stats::protocol_errors},
      {"PasswordChanged",
       [](Scene& s) {
         s.server.command({"ACL", "SETUSER", "limiter", "resetpass", ">another"});
         s.proxy.cut_all();
       },
       [](Scene& s) { s.server.command({"ACL", "SETUSER", "limiter", "resetpass", ">secret"}); },
       &tg_stats::auth_errors},
      {"OutOfMemory", config({"CONFIG", "SET", "maxmemory", "100kb"}),
       config({"CONFIG", "SET", "maxmemory", "0"}), &tg_stats::oom_errors},
      {"ReadOnlyReplica", config({"REPLICAOF", "127.0.0.1", "1"}),
       config({"REPLICAOF", "NO", "ONE"}), &tg_stats::readonly_errors},
      {"ReplicaWithoutMaster",
       [](Scene& s) {
         s.server.command({"CONFIG", "SET", "replica-serve-stale-data", "no"});
         s.server.command({"REPLICAOF", "127.0.0.1", "1"});
       },
       config({"REPLICAOF", "NO", "ONE"}), &tg_stats::loading_errors},
      {"ARunawayScript", block_with_script, [](Scene& s) { s.server.command({"SCRIPT", "KILL"}); },
       &tg_stats::busy_errors},
      {"PermissionLost", change_user("-mget"), change_user("+mget"), &tg_stats::noperm_errors},
  };
}

// What a policy answers; nothing else is accepted.
void expect_policy(const std::string& policy, const Outcome& outcome, int at) {
  EXPECT_EQ(outcome.status, TG_OK) << outcome;
  if (policy == "local") {
    EXPECT_EQ(outcome.source, TG_SOURCE_FALLBACK);
    EXPECT_EQ(outcome.allowed, at < 5) << at;
  } else if (policy == "open") {
    EXPECT_EQ(outcome.source, TG_SOURCE_FAIL_OPEN);
    EXPECT_TRUE(outcome.allowed);
    EXPECT_EQ(outcome.parts[0].remaining, -1);
  } else {
    EXPECT_EQ(outcome.source, TG_SOURCE_FAIL_CLOSED);
    EXPECT_FALSE(outcome.allowed);
    EXPECT_GT(outcome.parts[0].retry_after_us, 0);
  }
}

class One {  // a client of one policy
 public:
  One(Proxy& proxy, const std::string& on_failure)
      : policy(on_failure),
        gate("redis://limiter:secret@127.0.0.1:" + std::to_string(proxy.port()) +
             "?timeout_ms=250&connect_timeout_ms=500&on_failure=" + on_failure),
        limiter(gate.open("5/d", "daily")) {}

  void well(const std::string& key) {
    for (int i = 0; i < 7; ++i) {
      const Outcome outcome = timed({{limiter, key}});
      ASSERT_EQ(outcome.source, TG_SOURCE_STORE) << policy << " " << gate.event_texts();
      EXPECT_EQ(outcome.allowed, i < 5) << i;
    }
  }

  void suffer() {
    int at = 0;
    for (int i = 0; i < 12; ++i) {
      SCOPED_TRACE(policy + ", request " + std::to_string(i));
      const Outcome outcome = timed({{limiter, "while-away"}});
      if (at == 0 && outcome.source == TG_SOURCE_STORE) continue;  // the fault has not come through
      expect_policy(policy, outcome, at++);
    }
    EXPECT_GT(at, 5);
  }

  void told_once() {
    std::map<std::string, int> times;
    for (const tg_event& event : gate.events()) ++times[event.text];
    EXPECT_FALSE(times.empty());
    for (const auto& [text, count] : times) {
      EXPECT_EQ(count, 1) << text;
      EXPECT_EQ(text.find("secret"), std::string::npos) << text;
    }
    EXPECT_LE(times.size(), 4u) << testing::PrintToString(times);
  }

  void hears_of_the_end() {  // a refusal is held for a second before it is over
    std::map<std::string, int> times;
    for (const int64_t end = now_ms() + 5'000; now_ms() < end && times.empty(); sleep_ms(20)) {
      timed({{limiter, "the-end"}}, TG_OP_PEEK);
      for (const tg_event& event : gate.events()) ++times[event.text];
    }
    EXPECT_FALSE(times.empty());
    for (const auto& [text, count] : times) EXPECT_EQ(count, 1) << text;
  }

  Outcome timed(const std::vector<Part>& parts, uint32_t op = TG_OP_CONSUME) {
    const int64_t start = now_ms();
    Outcome outcome = gate.call(op, parts);
    EXPECT_LT(now_ms() - start, kSlackMs);
    return outcome;
  }

  const std::string policy;
  Gate gate;
  const uint64_t limiter;
};

class ValkeyFault : public OnEveryServer {};

void run_fault(const ServerKind& kind, const Fault& fault) {
  Server server(kind);
  const std::vector<std::string> user{"ACL",     "SETUSER", "limiter", "on",    ">secret",  "~tg:*",
                                      "-@all",   "+hello",  "+ping",   "+eval", "+evalsha", "+mget",
                                      "+exists", "+type",   "+set",    "+del",  "+time"};
  ASSERT_EQ(server.command(user), "OK");
  Proxy proxy(server.socket());
  const int descriptors = open_descriptors();
  {
    Scene scene{server, proxy};
    One local(proxy, "local"), open(proxy, "open"), closed(proxy, "closed");
    for (One* one : {&local, &open, &closed}) one->well("before-" + one->policy);
    fault.begin(scene);
    for (One* one : {&local, &open, &closed}) one->suffer();
    for (One* one : {&local, &open, &closed}) {
      SCOPED_TRACE(one->policy);
      const tg_stats stats = one->gate.stats();
      EXPECT_GT(stats.*fault.counter, 0);
      const std::vector<Part> charged{{one->limiter, "before-" + one->policy}};
      EXPECT_LT(one->timed(charged, TG_OP_REFUND).status, 0);
      const bool may_forget = fault.title == "OutOfMemory";  // that takes no memory
      EXPECT_EQ(one->timed(charged, TG_OP_RESET).status == TG_OK, may_forget);
      one->told_once();
    }
    fault.end(scene);
    server.command(user);  // a server started anew does not know it
    for (One* one : {&local, &open, &closed}) {
      SCOPED_TRACE(one->policy);
      ASSERT_TRUE(one->gate.comes_back(one->limiter)) << one->gate.event_texts();
      one->well("after-" + one->policy);
      EXPECT_EQ(one->gate.ping().status, TG_OK);
      EXPECT_EQ(one->gate.stats().breaker_open, 0);
      one->hears_of_the_end();
    }
  }
  // The proxy, a thread of this process, closes its side in its time.
  for (int i = 0; i < 500 && open_descriptors() > descriptors; ++i) sleep_ms(10);
  EXPECT_LE(open_descriptors(), descriptors);
}

Fault fault_named(const std::string& title) {
  for (const Fault& fault : faults())
    if (fault.title == title) return fault;
  std::abort();
}

#define FAULT(name) \
  TEST_P(ValkeyFault, name) { run_fault(GetParam(), fault_named(#name)); }
FAULT(Killed)
FAULT(Stopped)
FAULT(RefusesConnections)
FAULT(CutInTheMiddleOfReplies)
FAULT(RepliesPastTheDeadline)
FAULT(HalfOpen)
FAULT(SpeaksAnotherProtocol)
FAULT(AnswersNonsense)
FAULT(AnswersNumbers)
FAULT(AnswersOnlyZeroes)
FAULT(PasswordChanged)
FAULT(OutOfMemory)
FAULT(ReadOnlyReplica)
FAULT(ReplicaWithoutMaster)
FAULT(ARunawayScript)
FAULT(PermissionLost)

TIDEGATE_ON_EVERY_SERVER(ValkeyFault);

}  // namespace
}  // namespace tidegate::test
