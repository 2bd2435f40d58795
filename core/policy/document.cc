// SPDX-License-Identifier: MIT
#include "policy/document.h"

#include <yaml.h>

#include <algorithm>
#include <new>
#include <string>
#include <unordered_map>

#include "base/text.h"
#include "policy/fault.h"

namespace tidegate {
namespace {

constexpr size_t kFewNames = 8;

std::string_view view(const yaml_char_t* text) {
  return text ? std::string_view(reinterpret_cast<const char*>(text)) : std::string_view();
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    if (!yaml_parser_initialize(&parser_)) throw std::bad_alloc();
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~Parser() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // The next event, until the next call; null where the text is no YAML.
  const yaml_event_t* next() {
    yaml_event_delete(&event_);
    return yaml_parser_parse(&parser_, &event_) ? &event_ : nullptr;
  }

  void report(PolicyFault& fault) const {
    if (parser_.error == YAML_MEMORY_ERROR) throw std::bad_alloc();
    fault.message = "expected YAML or JSON";
    if (parser_.context) fault.message.append("; ").append(parser_.context);
    if (parser_.problem)
      fault.message.append(parser_.context ? ", " : "; ").append(parser_.problem);
    Place place{static_cast<int32_t>(parser_.problem_mark.line) + 1,
                static_cast<int32_t>(parser_.problem_mark.column) + 1};
    if (parser_.error == YAML_READER_ERROR) place = place_of(parser_.problem_offset);
    fault.line = place.line;
    fault.column = place.column;
  }

 private:
  // The reader knows only the byte.
  Place place_of(size_t offset) const {
    Place place;
    for (char c : text_.substr(0, offset)) {
      if (c == '\n')
        place = {place.line + 1, 1};
      else if ((c & 0xc0) != 0x80)
        ++place.column;
    }
    return place;
  }

  std::string_view text_;
  yaml_parser_t parser_{};
  yaml_event_t event_{};
};

}  // namespace

class Document::Builder {
 public:
  Builder(Document& out, PolicyFault& fault) : out_(out), fault_(fault) {}

  bool run(std::string_view text) {
    Parser parser(text);
    for (;;) {
      const yaml_event_t* event = parser.next();
      if (!event) {
        parser.report(fault_);
        return false;
      }
      if (event->type == YAML_STREAM_END_EVENT) break;
      place_ = {static_cast<int32_t>(event->start_mark.line) + 1,
                static_cast<int32_t>(event->start_mark.column) + 1};
      if (!take(*event)) return false;
    }
    if (!out_.nodes_.empty()) return true;
    return fail("expected a mapping, found nothing");
  }

 private:
  struct Open {
    Index node;
    Index last = kNone;  // its last child
    Index name = kNone;  // of a mapping, its last name
    size_t begin = 0;    // total_ before it
    bool waits = false;  // a mapping whose last name has no value yet
    std::string anchor;
  };
  struct Anchor {
    Index node;
    size_t nodes;  // 0: it is still open
  };

  bool fail(std::string message) {
    fault_.path = path();
    fault_.message = std::move(message);
    fault_.line = place_.line;
    fault_.column = place_.column;
    return false;
  }

  // Where the next node stands.
  std::string path() const {
    std::string out;
    for (const Open& open : open_) {
      const bool last = &open == &open_.back();
      if (out_.nodes_[open.node].kind == Kind::kMapping) {
        if (open.waits || !last) append_step(out, out_.text(open.name));
      } else {
        append_step(out, size_t{out_.nodes_[open.node].size} - (last ? 0 : 1));
      }
    }
    return out;
  }

  bool take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_DOCUMENT_START_EVENT:
        return out_.nodes_.empty() || fail("expected one document, found another");
      case YAML_ALIAS_EVENT:
        return alias(view(event.data.alias.anchor));
      case YAML_SCALAR_EVENT:
        return scalar(event);
      case YAML_SEQUENCE_START_EVENT:
        return begin(Kind::kList, view(event.data.sequence_start.anchor),
                     event.data.sequence_start.tag);
      case YAML_MAPPING_START_EVENT:
        return begin(Kind::kMapping, view(event.data.mapping_start.anchor),
                     event.data.mapping_start.tag);
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        return end();
      case YAML_NO_EVENT:
      case YAML_STREAM_START_EVENT:
      case YAML_STREAM_END_EVENT:
      case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
  }

  bool is_name() const {
    return !open_.empty() && out_.nodes_[open_.back().node].kind == Kind::kMapping &&
           !open_.back().waits;
  }

  bool scalar(const yaml_event_t& event) {
    const auto& given = event.data.scalar;
    if (given.tag) return fail("expected no tag, found " + quote(view(given.tag)));
    const std::string_view text(reinterpret_cast<const char*>(given.value), given.length);
    Node node{.begin = static_cast<uint32_t>(out_.text_.size()),
              .size = static_cast<uint32_t>(text.size())};
    if (given.style == YAML_PLAIN_SCALAR_STYLE && !is_name()) node.kind = scalar_kind(text);
    out_.text_.append(text);
    const Index index = add(node, 1);
    if (index == kNone) return false;
    if (given.anchor) anchors_[std::string(view(given.anchor))] = {index, 1};
    return true;
  }

