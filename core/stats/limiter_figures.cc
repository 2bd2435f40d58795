// SPDX-License-Identifier: MIT
#include "stats/limiter_figures.h"

#include <algorithm>
#include <limits>
#include <new>

namespace tidegate {
namespace {

constexpr int64_t kMostMissed = 16;
constexpr int64_t kNotRolled = std::numeric_limits<int64_t>::max();

template <class Piece>
int64_t bytes_of() {
  if constexpr (std::is_same_v<Piece, Series>)
    return sizeof(Series);  // the rest it asks for itself
  else
    return Piece::bytes();
}

uint64_t next_random(uint64_t seed) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^ seed << 17;
}

}  // namespace

LimiterFigures::LimiterFigures(std::string name, StatsContext& context)
    : name_(std::move(name)),
      context_(context),
      details_(context.on()),
      roll_at_us_(details_ ? 0 : kNotRolled) {
  context_.room.charge(sizeof(LimiterFigures));
  shared_.cells[kToSample] = details_ ? 1 : kNotRolled;
  shared_.cells[kRandom] = 1;
}

LimiterFigures::~LimiterFigures() {
  for (std::atomic<Stripe*>& stripe : stripes_)
    if (Stripe* const own = stripe.load(); own != &shared_) delete own;
}

// Where there is no room the thread counts with the others, and pays for atomics.
LimiterFigures::Stripe* LimiterFigures::make_stripe(size_t at) noexcept {
  Stripe* made = nullptr;
  if (at < kStripes && context_.room.take(sizeof(Stripe))) made = new (std::nothrow) Stripe;
  if (made) {
    made->cells[kToSample] = details_ ? 1 + static_cast<int64_t>(at % 15) : kNotRolled;
    made->cells[kRandom] = static_cast<int64_t>(at + 1);
  } else {
    made = &shared_;
  }
  Stripe* before = nullptr;
  if (stripes_[at].compare_exchange_strong(before, made, std::memory_order_acq_rel)) return made;
  if (made != &shared_) delete made;
  return before;
}

template <class Piece, class... Args>
Piece* LimiterFigures::piece(std::unique_ptr<Piece>& of, Args&... args) {
  if (of || refused_) return of.get();
  const int64_t bytes = bytes_of<Piece>();
  if (context_.room.take(bytes)) {
    of.reset(new (std::nothrow) Piece(args...));
    if (of) return of.get();
    context_.room.give_back(bytes);
  }
  refused_ = true;
  return nullptr;
}

LimiterCounts LimiterFigures::counts() const {
  LimiterCounts sum;
  const auto add = [&sum](const Stripe& stripe) {
    for (size_t source = 0; source < kSources; ++source)
      for (size_t said = 0; said < kSaid; ++said)
        sum.decisions[source][said] +=
            stripe.cells[source * kSaid + said].load(std::memory_order_relaxed);
    sum.cost += stripe.cells[kCost].load(std::memory_order_relaxed);
  };
  add(shared_);
  for (const std::atomic<Stripe*>& stripe : stripes_) {
    const Stripe* const own = stripe.load(std::memory_order_acquire);
    if (own && own != &shared_) add(*own);
  }
  return sum;
}

// What was counted since the last time belongs to the slot that is open.
void LimiterFigures::settle() {
  if (open_us_ < 0 || !piece(series_, context_.room)) return;
  const LimiterCounts now = counts();
  const Series::Point all{now.said(Said::kAllowed) + now.said(Said::kWouldDeny),
                          now.said(Said::kDenied), now.cost};
  series_->add(open_us_, {all.allowed - settled_.allowed, all.denied - settled_.denied,
                          all.cost - settled_.cost});
  settled_ = all;
}

void LimiterFigures::roll(int64_t now_us) noexcept {
  if (!lock_.try_lock()) return;  // the next decision does it
  if (now_us >= roll_at_us_.load(std::memory_order_relaxed)) {
    settle();
    open_us_ = now_us / Series::kFineUs * Series::kFineUs;
    roll_at_us_.store(open_us_ + Series::kFineUs, std::memory_order_relaxed);
  }
  lock_.unlock();
}

std::string LimiterFigures::note_denied(const Part& part, const Fingerprint& print, int64_t times,
                                        int64_t retry_after_us, int64_t now_us) {
  const auto label = [&] { return context_.labels.of(part.key, print); };
  int64_t known = 0;
  if (TopCallers* top = piece(by_denied_)) {
    known = top->add(print.low, times, label);
    expecting_.store(top, std::memory_order_release);
  }
  if (retry_after_us <= 0) return {};  // no wait is long enough: it is the cost, not the caller
  LimitedNow* const limited = piece(limited_);
  if (!limited) return {};
  const auto* begun = limited->denied(print.low, known, now_us + retry_after_us, now_us, label);
  return begun ? begun->label : std::string();
}

