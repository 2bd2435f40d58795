// SPDX-License-Identifier: MIT
// A suite whose tests run once for every server there is:
//
//   class Faults : public OnEveryServer {};
//   TEST_P(Faults, SomethingHolds) { Server server(GetParam()); ... }
//   TIDEGATE_ON_EVERY_SERVER(Faults);
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "support/server.h"

namespace tidegate::test {

class OnEveryServer : public testing::TestWithParam<ServerKind> {};

inline std::string word_of(const testing::TestParamInfo<ServerKind>& info) {
  std::string word = info.param.name;
  std::ranges::replace_if(word, [](unsigned char c) { return !std::isalnum(c); }, '_');
  return word;
}

inline void PrintTo(const ServerKind& kind, std::ostream* out) { *out << kind.name; }

#define TIDEGATE_ON_EVERY_SERVER(Suite) \
  INSTANTIATE_TEST_SUITE_P(Each, Suite, testing::ValuesIn(server_kinds()), word_of)

}  // namespace tidegate::test