  bool begin(Kind kind, std::string_view anchor, const yaml_char_t* tag) {
    if (tag) return fail("expected no tag, found " + quote(view(tag)));
    if (is_name()) return fail("expected a text as a name");
    if (open_.size() == kMaxDepth)
      return fail("expected at most " + std::to_string(kMaxDepth) + " levels");
    const size_t before = total_;
    const Index index = add({.begin = kNone, .kind = kind, .height = 1}, 1);
    if (index == kNone) return false;
    if (!anchor.empty()) anchors_[std::string(anchor)] = {index, 0};
    open_.push_back({.node = index, .begin = before, .anchor = std::string(anchor)});
    return true;
  }

  bool end() {
    if (is_name() && !names_differ(open_.back().node)) return false;
    const Open open = std::move(open_.back());
    open_.pop_back();
    if (!open.anchor.empty()) {
      Anchor& anchor = anchors_[open.anchor];
      if (anchor.node == open.node) anchor.nodes = total_ - open.begin;
    }
    rise(out_.nodes_[open.node].height);
    return true;
  }

  bool alias(std::string_view name) {
    if (is_name()) return fail("expected a text as a name, found an alias");
    const auto found = anchors_.find(std::string(name));
    if (found == anchors_.end())
      return fail("unknown anchor " + quote(name) + ", expected one that stands above");
    const Anchor anchor = found->second;
    if (anchor.nodes == 0)
      return fail("expected an anchor that is complete, found one that stands within itself");
    const uint8_t height = out_.nodes_[anchor.node].height;
    if (open_.size() + height > kMaxDepth)
      return fail("expected at most " + std::to_string(kMaxDepth) + " levels");
    if (add({.alias = anchor.node}, anchor.nodes) == kNone) return false;
    rise(height);
    return true;
  }

  // A child that is `height` levels high is complete.
  void rise(uint8_t height) {
    if (open_.empty()) return;
    uint8_t& own = out_.nodes_[open_.back().node].height;
    own = std::max<uint8_t>(own, static_cast<uint8_t>(height + 1));
  }

  // `counts`: for how many nodes it stands.
  Index add(Node node, size_t counts) {
    total_ += counts;
    if (total_ > kMaxNodes) {
      fail("expected at most " + std::to_string(kMaxNodes) +
           " values, what aliases stand for counted in");
      return kNone;
    }
    const auto index = static_cast<Index>(out_.nodes_.size());
    node.line = place_.line;
    node.column = place_.column;
    out_.nodes_.push_back(node);
    if (open_.empty()) return index;
    Open& open = open_.back();
    Node& parent = out_.nodes_[open.node];
    if (open.last == kNone)
      parent.begin = index;
    else
      out_.nodes_[open.last].next = index;
    open.last = index;
    const bool name = parent.kind == Kind::kMapping && !open.waits;
    if (name) open.name = index;
    if (!name) ++parent.size;
    open.waits = name;
    return index;
  }

  bool names_differ(Index mapping) {
    const size_t size = out_.size(mapping);
    if (size < 2) return true;
    size_t slots = 2 * kFewNames;
    while (slots < 2 * size) slots *= 2;
    table_.assign(slots, kNone);
    for (Index name = out_.first(mapping); name != kNone; name = out_.next(out_.next(name))) {
      size_t at = std::hash<std::string_view>()(out_.text(name)) & (slots - 1);
      for (; table_[at] != kNone; at = (at + 1) & (slots - 1)) {
        if (out_.text(table_[at]) != out_.text(name)) continue;
        place_ = out_.place(name);
        fail("expected each name once, found it in line " +
             std::to_string(out_.place(table_[at]).line) + " too");
        append_step(fault_.path, out_.text(name));
        return false;
      }
      table_[at] = name;
    }
    return true;
  }

  Document& out_;
  PolicyFault& fault_;
  Place place_;
  size_t total_ = 0;
  std::vector<Open> open_;
  std::vector<Index> table_;
  std::unordered_map<std::string, Anchor> anchors_;
};

bool Document::read(std::string_view text, PolicyFault& fault) {
  nodes_.clear();
  text_.clear();
  fault = {};
  if (text.size() > kMaxPolicyBytes) {
    fault.message = "expected at most " + std::to_string(kMaxPolicyBytes) + " bytes, found " +
                    std::to_string(text.size());
    return false;
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<Shift> shifts;
  const std::string prepared = prepare_document(text, shifts);
  const bool good = Builder(*this, fault).run(prepared);
  if (shifts.empty()) return good;
  const auto move = [&](int32_t line, int32_t& column) {
    const auto behind = std::ranges::upper_bound(
        shifts, std::pair(line, column), {},
        [](const Shift& shift) { return std::pair(shift.after.line, shift.after.column); });
    if (behind != shifts.begin() && std::prev(behind)->after.line == line)
      column += std::prev(behind)->by;
  };
  for (Node& node : nodes_) move(node.line, node.column);
  move(fault.line, fault.column);
  return good;
}

}  // namespace tidegate
