// SPDX-License-Identifier: MIT
#include "pump.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <semaphore>
#include <thread>

#include "uv_poll.h"

namespace tidegate::node {
namespace {

// What both pumps share: the environment's cleanup hook, which is removed when the pump is gone.
class HookedPump : public Pump {
 protected:
  HookedPump(napi_env env, Readable readable, Readable ended, void* context)
      : env_(env), readable_(readable), ended_(ended), context_(context) {
    napi_add_async_cleanup_hook(env, &HookedPump::environment_ends, this, &hook_);
  }
  ~HookedPump() override { napi_remove_async_cleanup_hook(hook_); }

  static void environment_ends(napi_async_cleanup_hook_handle, void* data) {
    auto* self = static_cast<HookedPump*>(data);
    if (!self->closed_) self->ended_(self->context_);
  }

  const napi_env env_;
  const Readable readable_, ended_;
  void* const context_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  bool closed_ = false;
};

class UvPump final : public HookedPump {
 public:
  static Pump* open(napi_env env, int fd, Readable readable, Readable ended, void* context) {
    const UvPoll& uv = UvPoll::host();
    uv_loop_s* loop = nullptr;
    if (!uv.found() || napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
    auto* handle = static_cast<UvHandle*>(std::calloc(1, uv.handle_size(UvPoll::kPollType)));
    if (!handle || uv.init(loop, handle, fd) != 0) {
      std::free(handle);
      return nullptr;
    }
    auto* pump = new UvPump(env, readable, ended, context, handle);
    uv.set_data(handle, pump);
    uv.unref(handle);
    uv.start(handle, UvPoll::kReadable, [](UvHandle* of, int, int) {
      auto* self = static_cast<UvPump*>(UvPoll::host().get_data(of));
      self->readable_(self->context_);
    });
    return pump;
  }

  void ref() override { UvPoll::host().ref(handle_); }
  void unref() override { UvPoll::host().unref(handle_); }
  bool outermost() const override { return true; }
  void close() override {
    closed_ = true;
    UvPoll::host().close(handle_, [](UvHandle* of) {
      delete static_cast<UvPump*>(UvPoll::host().get_data(of));
      std::free(of);
    });
  }

 private:
  UvPump(napi_env env, Readable readable, Readable ended, void* context, UvHandle* handle)
      : HookedPump(env, readable, ended, context), handle_(handle) {}

  UvHandle* const handle_;
};

// Waits on a thread of its own and hands each readiness over; waits again only when that was dealt
// with.
class ThreadPump final : public HookedPump {
 public:
  static Pump* open(napi_env env, int fd, Readable readable, Readable ended, void* context) {
    int stop[2];  // a byte written ends the thread
    if (pipe2(stop, O_CLOEXEC | O_NONBLOCK) < 0) return nullptr;
    auto* pump = new ThreadPump(env, readable, ended, context, fd, stop);
    napi_value name;
    napi_create_string_utf8(env, "tidegate", NAPI_AUTO_LENGTH, &name);
    if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 1, 1, pump, &finished, pump,
                                        &ThreadPump::call, &pump->function_) != napi_ok) {
      delete pump;
      return nullptr;
    }
    napi_unref_threadsafe_function(env, pump->function_);
    pump->thread_ = std::thread([pump] { pump->run(); });
    return pump;
  }

  void ref() override { napi_ref_threadsafe_function(env_, function_); }
  void unref() override { napi_unref_threadsafe_function(env_, function_); }
  bool outermost() const override { return false; }
  void close() override {
    closed_ = true;
    stop();
    napi_release_threadsafe_function(function_, napi_tsfn_abort);
  }

 private:
  ThreadPump(napi_env env, Readable readable, Readable ended, void* context, int fd,
             const int (&stop)[2])
      : HookedPump(env, readable, ended, context),
        fd_(fd),
        stop_read_(stop[0]),
        stop_write_(stop[1]) {}
  ~ThreadPump() override {
    stop();
    ::close(stop_read_);
    ::close(stop_write_);
  }

  void stop() {
    if (!thread_.joinable()) return;
    [[maybe_unused]] const ssize_t written = write(stop_write_, "", 1);
    dealt_with_.release();
    thread_.join();
  }

  static void finished(napi_env, void* data, void*) { delete static_cast<ThreadPump*>(data); }

  static void call(napi_env env, napi_value, void* context, void*) {
    auto* self = static_cast<ThreadPump*>(context);
    if (!env || self->closed_) return;
    self->readable_(self->context_);
    if (!self->closed_) self->dealt_with_.release();
  }

  void run() {
    pollfd watched[] = {{fd_, POLLIN, 0}, {stop_read_, POLLIN, 0}};
    while (true) {
      if (poll(watched, 2, -1) < 0) continue;
      if (watched[1].revents) return;
      if (napi_call_threadsafe_function(function_, nullptr, napi_tsfn_blocking) != napi_ok) return;
      dealt_with_.acquire();
    }
  }

  const int fd_, stop_read_, stop_write_;
  napi_threadsafe_function function_ = nullptr;
  std::thread thread_;
  std::counting_semaphore<> dealt_with_{0};
};

}  // namespace

Pump* Pump::open(napi_env env, int fd, Readable readable, Readable ended, void* context) {
  if (Pump* pump = UvPump::open(env, fd, readable, ended, context)) return pump;
  return open_thread(env, fd, readable, ended, context);
}

Pump* Pump::open_thread(napi_env env, int fd, Readable readable, Readable ended, void* context) {
  return ThreadPump::open(env, fd, readable, ended, context);
}

}  // namespace tidegate::node