// Who finds the lock taken has his denial count for the next of this thread that does not: whose
// those are is by chance, as they come. After kMostMissed of them a thread waits.
void LimiterFigures::denied(Stripe& mine, const Part& part, const Fingerprint* key,
                            int64_t retry_after_us, int64_t now_us) noexcept {
  const Fingerprint print = print_of(part, key);
  if (const TopCallers* top = expecting_.load(std::memory_order_acquire)) top->expect(print.low);
  if (!lock_.try_lock()) {
    if (mine.cells[kMissed].load(std::memory_order_relaxed) < kMostMissed) {
      mine.cells[kMissed].fetch_add(1, std::memory_order_relaxed);
      return;
    }
    lock_.lock();
  }
  std::string begun;
  try {
    const int64_t missed = mine.cells[kMissed].load(std::memory_order_relaxed);
    if (missed) mine.cells[kMissed].store(0, std::memory_order_relaxed);
    begun = note_denied(part, print, 1 + missed, retry_after_us, now_us);
  } catch (const std::bad_alloc&) {  // a caller less is known by his label
  }
  lock_.unlock();
  if (begun.empty()) return;
  try {
    context_.history.add_denial(name_, begun, now_us);
  } catch (const std::bad_alloc&) {
  }
}

// One of eight that charge stands for all of them. By chance, since callers may take turns.
void LimiterFigures::sample(Stripe& mine, const Part& part, const Fingerprint* key,
                            int64_t charged) noexcept {
  if (!lock_.try_lock()) return;  // the next one is asked instead
  const auto random =
      next_random(static_cast<uint64_t>(mine.cells[kRandom].load(std::memory_order_relaxed)));
  mine.cells[kRandom].store(static_cast<int64_t>(random), std::memory_order_relaxed);
  mine.cells[kToSample].store(1 + static_cast<int64_t>((random >> 32) % (2 * kSampleOne - 1)),
                              std::memory_order_relaxed);
  try {
    if (TopCallers* top = piece(by_cost_)) {
      const Fingerprint print = print_of(part, key);
      top->add(print.low, std::min(charged, TopCallers::kMostWeight / kSampleOne) * kSampleOne,
               [&] { return context_.labels.of(part.key, print); });
    }
  } catch (const std::bad_alloc&) {
  }
  lock_.unlock();
}

void LimiterFigures::debited(const Part& part, int64_t charged, int64_t now_us) noexcept {
  if (charged <= 0) return;
  if (now_us >= roll_at_us_.load(std::memory_order_relaxed)) roll(now_us);
  const size_t at = thread_stripe();
  Stripe* mine = stripes_[at].load(std::memory_order_acquire);
  if (!mine) mine = make_stripe(at);
  const bool alone = mine != &shared_;
  mine->add(kCost, charged, alone);
  if (mine->add(kToSample, -1, alone) <= 0) sample(*mine, part, nullptr, charged);
}

void LimiterFigures::forget(std::string_view key) noexcept {
  if (!details_) return;
  const SpinGuard held(lock_);
  if (limited_) limited_->forget((*context_.fingerprint)(key).low);
}

bool LimiterFigures::complete() const {
  const SpinGuard held(lock_);
  return !refused_;
}

std::vector<TopCallers::Caller> LimiterFigures::top(By by, size_t most) const {
  const SpinGuard held(lock_);
  const TopCallers* const of = by == By::kDenied ? by_denied_.get() : by_cost_.get();
  return of ? of->heaviest(most) : std::vector<TopCallers::Caller>();
}

std::vector<LimitedNow::Caller> LimiterFigures::limited_now(size_t most, int64_t now_us) const {
  const SpinGuard held(lock_);
  return limited_ ? limited_->read(most, now_us) : std::vector<LimitedNow::Caller>();
}

int64_t LimiterFigures::limited(int64_t now_us) const {
  const SpinGuard held(lock_);
  return limited_ ? static_cast<int64_t>(limited_->count(now_us)) : 0;
}

int64_t LimiterFigures::denied_about(const Fingerprint& caller) const {
  const SpinGuard held(lock_);
  return by_denied_ ? by_denied_->estimate(caller.low) : 0;
}

std::vector<Series::Point> LimiterFigures::series(int64_t from_us, int64_t step_us, size_t n) {
  const SpinGuard held(lock_);
  settle();
  return series_ ? series_->read(from_us, step_us, n) : std::vector<Series::Point>(n);
}

}  // namespace tidegate
