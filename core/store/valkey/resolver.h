// SPDX-License-Identifier: MIT
// Looks a host's addresses up on a thread of its own, because getaddrinfo blocks and an event loop
// must not.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace tidegate {

// One thread at a time. A look-up that is still running when this is destroyed ends by itself and
// is forgotten.
class Resolver {
 public:
  // True for an address in numbers: nothing to look up.
  static bool numeric(const std::string& host);

  // wake_fd: an eventfd, written when the answer is there (its duplicate is kept).
  void start(const std::string& host, int wake_fd);
  bool running() const { return pending_ != nullptr; }
  // True when a look-up that was started has ended; then `addresses` or `error` holds what it
  // found.
  bool finished(std::vector<std::string>& addresses, std::string& error);

 private:
  struct Pending;
  std::shared_ptr<Pending> pending_;
};

}  // namespace tidegate
