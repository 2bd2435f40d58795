// SPDX-License-Identifier: MIT
#include "policy/texts.h"

#include "policy/data.h"
#include "policy/fault.h"
#include "policy/resolver.h"

namespace tidegate {
namespace {

void append_text_member(std::string& out, std::string_view name, std::string_view text) {
  out.append("\"").append(name).append("\":");
  append_json_text(out, text);
}

void append_time(std::string& out, std::string_view name, int64_t us) {
  out.append(",\"").append(name).append("\":").append(us < 0 ? "null" : std::to_string(us));
}

void append_after(std::string& out, const After& after) {
  switch (after.count) {
    case After::Count::kAll:
      break;
    case After::Count::kFailed:
      out += ",\"count\":\"failed\"";
      break;
    case After::Count::kSuccessful:
      out += ",\"count\":\"successful\"";
      break;
    case After::Count::kStatuses:
      out += ",\"count\":[";
      for (const uint16_t& status : after.statuses)
        out.append(&status == after.statuses.data() ? "" : ",").append(std::to_string(status));
      out += ']';
      break;
  }
  if (!after.settle.empty()) {
    out += ',';
    append_text_member(out, "settle", "{" + after.settle + "}");
  }
}

void append_part(std::string& out, const PolicyPart& part) {
  out += '{';
  append_text_member(out, "limiter", part.numbers->limiter);
  out += ',';
  append_text_member(out, "rates", part.numbers->canonical);
  out += ',';
  append_text_member(out, "mode", mode_name(part.mode));
  out += ',';
  append_text_member(out, "key", part.key);
  out.append(",\"cost\":").append(std::to_string(part.cost));
  if (part.after) append_after(out, *part.after);
  out += '}';
}

std::string_view error_of(PolicyVerdict verdict) {
  switch (verdict) {
    case PolicyVerdict::kLimits:
    case PolicyVerdict::kExempt:
    case PolicyVerdict::kBanned:
      return {};
    case PolicyVerdict::kTierError:
      return "tier";
    case PolicyVerdict::kCostError:
      return "cost";
    case PolicyVerdict::kPartsError:
      return "parts";
  }
  return {};
}

std::string_view verdict_name(PolicyVerdict verdict) {
  switch (verdict) {
    case PolicyVerdict::kLimits:
      return "limits";
    case PolicyVerdict::kExempt:
      return "exempt";
    case PolicyVerdict::kBanned:
      return "banned";
    case PolicyVerdict::kTierError:
    case PolicyVerdict::kCostError:
    case PolicyVerdict::kPartsError:
      return "error";
  }
  return {};
}

// The members of an answer, without the braces.
void append_answer(std::string& out, const Resolution& answer) {
  append_text_member(out, "verdict", verdict_name(answer.verdict));
  if (const std::string_view error = error_of(answer.verdict); !error.empty()) {
    out += ',';
    append_text_member(out, "error", error);
  }
  if (answer.verdict == PolicyVerdict::kBanned) {
    append_time(out, "until_us", answer.until_us);
    out += ",\"reason\":";
    if (answer.has_reason)
      append_json_text(out, answer.reason);
    else
      out += "null";
    append_time(out, "retry_after_us", answer.retry_after_us);
  }
  out += ",\"parts\":[";
  for (const PolicyPart& part : answer.parts) {
    if (&part != answer.parts.data()) out += ',';
    append_part(out, part);
  }
  out += "],\"rules\":[";
  for (const uint32_t& rule : answer.rules)
    out.append(&rule == answer.rules.data() ? "" : ",").append(std::to_string(rule));
  out += ']';
}

// How a document may name the entry.
std::string name_of(const Speaker& speaker) {
  const CallerTable& callers = speaker.by->callers;
  const CallerEntry* first = callers.entries.data();
  if (!callers.entries.empty() && speaker.entry >= first &&
      speaker.entry < first + callers.entries.size())
    return std::string(callers.names.name(static_cast<uint32_t>(speaker.entry - first)));
  const CallerTable& networks = speaker.by->networks;
  const std::string_view name =
      networks.names.name(static_cast<uint32_t>(speaker.entry - networks.entries.data()));
  Address address{.v6 = name[1] == '6'};
  std::copy_n(name.begin() + 2, 16, reinterpret_cast<char*>(address.bytes));
  return address.text() + "/" + std::to_string(static_cast<uint8_t>(name[0]));
}

void append_entries(std::string& out, std::span<const Speaker> speakers) {
  out += ",\"entries\":[";
  for (const Speaker& one : speakers) {
    out.append(&one == speakers.data() ? "{" : ",{");
    append_text_member(out, "name", name_of(one));
    out.append(one.by->file ? ",\"live\":true" : ",\"live\":false");
    if (one.entry->ban >= 0) out.append(",\"ban\":").append(one.entry->ban ? "true" : "false");
    if (one.entry->exempt >= 0)
      out.append(",\"exempt\":").append(one.entry->exempt ? "true" : "false");
    const PolicyData& names = one.by->file ? one.by->file->data() : *one.by;
    if (one.entry->tier != kNoName) {
      out += ',';
      append_text_member(out, "tier", names.tier_names.name(one.entry->tier));
    }
    if (one.entry->until_us != kNeverEnds) append_time(out, "until_us", one.entry->until_us);
    out += '}';
  }
  out += ']';
}

std::string_view tier_from(std::span<const Speaker> speakers, std::span<const Attribute> request,
                           const Resolution& answer) {
  if (answer.tier.empty()) return {};
  for (const Speaker& one : speakers)
    if (one.entry->tier != kNoName) return "caller";
  std::string_view given;
  for (const Attribute& one : request)
    if (one.name == "tier") given = one.value;
  return given.empty() ? "default" : "request";
}

// Each rule that was looked at, in its order.
void append_why(std::string& out, const PolicyData& file, const Resolution& answer,
                PolicyResolver::State& state) {
  out += ",\"why\":[";
  const bool scanned = answer.verdict != PolicyVerdict::kBanned &&
                       (answer.verdict != PolicyVerdict::kExempt || !answer.rules.empty());
  bool stopped = !scanned;
  size_t next = 0;
  for (uint32_t index = 0; index < file.rules.size(); ++index) {
    out.append(index ? ",{" : "{").append("\"rule\":").append(std::to_string(index));
    if (!stopped) {
      const bool matched = next < answer.rules.size() && answer.rules[next] == index;
      out.append(",\"matched\":").append(matched ? "true" : "false");
      const Condition* unmet = matched ? nullptr : state.unmet(file.rules[index]);
      if (unmet) {
        out += ',';
        append_text_member(out, "unmet", file.attributes.name(unmet->attribute));
      }
      if (matched) ++next;
      const bool error = answer.verdict == PolicyVerdict::kTierError ||
                         answer.verdict == PolicyVerdict::kCostError;
      stopped = matched && (file.rules[index].exempt || (error && next == answer.rules.size()));
    }
    out += '}';
  }
  out += ']';
}

}  // namespace

std::string resolution_json(const Resolution& resolution) {
  std::string out = "{";
  append_answer(out, resolution);
  return out += '}';
}

std::string explain_json(const Policy& file, const Policy* live, std::span<const Attribute> request,
                         int64_t now_us, int ipv6_prefix) {
  PolicyResolver::State state;
  const Resolution& answer =
      state.resolve(file.data(), over(file, live), request, now_us, ipv6_prefix);
  std::string out = "{";
  append_answer(out, answer);
  out += ',';
  append_text_member(out, "caller", answer.caller);
  out += ',';
  append_text_member(out, "address", answer.address);
  out += ",\"tier\":";
  const std::string_view from = tier_from(state.speakers(), request, answer);
  if (from.empty()) {
    out += "null,\"tier_from\":null";
  } else {
    append_json_text(out, answer.tier);
    out += ',';
    append_text_member(out, "tier_from", from);
  }
  append_entries(out, state.speakers());
  append_why(out, file.data(), answer, state);
  return out += '}';
}

std::string fault_json(const PolicyFault& fault) {
  std::string out = "{";
  append_text_member(out, "path", fault.path);
  out += ',';
  append_text_member(out, "message", fault.message);
  out.append(",\"line\":").append(std::to_string(fault.line));
  out.append(",\"column\":").append(std::to_string(fault.column)).append(",");
  append_text_member(out, "text", fault.text());
  return out += '}';
}

}  // namespace tidegate
