// SPDX-License-Identifier: MIT
// Real servers for tests: started on a unix socket (and a free port) in a folder of their own,
// stopped with it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace tidegate::test {

struct ServerKind {
  std::string name;  // "valkey-8.0"
  std::string path;  // what starts it, with the server's arguments behind it
};

// Those of $TIDEGATE_SERVERS (name=path:name=path); else the valkey-server and redis-server on
// PATH.
std::vector<ServerKind> server_kinds();
int free_port();

class Server {
 public:
  // `arguments`: "--maxmemory", "1mb" ...; aborts the test program where it does not come up in 10
  // s.
  explicit Server(const ServerKind& kind, std::vector<std::string> arguments = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url(const std::string& options = "") const;      // unix://...?options
  std::string tcp_url(const std::string& options = "") const;  // redis://127.0.0.1:port?options
  const std::string& folder() const { return folder_; }
  const std::string& socket() const { return socket_; }
  int port() const { return port_; }
  pid_t pid() const { return pid_; }

  void start();
  void kill();   // SIGKILL, and waits
  void stop();   // SIGSTOP
  void go_on();  // SIGCONT
  // One command, its words; the reply as text: strings and statuses as they are, integers in
  // decimal, errors with "-", nil as "(nil)", arrays joined by "\n".
  std::string command(const std::vector<std::string>& words);

 private:
  bool answers();

  ServerKind kind_;
  std::vector<std::string> arguments_;
  std::string folder_, socket_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace tidegate::test
