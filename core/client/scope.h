// SPDX-License-Identifier: MIT
// What the checks of one HTTP request have charged and said so far, as bytes that an adapter
// carries from one check to the next: so what is met twice is charged once, fields of nested limits
// are joined, and what a denial or the response decides is settled. Only this process reads them,
// but whatever an adapter hands over instead is refused.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "limiter/request.h"

namespace tidegate {

// One part of a check.
struct Charge {
  uint64_t handle = 0;
  int64_t cost = 0;
  HolderId id;                    // given: slots are held under it
  int64_t lease_us = 0;           // of the slots
  Source source = Source::kNone;  // who decided
  bool took = false;              // all its rates fitted
  std::string_view name, key;     // the limiter's; whom it charged
  std::string_view after;         // what the response decides (AfterView), or empty
  std::span<const char> figures;  // of its rates: RateResults, not aligned
  size_t rates() const { return figures.size() / sizeof(RateResult); }
  RateResult rate(size_t i) const;
};

struct Scope {
  bool denied = false;          // the last check of the request: what the others took is given back
  std::vector<Charge> charges;  // their texts point into the bytes

  // False: these are no bytes of ours. Nothing: an empty scope.
  bool read(std::string_view bytes);
};

void begin_scope(std::string& out, bool denied);
void append_charge(std::string& out, const Charge& charge);

// Which statuses of a response count, and what its cost is settled by.
struct AfterView {
  enum class Count : uint8_t { kAll, kFailed, kSuccessful, kStatuses };
  Count count = Count::kAll;
  std::string_view statuses;  // uint16_t, not aligned
  std::string_view settle;    // an attribute's name, or empty

  static AfterView read(std::string_view bytes);
  bool counts(int32_t status) const;
};
void append_after(std::string& out, AfterView::Count count, std::span<const uint16_t> statuses,
                  std::string_view settle);

}  // namespace tidegate
