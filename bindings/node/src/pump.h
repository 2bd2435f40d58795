// SPDX-License-Identifier: MIT
// Calls a function on the JavaScript thread whenever a descriptor is readable. While unref'd it
// does not keep the process alive. JavaScript thread only.
#pragma once

#include <node_api.h>

#include <memory>

namespace tidegate::node {

class Pump {
 public:
  using Readable = void (*)(void* context);

  // On the host's libuv loop, or where that cannot be had with a thread of its own. NULL: neither
  // could be set up. The environment's end calls `ended` (once, unless close came first), which
  // must close.
  static Pump* open(napi_env env, int fd, Readable readable, Readable ended, void* context);
  // The thread, whatever the host seems to have: Bun exports libuv's functions as stubs that abort.
  static Pump* open_thread(napi_env env, int fd, Readable readable, Readable ended, void* context);

  virtual void ref() = 0;
  virtual void unref() = 0;
  // No call follows; the descriptor may be closed at once. The pump deletes itself when the loop
  // lets go of it.
  virtual void close() = 0;
  // Whether `readable` runs outside of any JavaScript frame, so that a callback made there drains
  // the microtasks.
  virtual bool outermost() const = 0;

 protected:
  virtual ~Pump() = default;
};

}  // namespace tidegate::node
