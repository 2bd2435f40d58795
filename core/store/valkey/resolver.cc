// SPDX-License-Identifier: MIT
#include "store/valkey/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "base/lock.h"

namespace tidegate {
namespace {

// The look-ups of this process. Those of a parent are none of a forked child's.
class Threads {
 public:
  static bool take() {
    pid_t of = process_.load();
    if (of != getpid() && process_.compare_exchange_strong(of, getpid())) running_.store(0);
    if (running_.fetch_add(1) < Resolver::kMaxThreads) return true;
    give_back();
    return false;
  }
  static void give_back() { running_.fetch_sub(1); }

 private:
  static inline std::atomic<pid_t> process_{0};
  static inline std::atomic<int> running_{0};
};

// A thread of ours takes no signal that was meant for the host.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Result<std::vector<std::string>> HostNames::find(const std::string& host) const {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &list); failed != 0)
    return Error{Code::kConnect, gai_strerror(failed)};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(list, freeaddrinfo);
  std::vector<std::string> addresses;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const addrinfo* at = found.get(); at; at = at->ai_next) {
      char text[NI_MAXHOST];
      if (at->ai_family == family && getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text,
                                                 nullptr, 0, NI_NUMERICHOST) == 0)
        addresses.emplace_back(text);
    }
  }
  if (addresses.empty()) return Error{Code::kConnect, "no address"};
  return addresses;
}

std::shared_ptr<const HostNames> HostNames::of_system() { return std::make_shared<HostNames>(); }

struct Resolver::Pending {
  // Tells whoever still asks. What it found is moved in: the thread has nothing left of it.
  void finish(Addresses answer) {
    const MutexGuard guard(mutex);
    found = std::move(answer);
    done = true;
    const uint64_t one = 1;
    if (wake_fd >= 0 && write(wake_fd, &one, sizeof one) < 0) return;
  }
  void forget() {
    const MutexGuard guard(mutex);
    if (wake_fd >= 0) close(wake_fd);
    wake_fd = -1;
  }
  ~Pending() { forget(); }

  Mutex mutex;
  int wake_fd TIDEGATE_GUARDED_BY(mutex) = -1;
  bool done TIDEGATE_GUARDED_BY(mutex) = false;
  Addresses found TIDEGATE_GUARDED_BY(mutex) = Error{};
};

Resolver::~Resolver() {
  if (pending_) pending_->forget();
}

bool Resolver::numeric(const std::string& host) {
  in6_addr parsed;
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &parsed) == 1;
}

Status Resolver::start(const std::string& host, int wake_fd) {
  auto pending = std::make_shared<Pending>();
  {
    const MutexGuard guard(pending->mutex);
    pending->wake_fd = fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);
    if (pending->wake_fd < 0)
      return Error{Code::kConnect, std::string("no look-up: ") + std::strerror(errno)};
  }
  if (!Threads::take())
    return Error{Code::kConnect,
                 std::to_string(kMaxThreads) + " look-ups are running, and none has ended"};
  try {
    const NoSignals quiet;
    std::thread([pending, host, names = names_] {
      try {
        pending->finish(names->find(host));
      } catch (const std::bad_alloc&) {
        pending->finish(Error{Code::kConnect, "no memory"});
      }
      Threads::give_back();
    }).detach();
  } catch (const std::system_error& refused) {
    Threads::give_back();
    return Error{Code::kConnect, std::string("no thread for the look-up: ") + refused.what()};
  } catch (...) {
    Threads::give_back();
    throw;
  }
  pending_ = std::move(pending);
  return Nothing{};
}

bool Resolver::finished(Addresses& addresses) {
  if (!pending_) return false;
  {
    const MutexGuard guard(pending_->mutex);
    if (!pending_->done) return false;
    addresses = std::move(pending_->found);
  }
  pending_.reset();
  return true;
}

}  // namespace tidegate
