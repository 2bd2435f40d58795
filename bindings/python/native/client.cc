// SPDX-License-Identifier: MIT
#include "client.h"

#include <pthread.h>

#include <algorithm>
#include <string_view>

#include "errors.h"
#include "ring.h"
#include "threads.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

std::atomic<uint64_t> forks{0};
const int counted = pthread_atfork(nullptr, nullptr, [] {
  forks.fetch_add(1);
  forget_other_threads();
});

tg_text text(const std::string& from) { return {from.data(), from.size()}; }

// The limiter's name (rate -1) or a policy's; "" where there is none.
std::string read_name(tg_client* client, uint64_t handle, int32_t rate) {
  char name[160];
  const int64_t size = tg_limiter_name(client, handle, rate, name, sizeof name);
  if (size < 0) return {};
  if (static_cast<size_t>(size) < sizeof name) return {name, static_cast<size_t>(size)};
  std::string longer(static_cast<size_t>(size) + 1, '\0');
  tg_limiter_name(client, handle, rate, longer.data(), longer.size());
  longer.pop_back();
  return longer;
}

std::string read_url(const tg_client* client) {
  std::string url(static_cast<size_t>(std::max<int64_t>(0, tg_client_url(client, nullptr, 0))) + 1,
                  '\0');
  tg_client_url(client, url.data(), url.size());
  url.pop_back();
  return url;
}

}  // namespace

tg_limiter_spec LimiterSpec::view() const {
  return {text(rates), text(name), text(algorithm), text(mode), text(on_failure), text(lease)};
}

Client::Client(std::string url, bool has_url, Options options)
    : url_(std::move(url)), has_url_(has_url), options_(std::move(options)) {
  open();
}

Client::~Client() {
  drop_rings();
  tg_client_free(client_);
}

void Client::open() {
  std::unique_ptr<tg_options, decltype(&tg_options_free)> options(tg_options_new(),
                                                                  tg_options_free);
  if (!options) throw std::bad_alloc();
  tg_error error{};
  for (const auto& [name, value] : options_)
    if (tg_options_set(options.get(), name.c_str(), value.c_str(), &error) < 0) throw_error(error);
  if (tg_client_open(has_url_ ? url_.data() : nullptr, has_url_ ? url_.size() : 0, options.get(),
                     &client_, &error) < 0)
    throw_error(error);
  tg_client_on_event(client_, on_event, this);
  shown_url_ = read_url(client_);
  embedded_ = shown_url_.starts_with("memory:");
  if (time_us_ >= 0) tg_client_set_time(client_, time_us_);
  ++generation_;
  forks_ = forks.load(std::memory_order_relaxed);
  static_cast<void>(counted);
}

bool Client::forked() const { return forks_ != forks.load(std::memory_order_relaxed); }

void Client::reopen() {
  drop_rings();
  tg_client* parents = std::exchange(client_, nullptr);
  tg_client_free(parents);
  calls_.release();  // its mutex may have been taken in the parent at the fork: it is given up
  calls_ = std::make_unique<Gate>();
  limiters_.clear();
  open();
}

std::shared_ptr<LimiterState> Client::open_limiter(LimiterSpec spec) {
  const tg_limiter_spec asked = spec.view();
  uint64_t handle = 0;
  tg_error error{};
  int32_t status = tg_limiter_open(client_, &asked, &handle, &error);
  if (status == TG_EFORK) {
    reopen();
    status = tg_limiter_open(client_, &asked, &handle, &error);
  }
  if (status < 0) throw_error(error);
  auto& state = limiters_[handle];
  if (!state) {
    state = std::make_shared<LimiterState>();
    state->spec = std::move(spec);
    state->handle = handle;
    state->generation = generation_;
    read_names(*state);
  }
  return state;
}

void Client::bind(LimiterState& state) {
  if (state.generation == 0) throw_error(TG_ECLOSED, "limiter '" + state.name + "' is closed");
  const tg_limiter_spec asked = state.spec.view();
  uint64_t handle = 0;
  tg_error error{};
  if (tg_limiter_open(client_, &asked, &handle, &error) < 0) throw_error(error);
  state.handle = handle;
  state.generation = generation_;
  auto& known = limiters_[handle];
  if (!known) known = state.shared_from_this();
  read_names(state);
}

void Client::read_names(LimiterState& state) {
  state.name = read_name(client_, state.handle, -1);
  state.spec.name = state.name;
  const int32_t rates = tg_limiter_rates(client_, state.handle, nullptr, 0);
  state.policies.clear();
  for (int32_t i = 0; i < rates; ++i)
    state.policies.push_back(py::str(read_name(client_, state.handle, i)));
}

void Client::change_limiter(LimiterState& state, const LimiterSpec& change) {
  const uint64_t handle = handle_of(state);
  const tg_limiter_spec asked = change.view();
  tg_error error{};
  int32_t status = tg_limiter_change(client_, handle, &asked, &error);
  if (status == TG_EFORK) {
    reopen();
    status = tg_limiter_change(client_, handle_of(state), &asked, &error);
  }
  if (status < 0) throw_error(error);
  for (auto field : {&LimiterSpec::rates, &LimiterSpec::algorithm, &LimiterSpec::mode,
                     &LimiterSpec::on_failure, &LimiterSpec::lease})
    if (!(change.*field).empty()) state.spec.*field = change.*field;
  read_names(state);
}

