// SPDX-License-Identifier: MIT
#include "support/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

namespace tidegate::test {
namespace {

std::string text_of(const redisReply* reply) {
  if (!reply) return "-connection lost";
  switch (reply->type) {
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply->integer);
    case REDIS_REPLY_NIL:
      return "(nil)";
    case REDIS_REPLY_ERROR:
      return "-" + std::string(reply->str, reply->len);
    case REDIS_REPLY_ARRAY: {
      std::string all;
      for (size_t i = 0; i < reply->elements; ++i)
        all += (i ? "\n" : "") + text_of(reply->element[i]);
      return all;
    }
    default:
      return {reply->str, reply->len};
  }
}

bool runs(const std::string& path) {
  return std::system(("command -v " + path + " >/dev/null 2>&1").c_str()) == 0;
}

}  // namespace

std::vector<ServerKind> server_kinds() {
  std::vector<ServerKind> kinds;
  if (const char* listed = std::getenv("TIDEGATE_SERVERS"); listed && *listed) {
    std::string rest = listed;
    while (!rest.empty()) {
      const std::string one = rest.substr(0, rest.find(':'));
      rest = one.size() < rest.size() ? rest.substr(one.size() + 1) : "";
      kinds.push_back({one.substr(0, one.find('=')), one.substr(one.find('=') + 1)});
    }
    return kinds;
  }
  for (const char* name : {"valkey-server", "redis-server"})
    if (runs(name)) kinds.push_back({name, name});
  return kinds;
}

int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(listener, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  close(listener);
  return ntohs(address.sin_port);
}

Server::Server(const ServerKind& kind, std::vector<std::string> arguments)
    : kind_(kind), arguments_(std::move(arguments)) {
  char folder[] = "/tmp/tidegate-test-XXXXXX";
  folder_ = mkdtemp(folder);
  socket_ = folder_ + "/s";
  port_ = free_port();
  start();
}

Server::~Server() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Server::start() {
  std::vector<std::string> words{kind_.path,
                                 "--port",
                                 std::to_string(port_),
                                 "--bind",
                                 "127.0.0.1",
                                 "--unixsocket",
                                 socket_,
                                 "--dir",
                                 folder_,
                                 "--save",
                                 "",
                                 "--appendonly",
                                 "no",
                                 "--daemonize",
                                 "no"};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    const int log = open((folder_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(log, 1);
    dup2(log, 2);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!answers()) {
    if (std::chrono::steady_clock::now() > end) {
      std::fprintf(stderr, "%s did not come up; its log is in %s\n", kind_.name.c_str(),
                   folder_.c_str());
      std::abort();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

bool Server::answers() { return !command({"PING"}).starts_with("-connection"); }

void Server::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Server::stop() { ::kill(pid_, SIGSTOP); }
void Server::go_on() { ::kill(pid_, SIGCONT); }

std::string Server::url(const std::string& options) const {
  return "unix://" + socket_ + (options.empty() ? "" : "?" + options);
}

std::string Server::tcp_url(const std::string& options) const {
  return "redis://127.0.0.1:" + std::to_string(port_) + (options.empty() ? "" : "?" + options);
}

std::string Server::command(const std::vector<std::string>& words) {
  redisContext* context = redisConnectUnix(socket_.c_str());
  if (!context || context->err) {
    if (context) redisFree(context);
    return "-connection refused";
  }
  std::vector<const char*> argv;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    argv.push_back(word.data());
    sizes.push_back(word.size());
  }
  auto* reply = static_cast<redisReply*>(
      redisCommandArgv(context, static_cast<int>(argv.size()), argv.data(), sizes.data()));
  const std::string text = text_of(reply);
  if (reply) freeReplyObject(reply);
  redisFree(context);
  return text;
}

}  // namespace tidegate::test
