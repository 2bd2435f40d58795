// SPDX-License-Identifier: MIT
#include "gate.h"

#include <array>
#include <memory>

namespace tidegate::node {
namespace {

constexpr int32_t kRingCapacity = 65'536;
constexpr int32_t kReapedAtOnce = 512;
// The number of a limiter that is closed, or that a guard may close, speaks in decisions which
// somebody still holds: it is given to another only when so many more have had one.
constexpr size_t kLentNumbersKept = 65'536;

struct OptionsFree {
  void operator()(tg_options* options) const { tg_options_free(options); }
};
using OptionsPtr = std::unique_ptr<tg_options, OptionsFree>;

}  // namespace

Napi::Value Gate::open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  tg_error error{};
  const OptionsPtr options(tg_options_new());
  const auto pairs = info[1].As<Napi::Array>();
  for (uint32_t i = 0; i + 1 < pairs.Length(); i += 2) {
    const std::string name = pairs.Get(i).ToString(), value = pairs.Get(i + 1).ToString();
    if (tg_options_set(options.get(), name.c_str(), value.c_str(), &error) < 0) raise(env, error);
  }
  tg_client* client = nullptr;
  const bool given = !info[0].IsUndefined();
  const std::string url = given ? info[0].ToString().Utf8Value() : std::string();
  if (tg_client_open(given ? url.data() : nullptr, url.size(), options.get(), &client, &error) < 0)
    raise(env, error);

  auto* gate = new Gate(env, client, info[2].ToBoolean());
  const Napi::Object object = Napi::Object::New(env);
  object.AddFinalizer([](Napi::Env, Gate* of) { delete of; }, gate);
  gate->self_ = Napi::Weak(object);
  gate->define(object);
  define_decide(env, object, gate);
  define_check(env, object, gate);
  return object;
}

Gate::Gate(Napi::Env env, tg_client* client, bool by_thread)
    : env_(env), addon_(addon_of(env)), client_(client), by_thread_(by_thread) {
  tg_client_on_event(
      client,
      [](void* context, const tg_event*) { static_cast<Gate*>(context)->has_events_ = true; },
      this);
}

Gate::~Gate() {
  drop_ring();
  self_.SuppressDestruct();
  tg_client_free(client_);
}

uint32_t Gate::limiter_number(uint64_t handle) {
  if (handle == last_handle_ && !handles_.empty()) return last_number_;
  const auto known = numbers_.find(handle);
  last_number_ = known == numbers_.end() ? new_number(handle) : known->second;
  last_handle_ = handle;
  return last_number_;
}

uint32_t Gate::new_number(uint64_t handle) {
  const uint32_t number = number_to_reuse();
  if (number == handles_.size()) {
    handles_.push_back(handle);
    lent_at_.push_back(0);
  } else {
    numbers_.erase(handles_[number]);
    handles_[number] = handle;
  }
  numbers_.emplace(handle, number);
  lend(number);
  return number;
}

// What the program has opened meanwhile stays its own until it is closed.
uint32_t Gate::number_to_reuse() {
  while (lent_.size() > kLentNumbersKept) {
    const auto [number, at] = lent_.front();
    lent_.pop_front();
    if (lent_at_[number] == at) return number;
  }
  return static_cast<uint32_t>(handles_.size());
}

void Gate::lend(uint32_t number) {
  lent_at_[number] = ++times_lent_;
  lent_.push_back({number, times_lent_});
}

size_t Gate::put(const tg_result& result, double* out) {
  *out++ = static_cast<double>(result.user_data & ~kCheckBit);
  *out++ = result.status;
  *out++ = result.flags;
  *out++ = result.part_count;
  *out++ = result.binding;
  for (const tg_part* part = result.parts; part != result.parts + result.part_count; ++part) {
    *out++ = limiter_number(part->handle);
    *out++ = part->rate;
    *out++ = part->flags;
    for (const int64_t figure :
         {part->limit, part->remaining, part->retry_after_us, part->next_us, part->reset_after_us,
          part->window_us, part->capacity, part->shortfall})
      *out++ = static_cast<double>(figure);
  }
  return kResultDoubles + result.part_count * kPartDoubles;
}

bool Gate::get(const double* figures, size_t count, tg_result& result,
               std::vector<tg_part>& parts) const {
  if (count < 2 || (count - 2) % kPartDoubles != 0) return false;
  result = {};
  result.flags = static_cast<uint32_t>(figures[0]);
  result.binding = static_cast<uint32_t>(figures[1]);
  result.part_count = static_cast<uint32_t>((count - 2) / kPartDoubles);
  parts.assign(result.part_count, tg_part{});
  const double* from = figures + 2;
  for (tg_part& part : parts) {
    part.handle = handle(static_cast<uint32_t>(*from++));
    part.rate = static_cast<uint32_t>(*from++);
    part.flags = static_cast<uint32_t>(*from++);
    for (int64_t* figure : {&part.limit, &part.remaining, &part.retry_after_us, &part.next_us,
                            &part.reset_after_us, &part.window_us, &part.capacity, &part.shortfall})
      *figure = static_cast<int64_t>(*from++);
  }
  result.parts = parts.data();
  return true;
}

