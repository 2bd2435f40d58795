// SPDX-License-Identifier: MIT
// The way to a server, step by step against a scripted one, in a time that only the test moves:
// what counts as a failure, who is woken, what is dropped.
#include <gtest/gtest.h>

#include "support/scripted_server.h"

namespace tidegate::test {
namespace {

constexpr int64_t kMs = 1'000;

TEST(ValkeyNode, AConnectThatOutlastsTheChecksIsJudgedByItsOwnTime) {
  ScriptedServer server;  // 100 ms a check, 1 s a connect, 5 failures
  std::vector<Asked*> asked;
  asked.push_back(server.consume("k"));
  server.pump();
  ASSERT_TRUE(server.accepts());
  for (int i = 0; i < 8; ++i) {  // each runs into its deadline while HELLO has no answer
    server.pass(110 * kMs);
    EXPECT_EQ(asked.back()->call.decision.source, Source::kFallback);
    asked.push_back(server.consume("k"));
    server.pump();
  }
  EXPECT_FALSE(server.health().open());
  EXPECT_FALSE(server.is_cut_off());
  server.says(ScriptedServer::hello());
  server.pump();
  EXPECT_EQ(server.counter(Counter::kConnects), 1);
  EXPECT_NE(server.hears().find("EVALSHA"), std::string::npos);
  for (const Asked* one : asked) EXPECT_LE(one->times, 1);
}

TEST(ValkeyNode, AConnectFailsWhenItsOwnTimeIsOver) {
  ScriptedServer server;
  server.consume("k");
  server.pump();
  ASSERT_TRUE(server.accepts());
  server.pass(999 * kMs);
  EXPECT_FALSE(server.is_cut_off());
  server.pass(2 * kMs);
  EXPECT_TRUE(server.is_cut_off());
  EXPECT_NE(server.events().find("HELLO got no answer"), std::string::npos);
}

void open_breaker(ScriptedServer& server) {
  server.connected();
  for (int i = 0; i < 5; ++i) {
    server.consume("k");
    server.pump();
    server.pass(101 * kMs);
  }
  ASSERT_TRUE(server.health().open());
}

TEST(ValkeyNode, FiveRoundTripsWithoutAnAnswerOpenTheBreakerAndDropTheConnection) {
  ScriptedServer server;
  open_breaker(server);
  EXPECT_TRUE(server.is_cut_off());
  Asked* refused = server.consume("k");
  EXPECT_EQ(refused->times, 1);
  EXPECT_EQ(refused->call.decision.source, Source::kFallback);
}

TEST(ValkeyNode, AProbesConnectIsNotCutShortByItsDeadlineEither) {
  ScriptedServer server;
  open_breaker(server);
  server.timeline.now += 1'000 * kMs;
  server.consume("probe");
  server.pump();
  ASSERT_TRUE(server.accepts());
  server.pass(150 * kMs);  // a look-up, TLS, HELLO: longer than a check may take
  EXPECT_FALSE(server.is_cut_off());
  server.says(ScriptedServer::hello());
  server.pump();
  Asked ping;  // at once: a server that greets may be asked
  server.submit(ping);
  server.pump();
  server.says("+PONG\r\n");
  server.pump();
  EXPECT_EQ(ping.call.status, Code::kOk);
  EXPECT_FALSE(server.health().open());
}

TEST(ValkeyNode, ADeadlineShorterThanTheClientsSaysNothing) {
  ScriptedServer server;
  server.connected();
  for (int i = 0; i < 20; ++i) {
    Asked* hasty = server.consume("k", 5 * kMs);
    server.pump();
    server.pass(6 * kMs);
    EXPECT_EQ(hasty->call.decision.source, Source::kFallback);
    server.pass(14 * kMs);
    server.says("-ERR what ran late\r\n");  // within 100 ms: the server is well
    server.pump();
  }
  EXPECT_FALSE(server.health().open());
  EXPECT_EQ(server.events().find("does not answer"), std::string::npos);
}

TEST(ValkeyNode, HastyCallersDoNotHideADeadServer) {
  ScriptedServer server;
  server.connected();
  for (int i = 0; i < 2'000 && !server.health().open(); ++i) {
    server.consume("k", 5 * kMs);
    server.pump();
    server.pass(6 * kMs);
  }
  EXPECT_TRUE(server.health().open());
}

TEST(ValkeyNode, SilenceEndsTheConnectionWhateverTheBreakerThinks) {
  ScriptedServer server("breaker_failures=1000000");
  server.connected();
  server.consume("k");
  server.pump();
  server.pass(1'150 * kMs);
  EXPECT_FALSE(server.is_cut_off());
  server.pass(60 * kMs);  // 2 x 100 ms + 1 s
  EXPECT_TRUE(server.is_cut_off());
}

TEST(ValkeyNode, WhoeverSubmitsBehindAFailedConnectIsStillWoken) {
  ScriptedServer server;
  server.stop_listening();
  server.channel().arm();
  server.pump();
  while (server.readable()) server.pump();
  server.channel().disarm();
  Asked one, two;
  server.submit(one);      // lands between pump and arm
  server.channel().arm();  // connects, is refused, answers it
  EXPECT_EQ(one.times, 1);
  while (server.readable()) server.pump();
  server.channel().arm();
  server.timeline.now += 2'000 * kMs;  // behind the back-off
  server.listen_again();
  server.submit(two);
  EXPECT_TRUE(server.readable()) << "nobody is woken, and no timer is set";
}

TEST(ValkeyNode, AnEndlessTimeoutIsAnHourAndNobodyElsesMatter) {
  ScriptedServer server;
  server.connected();
  Asked endless(Op::kPing, INT64_MAX), usual;
  server.submit(endless);
  server.submit(usual);
  server.pump();
  server.pass(101 * kMs);
  EXPECT_EQ(usual.call.status, Code::kTimedOut);
  EXPECT_EQ(endless.times, 0);
  EXPECT_EQ(endless.call.deadline_us - server.timeline.now, kMaxTimeoutUs - 101 * kMs);
}

TEST(ValkeyNode, AReplicaIsLeftAndLookedForAnew) {
  ScriptedServer server;
  for (const std::string error :
       {"-READONLY You can't write against a read only replica.",
        "-MASTERDOWN Link with MASTER is down", "-NOAUTH Authentication required."}) {
    SCOPED_TRACE(error);
    server.timeline.now += 5'000 * kMs;
    server.connected();
    server.consume("k");
    server.pump();
    server.says(error + "\r\n");
    server.pump();
    EXPECT_TRUE(server.is_cut_off());
    Asked* meanwhile = server.consume("k");
    EXPECT_EQ(meanwhile->times, 1) << "nobody waits for a server that is left alone";
  }
  EXPECT_FALSE(server.health().open());
}

TEST(ValkeyNode, OneThatSaysItIsAReplicaIsNotTaken) {
  ScriptedServer server;
  Asked* one = server.consume("k");
  server.pump();
  ASSERT_TRUE(server.accepts());
  server.says(ScriptedServer::hello("replica"));
  server.pump();
  EXPECT_TRUE(server.is_cut_off());
  EXPECT_EQ(one->call.decision.source, Source::kFallback);
  EXPECT_EQ(server.counter(Counter::kReadOnlyErrors), 1);
  EXPECT_NE(server.events().find("expected the primary"), std::string::npos);
}

TEST(ValkeyNode, NonsenseBacksOffAndOpensTheBreaker) {
  ScriptedServer server;
  int connects = 0;
  for (int ms = 0; ms < 3'000; ++ms) {
    server.consume("k");
    server.pump();
    if (server.accepts()) {
      ++connects;
      server.says(ScriptedServer::hello());
      server.pump();
      server.says(":1\r\n");
      server.pump();
    }
    server.pass(1 * kMs);
  }
  EXPECT_EQ(server.counter(Counter::kBreakerOpened), 1);
  EXPECT_LT(connects, 20);
  EXPECT_GT(connects, 4);
}

TEST(ValkeyNode, WhatNobodyAskedForEndsTheConnection) {
  for (const std::string extra : {"+OK\r\n", ">2\r\n+a\r\n+b\r\n"}) {
    ScriptedServer server;
    server.connected();
    server.says(extra);  // nothing is in flight
    server.pump();
    EXPECT_TRUE(server.is_cut_off()) << extra;
    EXPECT_NE(server.events().find("127"), 0u);
    EXPECT_EQ(server.counter(Counter::kConnects), 1);
  }
  ScriptedServer server;
  server.connected();
  Asked ping;
  server.submit(ping);
  server.pump();
  server.says("+PONG\r\n+PONG\r\n");  // one too many: whose was the first?
  server.pump();
  EXPECT_EQ(ping.call.status, Code::kProtocol);
  EXPECT_TRUE(server.is_cut_off());
}

TEST(ValkeyNode, AProgramThatNobodyWaitsForIsNotSentAgain) {
  ScriptedServer server;
  server.connected();
  Asked* late = server.consume("k");
  server.pump();
  server.hears();
  server.pass(150 * kMs);
  EXPECT_EQ(late->times, 1);
  server.says("-NOSCRIPT No matching script.\r\n");
  server.pump();
  EXPECT_EQ(server.hears().find("EVAL"), std::string::npos);
  EXPECT_EQ(server.counter(Counter::kScriptLoads), 0);
}

TEST(ValkeyNode, OnlyWhoStillWaitsIsSentAgain) {
  ScriptedServer server;
  server.connected();
  Asked* hasty = server.consume("k", 5 * kMs);
  Asked* patient = server.consume("k");
  server.pump();
  server.hears();
  server.pass(6 * kMs);
  EXPECT_EQ(hasty->times, 1);
  server.says("-NOSCRIPT No matching script.\r\n");
  server.pump();
  EXPECT_NE(server.hears().find("EVAL"), std::string::npos);
  EXPECT_EQ(patient->times, 0);
  server.says("-ERR enough\r\n");
  server.pump();
  EXPECT_EQ(server.counter(Counter::kLateReplies), 0);  // it carried one call the second time
}

TEST(ValkeyNode, AServerThatHasGoneIsConnectedAnewForWhoStillWaits) {
  ScriptedServer server;
  server.connected();
  server.hang_up();
  Asked one;
  server.submit(one, Channel::From::kPump);
  server.channel().send_queued();  // the write finds it gone
  server.pump();
  Asked two;
  server.submit(two);
  server.pump();
  EXPECT_TRUE(server.accepts());
}

TEST(ValkeyNode, WhatAnEventSaysOfAServersErrorIsOneLineWithoutKeys) {
  ScriptedServer server;
  server.connected();
  server.consume("k");
  server.pump();
  server.says(
      "-ERR unknown command 'EVALSHA', with args beginning with: '922f' '1' 'tg:1:s:b60s:{SECRET}' "
      "\r\n");
  server.pump();
  server.consume("k");
  server.pump();
  server.says("-ERR \x1b[2J \x07 \xff\xfe {SECRET} end\r\n");
  server.pump();
  const std::string events = server.events();
  EXPECT_NE(events.find("unknown command 'EVALSHA'"), std::string::npos) << events;
  EXPECT_EQ(events.find("SECRET"), std::string::npos) << events;
  for (const char c : events) EXPECT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7f)) << events;
}

TEST(ValkeyNode, ACancellationThatComesBeforeTheCallMeansItAllTheSame) {
  ScriptedServer server;
  server.connected();
  Asked early;
  early.call.sequence = 1;
  server.channel().cancel(&early.call);
  server.pump();
  server.submit(early);
  EXPECT_EQ(early.times, 1);
  EXPECT_EQ(early.call.status, Code::kCanceled);
  early.call.sequence = 2;  // another submission of the same call
  server.submit(early);
  server.pump();
  server.says("+PONG\r\n");
  server.pump();
  EXPECT_EQ(early.call.status, Code::kCanceled);
  EXPECT_EQ(early.times, 2);
}

TEST(ValkeyNode, ASlowLookUpIsUsedWhenItHasEnded) {
  const auto names = std::make_shared<SlowNames>();
  std::vector<std::unique_ptr<Asked>> pings;  // one that is still out outlives the server
  ScriptedServer server("", "db.example:1", names);
  server.consume("k");
  server.pump();
  for (int i = 0; i < 9; ++i) {
    server.pass(110 * kMs);
    server.consume("k");
    server.pump();
  }
  EXPECT_FALSE(server.health().open());
  for (int i = 0; i < 2'000 && names->asked == 0; ++i) usleep(1'000);
  EXPECT_EQ(names->asked, 1);
  server.pass(3'000 * kMs);  // over: the next attempt still has the first look-up
  server.consume("k");
  server.pump();
  EXPECT_EQ(names->asked, 1);
  server.pass(2'000 * kMs);
  names->may_answer = true;
  std::string why;  // port 1 refuses: the address was found, and tried
  for (int i = 0; i < 2'000 && why.find("refused") == std::string::npos; ++i) {
    Asked& ping = *pings.emplace_back(std::make_unique<Asked>());
    server.submit(ping);
    usleep(1'000);
    server.pass(100 * kMs);
    why = ping.call.text;
  }
  EXPECT_NE(why.find("Connection refused"), std::string::npos) << why;
}

constexpr int64_t kHour = 3'600'000'000;

// The note that goes before a request, and what stood in the store.
std::string told(ScriptedServer& server, const std::string& before) {
  server.consume("k");
  server.pump();
  const std::string note = server.hears();
  const bool tells = note.find("SET") != std::string::npos;
  if (!tells) server.says("-ERR no program\r\n");
  if (!tells) server.pump();
  if (!tells) return "";
  server.says((before.empty() ? "$-1\r\n"
                              : "$" + std::to_string(before.size()) + "\r\n" + before + "\r\n") +
              "-ERR no program\r\n");
  server.pump();
  const size_t at = note.find(":spec\r\n$");
  const size_t begin = note.find("\r\n", at + 9) + 2;
  return note.substr(begin, note.find("\r\n", begin) - begin);
}

TEST(ValkeyNode, ALimitersNumbersAreToldTwiceADay) {
  ScriptedServer server;
  server.connected();
  server.tells_numbers(true);
  EXPECT_EQ(told(server, "").substr(0, 10), "5-per-8640");
  EXPECT_EQ(told(server, ""), "");
  server.pass(11 * kHour);
  EXPECT_EQ(told(server, ""), "");
  server.pass(2 * kHour);
  EXPECT_NE(told(server, ""), "");
  EXPECT_EQ(server.counter(Counter::kNameConflicts), 0);
}

TEST(ValkeyNode, NumbersThatWereLostOnTheWayAreToldAgainSoon) {
  ScriptedServer server;
  server.connected();
  server.tells_numbers(true);
  server.consume("k");
  server.pump();
  server.hang_up();
  server.pump();
  server.pass(11'000 * kMs);
  server.connected();
  EXPECT_NE(told(server, ""), "");
}

TEST(ValkeyNode, AnOwnChangeIsNoConflictAndAStrangersIs) {
  ScriptedServer server;
  server.connected();
  server.tells_numbers(true);
  const std::string first = told(server, "");
  server.change("6/day");
  const std::string second = told(server, first);
  EXPECT_EQ(second.substr(0, 6), "6-per-");
  EXPECT_EQ(second.back(), '1') << "the revision";
  EXPECT_EQ(server.counter(Counter::kNameConflicts), 0);
  server.change("5/day");  // and back: what the store says may not stay behind
  EXPECT_EQ(told(server, second).substr(0, 6), "5-per-");
  EXPECT_EQ(server.counter(Counter::kNameConflicts), 0);
  server.change("7/day");
  told(server, "5-per-86400s abcdef 0");  // a neighbour who has not changed yet
  EXPECT_EQ(server.counter(Counter::kNameConflicts), 0);
  server.pass(13 * kHour);
  told(server, "8-per-86400s abcdef 0");
  EXPECT_EQ(server.counter(Counter::kNameConflicts), 1);
  EXPECT_NE(server.events().find("8-per-86400s elsewhere"), std::string::npos);
  server.pass(13 * kHour);  // it is still so
  told(server, "8-per-86400s abcdef 0");
  EXPECT_EQ(server.counter(Counter::kNameConflicts), 2);
}

}  // namespace
}  // namespace tidegate::test
