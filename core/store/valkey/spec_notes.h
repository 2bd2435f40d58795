// SPDX-License-Identifier: MIT
// What a limiter's name stands for, told to the store twice a day, so that services that mean
// different numbers by one name hear of it: <namespace>:1:<name>:spec, kept for a day.
//
// The value is "<numbers> <owner> <revision>": who says so (a client, by a random number), and how
// often it had changed its mind. One's own change is no conflict, nor is a neighbour that still
// says what we said before ours.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/lock.h"
#include "base/time.h"
#include "limiter/config.h"
#include "stats/counters.h"
#include "stats/events.h"

namespace tidegate {

// Any thread.
class SpecNotes {
 public:
  static constexpr int64_t kKeptSeconds = 86'400;
  static constexpr int64_t kAgainUs = kKeptSeconds / 2 * 1'000'000;  // so that it is always there
  static constexpr int64_t kRetryUs = 10'000'000;                    // where nobody has heard it
  static constexpr size_t kMaxNames = 65'536;  // beyond, some name is forgotten, and told again

  SpecNotes(std::string name_space, const Timeline& timeline, Counters& counters, EventLog& events);

  // Should the limiter's numbers be told now, as far as it knows? Nobody else is told so for
  // kRetryUs; then it is found out whether they were heard.
  static bool due(const LimiterConfig& limiter, int64_t now_us) {
    int64_t at_us = limiter.tell_at_us.load(std::memory_order_relaxed);
    if (now_us < at_us) [[likely]]
      return false;
    return limiter.mode != Mode::kOff &&
           limiter.tell_at_us.compare_exchange_strong(at_us, now_us + kRetryUs);
  }

  struct Note {
    std::string name, numbers, value;
  };
  // None where they were heard meanwhile.
  std::optional<Note> make(const LimiterConfig& limiter);
  // In the protocol's form: SET key value EX seconds GET.
  std::string command(const Note& note) const;
  // It is in the store now, where `before` stood.
  void heard(const Note& note, std::string_view before);

 private:
  struct Told {
    std::string numbers, numbers_before;
    int64_t revision = 0;
    int64_t heard_us = 0;  // 0: not yet
  };

  const std::string name_space_, owner_;
  const Timeline& timeline_;
  Counters& counters_;
  EventLog& events_;
  Mutex mutex_;
  std::unordered_map<std::string, Told> told_ TIDEGATE_GUARDED_BY(mutex_);  // by name
};

}  // namespace tidegate
