// SPDX-License-Identifier: MIT
// When may something go that others find without a lock? Who looks says so with two stores to a
// line of its own, and whoever took the thing away learns later that nobody is left who saw it.
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
    explicit Visit(Visits& visits) {
      const size_t stripe = thread_stripe();
      cell_ = &visits.cells_[stripe].value;
      if (stripe < kStripes) [[likely]] {  // nobody else writes it: odd while it is visited
        inside_ = cell_->load(std::memory_order_relaxed) + 1;
        cell_->store(inside_, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_seq_cst);  // the rest is moment()'s to see to
      } else {                                                // how many are inside
        cell_->fetch_add(1);
      }
    }
    ~Visit() {
      if (inside_) [[likely]]
        cell_->store(inside_ + 1, std::memory_order_release);
      else
        cell_->fetch_sub(1);
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    std::atomic<uint64_t>* cell_;
    uint64_t inside_ = 0;  // 0: shared
  };

  // Who was inside; those that have been seen to be gone are struck out.
  struct Moment {
    bool known = false;  // false: there is no such barrier here
    std::array<uint64_t, kStripes + 1> inside{};
  };
  Moment moment() const;
  bool over(Moment& moment) const;

 private:
  struct alignas(64) Cell {
    std::atomic<uint64_t> value{0};
  };
  std::array<Cell, kStripes + 1> cells_;
};

}  // namespace tidegate
