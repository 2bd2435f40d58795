// SPDX-License-Identifier: MIT
#include "support/scenario.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

namespace tidegate::test {
namespace {

std::vector<Json> lines_of(std::istream& in) {
  std::vector<Json> all;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) all.push_back(Json::parse(line));
  return all;
}

constexpr int64_t kEndOfTime = int64_t{1} << 52;  // no manual clock goes further

// A rate's text for one of the model's limits.
std::string rate_of(const Json& limit) {
  const std::string count = std::to_string(limit["limit"].get<int64_t>());
  if (limit["algorithm"] == "concurrency") return count + " at once";
  std::string text = count + "/" + std::to_string(limit["window_us"].get<int64_t>()) + "us";
  if (!limit["burst"].is_null()) text += " burst " + std::to_string(limit["burst"].get<int64_t>());
  if (const auto overdraft = limit.value("overdraft", int64_t{0}))
    text += " overdraft " + std::to_string(overdraft);
  return text;
}

std::string lease_of(const Json& limit) {
  return limit["algorithm"] == "concurrency"
             ? std::to_string(limit["window_us"].get<int64_t>()) + "us"
             : "";
}

struct Gate {
  tg_client* client = nullptr;
  std::vector<uint64_t> handles;
  tg_error error{};

  ~Gate() { tg_client_free(client); }

  tg_text text(const std::string& from) { return {from.data(), from.size()}; }

  int32_t open_limit(const Json& limit, size_t index, uint64_t* handle) {
    const std::string rates = rate_of(limit), name = "l" + std::to_string(index);
    const std::string algorithm = limit["algorithm"], lease = lease_of(limit);
    tg_limiter_spec spec{};
    spec.rates = text(rates);
    spec.name = text(name);
    spec.algorithm = text(algorithm);
    spec.lease = text(lease);
    if (limit["shadow"]) spec.mode = TG_TEXT("shadow");
    return tg_limiter_open(client, &spec, handle, &error);
  }

  int32_t change(uint64_t handle, const Json& limit) {
    const std::string rates = rate_of(limit), algorithm = limit["algorithm"];
    const std::string lease = lease_of(limit);
    tg_limiter_spec spec{};
    spec.rates = text(rates);
    spec.algorithm = text(algorithm);
    spec.lease = text(lease);
    return tg_limiter_change(client, handle, &spec, &error);
  }
};

uint32_t op_of(const std::string& op) {
  return op == "consume"  ? TG_OP_CONSUME
         : op == "peek"   ? TG_OP_PEEK
         : op == "refund" ? TG_OP_REFUND
         : op == "debit"  ? TG_OP_DEBIT
                          : TG_OP_RESET;
}

Json answer_of(const tg_result& result, bool debit) {
  Json parts = Json::array();
  for (uint32_t i = 0; i < result.part_count; ++i) {
    const tg_part& part = result.parts[i];
    parts.push_back({{"allowed", (part.flags & TG_ALLOWED) != 0},
                     {"remaining", part.remaining},
                     {"retry_after_us", part.retry_after_us},
                     {"next_us", part.next_us},
                     {"reset_after_us", part.reset_after_us}});
    if (debit) parts.back()["short"] = part.shortfall;
  }
  return {
      {"allowed", (result.flags & TG_ALLOWED) != 0}, {"binding", result.binding}, {"parts", parts}};
}

// Why the store was not asked, as the client tells it.
std::string events_of(tg_client* client) {
  std::string all;
  for (tg_event event; tg_client_next_event(client, &event) == 1;)
    all += std::string("; ") + event.text;
  tg_stats stats;
  tg_client_stats(client, &stats);
  return all + "; protocol " + std::to_string(stats.protocol_errors) + ", other " +
         std::to_string(stats.other_errors) + ", timeouts " + std::to_string(stats.timeouts);
}

std::string run_step(Gate& gate, const Json& step) {
  if (tg_client_set_time(gate.client, step["at"].get<int64_t>()) != TG_OK) return "set_time";
  if (step["op"] == "change")
    return gate.change(gate.handles[step["limit"].get<size_t>()], step["to"]) == TG_OK
               ? ""
               : std::string("change: ") + gate.error.message;
  std::vector<std::string> keys;
  for (const Json& part : step["parts"]) keys.push_back(part["key"]);
  std::vector<tg_entry> entries;
  for (const Json& part : step["parts"]) {
    tg_entry entry{};
    entry.op = op_of(step["op"]);
    entry.handle = gate.handles[part["limit"].get<size_t>()];
    entry.key = keys[entries.size()].data();
    entry.key_len = static_cast<uint32_t>(keys[entries.size()].size());
    entry.arg = part["cost"];
    const std::string id = part.value("id", "");
    std::memcpy(entry.id, id.data(), std::min(id.size(), sizeof entry.id));
    entry.flags = entries.size() + 1 < keys.size() ? TG_LINK : 0;
    entries.push_back(entry);
  }
  tg_result result{};
  const int32_t n =
      tg_call(gate.client, entries.data(), static_cast<int32_t>(entries.size()), &result, 1);
  if (n != 1) return "tg_call: " + std::to_string(n);
  if (result.status != TG_OK)
    return "status " + std::to_string(result.status) + ": " +
           std::string(static_cast<const char*>(result.data), result.data_len);
  if (!step.contains("expect")) return "";
  const uint32_t source = TG_SOURCE(result.flags);
  if (source != TG_SOURCE_MEMORY && source != TG_SOURCE_STORE)
    return "source " + std::to_string(source) + events_of(gate.client);
  const Json got = answer_of(result, step["op"] == "debit");
  return got == step["expect"] ? ""
                               : "expected " + step["expect"].dump() + "\n     got " + got.dump();
}

}  // namespace

