// SPDX-License-Identifier: MIT
// A guard: a policy, perhaps a live document over it, and the client's limiters that they speak of.
// It turns a request's attributes into the parts of one atomic check.
//
//   auto handle = guards.open({.policy = text});
//   const Visits::Visit visit(limiters.visits());
//   guards.find(*handle)->prepare(attributes, scope, check, why);
//
// What finds a guard visits the limiters: a guard that is closed, and documents that were replaced,
// are freed when no visit is left that may have found them.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/lock.h"
#include "base/time.h"
#include "client/check.h"
#include "client/handle_table.h"
#include "client/limiters.h"
#include "client/policy_file.h"
#include "options/options.h"
#include "policy/policy.h"
#include "stats/counters.h"
#include "stats/events.h"

namespace tidegate {

struct GuardSpec {
  std::string_view policy, file, headers, trusted_proxies;  // policy or file, or neither
  int64_t ipv6_prefix = 0;                                  // 0: the client's
};

// What guards have from their client.
struct GuardContext {
  Limiters& limiters;
  const Options& options;
  const Clock& clock;
  Counters& counters;
  EventLog& events;
};

struct NamedPart;  // a part that code names, beside the policy's

class Guard {
 public:
  static constexpr size_t kMostRates = 1'024;  // limiters made of rates that code named

  // kPolicy with the fault; kOption; what opening its limiters says.
  static Result<std::unique_ptr<Guard>> make(const GuardSpec& spec, const GuardContext& context);
  ~Guard();

  // Fills in what a check is before its answer. kOk: its parts are to be asked, or there are none.
  // kAttribute, kInvalid, or what opening a limiter says; then `why` is about it. The caller
  // visits the limiters for as long as he uses the parts.
  Code prepare(std::string_view attributes, std::string_view scope, Check& check,
               std::string& why) const;

  // Another file's text, or another live document over it (empty: none). A faulty one changes
  // nothing.
  Status replace(std::string_view policy);
  Status set_live(std::string_view live);
  // A live document that `patch` has changed, which the file can have over it.
  Result<std::string> edited(std::string_view live, std::string_view patch) const;
  // Takes the file over where it has changed. A faulty one changes nothing, and is told of once.
  void look_at_file();

  // JSON, without the parts' states. The caller visits the limiters.
  std::string explain(std::string_view attributes) const;
  const Clock& clock() const { return clock_; }

 private:
  struct Documents {
    PolicyPtr file, live;
  };
  struct Asked;  // the directives of one request
  Guard(const GuardContext& context, const Options& own);

  Status publish(PolicyPtr file, PolicyPtr live) TIDEGATE_REQUIRES(mutex_);
  Status bind_limiters(const Policy& file) TIDEGATE_REQUIRES(mutex_);
  static std::atomic<uint64_t>& handle_of(const PolicyPart& part) {
    return part.numbers
        ->handles[static_cast<size_t>(part.mode) * 4 + static_cast<size_t>(part.on_failure + 1)];
  }
  Result<uint64_t> bind(const PolicyPart& part) const;
  Code add_policy(const Asked& asked, Check& check, std::string& why) const;
  Code open_named(const Asked& asked, std::string& why) const;
  Code add_named(const Asked& asked, Check& check, std::string& why) const;
  Result<uint64_t> limiter_of_rates(const NamedPart& named) const;
  Result<uint64_t> lend_named(const NamedPart& named, LimiterSpec spec) const;

  Limiters& limiters_;
  const Clock& clock_;
  Counters& counters_;
  EventLog& events_;
  HeaderStyle style_;
  TrustedProxies trusted_;
  int ipv6_prefix_;

  std::atomic<const Documents*> documents_{nullptr};

  mutable Mutex mutex_;
  std::unique_ptr<const Documents> current_ TIDEGATE_GUARDED_BY(mutex_);
  struct Retired {
    std::unique_ptr<const Documents> documents;
    Visits::Moment moment;
  };
  std::vector<Retired> retired_ TIDEGATE_GUARDED_BY(mutex_);
  // The file's limiters by name, as they were opened: specification and handle.
  struct Bound {
    std::string spec;
    uint64_t handle = 0;
    uint64_t used = 0;  // by which of the documents, counted
  };
  std::unordered_map<std::string, Bound> bound_ TIDEGATE_GUARDED_BY(mutex_);
  // Other numbers, modes or failure policies of these names, by specification.
  mutable std::unordered_map<std::string, Bound> variants_ TIDEGATE_GUARDED_BY(mutex_);
  uint64_t published_ TIDEGATE_GUARDED_BY(mutex_) = 0;
  std::string live_text_ TIDEGATE_GUARDED_BY(mutex_);

  PolicyFile file_ TIDEGATE_GUARDED_BY(looking_);
  Mutex looking_;

  // Limiters made of rates, the last used first.
  struct OfRates {
    std::string mark;
    uint64_t handle = 0;
  };
  mutable std::list<OfRates> of_rates_ TIDEGATE_GUARDED_BY(mutex_);
  mutable std::unordered_map<std::string_view, std::list<OfRates>::iterator> by_mark_
      TIDEGATE_GUARDED_BY(mutex_);
};

// Equal marks are equal limiters, as they were asked for.
inline constexpr char kMarkEnd = '\x1f';  // of no word that can be right
std::string limiter_mark(const LimiterSpec& spec);

// The guards of a client. Any thread.
class Guards {
 public:
  static constexpr uint32_t kMost = 1'024;

  explicit Guards(const GuardContext& context) : context_(context), limiters_(context.limiters) {}

  Result<uint64_t> open(const GuardSpec& spec);
  Status close(uint64_t handle);  // kHandle
  const Guard* find(uint64_t handle) const { return handles_.find(handle); }
  Status replace(uint64_t handle, std::string_view policy);
  Result<std::string> edited(uint64_t handle, std::string_view live, std::string_view patch) const;
  void set_live(std::string_view live);  // those that come later have it too
  void look_at_files();

 private:
  static Error no_such_guard();
  void tell(Guard& guard, std::string_view live);
  void free_retired() TIDEGATE_REQUIRES(mutex_);
  Guard* held(uint64_t handle) const TIDEGATE_REQUIRES(mutex_);

  const GuardContext context_;
  Limiters& limiters_;
  mutable Mutex mutex_;
  HandleTable<Guard, HandleKind::kGuard, kMost> handles_;
  std::unordered_map<uint64_t, std::unique_ptr<Guard>> guards_ TIDEGATE_GUARDED_BY(mutex_);
  struct Retired {
    std::unique_ptr<Guard> guard;
    Visits::Moment moment;
  };
  std::vector<Retired> retired_ TIDEGATE_GUARDED_BY(mutex_);
  std::string live_ TIDEGATE_GUARDED_BY(mutex_);
};

}  // namespace tidegate
