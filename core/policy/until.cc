// SPDX-License-Identifier: MIT
#include "policy/until.h"

#include <chrono>

namespace tidegate {
namespace {

constexpr int64_t kMinuteUs = 60'000'000;

class Stamp {
 public:
  explicit Stamp(std::string_view text) : rest_(text) {}

  std::optional<int64_t> us() {
    const int year = number(4);
    take('-');
    const int month = number(2);
    take('-');
    const int day = number(2);
    take('T');
    const int64_t minutes = minutes_of_day();
    take(':');
    const int64_t second = number(2);
    const int64_t micros = second * 1'000'000 + fraction_us();
    const int64_t zone = zone_minutes();
    namespace time = std::chrono;
    const auto date = time::year(year) / time::month(static_cast<unsigned>(month)) /
                      time::day(static_cast<unsigned>(day));
    if (!good_ || !rest_.empty() || year < 1 || second > 59 || !date.ok()) return std::nullopt;
    const int64_t days = time::sys_days(date).time_since_epoch().count();
    const int64_t us = (days * 1'440 + minutes - zone) * kMinuteUs + micros;
    if (us < 0) return std::nullopt;
    return us;
  }

 private:
  bool next_is(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool next_is_digit() const {
    return !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9';
  }

  void take(char c) {
    good_ = good_ && next_is(c);
    if (good_) rest_.remove_prefix(1);
  }

  int number(int digits) {
    int value = 0;
    for (int i = 0; i < digits; ++i) {
      good_ = good_ && next_is_digit();
      if (!good_) return 0;
      value = value * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }

  int64_t minutes_of_day() {
    const int hour = number(2);
    take(':');
    const int minute = number(2);
    good_ = good_ && hour < 24 && minute < 60;
    return hour * 60 + minute;
  }

  int64_t fraction_us() {
    if (!next_is('.')) return 0;
    rest_.remove_prefix(1);
    good_ = good_ && next_is_digit();
    int64_t value = 0;
    for (int64_t unit = 100'000; unit > 0 && next_is_digit(); unit /= 10) {
      value += unit * (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }

  int64_t zone_minutes() {
    if (next_is('Z')) {
      rest_.remove_prefix(1);
      return 0;
    }
    const bool west = next_is('-');
    take(west ? '-' : '+');
    const int64_t minutes = minutes_of_day();
    return west ? -minutes : minutes;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::optional<int64_t> parse_until(std::string_view text) { return Stamp(text).us(); }

}  // namespace tidegate
