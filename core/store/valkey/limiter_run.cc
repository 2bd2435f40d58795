// SPDX-License-Identifier: MIT
#include "store/valkey/limiter_run.h"

#include <algorithm>

#include "http/http.h"
#include "store/valkey/script.h"

namespace tidegate {
namespace {

constexpr size_t kMaxLimits = 255;

template <int kBytes>
void put(std::string& out, uint64_t value) {
  for (int i = kBytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
}

// Those of a log would need an entry of it for each.
bool debits_merge(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kTokenBucket:
    case Algorithm::kFixedWindow:
    case Algorithm::kSlidingWindow:
    case Algorithm::kConcurrency:
      return true;
    case Algorithm::kSlidingLog:
      return false;
  }
  __builtin_unreachable();
}

// A bulk string of the protocol (RESP2).
void put_bulk(std::string& out, std::string_view bytes) {
  out.append("$").append(std::to_string(bytes.size())).append("\r\n").append(bytes).append("\r\n");
}

}  // namespace

void LimiterRun::clear() {
  pins_.clear();
  carried_.clear();
  items_.clear();
  legs_.clear();
  leg_keys_.clear();
  leg_limits_.clear();
  costs_.clear();
  keys_.clear();
  table_.fill(0);
  limits_.clear();
  for (std::string& words : key_words_) words.clear();
  for (uint8_t& count : key_counts_) count = 0;
}

uint32_t LimiterRun::find_key(const Fingerprint& id) const {
  for (size_t at = id.low % table_.size(); table_[at]; at = (at + 1) % table_.size())
    if (keys_[table_[at] - 1u].id == id) return table_[at] - 1u;
  return kMaxKeys;
}

uint32_t LimiterRun::add_key(const Leg& leg, std::string_view head, std::string_view key) {
  const bool of_slots = leg.limit->algorithm == Algorithm::kConcurrency;
  size_t at = leg.id.low % table_.size();
  while (table_[at]) at = (at + 1) % table_.size();
  keys_.push_back({leg.id, 0, of_slots, ++key_counts_[of_slots]});
  table_[at] = static_cast<uint8_t>(keys_.size());

  command_.assign(head).append("{");
  append_escaped_key(command_, key);
  put_bulk(key_words_[of_slots], command_.append("}"));
  return static_cast<uint32_t>(keys_.size() - 1);
}

uint32_t LimiterRun::add_limit(const Numbers* limit) {
  const auto known = std::ranges::find_if(limits_, [&](const Numbers* l) { return *l == *limit; });
  const auto index = static_cast<uint32_t>(known - limits_.begin());
  if (index == limits_.size()) limits_.push_back(limit);
  return index;
}

bool LimiterRun::equals(const Item& item, const Call& call) const {
  if (item.op != call.op || item.legs != call.legs.size()) return false;
  for (uint32_t i = 0; i < item.legs; ++i) {
    const Leg& a = legs_[item.first_leg + i];
    const Leg& b = call.legs[i];
    if (a.id != b.id || a.shadow != b.shadow || *a.limit != *b.limit) return false;
    if (b.holder.given() || a.holder.given()) return false;
    if (call.op == Op::kDebit ? !debits_merge(b.limit->algorithm) : a.cost != b.cost) return false;
  }
  return true;
}

bool LimiterRun::merge(Call* call) {
  const uint32_t first = find_key(call->legs[0].id);
  if (first == kMaxKeys) return false;
  const uint32_t index = keys_[first].last_item;
  Item& item = items_[index];
  if (!equals(item, *call)) return false;
  for (const Leg& leg : call->legs)  // equal, so its keys are here
    if (keys_[find_key(leg.id)].last_item != index) return false;
  ++item.times;
  if (call->op == Op::kDebit) {
    for (const Leg& leg : call->legs) {
      int64_t& total = legs_[item.first_leg + leg.slot].total;
      total = std::min(total + leg.cost, kMaxCost);
    }
  }
  carry(call, index);
  return true;
}

void LimiterRun::carry(Call* call, uint32_t item) {
  carried_.push_back({call, item, static_cast<uint32_t>(costs_.size())});
  if (call->op == Op::kDebit)
    for (const Leg& leg : call->legs) costs_.push_back(leg.cost);
}

bool LimiterRun::add(Call* call) {
  if (carried_.size() >= kMaxCalls) return false;
  call->place = static_cast<uint32_t>(carried_.size());
  if (merge(call)) return true;
  if (!empty() && (keys_.size() + call->legs.size() > kMaxKeys ||
                   limits_.size() + call->legs.size() > kMaxLimits))
    return false;
  pins_.hold(call->parts);
  const auto index = static_cast<uint32_t>(items_.size());
  items_.push_back({call->op, 1, static_cast<uint32_t>(legs_.size()),
                    static_cast<uint32_t>(call->legs.size()), false});
  size_t at = 0;
  for (const Part& part : call->parts) {
    if (part.limiter->mode == Mode::kOff) continue;
    for (const Rate& rate : part.limiter->rates) {
      const Leg& leg = call->legs[at++];
      uint32_t key = find_key(leg.id);
      if (key == kMaxKeys) key = add_key(leg, rate.state_head, part.key);
      keys_[key].last_item = index;
      legs_.push_back(leg);
      leg_keys_.push_back(static_cast<uint8_t>(key));
      leg_limits_.push_back(static_cast<uint8_t>(add_limit(leg.limit)));
    }
  }
  carry(call, index);
  return true;
}

void LimiterRun::put_batch(int64_t now_us, int64_t fixed_px) {
  batch_.clear();
  put<7>(batch_, static_cast<uint64_t>(now_us));
  put<7>(batch_, static_cast<uint64_t>(fixed_px));
  put<1>(batch_, key_counts_[0]);
  put<1>(batch_, limits_.size());
  for (const Numbers* limit : limits_) {
    batch_ += algorithm_letter(limit->algorithm);
    for (const int64_t number :
         {limit->limit, limit->capacity, limit->bound, limit->ticks, limit->tick_us})
      put<7>(batch_, static_cast<uint64_t>(number));
  }
  for (const Item& item : items_) {
    put<1>(batch_, static_cast<uint64_t>(item.op));
    put<4>(batch_, item.op == Op::kDebit ? 1 : item.times);
    const size_t count_at = batch_.size();
    put<1>(batch_, 0);
    uint8_t slots = 0;
    for (uint32_t i = 0; i < item.legs; ++i) {
      const Leg& leg = legs_[item.first_leg + i];
      if (leg.slot != i) continue;  // its costs are in the total of the leg that holds the state
      ++slots;
      const Key& key = keys_[leg_keys_[item.first_leg + i]];
      put<1>(batch_, key.of_slots ? key_counts_[0] + key.index : key.index);
      put<1>(batch_, leg_limits_[item.first_leg + i] + 1u);
      put<1>(batch_, leg.shadow);
      put<7>(batch_, static_cast<uint64_t>(std::min(leg.total, kMaxCost)));
      if (leg.limit->algorithm == Algorithm::kConcurrency)
        batch_.append(reinterpret_cast<const char*>(leg.holder.words), sizeof leg.holder.words);
    }
    batch_[count_at] = static_cast<char>(slots);
  }
}

std::string_view LimiterRun::command(bool as_source, int64_t now_us, int64_t fixed_px) {
  put_batch(now_us, fixed_px);
  const std::string keys = std::to_string(keys_.size());
  command_.assign("*").append(std::to_string(4 + keys_.size())).append("\r\n");
  put_bulk(command_, as_source ? "EVAL" : "EVALSHA");
  put_bulk(command_, as_source ? script_source() : script_digest());
  put_bulk(command_, keys);
  command_.append(key_words_[0]).append(key_words_[1]);
  put_bulk(command_, batch_);
  return command_;
}

}  // namespace tidegate
