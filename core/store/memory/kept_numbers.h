// SPDX-License-Identifier: MIT
// Copies of numbers that were freed while states still had them: a limiter was changed or closed,
// and its states owe what they owed. A copy goes when no state has it any more.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "base/lock.h"
#include "store/memory/shard.h"

namespace tidegate {

// Any thread.
class KeptNumbers {
 public:
  // Whatever state in the shards has one of `gone` has a copy afterwards. O(states); a shard's lock
  // is held for as long as it takes to look at its states.
  void replace(std::span<const Numbers* const> gone, std::span<Shard> shards);
  size_t size() const;

 private:
  struct Copy {
    Numbers numbers;
    bool used = false;
  };
  mutable Mutex mutex_;
  // By mark and text: equal numbers of one rate are kept once.
  std::unordered_map<std::string, std::unique_ptr<Copy>> copies_ TIDEGATE_GUARDED_BY(mutex_);
};

}  // namespace tidegate
