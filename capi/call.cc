// SPDX-License-Identifier: MIT
#include <utility>

#include "base/stripe.h"
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

// What a thread's last tg_call answered; its buffers keep their size, up to a bound.
struct Answers {
  static constexpr size_t kKept = 4'096;  // calls that stay when a larger request is over

  std::vector<std::unique_ptr<Call>> calls;
  std::vector<Call*> asked;
  std::vector<char> scratch;
  ShapedRequest shaped;
  std::unique_ptr<Answers> nested;  // of a tg_call from within an event hook
  bool busy = false;
  size_t taken = 0;  // of calls, by this tg_call
  size_t shown = 0;  // by the last one, whose values live until now

  Call& call(size_t i) {
    while (calls.size() <= i) calls.push_back(std::make_unique<Call>());
    taken = i + 1;
    return *calls[i];
  }
  void clear() {
    for (size_t i = 0; i < shown; ++i)
      if (calls[i]->cache) calls[i]->cache->let_go();
    shown = 0;
    if (calls.size() > kKept) calls.resize(kKept);
    asked.clear();
    scratch.clear();
  }
};

Answers& answers_of_thread() {
  static thread_local Answers* mine TIDEGATE_STATIC_TLS = nullptr;
  if (!mine) [[unlikely]] {
    static thread_local const auto of_this_thread = std::make_unique<Answers>();
    mine = of_this_thread.get();
  }
  return *mine;
}

// Answers that no tg_call further up this thread's stack is at: an event hook may ask other clients
// while the call that it interrupts is under way.
class Borrowed {
 public:
  Borrowed() : answers_(&answers_of_thread()) {
    while (answers_->busy) {
      if (!answers_->nested) answers_->nested = std::make_unique<Answers>();
      answers_ = answers_->nested.get();
    }
    answers_->clear();
    answers_->busy = true;
  }
  ~Borrowed() {  // this thread's calls outlive the client: they hold none of its limiters
    for (size_t i = 0; i < answers_->taken; ++i) answers_->calls[i]->pins.clear();
    answers_->shown = std::exchange(answers_->taken, 0);
    answers_->busy = false;
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Answers* operator->() const { return answers_; }

 private:
  Answers* answers_;
};

// How many requests the entries are; TG_EINVAL where they are none (`why` says it in words).
int32_t count_requests(const tg_entry* entries, int32_t n, const Layout& layout,
                       std::string* why = nullptr) {
  int32_t count = 0;
  ShapedRequest shaped;
  for (int32_t at = 0; at < n; at += shaped.entries, ++count)
    if (const int32_t status = read_request(entries, at, n, layout, shaped, why); status < 0)
      return status;
  return count;
}

// The limiters are visited.
void start_check(Client& client, Call& call, const ShapedRequest& shaped,
                 std::vector<Call*>& asked) {
  const Ring::Request& request = shaped.request;
  if (!client.take_check(call, request.guard, request.attributes, request.scope)) return;
  auto& check = static_cast<Check&>(*call.extra);
  if (!client.embedded()) {
    call.take(check.parts);
    if (client.prepare(&call)) asked.push_back(&call);
    return;
  }
  call.copy(check.parts);
  call.decision = client.decide_here(call.op, call.parts, call.room_for_results());
  check.compose(call);  // while the limiters are visited
}

void start(Client& client, Call& call, ShapedRequest& shaped, std::vector<Call*>& asked) {
  call.user_data = shaped.request.user_data;
  call.op = shaped.request.op;
  call.refund_to = shaped.request.refund_to;
  call.timeout_us = shaped.request.timeout_us;
  call.status = Code::kOk;
  call.decision = {};
  call.checked = false;
  if (shaped.request.cache) {
    if (!client.desk().take(call, *shaped.request.cache)) return;
    call.parts.clear();
    call.legs.clear();
    return client.run_cache(call);
  }
  const Visits::Visit visit(client.limiters().visits());
  if (shaped.request.op == Op::kCheck) return start_check(client, call, shaped, asked);
  if (const Code code = client.resolve(shaped.request.op, shaped.request.parts);
      code != Code::kOk) {
    call.fail(code, Client::why(code, shaped.request.parts));
  } else if (client.embedded()) {
    call.parts.assign(shaped.request.parts.begin(), shaped.request.parts.end());
    call.decision = client.decide_here(call.op, call.parts, call.room_for_results());
  } else {
    call.take(shaped.request.parts);
    if (client.prepare(&call)) asked.push_back(&call);
  }
}

// Slots of an embedded client, taken or released: with as little around it as may be.
bool answer_slots_here(Client& client, Part& part, const tg_entry& entry, RateResult& answer,
                       tg_result& result) {
  if (!part.limiter->simple_slots()) return false;
  part.id = holder_id(entry);
  if (entry.op == TG_OP_REFUND)
    put_decision(client.release_slots_here(part), entry.user_data, nullptr, result);
  else if (part.id.given())
    put_decision(client.consume_slots_here(part, answer), entry.user_data, &answer, result);
  else
    return false;
  return true;
}

// Most requests: one consume, answered here, of a limiter that is simple. False: ask in full.
bool consume_here(Client& client, const tg_entry& entry, tg_result& result) {
  if (!client.embedded() || (entry.op != TG_OP_CONSUME && entry.op != TG_OP_REFUND) ||
      entry.flags || !is_plain(entry))
    return false;
  Part part{.handle = entry.handle,
            .key = {static_cast<const char*>(entry.key), entry.key_len},
            .cost = entry.arg,
            .id = {}};
  const Visits::Visit visit(client.limiters().visits());
  if (client.resolve(part) != Code::kOk) return false;
  static thread_local RateResult answer TIDEGATE_STATIC_TLS;
  if (!part.limiter->simple() || entry.op != TG_OP_CONSUME) [[unlikely]]
    return answer_slots_here(client, part, entry, answer, result);
  put_decision(client.consume_here(part, answer), entry.user_data, &answer, result);
  return true;
}

}  // namespace

