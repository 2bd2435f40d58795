// SPDX-License-Identifier: MIT
#include "store/valkey/spec_notes.h"

#include <unistd.h>

#include "base/text.h"
#include "limiter/rate.h"
#include "store/valkey/errors.h"

namespace tidegate {
namespace {

constexpr size_t kMostShown = 100;

std::string numbers_of(const LimiterConfig& limiter) {
  std::string numbers;
  for (const Rate& rate : limiter.rates)
    numbers.append(numbers.empty() ? "" : "_").append(rate_text(rate.limit));
  return numbers;
}

// Random enough to be nobody else's: two processes that start in the same microsecond are two
// processes.
std::string owner_of(uint64_t seed, pid_t process) {
  uint64_t mixed = seed ^ static_cast<uint64_t>(process) << 40;
  mixed ^= reinterpret_cast<uintptr_t>(&seed);
  mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ULL;
  mixed ^= mixed >> 27;
  std::string text;
  append_hex(text, reinterpret_cast<const unsigned char*>(&mixed), sizeof mixed);
  return text;
}

// The first word, taken.
std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(text.size(), word.size() + 1));
  return word;
}

}  // namespace

SpecNotes::SpecNotes(std::string name_space, const Timeline& timeline, Counters& counters,
                     EventLog& events)
    : name_space_(std::move(name_space)),
      owner_(owner_of(timeline.seed(), getpid())),
      timeline_(timeline),
      counters_(counters),
      events_(events) {}

std::optional<SpecNotes::Note> SpecNotes::make(const LimiterConfig& limiter) {
  Note note{limiter.name, numbers_of(limiter), {}};
  const int64_t now_us = timeline_.now_us();
  const MutexGuard guard(mutex_);
  if (told_.size() >= kMaxNames && !told_.contains(limiter.name)) told_.erase(told_.begin());
  Told& told = told_[limiter.name];
  const bool same = told.numbers == note.numbers;
  if (same && told.heard_us != 0 && now_us < told.heard_us + kAgainUs) {
    limiter.tell_at_us.store(told.heard_us + kAgainUs, std::memory_order_relaxed);
    return std::nullopt;
  }
  if (!same && !told.numbers.empty()) {
    told.numbers_before = told.numbers;
    ++told.revision;
  }
  told.numbers = note.numbers;
  told.heard_us = 0;
  note.value = note.numbers + " " + owner_ + " " + std::to_string(told.revision);
  return note;
}

std::string SpecNotes::command(const Note& note) const {
  const std::string key = name_space_ + ":1:" + note.name + ":spec";
  std::string command = "*6\r\n";
  for (const std::string& word : {std::string("SET"), key, note.value, std::string("EX"),
                                  std::to_string(kKeptSeconds), std::string("GET")})
    command += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return command;
}

void SpecNotes::heard(const Note& note, std::string_view before) {
  const std::string_view numbers = take_word(before), owner = take_word(before);
  {
    const MutexGuard guard(mutex_);
    const auto found = told_.find(note.name);
    if (found == told_.end()) return;  // forgotten meanwhile
    Told& told = found->second;
    // A later change has been told, or will be: what counts is what it hears.
    if (told.numbers == note.numbers) told.heard_us = timeline_.now_us();
    if (numbers.empty() || numbers == note.numbers || owner == owner_ ||
        numbers == told.numbers_before)
      return;
  }
  counters_.add(Counter::kNameConflicts);
  events_.report(Level::kWarning, Code::kConflict,
                 "limiter '" + note.name + "' is " + note.numbers + " here, and " +
                     said(numbers.substr(0, kMostShown)) + " elsewhere");
}

}  // namespace tidegate
