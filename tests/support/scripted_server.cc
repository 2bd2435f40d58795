// SPDX-License-Identifier: MIT
#include "support/scripted_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "support/gate.h"

namespace tidegate::test {

Result<std::vector<std::string>> SlowNames::find(const std::string&) const {
  ++asked;
  while (!may_answer) sleep_ms(1);
  return std::vector<std::string>{"127.0.0.1"};
}

Asked::Asked(Op op, int64_t timeout_us) {
  call.op = op;
  call.timeout_us = timeout_us;
  call.sink = this;
}

ScriptedServer::ScriptedServer(const std::string& options, const std::string& host,
                               std::shared_ptr<const HostNames> names) {
  char folder[] = "/tmp/tidegate-script-XXXXXX";
  folder_ = mkdtemp(folder);
  path_ = folder_ + "/s";
  listen_again();
  auto parsed = parse_store_url((host.empty() ? "unix://" + path_ : "redis://" + host) +
                                (options.empty() ? "" : "?" + options));
  if (!parsed) std::abort();
  url_ = *parsed;
  options_ = url_.options;
  context_.reset(new StoreContext{url_, options_, clock_, timeline, local_, recorder_,
                                  recorder_.counters(), events_,
                                  names ? std::move(names) : HostNames::of_system()});
  reactor_ = std::move(*Reactor::make());
  channel_ = std::make_unique<Channel>(*context_, *reactor_);
  limiter_ = *limiters_.open({.rates = "5/day", .name = "api"});
  tells_numbers(false);
}

ScriptedServer::~ScriptedServer() {
  channel_.reset();
  hang_up();
  stop_listening();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void ScriptedServer::listen_again() {
  if (listener_ >= 0) return;
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, path_.size());
  unlink(path_.c_str());
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 16) != 0)
    std::abort();
}

void ScriptedServer::stop_listening() {
  if (listener_ >= 0) close(listener_);
  listener_ = -1;
  unlink(path_.c_str());
}

void ScriptedServer::submit(Asked& asked, Channel::From from) {
  if (asked.call.legs.empty() && operation(asked.call.op).family == Family::kLimiter) {
    tidegate::Part part{
        .limiter = limiters_.find(limiter_), .handle = limiter_, .key = "k", .cost = 1};
    asked.call.take({&part, 1});
    asked.call.legs.resize(kMaxLegs);
    asked.call.legs.resize(make_legs(asked.call.op, asked.call.parts, NumbersFor::kStore,
                                     fingerprint_, asked.call.legs.data()));
  }
  channel_->submit(&asked.call, from);
}

Asked* ScriptedServer::consume(const std::string&, int64_t timeout_us) {
  asked_.push_back(std::make_unique<Asked>(Op::kConsume, timeout_us));
  submit(*asked_.back());
  return asked_.back().get();
}

void ScriptedServer::tells_numbers(bool tells) {
  limiters_.find(limiter_)->tell_at_us = tells ? 0 : INT64_MAX;
}

void ScriptedServer::change(const std::string& rates) {
  if (!limiters_.change(limiter_, {.rates = rates})) std::abort();
}

bool ScriptedServer::readable() const {
  pollfd polled{reactor_->fd(), POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

bool ScriptedServer::accepts() {
  hang_up();
  peer_ = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return peer_ >= 0;
}

std::string ScriptedServer::hears() {
  std::string all;
  char block[4096];
  for (ssize_t got; (got = recv(peer_, block, sizeof block, 0)) > 0;)
    all.append(block, static_cast<size_t>(got));
  return all;
}

void ScriptedServer::says(const std::string& bytes) {
  if (send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return;
}

bool ScriptedServer::is_cut_off() {
  char block[4096];
  ssize_t got;
  while ((got = recv(peer_, block, sizeof block, 0)) > 0) {
  }
  return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

void ScriptedServer::hang_up() {
  if (peer_ >= 0) close(peer_);
  peer_ = -1;
}

std::string ScriptedServer::hello(const std::string& role) {
  const auto bulk = [](const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  };
  return "*4\r\n" + bulk("mode") + bulk("standalone") + bulk("role") + bulk(role);
}

void ScriptedServer::greet() {
  if (!accepts()) std::abort();
  pump();
  if (hears().find("HELLO") == std::string::npos) std::abort();
  says(hello());
  pump();
}

void ScriptedServer::connected() {
  Asked ping;
  submit(ping);
  pump();
  greet();
  hears();
  says("+PONG\r\n");
  pump();
  if (ping.times != 1 || ping.call.status != Code::kOk) std::abort();
}

std::string ScriptedServer::events() {
  std::string all;
  for (Event event; events_.next(event);) all += event.text + "\n";
  return all;
}

}  // namespace tidegate::test
