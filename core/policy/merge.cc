// SPDX-License-Identifier: MIT
// A live document changed by a patch.
#include <algorithm>
#include <map>
#include <vector>

#include "base/json.h"
#include "policy/document.h"
#include "policy/texts.h"

namespace tidegate {
namespace {

constexpr std::string_view kKinds[] = {"limiters", "tiers", "callers"};

using Kind = Document::Kind;
using Index = Document::Index;

void append_value(std::string& out, const Document& document, Index at) {
  const Index node = document.value(at);
  const Kind kind = document.kind(node);
  if (kind == Kind::kText) return append_json(out, document.text(node));
  if (kind != Kind::kList && kind != Kind::kMapping) {
    out.append(document.text(node));
    return;
  }
  out += kind == Kind::kList ? '[' : '{';
  bool first = true;
  for (Index child = document.first(node); child != Document::kNone;
       child = document.next(child), first = false) {
    if (!first) out += ',';
    append_value(out, document, child);
    if (kind != Kind::kMapping) continue;
    out += ':';
    child = document.next(child);
    append_value(out, document, child);
  }
  out += document.kind(node) == Kind::kList ? ']' : '}';
}

// The members of one kind, each as JSON, in the order in which they first came.
struct Members {
  std::vector<std::string> order;
  std::map<std::string, std::string, std::less<>> values;

  void put(std::string_view name, std::string value) {
    const auto [at, fresh] = values.insert_or_assign(std::string(name), std::move(value));
    if (fresh) order.emplace_back(name);
  }
  void remove(std::string_view name) {
    if (const auto found = values.find(name); found != values.end()) values.erase(found);
    std::erase(order, name);
  }
};

bool is_mapping(const Document& document, Index node) {
  return document.kind(node) == Kind::kMapping;
}

// What a document says of one kind; null of what it wants removed.
Status apply(const Document& document, std::string_view kind, Members& members) {
  for (Index name = document.first(document.root()); name != Document::kNone;) {
    const Index value = document.value(document.next(name));
    if (document.text(name) == kind) {
      if (!is_mapping(document, value))
        return Error{Code::kPolicy, std::string(kind) + ": expected a mapping with texts as names"};
      for (Index member = document.first(value); member != Document::kNone;) {
        const Index said = document.next(member);
        std::string text;
        append_value(text, document, said);
        if (document.kind(document.value(said)) == Kind::kNull)
          members.remove(document.text(member));
        else
          members.put(document.text(member), std::move(text));
        member = document.next(said);
      }
    }
    name = document.next(document.next(name));
  }
  return Nothing{};
}

Status read(Document& document, std::string_view text) {
  PolicyFault fault;
  if (!document.read(text, fault)) return Error{Code::kPolicy, fault.text()};
  if (!is_mapping(document, document.root()))
    return Error{Code::kPolicy, "expected a mapping of limiters, tiers and callers"};
  for (Index name = document.first(document.root()); name != Document::kNone;
       name = document.next(document.next(name)))
    if (std::find(std::begin(kKinds), std::end(kKinds), document.text(name)) == std::end(kKinds))
      return Error{Code::kPolicy, std::string(document.text(name)) +
                                      ": unknown member, expected limiters, tiers, callers"};
  return Nothing{};
}

}  // namespace

Result<std::string> merge_live(std::string_view live, std::string_view patch) {
  Document before, change;
  if (!live.empty())
    if (auto status = read(before, live); !status) return status.error();
  if (auto status = read(change, patch); !status) return status.error();
  std::string out = "{";
  for (const std::string_view kind : kKinds) {
    Members members;
    if (!live.empty())
      if (auto status = apply(before, kind, members); !status) return status.error();
    if (auto status = apply(change, kind, members); !status) return status.error();
    if (members.order.empty()) continue;
    out.append(out.size() > 1 ? "," : "").append("\"").append(kind).append("\":{");
    for (const std::string& name : members.order) {
      if (&name != &members.order.front()) out += ',';
      append_json(out, name);
      out.append(":").append(members.values[name]);
    }
    out += '}';
  }
  return out += '}';
}

}  // namespace tidegate
