// SPDX-License-Identifier: MIT
// A peer that does not stop sending, or promises more than anybody could: the deadline holds, and
// the memory is bounded.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "support/gate.h"
#include "support/scripted_server.h"

namespace tidegate::test {
namespace {

// Says `first` once, then `again` for ever, to whoever asks; where greets, HELLO has its answer.
class Flood {
 public:
  Flood(std::string first, std::string again, bool greets)
      : first_(std::move(first)), again_(std::move(again)), greets_(greets) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 16);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Flood() {
    ends_ = true;
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;

  std::string url() const {
    return "redis://127.0.0.1:" + std::to_string(port_) + "?timeout_ms=100&connect_timeout_ms=300";
  }

 private:
  static bool say(int peer, const std::string& text) {
    return send(peer, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  void run() {
    while (!ends_) {
      const int peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) continue;
      const timeval patience{.tv_sec = 2, .tv_usec = 0};
      setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      setsockopt(peer, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
      char block[4096];
      bool asked = recv(peer, block, sizeof block, 0) > 0;
      if (asked && greets_) {
        say(peer, ScriptedServer::hello());
        asked = recv(peer, block, sizeof block, 0) > 0;
      }
      if (asked && say(peer, first_))
        while (!ends_ && !again_.empty() && say(peer, again_)) {
        }
      close(peer);
    }
  }

  const std::string first_, again_;
  const bool greets_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

int64_t resident_kb() {
  FILE* file = std::fopen("/proc/self/statm", "r");
  long all = 0, resident = 0;
  if (std::fscanf(file, "%ld %ld", &all, &resident) != 2) resident = 0;
  std::fclose(file);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

std::string times(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

struct Hostile {
  const char* name;
  std::string first, again;
};

std::vector<Hostile> hostiles() {
  return {
      {"pushes", "", times(">2\r\n+a\r\n+b\r\n", 1'000)},
      {"answers", "", times("+OK\r\n", 1'000)},
      {"a line", "+", std::string(65'536, 'x')},
      {"an array", "*1000000000\r\n", times(":1\r\n", 10'000)},
      {"a string", "$4000000000\r\n", std::string(65'536, 'x')},
      {"arrays in arrays", "", times("*100\r\n", 1'000)},
      {"a header", "*2147483647\r\n", ""},
      {"headers in headers", times("*100000000\r\n", 7), ""},
      {"a byte now and then", "$4000000000\r\n", "x"},
  };
}

void expect_bounded(bool greets) {
  for (const Hostile& hostile : hostiles()) {
    SCOPED_TRACE(hostile.name);
    Flood flood(hostile.first, hostile.again, greets);
    Gate gate(flood.url());
    const uint64_t limiter = gate.open("5/d", "l");
    const int64_t before_kb = resident_kb();
    for (int i = 0; i < 3; ++i) {
      const int64_t start = now_ms();
      EXPECT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_FALLBACK);
      EXPECT_LT(now_ms() - start, 1'500);  // 100 ms, on a machine that is busy
    }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // these keep what was freed
    EXPECT_LT(resident_kb() - before_kb, 64 * 1024);
#else
    static_cast<void>(before_kb);
#endif
  }
}

TEST(ValkeyHostile, InPlaceOfAnAnswer) { expect_bounded(true); }
TEST(ValkeyHostile, InPlaceOfAGreeting) { expect_bounded(false); }

}  // namespace
}  // namespace tidegate::test
