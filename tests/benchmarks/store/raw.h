// SPDX-License-Identifier: MIT
// The yardstick: plain hiredis, the same atomic program, one decision a call.
#pragma once

#include <cstdint>
#include <string>

struct redisContext;

namespace tidegate::bench {

double now_us();  // monotonic
double cpu_us();  // of this process, user and system

// A blocking connection that asks for one decision on a key.
class Raw {
 public:
  explicit Raw(const std::string& socket);
  ~Raw();
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  void decide(int key);                // one round trip
  void append(int key);                // queues one
  void take();                         // reads one answer
  double server_us(long long* calls);  // INFO commandstats: all EVALSHAs since reset()
  void reset();                        // CONFIG RESETSTAT
  std::string info(const std::string& field);

 private:
  redisContext* context_;
  std::string batch_;
};

}  // namespace tidegate::bench
