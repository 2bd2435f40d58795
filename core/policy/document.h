// SPDX-License-Identifier: MIT
// A YAML or JSON document as nodes with their lines and columns. What a text may not have is a
// fault: several documents, names that are no text or come twice, tags, anchors that grow beyond
// bounds or stand within themselves. An unquoted scalar that is JSON (Python's, with NaN and
// Infinity) is that; everything else, and every name, is text. Once it is read: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"

namespace tidegate {

inline constexpr size_t kMaxDepth = 64;
inline constexpr size_t kMaxNodes = 400'000;  // what aliases stand for counted in

// Where a character of a text stands: both from 1, columns in characters.
struct Place {
  int32_t line = 1, column = 1;
};

class Document {
 public:
  enum class Kind : uint8_t { kNull, kBool, kInteger, kFloat, kText, kList, kMapping };
  using Index = uint32_t;
  static constexpr Index kNone = UINT32_MAX;

  // Replaces what was there. False: `fault` says why. An empty text is a fault.
  bool read(std::string_view text, PolicyFault& fault);

  Index root() const { return 0; }
  Kind kind(Index node) const { return nodes_[node].kind; }
  Place place(Index node) const { return {nodes_[node].line, nodes_[node].column}; }
  // The bytes of a text, or of a scalar as it was written.
  std::string_view text(Index node) const {
    return {text_.data() + nodes_[node].begin, nodes_[node].size};
  }
  // Of a list or a mapping: how many items or members, and the first; next() of the last is kNone.
  uint32_t size(Index node) const { return nodes_[node].size; }
  Index first(Index node) const { return nodes_[node].begin; }
  Index next(Index node) const { return nodes_[node].next; }
  // What an item or a value is: itself, or where it is an alias, what that stands for. Members are
  // names, each followed by its value.
  Index value(Index node) const { return nodes_[node].alias == kNone ? node : nodes_[node].alias; }

 private:
  class Builder;
  struct Node {
    uint32_t begin = 0;  // of the text; or the first child
    uint32_t size = 0;   // in bytes; or how many children
    Index next = kNone;
    Index alias = kNone;
    int32_t line = 1, column = 1;
    Kind kind = Kind::kText;
    uint8_t height = 0;  // levels of lists and mappings, itself counted in
  };

  std::vector<Node> nodes_;
  std::string text_;  // of all scalars
};

// What an unquoted scalar is.
Document::Kind scalar_kind(std::string_view text);

// Where a text was made shorter for libyaml: by how much its line is up to there (below 0: longer),
// and where what follows stands in the new text.
struct Shift {
  Place after;
  int32_t by = 0;
};

// JSON in YAML's dialect: escaped characters beyond ASCII as they are (pairs of surrogates are
// one), tabs outside of texts as spaces, and what YAML takes for breaks escaped. Another text is as
// it is.
std::string prepare_document(std::string_view text, std::vector<Shift>& shifts);

}  // namespace tidegate
