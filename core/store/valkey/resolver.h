// SPDX-License-Identifier: MIT
// Looks a host's addresses up on a thread of its own, because getaddrinfo blocks and an event loop
// must not.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace tidegate {

// What knows the addresses of hosts: the system, or in tests whatever they need. Any thread; a
// look-up may outlive who asked for it.
class HostNames {
 public:
  virtual ~HostNames() = default;
  virtual Result<std::vector<std::string>> find(const std::string& host) const;  // in numbers

  static std::shared_ptr<const HostNames> of_system();
};

// One thread at a time. A look-up that is still running when this is destroyed ends by itself,
// keeps nothing but the host's name, and is forgotten.
class Resolver {
 public:
  using Addresses = Result<std::vector<std::string>>;
  // So many look-ups run at a time in one process: one that hangs keeps its thread.
  static constexpr int kMaxThreads = 32;

  explicit Resolver(std::shared_ptr<const HostNames> names) : names_(std::move(names)) {}
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // True for an address in numbers: nothing to look up.
  static bool numeric(const std::string& host);

  // wake_fd: an eventfd, written when the answer is there (its duplicate is kept). An error: there
  // is no thread, or no descriptor.
  Status start(const std::string& host, int wake_fd);
  bool running() const { return pending_ != nullptr; }
  // True when a look-up that was started has ended; then `addresses` holds what it found.
  bool finished(Addresses& addresses);

 private:
  struct Pending;
  const std::shared_ptr<const HostNames> names_;
  std::shared_ptr<Pending> pending_;
};

}  // namespace tidegate
