// SPDX-License-Identifier: MIT
// Copies of numbers whose limiter let go of them (kept_numbers.h).
#include <vector>

#include "memory_helper.h"
#include "store/memory/kept_numbers.h"

namespace tidegate {
namespace {

class Kept : public ::testing::Test {
 protected:
  void SetUp() override TIDEGATE_UNCHECKED_LOCKS {
    for (Shard& shard : shards_) {
      first_.push_back(std::make_unique<Slot[]>(Shard::kFirstSlots));
      shard.start(first_.back().get());
    }
  }
  Slot* insert(size_t shard, uint64_t key, const Numbers& numbers) TIDEGATE_UNCHECKED_LOCKS {
    return shards_[shard].insert(id_of(key), &numbers);
  }
  const Numbers* of(size_t shard, uint64_t key) TIDEGATE_UNCHECKED_LOCKS {
    return shards_[shard].find(id_of(key))->limit;
  }
  void erase(size_t shard, uint64_t key) TIDEGATE_UNCHECKED_LOCKS {
    shards_[shard].erase(shards_[shard].find(id_of(key)), quota_);
  }

  std::vector<std::unique_ptr<Slot[]>> first_;
  std::vector<Shard> shards_ = std::vector<Shard>(4);
  Quota quota_{1 << 20};
  KeptNumbers kept_;
};

TEST_F(Kept, EqualNumbersOfOneRateAreKeptOnceAndAsLongAsAStateHasThem) {
  Numbers one = limit_of(Algorithm::kFixedWindow, 10, kDay);
  one.mark.number = 7;
  const Numbers again = one;
  Numbers other = one;
  other.mark.number = 8;
  const Numbers live = one;
  insert(0, 1, one);
  insert(1, 2, again);
  insert(2, 3, other);
  insert(3, 4, live);
  const Numbers* const gone[] = {&one, &again, &other};
  kept_.replace(gone, shards_);
  EXPECT_EQ(kept_.size(), 2);
  EXPECT_NE(of(0, 1), &one);
  EXPECT_EQ(of(0, 1), of(1, 2));
  EXPECT_NE(of(0, 1), of(2, 3));
  EXPECT_EQ(of(3, 4), &live);
  EXPECT_EQ(*of(0, 1), one);
  EXPECT_EQ(of(0, 1)->mark.number, 7);

  erase(2, 3);
  kept_.replace({}, shards_);
  EXPECT_EQ(kept_.size(), 1);
  erase(0, 1);
  erase(1, 2);
  kept_.replace({}, shards_);
  EXPECT_EQ(kept_.size(), 0);
}

TEST_F(Kept, NumbersThatNoStateHasLeaveNothingBehind) {
  const Numbers one = limit_of(Algorithm::kFixedWindow, 10, kDay);
  const Numbers* const gone[] = {&one};
  kept_.replace(gone, shards_);
  EXPECT_EQ(kept_.size(), 0);
}

}  // namespace
}  // namespace tidegate
