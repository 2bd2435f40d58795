// SPDX-License-Identifier: MIT
#include "stats/series.h"

#include <algorithm>
#include <limits>
#include <new>

namespace tidegate {
namespace {

uint32_t count_word(int64_t count) {
  return static_cast<uint32_t>(std::clamp<int64_t>(count, 0, std::numeric_limits<uint32_t>::max()));
}
// Signed, so that checks that cost nothing are told too; 0 is 0.
uint32_t difference_word(int64_t difference) {
  return static_cast<uint32_t>(static_cast<int32_t>(std::clamp<int64_t>(
      difference, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max())));
}

}  // namespace

Series::~Series() {
  for (auto& lanes : hours_)
    for (auto& chunk : lanes) drop(chunk);
}

void Series::drop(std::unique_ptr<Chunk>& chunk) {
  if (!chunk) return;
  chunk.reset();
  room_.give_back(sizeof(Chunk));
}

Series::Words Series::words_of(const Point& point) {
  return {count_word(point.allowed), count_word(point.denied),
          difference_word(point.cost - point.allowed)};
}

Series::Point Series::point_of(const Words& words) {
  const int64_t allowed = words[kAllowed];
  return {allowed, words[kDenied],
          std::max<int64_t>(0, allowed + static_cast<int32_t>(words[kMoreCost]))};
}

void Series::add(int64_t time_us, const Point& point) {
  add_fine(time_us / kFineUs, point);
  add_coarse(time_us / kCoarseUs, point);
}

void Series::add_fine(int64_t slot, const Point& point) {
  if (slot <= fine_newest_ - kFineSlots) return;
  for (int64_t gone = std::max(fine_newest_ + 1, slot - kFineSlots + 1); gone <= slot; ++gone)
    fine_[static_cast<size_t>(gone % kFineSlots)] = {};
  fine_newest_ = std::max(fine_newest_, slot);
  Words& words = fine_[static_cast<size_t>(slot % kFineSlots)];
  words = words_of(point_of(words) += point);
}

void Series::add_coarse(int64_t slot, const Point& point) {
  const int64_t hour = slot / kAnHour;
  const auto chunks = static_cast<int64_t>(kChunks);
  if (hour <= hour_newest_ - chunks) return;
  for (int64_t gone = std::max(hour_newest_ + 1, hour - chunks + 1); gone <= hour; ++gone)
    for (auto& chunk : hours_[static_cast<size_t>(gone % chunks)]) drop(chunk);
  hour_newest_ = std::max(hour_newest_, hour);
  auto& lanes = hours_[static_cast<size_t>(hour % chunks)];
  const Words words = words_of(coarse(slot) += point);
  for (size_t lane = 0; lane < kLanes; ++lane) {
    if (!words[lane] && !lanes[lane]) continue;
    if (!lanes[lane]) {
      if (!room_.take(sizeof(Chunk))) continue;
      lanes[lane].reset(new (std::nothrow) Chunk{});
      if (!lanes[lane]) {
        room_.give_back(sizeof(Chunk));
        continue;
      }
    }
    (*lanes[lane])[static_cast<size_t>(slot % kAnHour)] = words[lane];
  }
}

Series::Point Series::fine(int64_t slot) const {
  if (slot < 0 || slot > fine_newest_ || slot <= fine_newest_ - kFineSlots) return {};
  return point_of(fine_[static_cast<size_t>(slot % kFineSlots)]);
}

Series::Point Series::coarse(int64_t slot) const {
  const int64_t hour = slot / kAnHour;
  const auto chunks = static_cast<int64_t>(kChunks);
  if (slot < 0 || hour > hour_newest_ || hour <= hour_newest_ - chunks) return {};
  const auto& lanes = hours_[static_cast<size_t>(hour % chunks)];
  Words words{};
  for (size_t lane = 0; lane < kLanes; ++lane)
    if (lanes[lane]) words[lane] = (*lanes[lane])[static_cast<size_t>(slot % kAnHour)];
  return point_of(words);
}

std::vector<Series::Point> Series::read(int64_t from_us, int64_t step_us, size_t n) const {
  std::vector<Point> points(n);
  const bool finely = step_us % kCoarseUs != 0 || from_us % kCoarseUs != 0;
  const int64_t slot_us = finely ? kFineUs : kCoarseUs;
  const int64_t slots = std::max<int64_t>(1, step_us / slot_us);
  int64_t slot = from_us / slot_us;
  for (Point& point : points)
    for (int64_t i = 0; i < slots; ++i, ++slot) point += finely ? fine(slot) : coarse(slot);
  return points;
}

}  // namespace tidegate
