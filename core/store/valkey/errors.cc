// SPDX-License-Identifier: MIT
#include "store/valkey/errors.h"

#include <algorithm>
#include <utility>

namespace tidegate {
namespace {

constexpr std::pair<std::string_view, Code> kWords[] = {
    {"OOM", Code::kOom},
    {"READONLY", Code::kReadOnly},
    {"LOADING", Code::kLoading},
    {"MASTERDOWN", Code::kLoading},
    {"BUSY", Code::kBusy},
    {"NOPERM", Code::kNoPerm},
    {"WRONGTYPE", Code::kWrongType},
    {"NOAUTH", Code::kAuth},
    {"WRONGPASS", Code::kAuth},
    {"MOVED", Code::kCluster},
    {"ASK", Code::kCluster},
    {"CROSSSLOT", Code::kCluster},
    {"CLUSTERDOWN", Code::kCluster},
    {"TRYAGAIN", Code::kCluster},
};

std::string_view first_word(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return text.substr(0, text.find(' '));
}

}  // namespace

bool is_noscript(std::string_view reply) { return first_word(reply) == "NOSCRIPT"; }

Code code_of_error(std::string_view reply) {
  const std::string_view word = first_word(reply);
  for (const auto& [known, code] : kWords)
    if (word == known) return code;
  // What a command inside the program was refused for.
  if (reply.find("user executing the script") != std::string_view::npos ||
      reply.find("ACL failure in script") != std::string_view::npos)
    return Code::kNoPerm;
  if (reply.find("invalid password") != std::string_view::npos ||
      reply.find("without any password configured") != std::string_view::npos)
    return Code::kAuth;
  for (const auto& [known, code] : kWords)
    if (reply.find("-" + std::string(known) + " ") != std::string_view::npos) return code;
  return Code::kStore;
}

Counter counter_of(Code code) {
  switch (code) {
    case Code::kTimedOut:
      return Counter::kTimeouts;
    case Code::kConnect:
      return Counter::kConnectErrors;
    case Code::kAuth:
      return Counter::kAuthErrors;
    case Code::kTls:
      return Counter::kTlsErrors;
    case Code::kProtocol:
      return Counter::kProtocolErrors;
    case Code::kCluster:
      return Counter::kClusterErrors;
    case Code::kOom:
      return Counter::kOomErrors;
    case Code::kReadOnly:
      return Counter::kReadOnlyErrors;
    case Code::kLoading:
      return Counter::kLoadingErrors;
    case Code::kBusy:
      return Counter::kBusyErrors;
    case Code::kNoPerm:
      return Counter::kNoPermErrors;
    case Code::kWrongType:
      return Counter::kWrongTypeErrors;
    default:
      return Counter::kOtherErrors;
  }
}

}  // namespace tidegate
