// SPDX-License-Identifier: MIT
// One run of the atomic program: calls go in, one command comes out, one reply answers them all.
//
// KEYS: those of slots last. The batch (ARGV[1]), big-endian: I7 now_us (0: the server's), I7 fixed
// PX (0: by what is owed), I1 how many keys are not of slots, I1 limits; each limit: its letter, I7
// limit, capacity, bound, ticks, tick_us; then the items: I1 op, I4 times, I1 legs; each leg: I1
// key and I1 limit (from 1), I1 shadow, I7 cost, and where it is of slots the holder's id in 16
// bytes. The reply: I7 now_us; for each item I1 status (0, or 1: a state that is not ours), I4 how
// often it passed; for a consume, peek or debit each leg's state before it: two or three I7; I1 n
// and n entries of a log; or of slots what the others hold (I2), when the first and the last of
// them leaves (I7, I7), until when he who asks holds how many (I7, I2), and when the cost fits
// (I7).
//
// Merging: a call that equals an item as a whole, and whose keys nothing else has touched
// since, only raises the item's count. Debits of the same states go as one with the sum, whatever
// their costs (but those of a log: it would have to tell an entry for each). What has a holder's id
// merges with nothing: the second is a renewal. The answers are worked out one call after another
// with the embedded engine's own functions.
//
// One thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/call.h"

namespace tidegate {

class LimiterRun {
 public:
  static constexpr size_t kMaxKeys = 128;
  static constexpr size_t kMaxCalls = 4'096;

  // Takes the call (its legs are made, NumbersFor::kStore), or says no: it goes into the next run.
  // A call fits an empty program always.
  bool add(Call* call);
  bool empty() const { return carried_.empty(); }
  size_t size() const { return carried_.size(); }
  size_t merged() const { return carried_.size() - items_.size(); }
  void clear();

  // The command, in the protocol's form; valid until the program changes. `as_source`: EVAL with
  // the source, else EVALSHA.
  std::string_view command(bool as_source, int64_t now_us, int64_t fixed_px);

  // Takes a call out: its place stays and is counted, but nobody is answered.
  void abandon(uint32_t place) { carried_[place].call = nullptr; }
  Call* at(uint32_t place) const { return carried_[place].call; }

  // Answers every call that is still there: its decision and results, or kWrongType. kProtocol: the
  // reply makes no sense, and no call was touched.
  Status answer(std::string_view reply);

 private:
  struct Carried {
    Call* call;
    uint32_t item;
    uint32_t first_cost;  // in costs_, of a debit
  };
  struct Item {
    Op op;
    uint32_t times;            // how many calls it is
    uint32_t first_leg, legs;  // in legs_
    bool foreign;
  };
  struct Key {
    Fingerprint id;
    uint32_t last_item;  // which touched it last
    bool of_slots;
    uint8_t index;  // among those of its kind
  };

  uint32_t find_key(const Fingerprint& id) const;  // kMaxKeys: not there
  uint32_t add_key(const Leg& leg, std::string_view head, std::string_view key);
  uint32_t add_limit(const Numbers* limit);
  bool equals(const Item& item, const Call& call) const;
  bool merge(Call* call);
  void carry(Call* call, uint32_t item);
  void put_batch(int64_t now_us, int64_t fixed_px);

  struct Reader;
  Status read_leg(Reader& reader, Leg& leg, int64_t now_us);
  Status read(Reader& reader, Item& item, int64_t now_us);
  Verdict decide(const Carried& carried, const Item& item, std::span<Leg> legs);

  ConfigPins pins_;  // the limits' owners: a call may go before its run does
  std::vector<Carried> carried_;
  std::vector<Item> items_;
  std::vector<Leg> legs_;  // of the items: as sent, then as they stand while calls are answered
  std::vector<uint8_t> leg_keys_;  // beside legs_: index of the key, and of the limit
  std::vector<uint8_t> leg_limits_;
  std::vector<int64_t> costs_;  // of the debits, leg by leg
  std::vector<Key> keys_;
  std::array<uint8_t, 512> table_{};  // by fingerprint: 1 + index in keys_
  std::vector<const Numbers*> limits_;
  std::string key_words_[2];  // the keys in the protocol's form; second, those of slots
  uint8_t key_counts_[2] = {};
  std::string batch_, command_;
  std::vector<LogEntry> log_entries_;  // of the reply's logs
};

}  // namespace tidegate
