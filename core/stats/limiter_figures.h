// SPDX-License-Identifier: MIT
// What is kept of one limiter, by its name: counts that are exact, and, with stats=on and while
// there is room, its top callers, who is limited now, and its series. Whoever decides says what
// this limiter said and took; nothing here asks for the time.
//
//   figures.decided(part, Said::kDenied, Source::kMemory, 0, retry_after_us, now_us);
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/lock.h"
#include "base/stripe.h"
#include "limiter/request.h"
#include "stats/allowance.h"
#include "stats/history.h"
#include "stats/labels.h"
#include "stats/limited_now.h"
#include "stats/metrics.h"
#include "stats/series.h"
#include "stats/top_callers.h"

namespace tidegate {

enum class StatsLevel : int64_t { kOff, kTotals, kOn };  // in the order of the option's words

struct StatsOptions {
  StatsLevel level = StatsLevel::kOn;
  LabelMode labels = LabelMode::kMasked;
  int64_t max_bytes = 2'097'152;
};

// What the figures of all limiters of a client share.
struct StatsContext {
  StatsOptions options;
  const Fingerprinter* fingerprint = nullptr;  // null: no figures of callers
  Labels labels{options.labels};
  Allowance room{options.max_bytes};
  History history{};

  bool on() const { return options.level == StatsLevel::kOn && fingerprint; }
};

// What one limiter said to a request. That others of the same request denied it is theirs.
enum class Said : uint8_t { kAllowed, kDenied, kWouldDeny };
inline constexpr size_t kSaid = 3;

struct LimiterCounts {
  std::array<std::array<int64_t, kSaid>, kSources> decisions{};
  int64_t cost = 0;

  int64_t said(Said what) const {
    int64_t all = 0;
    for (const auto& of : decisions) all += of[static_cast<size_t>(what)];
    return all;
  }
};

// Any thread.
class LimiterFigures {
 public:
  enum class By : uint8_t { kDenied, kCost };

  LimiterFigures(std::string name, StatsContext& context);
  ~LimiterFigures();
  LimiterFigures(const LimiterFigures&) = delete;
  LimiterFigures& operator=(const LimiterFigures&) = delete;

  // `charged`: what was taken from the limiter. retry_after_us: of a denial; kNever where no wait
  // is long enough. now_us: of the client's clock. key: the fingerprint of the part's key, where it
  // is known.
  void decided(const Part& part, Said said, Source source, int64_t charged, int64_t retry_after_us,
               int64_t now_us, const Fingerprint* key = nullptr) noexcept {
    if (now_us >= roll_at_us_.load(std::memory_order_relaxed)) [[unlikely]]
      roll(now_us);
    const size_t at = thread_stripe();
    Stripe* mine = stripes_[at].load(std::memory_order_acquire);
    if (!mine) [[unlikely]]
      mine = make_stripe(at);
    const bool alone = mine != &shared_;
    mine->add(cell_of(source, said), 1, alone);
    if (said == Said::kDenied) {
      if (details_) denied(*mine, part, key, retry_after_us, now_us);
    } else if (charged) {
      mine->add(kCost, charged, alone);
      if (mine->add(kToSample, -1, alone) <= 0) [[unlikely]]
        sample(*mine, part, key, charged);
    }
  }
  // A debit is no decision, but it takes.
  void debited(const Part& part, int64_t charged, int64_t now_us) noexcept;
  // Nothing of him is owed any more.
  void forget(std::string_view key) noexcept;

  const std::string& name() const { return name_; }
  LimiterCounts counts() const;
  bool complete() const;  // nothing had to be left out for want of room
  // The heaviest callers since the limiter was opened: how often denied; what was charged, about.
  std::vector<TopCallers::Caller> top(By by, size_t most) const;
  std::vector<LimitedNow::Caller> limited_now(size_t most, int64_t now_us) const;
  int64_t limited(int64_t now_us) const;  // how many
  int64_t denied_about(const Fingerprint& caller) const;
  std::vector<Series::Point> series(int64_t from_us, int64_t step_us, size_t n);

 private:
  static constexpr size_t kCost = kSources * kSaid;  // cells behind the decisions
  static constexpr size_t kToSample = kCost + 1, kRandom = kCost + 2, kMissed = kCost + 3;
  static constexpr size_t kCells = kCost + 4;
  static constexpr int64_t kSampleOne = 8;  // of so many that charge
  static constexpr size_t cell_of(Source source, Said said) {
    return static_cast<size_t>(source) * kSaid + static_cast<size_t>(said);
  }
  struct alignas(64) Stripe {
    std::array<std::atomic<int64_t>, kCells> cells{};
    int64_t add(size_t cell, int64_t n, bool alone) {
      std::atomic<int64_t>& at = cells[cell];
      if (!alone) return at.fetch_add(n, std::memory_order_relaxed) + n;
      const int64_t sum = at.load(std::memory_order_relaxed) + n;  // nobody else writes it
      at.store(sum, std::memory_order_relaxed);
      return sum;
    }
  };

  Stripe* make_stripe(size_t at) noexcept;
  void roll(int64_t now_us) noexcept;
  void denied(Stripe& mine, const Part& part, const Fingerprint* key, int64_t retry_after_us,
              int64_t now_us) noexcept;
  void sample(Stripe& mine, const Part& part, const Fingerprint* key, int64_t charged) noexcept;
  std::string note_denied(const Part& part, const Fingerprint& print, int64_t times,
                          int64_t retry_after_us, int64_t now_us) TIDEGATE_REQUIRES(lock_);
  Fingerprint print_of(const Part& part, const Fingerprint* known) const {
    return known ? *known : (*context_.fingerprint)(part.key);
  }
  void settle() TIDEGATE_REQUIRES(lock_);
  template <class Piece, class... Args>
  Piece* piece(std::unique_ptr<Piece>& of, Args&... args) TIDEGATE_REQUIRES(lock_);

  const std::string name_;
  StatsContext& context_;
  const bool details_;
  std::atomic<int64_t> roll_at_us_;  // the next decision then or later is of another slot
  std::array<std::atomic<Stripe*>, kStripes + 1> stripes_{};
  Stripe shared_;

  mutable SpinLock lock_;
  bool refused_ TIDEGATE_GUARDED_BY(lock_) = false;
  std::atomic<const TopCallers*> expecting_{nullptr};  // by_denied_, once it is there
  std::unique_ptr<TopCallers> by_denied_ TIDEGATE_GUARDED_BY(lock_);
  std::unique_ptr<TopCallers> by_cost_ TIDEGATE_GUARDED_BY(lock_);
  std::unique_ptr<LimitedNow> limited_ TIDEGATE_GUARDED_BY(lock_);
  std::unique_ptr<Series> series_ TIDEGATE_GUARDED_BY(lock_);
  int64_t open_us_ TIDEGATE_GUARDED_BY(lock_) = -1;   // the slot that is counted into
  Series::Point settled_ TIDEGATE_GUARDED_BY(lock_);  // what the series has of the counts
};

}  // namespace tidegate
