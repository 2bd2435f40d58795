// SPDX-License-Identifier: MIT
// A value of a document that is being compiled, and where it stands. Every check that fails writes
// the fault, with the value's path, and returns false. Points to the value that it is a part of,
// which must outlive it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "policy/document.h"
#include "policy/policy.h"

namespace tidegate {

inline constexpr size_t kMaxItems = 1'000;
inline constexpr size_t kMaxLimiters = 1'000;
inline constexpr size_t kMaxCallers = 100'000;

class Value {
 public:
  using Kind = Document::Kind;
  using Names = std::initializer_list<std::string_view>;

  Value(const Document& document, PolicyFault& fault)
      : document_(&document), fault_(&fault), node_(document.root()) {}

  Kind kind() const { return document_->kind(node_); }
  bool is_text() const { return kind() == Kind::kText; }
  std::string_view text() const { return is_text() ? document_->text(node_) : std::string_view(); }
  // An integer that fits; the text of any scalar is no concern of it.
  std::optional<int64_t> integer() const;
  uint32_t size() const { return document_->size(node_); }

  std::string path() const;
  bool fail(std::string message) const;
  // "expected ..., found ...".
  bool expect(std::string_view what) const;
  // A member that is not there, as if it stood here.
  bool fail_member(std::string_view name, std::string message) const;

  bool check_text() const;  // not empty
  bool check_word(Names words, int8_t& index) const;
  bool check_flag(int8_t& flag) const;
  bool check_list(size_t least) const;
  bool check_mapping(size_t most = kMaxCallers) const;
  // The same with these members only, `need` ("": none) among them.
  bool check_members(Names members, std::string_view need) const;

  // Of a mapping: a value, or none.
  std::optional<Value> find(std::string_view name) const;

  // take(name, value) for each member, until it returns false.
  template <class Take>
  bool each_member(Take take) const {
    for (auto name = document_->first(node_); name != Document::kNone;) {
      const auto value = document_->next(name);
      if (!take(document_->text(name), Value(*this, value, document_->text(name)))) return false;
      name = document_->next(value);
    }
    return true;
  }

  // take(value) for each item of a list, or for the value itself where it is no list.
  template <class Take>
  bool each_item(Take take) const {
    if (kind() != Kind::kList) return take(*this);
    size_t index = 0;
    for (auto item = document_->first(node_); item != Document::kNone; item = document_->next(item))
      if (!take(Value(*this, item, index++))) return false;
    return true;
  }

 private:
  Value(const Value& parent, Document::Index at, std::string_view name)
      : document_(parent.document_),
        fault_(parent.fault_),
        parent_(&parent),
        node_(parent.document_->value(at)),
        name_(name) {}
  Value(const Value& parent, Document::Index at, size_t index)
      : document_(parent.document_),
        fault_(parent.fault_),
        parent_(&parent),
        node_(parent.document_->value(at)),
        index_(index),
        is_item_(true) {}

  const Document* document_;
  PolicyFault* fault_;
  const Value* parent_ = nullptr;
  Document::Index node_;
  std::string_view name_;
  size_t index_ = 0;
  bool is_item_ = false;
};

}  // namespace tidegate
