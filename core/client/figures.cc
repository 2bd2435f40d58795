// SPDX-License-Identifier: MIT
#include "client/figures.h"

#include "base/json.h"
#include "base/text.h"
#include "limiter/rate.h"
#include "stats/decision_names.h"

namespace tidegate {
namespace {

Result<LimiterFigures*> figures_of(Client& client, std::string_view limiter) {
  if (LimiterFigures* found = client.recorder().find(limiter)) return found;
  return Error{Code::kHandle,
               "no figures of limiter " + quote(limiter) +
                   ": expected the name of one that was opened in this client, and not stats=off"};
}

Result<int64_t> time_of(std::string_view text, int64_t otherwise_us) {
  if (text.empty()) return otherwise_us;
  return parse_duration(text);
}

void put_answer(JsonWriter& json, const Client& client, const Call& call) {
  const Part& part = call.parts[0];
  json.key(part.limiter->name).open('{');
  if (call.status != Code::kOk) {
    json.member("error", call.text).close('}');
    return;
  }
  json.member("allowed", call.decision.allowed);
  json.member("source", kSourceNames[static_cast<size_t>(call.decision.source)]);
  const LimiterFigures* const figures = part.limiter->figures;
  json.member("denied", figures ? figures->denied_about(client.fingerprint()(part.key)) : 0);
  json.key("rates").open('[');
  for (size_t i = 0; i < call.decision.part_count; ++i) {
    const RateResult& rate = call.results[i];
    const bool allowed = rate.flags & RateResult::kAllowed;
    json.open('{').member("policy", part.limiter->rates[i].policy).member("allowed", allowed);
    json.member("limit", rate.limit).member("remaining", rate.figures.remaining);
    json.member("retry_after_us", rate.figures.retry_after_us);
    json.member("next_us", rate.figures.next_us);
    json.member("reset_after_us", rate.figures.reset_after_us);
    json.member("window_us", rate.window_us).member("capacity", rate.capacity).close('}');
  }
  json.close(']').close('}');
}

}  // namespace

Account account_of(Client& client, const Reading& reading, const Build& build) {
  return {reading, client.recorder(), client.clock().now_us(), client.embedded(), build};
}

Result<std::string> top_text(Client& client, std::string_view limiter, LimiterFigures::By by,
                             size_t most) {
  const auto figures = figures_of(client, limiter);
  if (!figures) return figures.error();
  return top_json(**figures, by, most);
}

Result<std::string> limited_text(Client& client, std::string_view limiter, size_t most) {
  const auto figures = figures_of(client, limiter);
  if (!figures) return figures.error();
  return limited_json(**figures, most, client.clock().now_us());
}

Result<std::string> events_text(Client& client, int64_t after, size_t most) {
  client.note_evictions();
  return events_json(client.recorder().context().history, after, most);
}

Result<std::string> series_text(Client& client, std::string_view limiter, std::string_view period,
                                std::string_view step) {
  if (!limiter.empty())
    if (const auto figures = figures_of(client, limiter); !figures) return figures.error();
  const auto period_us = time_of(period, kHourUs), step_us = time_of(step, Series::kCoarseUs);
  if (!period_us) return period_us.error();
  if (!step_us) return step_us.error();
  return series_json(client.recorder(), limiter, *period_us, *step_us, client.clock().now_us());
}

Result<std::string> look_up_text(Client& client, std::string_view key) {
  if (key.empty()) return Error{Code::kKey, "an empty key: expected 1 byte or more"};
  const auto open = client.limiters().open_ones(Limiters::kMaxLimiters);
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<Call*> asked;
  for (size_t i = 0; i < std::min(open.size(), kMostLookedUp); ++i) {
    Part part{.handle = open[i], .key = key, .cost = 1, .id = {}};
    const Visits::Visit visit(client.limiters().visits());
    if (client.resolve(part) != Code::kOk) continue;  // it was closed in the meantime
    calls.push_back(std::make_unique<Call>());
    Call& call = *calls.back();
    call.op = Op::kPeek;
    call.take({&part, 1});
    if (client.embedded())
      call.decision = client.decide_here(call.op, call.parts, call.room_for_results());
    else if (client.prepare(&call))
      asked.push_back(&call);
  }
  if (!asked.empty()) client.run(asked);
  std::string out;
  JsonWriter json(out);
  const StatsContext& context = client.recorder().context();
  json.open('{').member("caller", context.labels.of(key, client.fingerprint()(key)));
  json.key("limiters").open('{');
  for (const auto& call : calls) put_answer(json, client, *call);
  json.close('}').member("more", open.size() - std::min(open.size(), kMostLookedUp)).close('}');
  return out;
}

}  // namespace tidegate
