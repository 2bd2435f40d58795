// SPDX-License-Identifier: MIT
#include "store/valkey/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace tidegate {
namespace {

void look_up(const std::string& host, std::vector<std::string>& addresses, std::string& error) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed != 0) {
    error = gai_strerror(failed);
    return;
  }
  for (const int family : {AF_INET, AF_INET6}) {  // IPv4 first, as hiredis does
    for (const addrinfo* at = found; at; at = at->ai_next) {
      char text[NI_MAXHOST];
      if (at->ai_family == family && getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text,
                                                 nullptr, 0, NI_NUMERICHOST) == 0)
        addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  if (addresses.empty()) error = "no address";
}

}  // namespace

struct Resolver::Pending {
  std::vector<std::string> addresses;
  std::string error;
  std::atomic<bool> done{false};
  int wake_fd = -1;
  ~Pending() {
    if (wake_fd >= 0) close(wake_fd);
  }
};

bool Resolver::numeric(const std::string& host) {
  in6_addr parsed;
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &parsed) == 1;
}

void Resolver::start(const std::string& host, int wake_fd) {
  pending_ = std::make_shared<Pending>();
  pending_->wake_fd = fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);
  std::thread([pending = pending_, host] {
    look_up(host, pending->addresses, pending->error);
    pending->done.store(true, std::memory_order_release);
    const uint64_t one = 1;
    if (write(pending->wake_fd, &one, sizeof one) < 0) return;
  }).detach();
}

bool Resolver::finished(std::vector<std::string>& addresses, std::string& error) {
  if (!pending_ || !pending_->done.load(std::memory_order_acquire)) return false;
  addresses = std::move(pending_->addresses);
  error = std::move(pending_->error);
  pending_.reset();
  return true;
}

}  // namespace tidegate
