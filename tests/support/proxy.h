// SPDX-License-Identifier: MIT
// A TCP proxy before a server, on a thread of its own, that misbehaves as a network does.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tidegate::test {

class Proxy {
 public:
  explicit Proxy(const std::string& unix_socket);  // of the server behind it
  explicit Proxy(int port);                        // of the server behind it, on 127.0.0.1
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  std::string url(const std::string& options = "", const std::string& scheme = "redis") const;
  int port() const { return port_; }

  // How it behaves from here on, to connections that are there too.
  void pass();
  void delay(int64_t ms);                 // every reply comes so much later
  void swallow();                         // half open: takes everything, answers nothing
  void cut_replies_after(int64_t bytes);  // closes in the middle of a reply, every time
  void answer(const std::string&
                  nonsense);  // instead of the server; `nonsense` for each piece that is asked
  void refuse();              // closes each connection as it comes
  void cut_all();             // once: the connections that are there

  int64_t asked_bytes() const { return asked_; }
  int64_t reply_bytes() const { return replied_; }
  int64_t connections() const { return connections_; }

 private:
  enum class Mode { kPass, kDelay, kSwallow, kCut, kAnswer, kRefuse };
  struct Later {
    int64_t at_ms;
    std::string bytes;
  };
  struct Link {
    int client, server;
    std::vector<Later> replies;
    bool broken = false;
  };

  void start();
  void run();
  void welcome();
  void hear_client(Link& link);
  void hear_server(Link& link);
  void send_due(Link& link);
  void set(Mode mode, int64_t number, const std::string& text);

  const std::string unix_socket_;
  const int behind_ = 0;
  int port_ = 0, listener_ = -1, wake_[2] = {-1, -1};
  std::mutex mutex_;  // guards what follows
  Mode mode_ = Mode::kPass;
  int64_t number_ = 0;
  std::string text_;
  bool cut_ = false;
  std::vector<Link> links_;  // the thread's own

  std::atomic<bool> ends_{false};
  std::atomic<int64_t> asked_{0}, replied_{0}, connections_{0};
  std::thread thread_;
};

}  // namespace tidegate::test
