// SPDX-License-Identifier: MIT
#include "store/valkey/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace tidegate {
namespace {

// An idle connection that a firewall or a NAT has forgotten is noticed within half a minute.
constexpr int kIdleSeconds = 15, kProbeSeconds = 5, kProbes = 3;

Error refused() { return {Code::kConnect, std::strerror(errno)}; }

void set(int descriptor, int level, int option, int value) {
  setsockopt(descriptor, level, option, &value, sizeof value);  // where it fails, it is as it was
}

Result<int> start(int family, const sockaddr* address, socklen_t size) {
  const int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return refused();
  if (connect(descriptor, address, size) == 0 || errno == EINPROGRESS) return descriptor;
  const Error error = refused();
  close(descriptor);
  return error;
}

}  // namespace

Result<int> start_tcp(const std::string& address, int port, int64_t silence_ms) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  if (const int failed = getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &list);
      failed != 0)
    return Error{Code::kConnect, gai_strerror(failed)};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(list, freeaddrinfo);
  auto started = start(found->ai_family, found->ai_addr, found->ai_addrlen);
  if (!started) return started;
  set(*started, IPPROTO_TCP, TCP_NODELAY, 1);
  set(*started, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(*started, IPPROTO_TCP, TCP_KEEPIDLE, kIdleSeconds);
  set(*started, IPPROTO_TCP, TCP_KEEPINTVL, kProbeSeconds);
  set(*started, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(*started, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(silence_ms));
  return started;
}

Result<int> start_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error{Code::kConnect, "the path is longer than a socket's name may be"};
  path.copy(address.sun_path, path.size());
  return start(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

bool is_connected(int descriptor) {
  sockaddr_storage peer;
  socklen_t size = sizeof peer;
  return getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) == 0;
}

}  // namespace tidegate