std::vector<Json> stored_scenarios(const std::string& kind) {
  std::ifstream in(std::string(TIDEGATE_SOURCE_DIR "/tests/conformance/") +
                   (kind == "slots" ? "slots.jsonl" : "vectors.jsonl"));
  return lines_of(in);
}

std::vector<Json> fresh_scenarios(const std::string& kind, int count) {
  const char* given = std::getenv("TIDEGATE_SEED");
  const auto clock = std::chrono::system_clock::now().time_since_epoch().count() / 1000 % 1000000;
  const std::string seed = given ? given : std::to_string(clock);
  std::cout << "fresh scenarios: TIDEGATE_SEED=" << seed << std::endl;
  const std::string command =
      std::string("cd " TIDEGATE_SOURCE_DIR "/tests/conformance && python3 ") +
      (kind == "slots" ? "generate_slots.py" : "generate.py") + " --count " +
      std::to_string(count) + " --seed " + seed;
  FILE* pipe = popen(command.c_str(), "r");
  std::stringstream text;
  char block[65536];
  while (const size_t got = fread(block, 1, sizeof block, pipe))
    text.write(block, static_cast<std::streamsize>(got));
  if (pclose(pipe) != 0) std::abort();
  return lines_of(text);
}

std::string run_scenario(const Json& scenario, const std::string& url) {
  Gate gate;
  if (tg_client_open(url.data(), url.size(), nullptr, &gate.client, &gate.error) != TG_OK)
    return gate.error.message;
  for (size_t i = 0; i < scenario["limits"].size(); ++i) {
    gate.handles.push_back(0);
    if (gate.open_limit(scenario["limits"][i], i, &gate.handles.back()) != TG_OK)
      return gate.error.message;
  }
  int at = 0;
  for (const Json& step : scenario["steps"]) {
    if (step["at"].get<int64_t>() >= kEndOfTime) break;  // a wait for the largest overdraft
    if (const std::string wrong = run_step(gate, step); !wrong.empty())
      return "scenario " + scenario["id"].get<std::string>() + " step " + std::to_string(at) + " " +
             step.dump() + "\n" + wrong;
    ++at;
  }
  return "";
}

}  // namespace tidegate::test
