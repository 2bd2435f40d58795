// SPDX-License-Identifier: MIT
#include "client/scope.h"

#include <cstring>

namespace tidegate {
namespace {

constexpr uint32_t kMagic = 0x74673031;  // "tg01"
constexpr size_t kMostCharges = 1'024;   // of all checks of one request

struct Head {
  uint32_t magic, denied;
};

// A charge in bytes: this, then name, key, after and figures.
struct Fixed {
  uint64_t handle;
  int64_t cost;
  HolderId id;
  int64_t lease_us;
  uint32_t name, key, after, rates;  // sizes
  uint8_t source, took;
};

struct Bytes {
  std::string_view left;
  bool ok = true;

  template <class T>
  T take() {
    T out{};
    const std::string_view bytes = take(sizeof out);
    if (ok) std::memcpy(&out, bytes.data(), sizeof out);
    return out;
  }
  std::string_view take(size_t size) {
    ok = ok && size <= left.size();
    if (!ok) return {};
    const std::string_view out = left.substr(0, size);
    left.remove_prefix(size);
    return out;
  }
};

template <class T>
void append(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

RateResult Charge::rate(size_t i) const {
  RateResult out;
  std::memcpy(&out, figures.data() + i * sizeof out, sizeof out);
  return out;
}

void begin_scope(std::string& out, bool denied) {
  out.clear();
  append(out, Head{kMagic, denied});
}

void append_charge(std::string& out, const Charge& charge) {
  Fixed fixed{};
  fixed.handle = charge.handle;
  fixed.cost = charge.cost;
  fixed.id = charge.id;
  fixed.lease_us = charge.lease_us;
  fixed.name = static_cast<uint32_t>(charge.name.size());
  fixed.key = static_cast<uint32_t>(charge.key.size());
  fixed.after = static_cast<uint32_t>(charge.after.size());
  fixed.rates = static_cast<uint32_t>(charge.rates());
  fixed.source = static_cast<uint8_t>(charge.source);
  fixed.took = charge.took;
  append(out, fixed);
  out.append(charge.name).append(charge.key).append(charge.after);
  out.append(charge.figures.data(), charge.figures.size());
}

bool Scope::read(std::string_view bytes) {
  denied = false;
  charges.clear();
  if (bytes.empty()) return true;
  Bytes in{bytes};
  const auto head = in.take<Head>();
  denied = head.denied;
  while (in.ok && head.magic == kMagic && !in.left.empty() && charges.size() < kMostCharges) {
    const auto fixed = in.take<Fixed>();
    Charge& charge = charges.emplace_back();
    charge.handle = fixed.handle;
    charge.cost = fixed.cost;
    charge.id = fixed.id;
    charge.lease_us = fixed.lease_us;
    charge.source = static_cast<Source>(fixed.source);
    charge.took = fixed.took;
    charge.name = in.take(fixed.name);
    charge.key = in.take(fixed.key);
    charge.after = in.take(fixed.after);
    charge.figures = in.take(size_t{fixed.rates} * sizeof(RateResult));
    in.ok = in.ok && fixed.rates <= kMaxLegs && fixed.source <= static_cast<int>(Source::kNear) &&
            fixed.cost >= 0 && fixed.cost <= kMaxCost;
  }
  if (head.magic == kMagic && in.ok && in.left.empty()) return true;
  charges.clear();
  return false;
}

AfterView AfterView::read(std::string_view bytes) {
  AfterView view;
  Bytes in{bytes};
  const auto count = in.take<uint8_t>();
  const auto statuses = in.take<uint16_t>();
  view.statuses = in.take(statuses * sizeof(uint16_t));
  if (!in.ok || count > static_cast<int>(Count::kStatuses)) return {};
  view.count = static_cast<Count>(count);
  view.settle = in.left;
  return view;
}

bool AfterView::counts(int32_t status) const {
  if (count == Count::kFailed) return status >= 400;
  if (count == Count::kSuccessful) return status < 400;
  if (count == Count::kAll) return true;
  Bytes in{statuses};
  while (!in.left.empty())
    if (in.take<uint16_t>() == status) return true;
  return false;
}

void append_after(std::string& out, AfterView::Count count, std::span<const uint16_t> statuses,
                  std::string_view settle) {
  append(out, static_cast<uint8_t>(count));
  append(out, static_cast<uint16_t>(statuses.size()));
  out.append(reinterpret_cast<const char*>(statuses.data()), statuses.size_bytes());
  out.append(settle);
}

}  // namespace tidegate
