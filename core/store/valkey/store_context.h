// SPDX-License-Identifier: MIT
// What all connections of one client share.
#pragma once

#include <mutex>
#include <string>

#include "base/time.h"
#include "options/options.h"
#include "stats/events.h"
#include "stats/recorder.h"
#include "store/embedded_store.h"
#include "store/valkey/breaker.h"
#include "store/valkey/tls.h"

namespace tidegate {

struct StoreContext {
  const StoreUrl& url;
  const Options& options;
  const Fingerprinter& fingerprint;
  const Clock& clock;
  EmbeddedStore& local;  // decides while the store is away
  Recorder& recorder;    // is told of decisions; the counters are its own
  Counters& counters;
  EventLog& events;
  Breaker breaker;
  TlsContext tls;
  std::atomic<bool> lost{false};  // the store was reported lost, and not yet back
  std::atomic<int32_t> refusing{
      0};  // the code of the errors it answers with, as reported; 0: it answers
  std::atomic<int64_t> refused_us{0};  // when it last did; monotonic

  std::mutex away_mutex;            // guards what follows
  Code away_code = Code::kConnect;  // of the last failure
  std::string away_why;

  std::string where() const;  // "valkey at db.example:6379"; no secret
};

}  // namespace tidegate
