// SPDX-License-Identifier: MIT
#include "raw.h"

#include <hiredis/hiredis.h>
#include <sys/resource.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>

#include "store/valkey/script.h"

namespace tidegate::bench {
namespace {

void put(std::string& out, uint64_t value, int bytes) {
  while (bytes-- > 0) out += static_cast<char>(value >> (8 * bytes));
}

// The batch of one consume of 1 under 1000000/hour (store/valkey/program.h has the layout).
std::string one_decision() {
  std::string batch;
  put(batch, 0, 7);
  put(batch, 0, 7);
  put(batch, 1, 1);
  batch += 'b';
  for (const uint64_t number : {1'000'000, 1'000'000, 3'600'000, 1'000}) put(batch, number, 7);
  put(batch, 1, 1);
  put(batch, 1, 4);
  put(batch, 1, 1);
  put(batch, 1, 1);
  put(batch, 1, 1);
  put(batch, 0, 1);
  put(batch, 1, 7);
  return batch;
}

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "raw hiredis: %s\n", what);
  std::exit(1);
}

}  // namespace

double now_us() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

double cpu_us() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

Raw::Raw(const std::string& socket)
    : context_(redisConnectUnix(socket.c_str())), batch_(one_decision()) {
  if (!context_ || context_->err) give_up("no connection");
  const auto source = script_source();
  auto* reply = static_cast<redisReply*>(
      redisCommand(context_, "SCRIPT LOAD %b", source.data(), source.size()));
  if (!reply || reply->type != REDIS_REPLY_STRING) give_up("SCRIPT LOAD");
  freeReplyObject(reply);
}

Raw::~Raw() { redisFree(context_); }

void Raw::append(int key) {
  const auto digest = script_digest();
  const std::string name = "raw:1:bench:b3600s:{user:" + std::to_string(key) + "}";
  redisAppendCommand(context_, "EVALSHA %b 1 %b %b", digest.data(), digest.size(), name.data(),
                     name.size(), batch_.data(), batch_.size());
}

void Raw::take() {
  void* reply = nullptr;
  if (redisGetReply(context_, &reply) != REDIS_OK ||
      static_cast<redisReply*>(reply)->type != REDIS_REPLY_STRING)
    give_up("EVALSHA");
  freeReplyObject(reply);
}

void Raw::decide(int key) {
  append(key);
  take();
}

void Raw::reset() { freeReplyObject(redisCommand(context_, "CONFIG RESETSTAT")); }

std::string Raw::info(const std::string& field) {
  auto* reply = static_cast<redisReply*>(redisCommand(context_, "INFO everything"));
  const std::string text(reply->str, reply->len);
  freeReplyObject(reply);
  const size_t at = text.find(field + ":");
  if (at == std::string::npos) return "";
  const size_t from = at + field.size() + 1;
  return text.substr(from, text.find('\r', from) - from);
}

double Raw::server_us(long long* calls) {
  const std::string stats = info("cmdstat_evalsha");
  double us = 0;
  std::sscanf(stats.c_str(), "calls=%lld,usec=%lf", calls, &us);
  return us;
}

}  // namespace tidegate::bench
