// SPDX-License-Identifier: MIT
// Every operation once, and what is to be known of it. Whoever asks what an operation may do asks
// this table.
#pragma once

#include <cstdint>

namespace tidegate {

enum class Op : uint8_t { kConsume = 1, kPeek, kRefund, kReset, kPing, kDebit, kCheck, kCommand };  // TG_OP_*

// Whose payload a call of it carries.
enum class Family : uint8_t { kNone, kLimiter, kCommand };

struct Operation {
  Op op;
  Family family;
  bool decides;         // its answer says whether something may pass, and how much is left
  bool writes;          // it may have changed a state: an answer that was lost may have charged
  bool merges;          // equal requests may go as one with a count
  bool goes_to_source;  // it follows a decision to whoever made it (TG_SOURCE_FLAGS)
};

// clang-format off
inline constexpr Operation kOperations[] = {
    // op          family             decides writes merges goes_to_source
    {Op::kConsume, Family::kLimiter,  true,   true,  true,  false},
    {Op::kPeek,    Family::kLimiter,  true,   false, true,  false},
    {Op::kRefund,  Family::kLimiter,  false,  true,  true,  true},
    {Op::kReset,   Family::kLimiter,  false,  true,  true,  false},
    {Op::kPing,    Family::kNone,     false,  false, false, false},
    {Op::kDebit,   Family::kLimiter,  true,   true,  true,  true},
    {Op::kCheck,   Family::kNone,     true,   true,  false, false},  // becomes a consume
    {Op::kCommand, Family::kCommand,  false,  true,  false, false},  // our own: of no caller
};
// clang-format on

constexpr const Operation& operation(Op op) { return kOperations[static_cast<uint8_t>(op) - 1]; }
// Of a caller's.
constexpr bool is_operation(uint32_t number) {
  return number >= 1 && number <= static_cast<uint32_t>(Op::kCheck);
}

// The table is in the order of the numbers.
static_assert([] {
  for (uint8_t i = 0; i < sizeof kOperations / sizeof kOperations[0]; ++i)
    if (static_cast<uint8_t>(kOperations[i].op) != i + 1) return false;
  return true;
}());

}  // namespace tidegate
