// SPDX-License-Identifier: MIT
// Debt and slots on a server: merged and split batches are answered as if one after another, and
// what is in the server is ours, small, and expires.
#include <cstdlib>
#include <random>

#include "support/every_server.h"
#include "support/pair.h"

namespace tidegate::test {
namespace {

constexpr int64_t kStart = 1'800'000'000'000'000;
constexpr int64_t kSecond = 1'000'000;
const std::string kRateAlgorithms[] = {"token_bucket", "fixed_window", "sliding_window",
                                       "sliding_log"};

using Random = std::mt19937_64;

int64_t pick(Random& random, int64_t from, int64_t to) {
  return std::uniform_int_distribution<int64_t>(from, to)(random);
}

uint64_t seed() {
  const char* given = std::getenv("TIDEGATE_SEED");
  return given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

std::string random_rates(Random& random, size_t limiter, int64_t window_s) {
  const int64_t limit = pick(random, 0, 2) ? pick(random, 1, 5) : pick(random, 6, 60);
  if (limiter >= 8) return std::to_string(limit) + " at once";
  std::string rates = std::to_string(limit) + "/" + std::to_string(window_s) + "s";
  if (limiter % 4 == 0 && pick(random, 0, 2) == 0)
    rates += " burst " + std::to_string(pick(random, 1, 40));
  if (pick(random, 0, 4)) rates += " overdraft " + std::to_string(pick(random, 0, 30));
  return rates;
}

uint32_t random_op(Random& random) {
  const int64_t dice = pick(random, 0, 99);
  return dice < 45   ? TG_OP_CONSUME
         : dice < 75 ? TG_OP_DEBIT
         : dice < 83 ? TG_OP_PEEK
         : dice < 98 ? TG_OP_REFUND
                     : TG_OP_RESET;
}

// Limiters 0 to 7 are of rates, 8 to 11 of slots.
Asked random_request(Random& random) {
  static const std::string kIds[] = {"x", "y", "z", "sixteen letters.", "w1", "w2", "w3", "w4"};
  Asked asked{random_op(random), {}, {}};
  for (int64_t left = pick(random, 0, 3) ? 1 : pick(random, 2, 5); left > 0; --left) {
    const auto limiter = static_cast<size_t>(pick(random, 0, 11));
    const int64_t size = pick(random, 0, 19);
    const bool nobody = asked.op != TG_OP_CONSUME && pick(random, 0, 3) == 0;
    asked.limiters.push_back(limiter);
    asked.parts.push_back({0, pick(random, 0, 2) ? "a" : "b",
                           size == 0 && asked.op == TG_OP_DEBIT ? int64_t{TG_MAX_COST}
                           : size == 1                          ? 0
                           : size == 2                          ? pick(random, 50, 200)
                           : size < 12                          ? 1
                                                                : pick(random, 1, 9),
                           limiter < 8 || nobody ? "" : kIds[pick(random, 0, 7)]});
  }
  return asked;
}

std::vector<Asked> random_burst(Random& random) {
  std::vector<Asked> asked;
  const int64_t size = pick(random, 0, 9) == 0 ? pick(random, 100, 400) : pick(random, 1, 30);
  while (static_cast<int64_t>(asked.size()) < size) {
    asked.push_back(random_request(random));
    for (int64_t again = pick(random, 0, 2) ? 0 : pick(random, 1, 9); again > 0; --again) {
      asked.push_back(asked.back());
      if (asked.back().op == TG_OP_DEBIT && pick(random, 0, 1))  // merged with another cost
        for (Part& part : asked.back().parts) part.cost = pick(random, 0, 12);
    }
  }
  return asked;
}

void random_bursts(Server& server, int rounds, int bursts, const std::string& more) {
  const uint64_t of = seed();
  SCOPED_TRACE("TIDEGATE_SEED=" + std::to_string(of));
  Random random(of);
  for (int round = 0; round < rounds; ++round) {
    Pair pair(server.url("clock=manual&testing=1&timeout_ms=20000&namespace=o" +
                         std::to_string(round) + more));
    std::vector<int64_t> windows;
    for (size_t i = 0; i < 12; ++i) {
      windows.push_back(pick(random, 1, 100));
      const std::string shadow = pick(random, 0, 4) == 0 ? "shadow" : "";
      if (i < 8)
        pair.open(random_rates(random, i, windows[i]), kRateAlgorithms[i % 4], shadow);
      else
        pair.open(random_rates(random, i, 0), "", shadow, std::to_string(windows[i]) + "s");
    }
    int64_t now = kStart + pick(random, 0, 1'000'000'000);
    for (int burst = 0; burst < bursts; ++burst) {
      pair.set_time(now);
      std::vector<size_t> pieces;
      for (int64_t n = pick(random, 0, 4); n > 0; --n)
        pieces.push_back(static_cast<size_t>(pick(random, 1, 20)));
      if (const auto wrong = pair.burst(random_burst(random), pieces); !wrong.empty()) {
        ADD_FAILURE() << "round " << round << " burst " << burst << ": " << wrong;
        return;
      }
      now += pick(random, 0, 2) ? pick(random, 0, 3'000'000) : pick(random, 0, 90'000'000);
      if (pick(random, 0, 15) == 0) now -= pick(random, 0, 5'000'000);
      if (pick(random, 0, 40) == 0) now -= 3'600 * kSecond;
      if (pick(random, 0, 5) == 0) {
        const auto at = static_cast<size_t>(pick(random, 0, 11));
        pair.change(at, random_rates(random, at, windows[at]));
      }
    }
  }
}

class ValkeySlots : public OnEveryServer {};

TEST_P(ValkeySlots, RandomBurstsAreAnsweredAsIfOneAfterAnother) {
  Server server(GetParam());
  random_bursts(server, 40, 40, "");
}

TEST_P(ValkeySlots, RandomBurstsReadSixtyFourBytesAtATimeAreAnsweredAlike) {
  Server server(GetParam());
  random_bursts(server, 8, 20, "&read_bytes=64");
}

TIDEGATE_ON_EVERY_SERVER(ValkeySlots);

}  // namespace
}  // namespace tidegate::test
