// SPDX-License-Identifier: MIT
// The live document of a client's policies: bans, exemptions, tiers and numbers that are said while
// services run. With a server it is kept there, under one key with a version, and every process
// follows it; with the embedded store it is this client's. Files of policies are looked at beside.
//
// It has a thread of its own from the first guard on that has a policy to follow, or the first
// edit: it sleeps, and looks every kLookUs; every kRefusedUs where the server's ACL forbids it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/lock.h"
#include "base/result.h"

namespace tidegate {

class Client;

// Any thread.
class Live {
 public:
  static constexpr int64_t kLookUs = 200'000, kRefusedUs = 30'000'000;
  static constexpr int kTries = 64;            // of an edit that others overtake
  static constexpr int kKeptChanges = 10'000;  // of the audit stream

  explicit Live(Client& client) : client_(client) {}
  ~Live() { stop(); }

  struct Document {
    uint64_t version = 0;
    std::string text;  // JSON; empty: nothing is said
  };
  Document document() const;

  // `patch` is a live document of what changes: an entry takes the place of the one of its name,
  // null takes it away. replace: everything else goes. Names that the guard's file has not are
  // refused. Waits for the store. kPolicy; kHandle; what the store says.
  enum class How : uint8_t { kMerge, kReplace };
  Result<Document> edit(uint64_t guard, How how, std::string_view patch, std::string_view who);

  void follow();  // starts the thread
  void stop();
  // What the thread does: takes over what others have changed. `refused`: the ACL forbids it.
  void look(bool& refused);

 private:
  void run();
  Result<std::string> command(std::string text);
  Result<Document> ask_to_write(const Document& seen, std::string_view text, std::string_view what,
                                std::string_view who, bool& written);
  void take_over(Document document);
  std::string key() const;

  Client& client_;
  mutable Mutex mutex_;
  Condition turn_;
  Document document_ TIDEGATE_GUARDED_BY(mutex_);
  bool following_ TIDEGATE_GUARDED_BY(mutex_) = false;
  bool stopping_ TIDEGATE_GUARDED_BY(mutex_) = false;
  Mutex editing_;  // one edit of this client at a time, and one take-over
  std::thread thread_ TIDEGATE_GUARDED_BY(mutex_);
};

}  // namespace tidegate
