// SPDX-License-Identifier: MIT
#include "stats/report.h"

namespace tidegate {
namespace {

struct CountedOutcome {
  std::string_view name;
  int64_t count;
};

std::array<CountedOutcome, 3> outcomes_of(const Reading& reading, size_t source) {
  const auto& of = reading.decisions[source];
  const auto count = [&](Outcome outcome) { return of[static_cast<size_t>(outcome)]; };
  return {{{"allowed", count(Outcome::kAllowed)},
           {"denied", count(Outcome::kDenied) + count(Outcome::kDeniedAndWouldDeny)},
           {"would_deny", count(Outcome::kWouldDeny)}}};
}

constexpr size_t kFirstSource = 1;  // behind Source::kNone

void put_head(std::string& out, const MetricFamily& family) {
  out.append("# HELP tidegate_").append(family.name).append(" ").append(family.help).append("\n");
  out.append("# TYPE tidegate_").append(family.name);
  out.append(family.kind == MetricKind::kCounter ? " counter\n" : " gauge\n");
}

void put_label(std::string& out, std::string_view name, std::string_view value) {
  out.append(out.back() == '{' ? "" : ",").append(name).append("=\"").append(value).append("\"");
}

void put_series(std::string& out, const MetricFamily& family, std::string_view label,
                int64_t value) {
  out.append("tidegate_").append(family.name);
  if (!label.empty()) {
    out.append("{");
    put_label(out, family.label, label);
    out.append("}");
  }
  out.append(" ").append(std::to_string(value)).append("\n");
}

void put_decisions(std::string& out, const Reading& reading) {
  put_head(out, family::kDecisions);
  for (size_t source = kFirstSource; source < kSources; ++source)
    for (const auto& [outcome, count] : outcomes_of(reading, source)) {
      out.append("tidegate_").append(family::kDecisions.name).append("{");
      put_label(out, "outcome", outcome);
      put_label(out, "source", kSourceNames[source]);
      out.append("} ").append(std::to_string(count)).append("\n");
    }
}

void put_member(std::string& out, std::string_view name, int64_t value) {
  out.append(out.back() == '{' ? "" : ",").append("\"").append(name).append("\":");
  out.append(std::to_string(value));
}

}  // namespace

std::string metrics_text(const Reading& reading, const Build& build) {
  std::string out;
  put_head(out, family::kBuild);
  out.append("tidegate_").append(family::kBuild.name).append("{");
  put_label(out, "version", build.version);
  put_label(out, "abi", std::to_string(build.abi));
  out.append("} 1\n");
  put_decisions(out, reading);
  const MetricFamily* before = nullptr;
  for (const Metric& metric : kMetrics) {
    if (!metric.family) continue;
    if (metric.family != before) put_head(out, *metric.family);
    before = metric.family;
    put_series(out, *metric.family, metric.label_value, reading.*metric.value);
  }
  return out;
}

std::string report_json(const Reading& reading, const Build& build) {
  std::string out = "{\"version\":\"" + std::string(build.version) + "\"";
  put_member(out, "abi", build.abi);
  for (const Metric& metric : kMetrics) put_member(out, metric.name, reading.*metric.value);
  out.append(",\"decisions\":{");
  for (size_t source = kFirstSource; source < kSources; ++source) {
    out.append(source == kFirstSource ? "\"" : ",\"").append(kSourceNames[source]).append("\":{");
    for (const auto& [outcome, count] : outcomes_of(reading, source))
      put_member(out, outcome, count);
    out.append("}");
  }
  return out.append("}}");
}

}  // namespace tidegate
