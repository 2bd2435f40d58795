// SPDX-License-Identifier: MIT
// Which rules a request's method and path leave to be looked at: by the whole path where a rule
// says it, else by its first two segments, or one. A rule may be left that does not match, never
// one left out that does. Once it is filled: any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/name_table.h"

namespace tidegate {

class RuleIndex {
 public:
  // The rules come in order. `paths` and `methods` in their normal forms, what `when` says of them;
  // empty: nothing.
  void add(uint32_t rule, const std::vector<std::string>& paths,
           const std::vector<std::string>& methods);

  struct Candidate {
    uint32_t rule;
    uint64_t methods;  // a bit for each; the last for all that no rule names
  };
  using List = std::vector<Candidate>;

  // The candidates of one request, in the order of the rules, each once. No path: "".
  class Walk {
   public:
    Walk(const RuleIndex& index, std::string_view method, std::string_view path);
    // The next one, or UINT32_MAX.
    uint32_t next();

   private:
    struct Cursor {
      const Candidate* at;
      const Candidate* end;
    };
    void add(const List& list);

    uint64_t methods_;
    size_t size_ = 0;
    std::array<Cursor, 4> cursors_;
  };

 private:
  struct Table {
    NameTable names;
    std::vector<List> lists;
    void add(std::string_view name, Candidate candidate);
    const List* find(std::string_view name) const;
  };

  uint64_t bit_of(std::string_view method) const;

  NameTable methods_;
  Table paths_, pairs_, firsts_;
  List others_;
};

}  // namespace tidegate
