// SPDX-License-Identifier: MIT
// The same limiters in two clients, one on a server and one embedded, asked the same in bursts: the
// oracle is the embedded engine, which is the model's equal.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "support/gate.h"

namespace tidegate::test {

struct Asked {
  uint32_t op;
  std::vector<size_t> limiters;
  std::vector<Part> parts;  // handles are filled in for each client
};

// Any thread's, one at a time.
class Pair {
 public:
  explicit Pair(const std::string& url)
      : store_(url), memory_("memory://?clock=manual"), ring_(store_, 8192) {}

  size_t open(const std::string& rates, const std::string& algorithm = "",
              const std::string& mode = "", const std::string& lease = "") {
    const std::string name = "l" + std::to_string(store_handles_.size());
    store_handles_.push_back(store_.open(rates, name, algorithm, mode, "", lease));
    memory_handles_.push_back(memory_.open(rates, name, algorithm, mode, "", lease));
    return store_handles_.size() - 1;
  }
  void change(size_t limiter, const std::string& rates) {
    store_.change(store_handles_[limiter], rates);
    memory_.change(memory_handles_[limiter], rates);
  }
  void set_time(int64_t now_us) {
    store_.set_time(now_us);
    memory_.set_time(now_us);
  }

  // Runs a burst through both; "" or the first difference.
  std::string burst(std::vector<Asked> asked, const std::vector<size_t>& pieces = {}) {
    std::vector<Outcome> got;
    size_t at = 0;
    const auto submit = [&](size_t until) {
      for (; at < until; ++at) {
        fill(asked[at], store_handles_);
        if (!ring_.submit(asked[at].op, asked[at].parts, at)) std::abort();
      }
    };
    for (const size_t piece : pieces) {  // a look at the ring in between: other batches
      submit(std::min(asked.size(), at + piece));
      for (Outcome& one : ring_.take(1, 0)) got.push_back(std::move(one));
      tg_result results[8];
      const int32_t n = tg_reap(ring_.ring(), results, 8);
      for (int32_t i = 0; i < n; ++i) got.emplace_back(results[i]);
    }
    submit(asked.size());
    for (Outcome& one : ring_.take(asked.size() - got.size())) got.push_back(std::move(one));
    if (got.size() != asked.size())
      return std::to_string(asked.size() - got.size()) + " answers are missing";
    std::vector<const Outcome*> answer(asked.size());
    for (const Outcome& one : got) {
      if (answer[one.user_data]) return "answered twice";
      answer[one.user_data] = &one;
    }
    for (size_t i = 0; i < asked.size(); ++i) {
      fill(asked[i], memory_handles_);
      const Outcome expected = memory_.call(asked[i].op, asked[i].parts);
      if (answer[i]->source != TG_SOURCE_STORE)
        return "source " + std::to_string(answer[i]->source) + ": " + store_.event_texts();
      if (answer[i]->figures() != expected.figures())
        return "request " + std::to_string(i) + " of " + std::to_string(asked.size()) + " " +
               text_of(asked[i]) + "\nexpected " + expected.figures() + "\n     got " +
               answer[i]->figures();
    }
    return "";
  }

  std::string one(uint32_t op, size_t limiter, const std::string& key, int64_t cost) {
    return burst({{op, {limiter}, {{0, key, cost}}}});
  }
  Gate& store() { return store_; }

 private:
  static void fill(Asked& asked, const std::vector<uint64_t>& handles) {
    for (size_t i = 0; i < asked.parts.size(); ++i)
      asked.parts[i].handle = handles[asked.limiters[i]];
  }
  static std::string text_of(const Asked& asked) {
    std::string text = "op " + std::to_string(asked.op);
    for (size_t i = 0; i < asked.parts.size(); ++i)
      text += " l" + std::to_string(asked.limiters[i]) + "/" + asked.parts[i].key + ":" +
              std::to_string(asked.parts[i].cost) + (asked.parts[i].id.empty() ? "" : "@") +
              asked.parts[i].id;
    return text;
  }

  Gate store_, memory_;
  Reaper ring_;
  std::vector<uint64_t> store_handles_, memory_handles_;
};

}  // namespace tidegate::test
