// SPDX-License-Identifier: MIT
#include "store/valkey/listener.h"

#include <hiredis/hiredis.h>

#include <new>

#include "store/valkey/errors.h"

namespace tidegate {

Listener::Listener(StoreContext& store, Reactor& reactor, Hearer& hearer)
    : store_(store), hearer_(hearer), connection_(store, reactor, *this) {}

void Listener::listen() noexcept {
  const int64_t now_us = store_.timeline.now_us();
  if (connection_.state() == Connection::State::kConnecting && now_us > connect_by_us_)
    connection_.drop(Code::kConnect, "no connection to listen on");
  if (connection_.state() != Connection::State::kClosed || now_us < not_before_us_ ||
      store_.health.open())
    return;
  connect_by_us_ = now_us + store_.options.connect_timeout_ms * 1'000;
  try {
    connection_.connect();
  } catch (const std::bad_alloc&) {
    connection_.drop(Code::kNoMemory, "no memory");
  }
}

void Listener::look() noexcept {
  try {
    connection_.look();
  } catch (const std::bad_alloc&) {
    connection_.drop(Code::kNoMemory, "no memory");
  }
}

void Listener::connected() noexcept {
  try {
    const std::string channel = channel_of(store_.options.name_space);
    const std::string command =
        "*2\r\n$9\r\nSUBSCRIBE\r\n$" + std::to_string(channel.size()) + "\r\n" + channel + "\r\n";
    if (connection_.subscribe(command, this)) return connection_.flush();
  } catch (const std::bad_alloc&) {
  }
  connection_.drop(Code::kNoMemory, "no memory");
}

void Listener::disconnected(Code, std::string_view) noexcept {
  not_before_us_ = store_.timeline.now_us() + kAgainUs;
}

// "message", the channel, what was said; or that it has subscribed.
void Listener::take(const redisReply* reply) noexcept {
  if (ending_ || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 3) return;
  if (text_of(reply->element[0]) == "message") hearer_.heard(text_of(reply->element[2]));
}

}  // namespace tidegate