void Client::close_limiter(LimiterState& state) {
  const uint64_t generation = std::exchange(state.generation, 0);
  if (generation != generation_) return;  // closed already, or never opened in this process
  tg_limiter_close(client_, state.handle);
  const auto known = limiters_.extract(state.handle);
  if (known) known.mapped()->generation = 0;  // another object's, where both were made after a fork
}

PyObject* Client::policy_name(uint64_t handle, uint32_t rate, uint64_t generation) const {
  if (generation != generation_ || forked()) Py_RETURN_NONE;
  const auto found = limiters_.find(handle);
  if (found == limiters_.end()) {
    const std::string name = read_name(client_, handle, static_cast<int32_t>(rate));
    if (name.empty()) Py_RETURN_NONE;
    return PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size()));
  }
  if (rate >= found->second->policies.size()) Py_RETURN_NONE;
  return Py_NewRef(found->second->policies[rate].ptr());
}

int32_t Client::run(const Inside& inside, const tg_entry* entries, int32_t n, tg_result& result) {
  if (closed_) return TG_ECLOSED;
  if (embedded_) return tg_call(client_, entries, n, &result, 1);
  return wait_for(inside,
                  [&](tg_client* client) { return tg_call(client, entries, n, &result, 1); });
}

void Client::set_time(int64_t now_us) {
  int32_t status = tg_client_set_time(client_, now_us);
  if (status == TG_EFORK) {
    reopen();
    status = tg_client_set_time(client_, now_us);
  }
  if (status == TG_EINVAL)
    throw_error(status, "now_us " + std::to_string(now_us) +
                            ": expected 0 to 2^52 - 1, on a gate opened with a FakeClock");
  if (status < 0) throw_error(status);
  time_us_ = now_us;
}

py::dict Client::stats() {
  tg_stats stats{};
  int32_t status = tg_client_stats(client_, &stats);
  if (status == TG_EFORK) {
    reopen();
    status = tg_client_stats(client_, &stats);
  }
  if (status < 0) throw_error(status);
  const std::pair<const char*, int64_t> counters[] = {
      {"allowed", stats.allowed},
      {"denied", stats.denied},
      {"would_deny", stats.would_deny},
      {"by_memory", stats.by_memory},
      {"by_store", stats.by_store},
      {"by_fallback", stats.by_fallback},
      {"by_fail_open", stats.by_fail_open},
      {"by_fail_closed", stats.by_fail_closed},
      {"keys", stats.keys},
      {"bytes", stats.bytes},
      {"evicted_idle", stats.evicted_idle},
      {"evicted_harmless", stats.evicted_harmless},
      {"evicted_owing", stats.evicted_owing},
      {"round_trips", stats.round_trips},
      {"batches", stats.batches},
      {"merged", stats.merged},
      {"script_loads", stats.script_loads},
      {"connects", stats.connects},
      {"breaker_opened", stats.breaker_opened},
      {"breaker_open", stats.breaker_open},
      {"late_replies", stats.late_replies},
      {"timeouts", stats.timeouts},
      {"connect_errors", stats.connect_errors},
      {"auth_errors", stats.auth_errors},
      {"tls_errors", stats.tls_errors},
      {"protocol_errors", stats.protocol_errors},
      {"cluster_errors", stats.cluster_errors},
      {"oom_errors", stats.oom_errors},
      {"readonly_errors", stats.readonly_errors},
      {"loading_errors", stats.loading_errors},
      {"busy_errors", stats.busy_errors},
      {"noperm_errors", stats.noperm_errors},
      {"wrongtype_errors", stats.wrongtype_errors},
      {"other_errors", stats.other_errors},
      {"name_conflicts", stats.name_conflicts},
      {"events_dropped", stats.events_dropped},
  };
  py::dict out;
  for (const auto& [name, value] : counters) out[name] = value;
  return out;
}

// On whichever thread does the I/O, maybe without the GIL: it only leaves a mark, and whoever made
// the call looks.
void Client::on_event(void* self, const tg_event*) {
  static_cast<Client*>(self)->events_.store(true, std::memory_order_relaxed);
}

py::list Client::take_events() {
  py::list out;
  events_.store(false, std::memory_order_relaxed);
  tg_event event{};
  while (client_ && tg_client_next_event(client_, &event) == 1)
    out.append(py::make_tuple(event.level, event.code, event.wall_us,
                              py::reinterpret_steal<py::str>(readable(event.text))));
  return out;
}

void Client::deliver_events() {
  if (!has_events() || !events_callback_) return;
  py::error_scope kept;
  try {
    const py::object callback = events_callback_;
    callback();
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable("tidegate: delivering events");
  }
}

void Client::close() {
  if (std::exchange(closed_, true)) return;
  Gate* const calls = calls_.get();
  tg_client* const client = client_;
  if (!forked()) {  // in a forked child nobody else runs
    const Inside inside;
    inside.without_gil([&] {
      std::unique_lock lock(calls->mutex);
      calls->idle.wait(lock, [&] { return calls->running == 0; });
      return 0;
    });
  }
  if (tg_client_close(client) == TG_EFORK) {
    drop_rings();
    return;
  }
  // A ring's loop hears of it through its descriptor; one whose loop is gone has nobody to tell.
  for (Ring* ring : std::vector<Ring*>(rings_)) ring->client_closed();
}

void Client::drop_rings() {
  for (Ring* ring : std::exchange(rings_, {})) ring->abandon();
}

}  // namespace tidegate_python
