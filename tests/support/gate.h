// SPDX-License-Identifier: MIT
// The C ABI as a test wants it: a client with its limiters, answers that are copied and can be
// compared.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "tidegate.h"

namespace tidegate::test {

struct Outcome {
  uint64_t user_data = 0;
  int32_t status = TG_OK;
  bool allowed = false, would_deny = false;
  uint32_t source = 0, binding = 0;
  std::vector<tg_part> parts;
  std::string text;  // about a status that is not TG_OK

  explicit Outcome(const tg_result& result);
  std::string figures() const;  // everything but source, handles and user_data; to compare engines
};

inline std::ostream& operator<<(std::ostream& out, const Outcome& o) {
  return out << o.figures() << " source " << o.source << " " << o.text;
}

struct Part {
  uint64_t handle;
  std::string key;
  int64_t cost = 1;
  std::string id = {};
};

// The entries of one request; `parts` must outlive them.
std::vector<tg_entry> entries_of(uint32_t op, const std::vector<Part>& parts,
                                 uint64_t user_data = 0, int64_t timeout_us = 0,
                                 uint32_t source = 0);

// Any thread, but for open(). Aborts the test program where something that cannot fail fails.
class Gate {
 public:
  explicit Gate(const std::string& url);
  ~Gate() { tg_client_free(client_); }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  uint64_t open(const std::string& rates, const std::string& name,
                const std::string& algorithm = "", const std::string& mode = "",
                const std::string& on_failure = "", const std::string& lease = "");
  void change(uint64_t handle, const std::string& rates);
  Outcome call(uint32_t op, const std::vector<Part>& parts, int64_t timeout_us = 0,
               uint32_t source = 0);
  Outcome consume(uint64_t handle, const std::string& key, int64_t cost = 1) {
    return call(TG_OP_CONSUME, {{handle, key, cost}});
  }
  Outcome ping();
  tg_stats stats();
  std::vector<tg_event> events();  // since the last time
  std::string event_texts();       // one a line
  void set_time(int64_t now_us);
  tg_client* client() { return client_; }
  // Calls until the store answers; false: not within ten seconds.
  bool comes_back(uint64_t handle);

 private:
  tg_client* client_ = nullptr;
};

// A ring with room for its results.
class Reaper {
 public:
  explicit Reaper(Gate& gate, int32_t capacity = 4096, uint32_t flags = 0);
  ~Reaper() { tg_ring_free(ring_); }
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  bool submit(uint32_t op, const std::vector<Part>& parts, uint64_t user_data,
              int64_t timeout_us = 0, uint32_t source = 0);
  // Waits until `count` results are there, at most so long; in the order they came.
  std::vector<Outcome> take(size_t count, int64_t most_ms = 20'000);
  tg_ring* ring() { return ring_; }

 private:
  tg_ring* ring_ = nullptr;
};

int open_descriptors();  // of this process
int64_t now_ms();        // monotonic
void sleep_ms(int64_t ms);

}  // namespace tidegate::test