extern "C" int32_t tg_call_sized(tg_client* client, const tg_entry* entries, int32_t n,
                                 tg_result* results, int32_t max, uint64_t packed) {
  return guard([&]() -> int32_t {
    if (const int32_t status = usable(client); status < 0) return status;
    if (packed == TG_LAYOUT && n == 1 && max > 0 && entries && results &&
        consume_here(*client->core, *entries, *results)) [[likely]]
      return 1;
    if (n < 0 || max < 0 || (n && (!entries || !results))) return TG_EINVAL;
    const Layout layout(packed);
    if (!layout.valid()) return TG_ESIZE;
    if (in_hook_of() == client) return TG_EINVAL;  // it would wait for itself
    const Borrowed mine;

    int32_t count = 1;
    ShapedRequest& shaped = mine->shaped;
    if (n == 1 && max >= 1) {
      if (const int32_t status = read_request(entries, 0, 1, layout, shaped); status < 0)
        return status;
      start(*client->core, mine->call(0), shaped, mine->asked);
    } else {
      count = count_requests(entries, n, layout);
      if (count < 0) return count;
      if (count > max) return TG_EINVAL;
      for (int32_t at = 0, i = 0; i < count; at += shaped.entries, ++i) {
        read_request(entries, at, n, layout, shaped);
        start(*client->core, mine->call(static_cast<size_t>(i)), shaped, mine->asked);
      }
    }
    if (!mine->asked.empty()) client->core->run(mine->asked);

    size_t needed = 0;
    for (int32_t i = 0; i < count; ++i)
      needed += scratch_needed(*mine->calls[static_cast<size_t>(i)], layout);
    mine->scratch.reserve(needed);
    char* out = reinterpret_cast<char*>(results);
    for (int32_t i = 0; i < count; ++i, out += layout.result)
      put_result(*mine->calls[static_cast<size_t>(i)], layout, mine->scratch, out);
    return count;
  });
}

extern "C" int32_t tg_check_entries_sized(const tg_entry* entries, int32_t n, tg_error* error,
                                          uint64_t packed) {
  return guard([&]() -> int32_t {
    if (n < 0 || (n && !entries))
      return fail(error, Code::kInvalid, "entries: expected no NULL; n: expected 0 or more");
    const Layout layout(packed);
    if (!layout.valid()) return fail(error, Code::kSize, tg_strerror(TG_ESIZE));
    std::string why;
    const int32_t count = count_requests(entries, n, layout, &why);
    return count < 0 ? fail(error, Code::kInvalid, why) : count;
  });
}
