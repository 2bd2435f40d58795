// SPDX-License-Identifier: MIT
// Is the store there? What is learned of it, who is told, and when it is tried again.
#include <hiredis/hiredis.h>

#include <algorithm>
#include <memory>

#include "limiter/rate.h"
#include "store/valkey/channel.h"

namespace tidegate {
namespace {

constexpr std::string_view kSpecSeconds = "86400";
constexpr int64_t kFirstBackoffUs = 10'000;
constexpr int64_t kLongestBackoffUs = 1'000'000;
constexpr int64_t kRefusalHoldUs = 1'000'000;
constexpr int64_t kFailureSpacingUs =
    10'000;  // deadlines that pass together are one failed round trip

std::string_view text_of(const redisReply* reply) {
  return reply->str ? std::string_view(reply->str, reply->len) : std::string_view();
}

std::string set_and_get(const std::string& key, const std::string& value) {
  std::string command = "*6\r\n";
  for (const std::string& word : {std::string("SET"), key, value, std::string("EX"),
                                  std::string(kSpecSeconds), std::string("GET")})
    command += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return command;
}

// What numbers a limiter's name stands for, told to the store; the answer is what was told before.
struct Announcement final : Connection::ReplyTaker {
  Announcement(StoreContext& all, std::string limiter, std::string told)
      : store(all), name(std::move(limiter)), numbers(std::move(told)) {}

  void take(const redisReply* reply) override {
    const std::unique_ptr<Announcement> self(this);
    if (!reply || reply->type != REDIS_REPLY_STRING || text_of(reply) == numbers) return;
    store.counters.add(Counter::kNameConflicts);
    store.events.report(Level::kWarning, Code::kConflict,
                        "limiter '" + name + "' is " + numbers + " here, and " +
                            std::string(text_of(reply).substr(0, 100)) + " elsewhere");
  }

  StoreContext& store;
  const std::string name, numbers;
};

}  // namespace

void Channel::connected() {
  connect_by_us_ = 0;
  backoff_us_ = 0;
  program_loaded_ = false;
  down_until_us_.store(0, std::memory_order_release);
  store_.counters.add(Counter::kConnects);
}

void Channel::note_success() {
  const bool closed = store_.breaker.success();
  if (store_.lost.load(std::memory_order_relaxed) && store_.lost.exchange(false))
    store_.events.report(Level::kInfo, Code::kOk,
                         "the store at " + store_.where() + " is back" +
                             (closed ? "; the circuit breaker closes" : ""));
}

// A store without memory, or a replica, still answers what writes nothing: only a while without a
// refusal counts.
void Channel::note_answers() {
  if (store_.refusing.load(std::memory_order_relaxed) == 0) return;
  if (monotonic_us() - store_.refused_us.load(std::memory_order_relaxed) < kRefusalHoldUs) return;
  if (store_.refusing.exchange(0) == 0) return;
  store_.events.report(Level::kInfo, Code::kOk,
                       "the store at " + store_.where() + " answers again");
}

// The server is there and says no: OOM, READONLY, LOADING ... Told once, until it says something
// else.
void Channel::note_refusal(Code code, std::string_view why) {
  const auto number = static_cast<int32_t>(code);
  store_.refused_us.store(monotonic_us(), std::memory_order_relaxed);
  if (store_.refusing.exchange(number) == number) return;
  store_.events.report(Level::kError, code, std::string(why.substr(0, 200)));
}

void Channel::note_failure(int64_t now_us, Code code, std::string_view why) {
  {
    std::scoped_lock lock(store_.away_mutex);
    store_.away_code = code;
    store_.away_why.assign(why);
  }
  if (last_failure_us_ &&
      now_us - last_failure_us_ < std::min(kFailureSpacingUs, store_.options.timeout_ms * 1'000))
    return;
  last_failure_us_ = now_us;
  if (!store_.lost.exchange(true))
    store_.events.report(
        Level::kWarning, code,
        "the store at " + store_.where() + " does not answer: " + std::string(why));
  const bool opened = store_.breaker.failure(now_us);
  if (opened) {
    store_.counters.add(Counter::kBreakerOpened);
    store_.events.report(Level::kError, code,
                         "the circuit breaker opens: the failure policy answers, the store at " +
                             store_.where() + " is tried again in 1 s");
  }
  // A socket that does not answer may be half open: the probe starts with a new one.
  if (store_.breaker.open()) connection_.drop(code, "given up after failed round trips");
}

void Channel::disconnected(Code code, std::string_view why) {
  const int64_t now_us = monotonic_us();
  const bool was_connecting = connect_by_us_ != 0;
  connect_by_us_ = 0;
  if (shut_.load(std::memory_order_acquire)) return;
  if (was_connecting) {
    backoff_us_ = std::clamp(2 * backoff_us_, kFirstBackoffUs, kLongestBackoffUs);
    jitter_ = jitter_ * 6364136223846793005ULL + 1442695040888963407ULL;
    const int64_t jitter_us =
        static_cast<int64_t>((jitter_ >> 33) % static_cast<uint64_t>(backoff_us_));
    down_until_us_.store(now_us + backoff_us_ / 2 + jitter_us / 2, std::memory_order_release);
    fail_waiting(code, why);
  }
  note_failure(now_us, code, why);
}

// Says once per client what numbers a limiter's name stands for, and hears whether somebody else
// says otherwise.
void Channel::announce(const Call& call) {
  for (const Part& part : call.parts) {
    if (part.limiter->announced.exchange(true, std::memory_order_relaxed)) continue;
    if (part.limiter->mode == Mode::kOff) continue;
    std::string numbers;
    for (const Rate& rate : part.limiter->rates)
      numbers.append(numbers.empty() ? "" : "_").append(rate_text(rate.limit));
    auto announcement = std::make_unique<Announcement>(store_, part.limiter->name, numbers);
    const std::string key = store_.options.name_space + ":1:" + part.limiter->name + ":spec";
    if (connection_.send(set_and_get(key, numbers), announcement.get()))
      static_cast<void>(announcement.release());  // deletes itself with the reply
  }
}

}  // namespace tidegate
