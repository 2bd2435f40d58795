// SPDX-License-Identifier: MIT
// Why a request meets what it meets, and how its limits stand now.
#include "base/json.h"
#include "client/client.h"

namespace tidegate {
namespace {

void put_number(std::string& out, std::string_view name, int64_t value) {
  out.append(",\"").append(name).append("\":");
  out.append(value == kNever ? "null" : std::to_string(value));
}

void put_state(std::string& out, const Part& part, const Rate& rate, const RateResult& now) {
  out.append("{\"limiter\":");
  append_json(out, part.limiter->name);
  out.append(",\"policy\":");
  append_json(out, rate.policy);
  out.append(",\"key\":");
  append_json(out, part.key);
  put_number(out, "cost", part.cost);
  out.append(",\"mode\":");
  append_json(out, mode_name(part.limiter->mode));
  out.append(",\"allowed\":").append(now.flags & RateResult::kAllowed ? "true" : "false");
  put_number(out, "limit", now.limit);
  put_number(out, "window_us", now.window_us);
  put_number(out, "capacity", now.capacity);
  put_number(out, "remaining", now.figures.remaining);
  put_number(out, "retry_after_us", now.figures.retry_after_us);
  put_number(out, "next_us", now.figures.next_us);
  put_number(out, "reset_after_us", now.figures.reset_after_us);
  out += '}';
}

}  // namespace

Result<std::string> Client::explain(uint64_t guard, std::string_view attributes) {
  Call call;
  std::string why;
  auto check = std::make_unique<Check>();
  {
    const Visits::Visit visit(limiters_.visits());
    const Guard* const found = guards_.find(guard);
    if (!found)
      return Error{Code::kHandle,
                   "no such guard in this client: it was closed, or opened by another"};
    const Code code = found->prepare(attributes, {}, *check, call.text);
    if (code == Code::kInvalid) return Error{code, call.text};
    why = found->explain(attributes);
    if (code != Code::kOk || check->parts.empty()) return why;
    call.op = Op::kPeek;
    call.take(check->parts);
    if (embedded()) call.decision = decide_here(call.op, call.parts, call.room_for_results());
  }
  Call* const calls[] = {&call};
  if (!embedded() && prepare(&call)) run(calls);
  if (call.status != Code::kOk) return Error{call.status, call.text};
  why.pop_back();
  why.append(",\"states\":[");
  size_t at = 0;
  for (const Part& part : call.parts)
    for (const Rate& rate : part.limiter->rates) {
      if (at == call.decision.part_count) break;
      if (at) why += ',';
      put_state(why, part, rate, call.results[at++]);
    }
  why.append("],\"source\":");
  append_json(why, kSourceNames[static_cast<size_t>(call.decision.source)]);
  return why += '}';
}

}  // namespace tidegate
