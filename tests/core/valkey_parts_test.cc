// SPDX-License-Identifier: MIT
// The parts of the way to a server, each by itself: inbox, deadlines, breaker, health, back-off,
// look-ups. No server, no waiting.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "support/gate.h"
#include "support/scripted_server.h"

namespace tidegate::test {
namespace {

bool readable(int descriptor, int most_ms = 0) {
  pollfd polled{descriptor, POLLIN, 0};
  return poll(&polled, 1, most_ms) == 1;
}

TEST(Inbox, WakesOnlyWhoSleepsOrWouldSleepTooLong) {
  auto reactor = std::move(*Reactor::make());
  Inbox inbox(*reactor);
  const auto woken = [&] {
    const bool is = readable(reactor->fd());
    while (reactor->poll(0)) {
    }
    return is;
  };
  inbox.wake_by(100);
  EXPECT_FALSE(woken());  // the pump is at work
  inbox.arm();
  inbox.wake_by(100);
  EXPECT_TRUE(woken());
  inbox.wake_by(100);
  EXPECT_FALSE(woken());  // once
  inbox.promise(200);
  inbox.wake_by(300);
  EXPECT_FALSE(woken());  // it wakes up early enough by itself
  inbox.wake_by(100);
  EXPECT_TRUE(woken());
}

TEST(Inbox, KeepsTheOrderAndFindsWhatWasCanceled) {
  auto reactor = std::move(*Reactor::make());
  Inbox inbox(*reactor);
  Asked one, two, three;
  for (Asked* asked : {&one, &two, &three}) {
    asked->call.sequence = 1;
    EXPECT_TRUE(inbox.push(&asked->call));
  }
  EXPECT_EQ(inbox.queued(), 3u);
  inbox.cancel(&two.call);
  inbox.cancel(&two.call);  // twice is once
  CallList calls;
  Call* canceled = inbox.take_canceled(calls);
  ASSERT_EQ(canceled, &two.call);
  EXPECT_EQ(canceled->next_canceled, nullptr);
  EXPECT_TRUE(inbox.idle());
  for (Asked* asked : {&one, &two, &three}) EXPECT_EQ(calls.pop_front(), &asked->call);
  EXPECT_EQ(inbox.take_canceled(calls), nullptr);
}

TEST(Inbox, ACancellationMeansOneSubmission) {
  auto reactor = std::move(*Reactor::make());
  Inbox inbox(*reactor);
  Asked one;
  CallList calls;
  one.call.sequence = 1;
  inbox.cancel(&one.call);
  EXPECT_FALSE(inbox.push(&one.call));  // it was on its way
  one.call.sequence = 2;
  EXPECT_TRUE(inbox.push(&one.call));
  EXPECT_EQ(inbox.take_canceled(calls), nullptr);
}

struct Place final : CallHolder {
  void let_go(Call&, Leaves why) noexcept override { why == Leaves::kLate ? ++late : ++canceled; }
  int64_t due_us() const override { return due; }
  int late = 0, canceled = 0;
  int64_t due = 0;
};

TEST(Deadlines, TheEarliestCountsWhoeverHoldsIt) {
  Deadlines deadlines;
  Place queue, exchange;
  deadlines.watch(queue);
  deadlines.watch(exchange);
  EXPECT_EQ(deadlines.next(0, 0), 0);
  Asked early, late;
  early.call.deadline_us = 100;
  late.call.deadline_us = 300;
  deadlines.hold(&late.call, queue);
  deadlines.heed(300);
  EXPECT_EQ(deadlines.next(10, 0), 300);
  deadlines.hold(&early.call, exchange);
  deadlines.heed(100);
  EXPECT_EQ(deadlines.next(10, 300), 100);
  queue.due = 50;
  deadlines.heed(50);
  EXPECT_EQ(deadlines.next(10, 100), 50);
  queue.due = 0;
  CallList gone;
  deadlines.take_late(100, gone);
  EXPECT_EQ(gone.pop_front(), &early.call);
  EXPECT_TRUE(gone.empty());
  EXPECT_EQ(exchange.late, 1);
  EXPECT_EQ(deadlines.next(100, 50), 300);
  deadlines.release(&late.call, CallHolder::Leaves::kCanceled);
  EXPECT_EQ(queue.canceled, 1);
  EXPECT_EQ(deadlines.next(301, 300), 0);
  deadlines.unwatch(queue);
  deadlines.unwatch(exchange);
}

struct HealthScene {
  ManualTimeline timeline;
  Options options;
  Counters counters;
  EventLog events;
  Health health{"db:6379", options, timeline, counters, events};
  std::string told() {
    std::string all;
    for (Event event; events.next(event);) all += event.text + "\n";
    return all;
  }
  bool fail(int64_t after_us = 20'000) {
    timeline.now += after_us;
    return health.failed(Code::kTimedOut, "no answer");
  }
  Breaker::Gate admit() { return health.admit(timeline.now); }
};

TEST(Health, FailuresThatComeTogetherAreOne) {
  HealthScene scene;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(scene.fail(90)) << i;  // within 9 ms
  EXPECT_EQ(scene.told(), "the store at db:6379 does not answer: no answer\n");
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(scene.fail());
  EXPECT_TRUE(scene.fail());
  EXPECT_NE(scene.told().find("the circuit breaker opens"), std::string::npos);
  EXPECT_EQ(scene.counters.sum(Counter::kBreakerOpened), 1);
}

TEST(Health, OneProbeAfterEachPauseWhichDoubles) {
  HealthScene scene;
  while (!scene.fail()) {
  }
  for (int64_t pause_us = 1'000'000; pause_us <= 32'000'000; pause_us *= 2) {
    const int64_t expected_us = std::min<int64_t>(pause_us, 30'000'000);
    EXPECT_EQ(scene.health.retry_after_us(), expected_us);
    scene.timeline.now += expected_us - 1;
    EXPECT_EQ(scene.admit(), Breaker::Gate::kReject);
    scene.timeline.now += 1;
    EXPECT_EQ(scene.admit(), Breaker::Gate::kProbe);
    EXPECT_EQ(scene.admit(), Breaker::Gate::kReject);
    EXPECT_TRUE(scene.fail());
  }
}

TEST(Health, AServerThatGreetsMayBeTriedAtOnce) {
  HealthScene scene;
  while (!scene.fail()) {
  }
  EXPECT_EQ(scene.admit(), Breaker::Gate::kReject);
  scene.health.connected();
  EXPECT_TRUE(scene.health.open());  // a greeting is no answer yet
  EXPECT_EQ(scene.admit(), Breaker::Gate::kProbe);
  EXPECT_EQ(scene.admit(), Breaker::Gate::kReject);
  scene.told();
  scene.health.understood();
  EXPECT_EQ(scene.told(), "the store at db:6379 is back; the circuit breaker closes\n");
  EXPECT_EQ(scene.admit(), Breaker::Gate::kPass);
}

TEST(Health, ARefusalIsToldOnceAndHeldForASecond) {
  HealthScene scene;
  for (int i = 0; i < 10; ++i) scene.health.refused(Code::kOom, "OOM command not allowed");
  EXPECT_EQ(scene.told(), "db:6379: OOM command not allowed\n");
  EXPECT_EQ(scene.health.away().code, Code::kOom);
  scene.health.served();  // what writes nothing is still answered
  EXPECT_EQ(scene.told(), "");
  scene.timeline.now += 1'000'001;
  scene.health.served();
  scene.health.served();
  EXPECT_EQ(scene.told(), "the store at db:6379 answers again\n");
  EXPECT_FALSE(scene.health.open());
}

TEST(Backoff, DoublesUpToASecondWithJitterOfItsSeed) {
  Backoff one(1), same(1), other(99);
  bool differs = false;
  for (int64_t most_us = 10'000, i = 0; i < 12;
       ++i, most_us = std::min(2 * most_us, int64_t{1'000'000})) {
    const int64_t pause_us = one.next_us();
    EXPECT_GE(pause_us, most_us / 2);
    EXPECT_LE(pause_us, most_us);
    EXPECT_EQ(pause_us, same.next_us());
    differs |= pause_us != other.next_us();
  }
  EXPECT_TRUE(differs);
  one.reset();
  EXPECT_LE(one.next_us(), 10'000);
}

TEST(Resolver, ALookUpThatHangsKeepsNothingOfWhoAsked) {
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const auto names = std::make_shared<SlowNames>();
  const int before = open_descriptors();
  for (int i = 0; i < 3; ++i) {
    Resolver resolver(names);
    ASSERT_TRUE(resolver.start("db.example", wake).ok());
  }
  EXPECT_EQ(open_descriptors(), before);
  names->may_answer = true;
  for (int i = 0; i < 2'000 && names.use_count() > 1; ++i) sleep_ms(1);
  EXPECT_EQ(names.use_count(), 1);
  EXPECT_FALSE(readable(wake));  // nobody asks any more
  close(wake);
}

TEST(Resolver, SoManyLookUpsRunAtATimeAndNoMore) {
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const auto names = std::make_shared<SlowNames>();
  std::vector<std::unique_ptr<Resolver>> resolvers;
  int started = 0;
  for (int i = 0; i < 200; ++i) {
    resolvers.push_back(std::make_unique<Resolver>(names));
    const auto status = resolvers.back()->start("db.example", wake);
    started += status.ok();
    if (status.ok()) continue;
    EXPECT_NE(status.error().message.find("look-ups are running"), std::string::npos);
    EXPECT_FALSE(resolvers.back()->running());
  }
  EXPECT_EQ(started, Resolver::kMaxThreads);
  names->may_answer = true;
  resolvers.clear();
  Resolver last(names);
  Status status = Error{};
  for (int i = 0; i < 2'000 && !status; ++i, sleep_ms(1)) status = last.start("db.example", wake);
  EXPECT_TRUE(status.ok());
  Resolver::Addresses found = Error{};
  EXPECT_TRUE(readable(wake, 5'000));
  ASSERT_TRUE(last.finished(found));
  EXPECT_EQ(found->at(0), "127.0.0.1");
  close(wake);
}

}  // namespace
}  // namespace tidegate::test
