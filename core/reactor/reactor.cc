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

// What is reported for it carries no handler, but `mark`.
bool add_edge(int epoll, int descriptor, void* mark) {
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = mark}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

}  // namespace

Result<std::unique_ptr<Reactor>> Reactor::make() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  std::unique_ptr<Reactor> reactor(new Reactor(epoll, event, timer));
  if (epoll < 0 || event < 0 || timer < 0 || !add_edge(epoll, event, nullptr) ||
      !add_edge(epoll, timer, &reactor->timer_at_us_))
    return Error{Code::kNoMemory,
                 std::string("no descriptor for an event loop: ") + std::strerror(errno)};
  return reactor;
}

void Reactor::abandon() {
  for (const int descriptor : {epoll_, event_, timer_})
    if (descriptor >= 0) close(descriptor);
  for (const Handler* handler = watched_.front(); handler; handler = handler->next)
    close(handler->descriptor_);
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

Status Reactor::watch(int descriptor, bool read, bool write, Handler& handler) {
  const uint32_t events = (read ? uint32_t{EPOLLIN} : 0) | (write ? uint32_t{EPOLLOUT} : 0);
  const bool known = descriptor == handler.descriptor_;
  if (known && events == handler.events_) return Nothing{};
  if (!known) unwatch(handler);
  epoll_event event{.events = events, .data = {.ptr = &handler}};
  if (epoll_ctl(epoll_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, &event) != 0)
    return Error{Code::kNoMemory, std::string("cannot watch a socket: ") + std::strerror(errno)};
  if (!known) watched_.push_back(&handler);
  handler.descriptor_ = descriptor;
  handler.events_ = events;
  return Nothing{};
}

void Reactor::unwatch(Handler& handler) {
  if (handler.descriptor_ < 0) return;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, handler.descriptor_, nullptr);
  watched_.remove(&handler);
  handler.descriptor_ = -1;
  handler.events_ = 0;
  for (int i = 0; i < reported_count_; ++i)
    if (reported_[i].data.ptr == &handler) reported_[i].data.ptr = nullptr;
}

bool Reactor::poll(int timeout_ms) {
  epoll_event events[8];
  const int count = epoll_wait(epoll_, events, 8, timeout_ms);
  reported_ = events;
  reported_count_ = count;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[i];
    if (event.data.ptr == &timer_at_us_) {
      timer_at_us_ = 0;
    } else if (event.data.ptr) {
      const bool broken = event.events & (EPOLLERR | EPOLLHUP);
      static_cast<Handler*>(event.data.ptr)
          ->ready(broken || event.events & EPOLLIN, event.events & EPOLLOUT);
    }
  }
  reported_count_ = 0;
  return count > 0;
}

}  // namespace tidegate
