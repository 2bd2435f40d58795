// SPDX-License-Identifier: MIT
#include "base/stripe.h"
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

// What a thread's last tg_call answered; its buffers keep their size.
struct Answers {
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<Call*> asked;
  std::vector<char> scratch;
  ShapedRequest shaped;
  size_t taken = 0;  // of calls, by this tg_call

  Call& call(size_t i) {
    while (calls.size() <= i) calls.push_back(std::make_unique<Call>());
    taken = i + 1;
    return *calls[i];
  }
};

Answers& answers() {
  // In the thread's static block: found without a call. That block is small, and shared by all
  // libraries that are loaded late, so what is large stays out of it.
  static thread_local Answers* mine TIDEGATE_STATIC_TLS = nullptr;
  if (!mine) [[unlikely]] {
    static thread_local const auto of_this_thread = std::make_unique<Answers>();
    mine = of_this_thread.get();
  }
  return *mine;
}

// How many requests the entries are; TG_EINVAL where they are none, or more than max.
int32_t count_requests(const tg_entry* entries, int32_t n, int32_t max, const Layout& layout) {
  int32_t count = 0;
  ShapedRequest shaped;
  for (int32_t at = 0; at < n; at += shaped.entries, ++count)
    if (const int32_t status = read_request(entries, at, n, layout, shaped); status < 0)
      return status;
  return count > max ? TG_EINVAL : count;
}

void start(Client& client, Call& call, ShapedRequest& shaped, std::vector<Call*>& asked) {
  call.user_data = shaped.request.user_data;
  call.op = shaped.request.op;
  call.refund_to = shaped.request.refund_to;
  call.timeout_us = shaped.request.timeout_us;
  call.status = Code::kOk;
  call.decision = {};
  const Visits::Visit visit(client.limiters().visits());
  if (const Code code = client.resolve(shaped.request.parts); code != Code::kOk) {
    call.fail(code, Client::why(code, shaped.request.parts));
  } else if (client.embedded()) {
    call.parts.assign(shaped.request.parts.begin(), shaped.request.parts.end());
    call.decision = client.decide_here(call.op, call.parts, call.room_for_results());
  } else {
    call.take(shaped.request.parts);
    if (client.prepare(&call)) asked.push_back(&call);
  }
}

// This thread's calls outlive the client: they hold none of its limiters.
struct Unpinned {
  Answers& answers;
  ~Unpinned() {
    for (size_t i = 0; i < answers.taken; ++i) answers.calls[i]->pins.clear();
  }
};

// Most requests: one consume, answered here, of a limiter that is simple. False: ask in full.
bool consume_here(Client& client, const tg_entry& entry, tg_result& result) {
  if (!client.embedded() || entry.op != TG_OP_CONSUME || entry.flags || !well_formed(entry, true))
    return false;
  Part part{.handle = entry.handle,
            .key = {static_cast<const char*>(entry.key), entry.key_len},
            .cost = entry.arg};
  const Visits::Visit visit(client.limiters().visits());
  if (client.resolve(part) != Code::kOk || !part.limiter->simple()) return false;
  // In the thread's static block: found without a call.
  static thread_local RateResult answer TIDEGATE_STATIC_TLS;
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
    Answers& mine = answers();
    mine.asked.clear();
    mine.taken = 0;
    const Unpinned unpinned{mine};
    mine.scratch.clear();

    int32_t count = 1;
    ShapedRequest& shaped = mine.shaped;
    if (n == 1 && max >= 1) {
      if (const int32_t status = read_request(entries, 0, 1, layout, shaped); status < 0)
        return status;
      start(*client->core, mine.call(0), shaped, mine.asked);
    } else {
      count = count_requests(entries, n, max, layout);
      if (count < 0) return count;
      for (int32_t at = 0, i = 0; i < count; at += shaped.entries, ++i) {
        read_request(entries, at, n, layout, shaped);
        start(*client->core, mine.call(static_cast<size_t>(i)), shaped, mine.asked);
      }
    }
    if (!mine.asked.empty()) client->core->run(mine.asked);

    size_t needed = 0;
    for (int32_t i = 0; i < count; ++i)
      needed += scratch_needed(*mine.calls[static_cast<size_t>(i)], layout);
    mine.scratch.reserve(needed);
    char* out = reinterpret_cast<char*>(results);
    for (int32_t i = 0; i < count; ++i, out += layout.result)
      put_result(*mine.calls[static_cast<size_t>(i)], layout, mine.scratch, out);
    return count;
  });
}
