// SPDX-License-Identifier: MIT
// What all connections of one client share.
#pragma once

#include <string>

#include "stats/clock.h"
#include "stats/counters.h"
#include "stats/events.h"
#include "store/local_engine.h"
#include "store/valkey/breaker.h"
#include "store/valkey/tls.h"
#include "tidegate/options.h"

namespace tidegate {

struct Shared {
  const StoreUrl& url;
  const Options& options;
  const Fingerprinter& fingerprint;
  const Clock& clock;
  LocalEngine& local;  // decides while the store is away
  Counters& counters;
  EventLog& events;
  Breaker breaker;
  TlsContext tls;
  std::atomic<bool> lost{false};  // the store was reported lost, and not yet back
  std::atomic<int32_t> refusing{0};  // the code of the errors it answers with, as reported; 0: it answers

  std::string where() const;  // "valkey at db.example:6379"; no secret
};

}  // namespace tidegate
