// SPDX-License-Identifier: MIT
// What happened when: 10 s apart for an hour, and 1 min apart for 48 h. Counts are of 32 bits and
// end there; hours and figures in which nothing happened take no memory, so that a busy limiter
// whose checks cost 1 has 28 KiB.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "stats/allowance.h"

namespace tidegate {

// One thread at a time.
class Series {
 public:
  static constexpr int64_t kFineUs = 10'000'000, kCoarseUs = 60'000'000;
  static constexpr int64_t kFineSlots = 360, kCoarseSlots = 48 * 60;

  struct Point {
    int64_t allowed = 0, denied = 0, cost = 0;
    Point& operator+=(const Point& other) {
      allowed += other.allowed;
      denied += other.denied;
      cost += other.cost;
      return *this;
    }
  };

  explicit Series(Allowance& room) : room_(room) {}
  ~Series();
  Series(const Series&) = delete;
  Series& operator=(const Series&) = delete;

  // At `time_us`, which is not long before what was added last: older than an hour is dropped.
  void add(int64_t time_us, const Point& point);
  // Of [from_us, from_us + n x step_us), a step a point. The bounds are multiples of kFineUs within
  // the last hour, of kCoarseUs beyond.
  std::vector<Point> read(int64_t from_us, int64_t step_us, size_t n) const;

 private:
  static constexpr int64_t kAnHour = 60;       // coarse slots
  static constexpr size_t kChunks = 49;        // an hour each; the last is under way
  enum Lane { kAllowed, kDenied, kMoreCost };  // cost beyond 1 for each that was allowed
  static constexpr size_t kLanes = 3;
  using Words = std::array<uint32_t, kLanes>;
  using Chunk = std::array<uint32_t, kAnHour>;

  static Words words_of(const Point& point);
  static Point point_of(const Words& words);
  void add_fine(int64_t slot, const Point& point);
  void add_coarse(int64_t slot, const Point& point);
  Point fine(int64_t slot) const;
  Point coarse(int64_t slot) const;
  void drop(std::unique_ptr<Chunk>& chunk);

  Allowance& room_;
  int64_t fine_newest_ = -1, hour_newest_ = -1;
  std::array<Words, kFineSlots> fine_{};
  std::array<std::array<std::unique_ptr<Chunk>, kLanes>, kChunks> hours_;
};

}  // namespace tidegate
