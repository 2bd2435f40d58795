// SPDX-License-Identifier: MIT
#include "support/proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "support/gate.h"

namespace tidegate::test {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int connect_to(const std::string& path, int port) {
  const int fd = socket(path.empty() ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in tcp = loopback(port);
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  std::strncpy(local.sun_path, path.c_str(), sizeof local.sun_path - 1);
  const int failed = path.empty()
                         ? connect(fd, reinterpret_cast<const sockaddr*>(&tcp), sizeof tcp)
                         : connect(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local);
  if (failed == 0) return fd;
  close(fd);
  return -1;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

}  // namespace

Proxy::Proxy(const std::string& unix_socket) : unix_socket_(unix_socket) { start(); }
Proxy::Proxy(int port) : behind_(port) { start(); }

void Proxy::start() {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
  listen(listener_, 128);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  if (pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
  ends_ = true;
  set(Mode::kPass, 0, "");
  thread_.join();
  for (const Link& link : links_) {
    close(link.client);
    close(link.server);
  }
  for (const int fd : {listener_, wake_[0], wake_[1]}) close(fd);
}

std::string Proxy::url(const std::string& options, const std::string& scheme) const {
  return scheme + "://127.0.0.1:" + std::to_string(port_) + (options.empty() ? "" : "?" + options);
}

void Proxy::set(Mode mode, int64_t number, const std::string& text) {
  {
    std::scoped_lock lock(mutex_);
    mode_ = mode;
    number_ = number;
    text_ = text;
  }
  if (write(wake_[1], "!", 1) < 0) return;
}

void Proxy::pass() { set(Mode::kPass, 0, ""); }
void Proxy::delay(int64_t ms) { set(Mode::kDelay, ms, ""); }
void Proxy::swallow() { set(Mode::kSwallow, 0, ""); }
void Proxy::cut_replies_after(int64_t bytes) { set(Mode::kCut, bytes, ""); }
void Proxy::answer(const std::string& nonsense) { set(Mode::kAnswer, 0, nonsense); }
void Proxy::refuse() { set(Mode::kRefuse, 0, ""); }

void Proxy::cut_all() {
  std::scoped_lock lock(mutex_);
  cut_ = true;
  if (write(wake_[1], "!", 1) < 0) return;
}

void Proxy::welcome() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  ++connections_;
  const int server = mode_ == Mode::kRefuse ? -1 : connect_to(unix_socket_, behind_);
  if (server < 0)
    close(client);
  else
    links_.push_back({client, server, {}, false});
}

void Proxy::hear_client(Link& link) {
  char block[16'384];
  const ssize_t got = recv(link.client, block, sizeof block, MSG_DONTWAIT);
  if (got <= 0) {
    link.broken = true;
    return;
  }
  asked_ += got;
  if (mode_ == Mode::kSwallow) return;
  if (mode_ == Mode::kAnswer)
    link.replies.push_back({0, text_});
  else if (!send_all(link.server, {block, static_cast<size_t>(got)}))
    link.broken = true;
}

void Proxy::hear_server(Link& link) {
  char block[16'384];
  const ssize_t got = recv(link.server, block, sizeof block, MSG_DONTWAIT);
  if (got <= 0) {
    link.broken = true;
    return;
  }
  replied_ += got;
  std::string bytes(block, static_cast<size_t>(got));
  if (mode_ == Mode::kSwallow || mode_ == Mode::kAnswer) return;
  if (mode_ == Mode::kCut) {
    send_all(link.client, bytes.substr(0, static_cast<size_t>(number_)));
    link.broken = true;
    return;
  }
  link.replies.push_back({mode_ == Mode::kDelay ? now_ms() + number_ : 0, std::move(bytes)});
}

void Proxy::send_due(Link& link) {
  while (!link.replies.empty() && link.replies.front().at_ms <= now_ms()) {
    if (!send_all(link.client, link.replies.front().bytes)) link.broken = true;
    link.replies.erase(link.replies.begin());
  }
}

void Proxy::run() {
  while (!ends_) {
    std::vector<pollfd> polled{{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    int wait_ms = 1'000;
    for (const Link& link : links_) {
      polled.push_back({link.client, POLLIN, 0});
      polled.push_back({link.server, POLLIN, 0});
      if (!link.replies.empty())
        wait_ms = static_cast<int>(
            std::clamp<int64_t>(link.replies.front().at_ms - now_ms(), 0, wait_ms));
    }
    poll(polled.data(), polled.size(), wait_ms);
    char bytes[64];
    while (read(wake_[0], bytes, sizeof bytes) > 0) {
    }
    std::scoped_lock lock(mutex_);
    for (size_t i = 0; i < links_.size(); ++i) {
      if (polled[2 + 2 * i].revents) hear_client(links_[i]);
      if (polled[3 + 2 * i].revents) hear_server(links_[i]);
      send_due(links_[i]);
    }
    if (polled[0].revents) welcome();
    std::erase_if(links_, [this](const Link& link) {
      if (!link.broken && !cut_) return false;
      close(link.client);
      close(link.server);
      return true;
    });
    cut_ = false;
  }
}

}  // namespace tidegate::test
