// SPDX-License-Identifier: MIT
// The client's figures, as the JSON text that the core makes of them.
#include <string_view>

#include "client.h"
#include "errors.h"
#include "request.h"
#include "threads.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

tg_text text(std::string_view from) { return {from.data(), from.size()}; }

// Texts may have grown until they are asked for again.
constexpr size_t kFirst = 16'384;
size_t room_for(int64_t size) { return static_cast<size_t>(size) + static_cast<size_t>(size) / 8; }

}  // namespace

template <class Ask>
std::string Client::figures(Ask ask) {
  std::string out(kFirst, '\0');
  while (true) {
    tg_error error{};
    const int64_t size = ask(client_, out.data(), out.size(), &error);
    if (size == TG_EFORK) {
      reopen();
      continue;
    }
    if (size < 0 && error.code < 0) throw_error(error);
    if (size < 0) throw_error(static_cast<int32_t>(size));
    if (static_cast<size_t>(size) < out.size()) {
      out.resize(static_cast<size_t>(size));
      return out;
    }
    out.resize(room_for(size) + kFirst);
  }
}

std::string Client::report() {
  return figures([](tg_client* client, char* to, size_t size, tg_error*) {
    return tg_client_report(client, to, size);
  });
}

std::string Client::metrics(bool openmetrics) {
  return figures([&](tg_client* client, char* to, size_t size, tg_error*) {
    return tg_client_metrics_as(client, openmetrics ? TG_METRICS_OPENMETRICS : 0, to, size);
  });
}

std::string Client::top(const std::string& limiter, const std::string& by, int32_t n) {
  const uint32_t ranking = by == "denied" ? TG_BY_DENIED : by == "cost" ? TG_BY_COST : 0;
  if (!ranking) throw_error(TG_EINVAL, "by " + by + ": expected \"denied\" or \"cost\"");
  return figures([&](tg_client* client, char* to, size_t size, tg_error* error) {
    return tg_client_top(client, text(limiter), ranking, n, to, size, error);
  });
}

std::string Client::limited_now(const std::string& limiter, int32_t n) {
  return figures([&](tg_client* client, char* to, size_t size, tg_error* error) {
    return tg_client_limited_now(client, text(limiter), n, to, size, error);
  });
}

std::string Client::events(int64_t after, int32_t n) {
  return figures([&](tg_client* client, char* to, size_t size, tg_error* error) {
    return tg_client_events(client, after, n, to, size, error);
  });
}

std::string Client::series(const std::string& limiter, const std::string& period,
                           const std::string& step) {
  return figures([&](tg_client* client, char* to, size_t size, tg_error* error) {
    return tg_client_series(client, text(limiter), text(period), text(step), to, size, error);
  });
}

// Waits for the store without the GIL, and close for it.
std::string Client::look_up(const py::object& key) {
  if (closed_) throw_error(TG_ECLOSED);
  tg_entry entry{};
  py::object kept;
  if (!read_key(key.ptr(), entry, kept)) throw py::error_already_set();
  return figures([&](tg_client* client, char* to, size_t size, tg_error* error) -> int64_t {
    if (forked()) return TG_EFORK;
    Gate* const calls = calls_.get();
    {
      const std::scoped_lock lock(calls->mutex);
      ++calls->running;
    }
    const Inside inside;
    return inside.without_gil([&] {
      const int64_t length = tg_client_look_up(client, entry.key, entry.key_len, to, size, error);
      const std::scoped_lock lock(calls->mutex);
      if (--calls->running == 0) calls->idle.notify_all();
      return length;
    });
  });
}

}  // namespace tidegate_python