int32_t Gate::open_ring() {
  tg_error error{};
  if (const int32_t status = tg_ring_open(client_, kRingCapacity, TG_RING_LOCAL, &ring_, &error);
      status < 0)
    return status;
  napi_value name = Napi::String::New(env_, "tidegate");
  napi_async_init(env_, nullptr, name, &async_);
  const auto open_pump = by_thread_ ? &Pump::open_thread : &Pump::open;
  pump_ = open_pump(
      env_, static_cast<int>(tg_ring_fd(ring_)),
      [](void* context) { static_cast<Gate*>(context)->on_readable(); },
      [](void* context) { static_cast<Gate*>(context)->drop_ring(); }, this);
  if (pump_) return TG_OK;
  drop_ring();
  return TG_ENOMEM;
}

int32_t Gate::submit(const tg_entry* entries, int32_t n) {
  if (closed_ || close_asked_) return TG_ECLOSED;
  if (!ring_)
    if (const int32_t status = open_ring(); status < 0) return status;
  const int32_t taken = tg_submit(ring_, entries, n);
  if (taken <= 0) return taken;
  set_out(out_ + 1);
  return delivering_ && pump_->outermost() ? kTaken : kTakenFlushLater;
}

void Gate::flush() {
  if (ring_) tg_ring_flush(ring_);
}

// The first request that is out makes the loop wait for it, and keeps the gate; the last lets go.
void Gate::set_out(size_t out) {
  const bool was_out = out_ > 0;
  out_ = out;
  if (was_out == (out > 0)) return;
  if (out > 0) {
    self_.Ref();
    if (pump_) pump_->ref();
  } else {
    if (pump_) pump_->unref();
    self_.Unref();
  }
}

void Gate::on_readable() {
  const Napi::HandleScope scope(env_);
  const Napi::Object keep = self_.Value();
  if (keep.IsEmpty()) return;
  reap();
  if (close_asked_) close_now();
}

void Gate::reap() {
  std::array<tg_result, kReapedAtOnce> results;
  int32_t count = 0;
  delivering_ = true;
  do {
    count = tg_reap(ring_, results.data(), kReapedAtOnce);
    if (count > 0 || has_events_.load(std::memory_order_relaxed)) {
      if (!deliver(results.data(), count)) break;
      tg_ring_flush(ring_);
    }
  } while (count == kReapedAtOnce);
  delivering_ = false;
}

// False: the environment is going down, and took the ring with it.
bool Gate::deliver(const tg_result* results, int32_t count) {
  double* const buffer = addon_.results;
  size_t used = 0, batch = 0;
  napi_value more = nullptr;  // of single results: the text of an error, or a check's answer
  const auto hand_over = [&] {
    call_deliver(batch, more);
    used = batch = 0;
    more = nullptr;
  };
  for (int32_t i = 0; i < count && ring_; ++i) {
    const tg_result& result = results[i];
    if (used + kResultDoubles + result.part_count * kPartDoubles > kBufferDoubles) hand_over();
    const bool is_check = result.user_data & kCheckBit;
    used += put(result, buffer + used);
    if (result.status < 0 || is_check) {
      if (!more) napi_create_array(env_, &more);
      napi_value one;
      if (result.status < 0)
        napi_create_string_utf8(env_, static_cast<const char*>(result.data), result.data_len, &one);
      else
        one = answer_of(env_, result);
      napi_set_element(env_, more, static_cast<uint32_t>(batch), one);
    }
    ++batch;
  }
  if (ring_) hand_over();
  if (ring_ && count > 0) set_out(out_ - static_cast<size_t>(count));
  return ring_ != nullptr;
}

// One call into JavaScript for all of a batch; made from the loop it drains the microtasks before
// it returns.
void Gate::call_deliver(size_t count, napi_value more) {
  const Napi::HandleScope scope(env_);
  has_events_.store(false, std::memory_order_relaxed);
  napi_value object = self_.Value(), deliver, ignored, argv[2];
  if (napi_get_named_property(env_, object, "deliver", &deliver) != napi_ok) return;
  napi_create_uint32(env_, static_cast<uint32_t>(count), &argv[0]);
  if (more)
    argv[1] = more;
  else
    napi_get_undefined(env_, &argv[1]);
  if (closed_ || !pump_ || !pump_->outermost())
    napi_call_function(env_, object, deliver, 2, argv, &ignored);
  else
    napi_make_callback(env_, async_, object, deliver, 2, argv, &ignored);
  bool thrown = false;
  napi_is_exception_pending(env_, &thrown);
  if (!thrown) return;
  napi_value exception;
  napi_get_and_clear_last_exception(env_, &exception);
  napi_fatal_exception(env_, exception);
}

Napi::Value Gate::close(const Napi::CallbackInfo& info) {
  if (!closed_) {
    close_asked_ = true;
    if (!delivering_) close_now();
  }
  return Napi::Boolean::New(info.Env(), closed_);
}

void Gate::close_now() {
  [[maybe_unused]] const Napi::Object keep = self_.Value();
  close_asked_ = false;
  closed_ = true;
  tg_client_close(client_);
  if (ring_) reap();
  drop_ring();
}

void Gate::drop_ring() {
  if (pump_) pump_->close();
  pump_ = nullptr;
  tg_ring_free(ring_);
  ring_ = nullptr;
  if (async_) napi_async_destroy(env_, async_);
  async_ = nullptr;
}

}  // namespace tidegate::node
