// SPDX-License-Identifier: MIT
#include "store/valkey/errors.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <utility>

#include "base/text.h"

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

std::string_view text_of(const redisReply* reply) {
  return reply->str ? std::string_view(reply->str, reply->len) : std::string_view();
}

std::string said(std::string_view error) {
  constexpr size_t kMost = 200;
  error = error.substr(0, error.find(", with args"));
  // Of a state's name the caller's key is in braces.
  const size_t open = error.find('{'), close = error.rfind('}');
  std::string text(error.substr(0, open));
  if (open != error.npos) {
    text.append("{...}");
    if (close != error.npos && close > open) text.append(error.substr(close + 1));
  }
  text.resize(std::min(text.size(), kMost));
  std::string shown;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80) {
      shown.append(printable({&c, 1}));
    } else {
      shown.append("\\x");
      append_hex(shown, reinterpret_cast<const unsigned char*>(&c), 1);
    }
  }
  return shown;
}

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

bool is_demotion(Code code) { return code == Code::kReadOnly || code == Code::kLoading; }

bool needs_another_connection(std::string_view error, Code code) {
  return code == Code::kReadOnly || code == Code::kAuth ||
         error.find("MASTERDOWN") != std::string_view::npos;
}

Code refusal_of(Code last) {
  switch (last) {
    case Code::kAuth:
    case Code::kTls:
    case Code::kProtocol:
    case Code::kCluster:
    case Code::kReadOnly:
    case Code::kLoading:
      return last;
    default:
      return Code::kConnect;
  }
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
