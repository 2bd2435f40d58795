// SPDX-License-Identifier: MIT
// The few libuv functions that let the host's loop watch a descriptor. They come from the host
// program; where it does not have them (another runtime), found() is false and a thread watches
// instead (pump.h).
#pragma once

#include <cstddef>

struct uv_loop_s;

namespace tidegate::node {

struct UvHandle;  // libuv's, of a size that only it knows
using UvPollCallback = void (*)(UvHandle*, int status, int events);
using UvCloseCallback = void (*)(UvHandle*);

struct UvPoll {
  int (*init)(uv_loop_s*, UvHandle*, int fd) = nullptr;
  int (*start)(UvHandle*, int events, UvPollCallback) = nullptr;
  void (*close)(UvHandle*, UvCloseCallback) = nullptr;
  void (*ref)(UvHandle*) = nullptr;
  void (*unref)(UvHandle*) = nullptr;
  size_t (*handle_size)(int type) = nullptr;
  void (*set_data)(UvHandle*, void*) = nullptr;
  void* (*get_data)(const UvHandle*) = nullptr;

  static constexpr int kPollType = 8;  // UV_POLL
  static constexpr int kReadable = 1;  // UV_READABLE

  bool found() const {
    return init && start && close && ref && unref && handle_size && set_data && get_data;
  }
  // Looked up once, when the addon is loaded.
  static const UvPoll& host();
};

}  // namespace tidegate::node
