// SPDX-License-Identifier: MIT
// The server's side of a unix socket, played by the test on its own thread, and the core's way to
// it with a clock that only the test moves: nothing waits, and no server is needed.
#pragma once

#include <string>

#include "client/channel.h"
#include "client/limiters.h"
#include "store/valkey/store_context.h"

namespace tidegate::test {

class ManualTimeline final : public Timeline {
 public:
  int64_t now_us() const override { return now; }
  uint64_t seed() const override { return 1; }
  int64_t now = 1'000'000'000;
};

// Host names as a test wants them; find() blocks until it may answer.
class SlowNames final : public HostNames {
 public:
  Result<std::vector<std::string>> find(const std::string& host) const override;
  mutable std::atomic<int> asked{0};
  std::atomic<bool> may_answer{false};
};

// A call that counts how often it was answered.
struct Asked final : CallSink {
  Call call;
  int times = 0;

  explicit Asked(Op op = Op::kPing, int64_t timeout_us = 0);
  void done(Call*) noexcept override { ++times; }
};

// One channel to the scripted server. Everything happens on the test's thread.
class ScriptedServer {
 public:
  // options: "timeout_ms=50&breaker_failures=3"; host: where another than the socket is asked for.
  explicit ScriptedServer(const std::string& options = "", const std::string& host = "",
                          std::shared_ptr<const HostNames> names = nullptr);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  // What a client does.
  void submit(Asked& asked, Channel::From from = Channel::From::kAnyThread);
  Asked* consume(const std::string& key, int64_t timeout_us = 0);  // this object's to delete
  // Whether the next request tells the limiter's numbers; not unless it is asked for.
  void tells_numbers(bool tells);
  void change(const std::string& rates);
  void pump() { channel_->pump(); }
  void pass(int64_t us) {
    timeline.now += us;
    pump();
  }
  bool readable() const;  // the reactor's descriptor: its host would wake up

  // What the server does.
  bool accepts();       // false: nobody has connected
  std::string hears();  // all that was written since
  void says(const std::string& bytes);
  bool is_cut_off();  // the client has closed
  void hang_up();
  void listen_again();
  void stop_listening();
  void greet();      // accepts, hears HELLO, says what a primary says
  void connected();  // the same for a channel that something was submitted to

  static std::string hello(const std::string& role = "master");
  int64_t counter(Counter which) { return recorder_.counters().sum(which); }
  std::string events();
  Health& health() { return context_->health; }
  Channel& channel() { return *channel_; }
  Limiters& limiters() { return limiters_; }

  ManualTimeline timeline;

 private:
  std::string folder_, path_;
  int listener_ = -1, peer_ = -1;
  StoreUrl url_;
  Options options_;
  Fingerprinter fingerprint_{1};
  Clock clock_{true};
  // Before the store whose states refer to its numbers.
  Limiters limiters_{{"tg", OnFailure::kLocal, 1},
                     fingerprint_,
                     [this](std::span<const Limiters::ConfigPtr> gone) { local_.let_go(gone); }};
  Recorder recorder_;
  EmbeddedStore local_{{1'000, 1'000'000}, fingerprint_, clock_, recorder_};
  EventLog events_;
  uint64_t limiter_ = 0;
  std::unique_ptr<StoreContext> context_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<Channel> channel_;
  std::vector<std::unique_ptr<Asked>> asked_;
};

}  // namespace tidegate::test
