// SPDX-License-Identifier: MIT
#include "stats/history.h"

#include <algorithm>
#include <iterator>

#include "base/time.h"

namespace tidegate {
namespace {

constexpr int64_t kSecondUs = 1'000'000;

}  // namespace

void History::add(Level level, Code code, int64_t wall_us, std::string text, Happening::Kind kind) {
  const MutexGuard held(mutex_);
  if (kept_.size() == kKept) kept_.pop_front();
  kept_.push_back({next_id_++, kind, level, code, wall_us, {}, {}, std::move(text)});
}

void History::add_denial(std::string_view limiter, std::string_view caller, int64_t now_us) {
  const MutexGuard held(mutex_);
  if (now_us / kSecondUs != second_) {
    second_ = now_us / kSecondUs;
    in_second_ = 0;
  }
  if (++in_second_ > kDenialsASecond) {
    ++unlisted_;
    return;
  }
  if (denials_.size() == kDenialsKept) denials_.pop_front();
  denials_.push_back({next_id_++, Happening::Kind::kDenied, Level::kInfo, Code::kOk, wall_us(),
                      std::string(limiter), std::string(caller), "is limited from here on"});
}

History::Page History::read(int64_t after, size_t most) const {
  const MutexGuard held(mutex_);
  Page page{.events = {}, .last = std::max<int64_t>(after, 0), .unlisted = unlisted_};
  std::ranges::merge(kept_, denials_, std::back_inserter(page.events),
                     [](const Happening& a, const Happening& b) { return a.id < b.id; });
  std::vector<Happening>& events = page.events;
  std::erase_if(events, [after](const Happening& one) { return one.id <= after; });
  if (events.size() > most) {
    const auto extra = static_cast<std::ptrdiff_t>(events.size() - most);
    if (after < 0)
      events.erase(events.begin(), events.begin() + extra);
    else
      events.erase(events.end() - extra, events.end());
  }
  if (!events.empty()) page.last = events.back().id;
  return page;
}

}  // namespace tidegate
