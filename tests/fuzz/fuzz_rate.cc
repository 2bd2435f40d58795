// SPDX-License-Identifier: MIT
// A text that parses gives rates within their bounds; one that does not says where and why in one
// line.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "limiter/rate.h"

namespace {

using tidegate::Algorithm;
using tidegate::Numbers;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(std::string_view text, Algorithm algorithm) {
  const auto rates = tidegate::parse_rates(text, algorithm);
  if (!rates) {
    const tidegate::Error& error = rates.error();
    require(error.code == tidegate::Code::kRate);
    require(error.position >= 0 && static_cast<size_t>(error.position) <= text.size());
    require(error.message.find("expected") != error.message.npos);
    require(error.message.size() < 1024);
    for (char c : error.message) require(c >= 0x20 && c < 0x7f);
    return;
  }
  require(!rates->empty() && rates->size() <= tidegate::kMaxRates);
  require(!tidegate::default_name(*rates).empty());
  for (const Numbers& limit : *rates) {
    std::optional<int64_t> burst;
    if (limit.burst) burst = limit.burst;
    const auto again =
        Numbers::make(limit.algorithm, limit.limit, limit.window_us, burst, limit.overdraft);
    require(limit.algorithm == algorithm || limit.algorithm == Algorithm::kConcurrency);
    require(again.ok() && *again == limit);
    for (const Numbers& other : *rates)
      require(&other == &limit || other.window_us != limit.window_us);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (size_t algorithm = 0; algorithm < tidegate::kAlgorithmCount; ++algorithm)
    check(text, static_cast<Algorithm>(algorithm));
  if (const auto lease = tidegate::parse_lease(text))
    require(*lease >= tidegate::kMinLeaseUs && *lease <= tidegate::kMaxLeaseUs);
  return 0;
}
