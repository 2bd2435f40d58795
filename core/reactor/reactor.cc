// SPDX-License-Identifier: MIT
#include "reactor/reactor.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace tidegate {
namespace {

bool add_edge(int epoll, int descriptor) {
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.fd = descriptor}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

Result<std::unique_ptr<Reactor>> Reactor::make() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  std::unique_ptr<Reactor> reactor(new Reactor(epoll, event, timer));
  if (epoll < 0 || event < 0 || timer < 0 || !add_edge(epoll, event) || !add_edge(epoll, timer))
    return Error{Code::kNoMemory,
                 std::string("no descriptor for an event loop: ") + std::strerror(errno)};
  return reactor;
}

void Reactor::abandon() {
  for (const int descriptor : {epoll_, event_, timer_, watched_})
    if (descriptor >= 0) close(descriptor);
}

Reactor::~Reactor() {
  if (epoll_ >= 0) close(epoll_);
  if (event_ >= 0) close(event_);
  if (timer_ >= 0) close(timer_);
}

void Reactor::wake() {
  const uint64_t one = 1;
  // Cannot block: 2^64 wake-ups will not happen.
  if (write(event_, &one, sizeof one) < 0) return;
}

void Reactor::set_timer(int64_t at_us) {
  if (at_us == timer_at_us_) return;
  timer_at_us_ = at_us;
  const itimerspec when{
      .it_interval = {},
      .it_value = {.tv_sec = at_us / 1'000'000, .tv_nsec = at_us % 1'000'000 * 1'000}};
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
}

Status Reactor::watch(int descriptor, bool read, bool write, Handler* handler) {
  const uint32_t events = (read ? uint32_t{EPOLLIN} : 0) | (write ? uint32_t{EPOLLOUT} : 0);
  handler_ = handler;
  if (descriptor == watched_ && events == watched_events_) return Nothing{};
  epoll_event event{.events = events, .data = {.fd = descriptor}};
  const int operation = descriptor == watched_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_, operation, descriptor, &event) != 0)
    return Error{Code::kNoMemory, std::string("cannot watch a socket: ") + std::strerror(errno)};
  watched_ = descriptor;
  watched_events_ = events;
  return Nothing{};
}

void Reactor::unwatch(int descriptor) {
  if (descriptor != watched_) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  watched_ = -1;
  watched_events_ = 0;
  handler_ = nullptr;
}

bool Reactor::poll(int timeout_ms) {
  epoll_event events[4];
  const int count = epoll_wait(epoll_, events, 4, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[i];
    if (event.data.fd == timer_) timer_at_us_ = 0;
    if (event.data.fd != watched_ || !handler_) continue;
    const bool broken = event.events & (EPOLLERR | EPOLLHUP);
    handler_->ready(broken || event.events & EPOLLIN, event.events & EPOLLOUT);
  }
  return count > 0;
}

}  // namespace tidegate
