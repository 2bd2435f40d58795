// SPDX-License-Identifier: MIT
// What all connections of one client share.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "base/time.h"
#include "options/options.h"
#include "stats/events.h"
#include "stats/recorder.h"
#include "store/call.h"
#include "store/embedded_store.h"
#include "store/valkey/health.h"
#include "store/valkey/resolver.h"
#include "store/valkey/spec_notes.h"
#include "store/valkey/tls.h"

namespace tidegate {

struct StoreContext {
  const StoreUrl& url;
  const Options& options;
  const Clock& clock;
  const Timeline& timeline;
  EmbeddedStore& local;  // decides while the store is away
  Recorder& recorder;    // is told of decisions; the counters are its own
  Counters& counters;
  EventLog& events;
  const std::shared_ptr<const HostNames> names;
  const std::string where{address_of(url)};  // "db.example:6379"; no secret
  Health health{where, options, timeline, counters, events};
  SpecNotes notes{options.name_space, timeline, counters, events};
  TlsContext tls{};

  static std::string address_of(const StoreUrl& url) {
    if (url.kind == StoreKind::kUnix) return url.path;
    const bool v6 = url.host.find(':') != std::string::npos;
    return (v6 ? "[" + url.host + "]" : url.host) + ":" + std::to_string(url.port);
  }
  // The deadline of a check that brings none.
  int64_t timeout_us() const { return options.timeout_ms * 1'000; }
  int64_t timeout_us(const Call& call) const {
    return std::min(call.timeout_us > 0 ? call.timeout_us : timeout_us(), kMaxTimeoutUs);
  }
  // Since a call was submitted, as of now; it may not have been.
  int64_t waited_us(const Call& call, int64_t now_us) const {
    if (call.deadline_us == 0) return Recorder::kNotTimed;
    return now_us - (call.deadline_us - timeout_us(call));
  }
};

}  // namespace tidegate
