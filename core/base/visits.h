// SPDX-License-Identifier: MIT
// When may something go that others find without a lock? Who looks says so with two stores to a
// line of its own, and whoever took the thing away learns later that nobody is left who saw it: he
// looks until each was seen outside once.
//
//   { const Visits::Visit visit(visits); use(*found.load()); }
//
//   found.store(other);                  // from here on nobody finds the old one
//   auto moment = visits.moment();       // who is inside now may still use it
//   if (visits.over(moment)) free(old);  // none of them is any more: asked as often as one likes
//
// The barrier that a visitor would need is the asker's: he has the system run one on every thread
// of the process (membarrier). Where there is none, no moment is ever over.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/stripe.h"

namespace tidegate {

// Any thread.
class Visits {
 public:
  // Short: nothing blocks in it, and nothing calls out. Not nested on a thread.
  class Visit {
   public:
    explicit Visit(Visits& visits)
        : stripe_(thread_stripe()), cell_(visits.cells_[stripe_].inside) {
      if (stripe_ < kStripes) [[likely]] {  // nobody else writes it
        cell_.store(1, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);  // the rest is moment()'s to see to
      } else {
        cell_.fetch_add(1);
      }
    }
    ~Visit() {
      if (stripe_ < kStripes) [[likely]]
        cell_.store(0, std::memory_order_release);
      else
        cell_.fetch_sub(1);
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    const size_t stripe_;
    std::atomic<uint32_t>& cell_;
  };

  // Whose stripes were visited, but for those that were seen empty since.
  struct Moment {
    bool known = false;  // false: there is no such barrier here
    std::array<bool, kStripes + 1> inside{};
  };
  Moment moment() const;
  bool over(Moment& moment) const;

 private:
  struct alignas(64) Cell {
    std::atomic<uint32_t> inside{0};
  };
  std::array<Cell, kStripes + 1> cells_;
};

}  // namespace tidegate
