// SPDX-License-Identifier: MIT
#include "client/live.h"

#include <unistd.h>

#include <charconv>
#include <initializer_list>
#include <utility>

#include "client/client.h"
#include "policy/texts.h"
#include "store/valkey/script.h"

namespace tidegate {
namespace {

std::string command_of(std::initializer_list<std::string_view> words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words)
    out.append("$").append(std::to_string(word.size())).append("\r\n").append(word).append("\r\n");
  return out;
}

std::string from_here() {
  char host[256] = {};
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return std::string(host) + ":" + std::to_string(getpid());
}

uint64_t number_of(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "57\n{...}"
Live::Document parse(std::string_view text) {
  const size_t end = std::min(text.find('\n'), text.size());
  return {number_of(text.substr(0, end)), std::string(text.substr(std::min(end + 1, text.size())))};
}

constexpr std::string_view kUnseen = "?";  // no version: it is told what is there

}  // namespace

Live::Document Live::document() const {
  const MutexGuard held(mutex_);
  return document_;
}

std::string Live::key() const { return client_.options().name_space + ":1:{policy}"; }

// One command to the store, and its answer.
Result<std::string> Live::command(std::string text) {
  Call call;
  call.op = Op::kCommand;
  call.key_bytes = std::move(text);
  Call* const calls[] = {&call};
  client_.run(calls);
  if (call.status != Code::kOk) return Error{call.status, call.text};
  return std::move(call.key_bytes);
}

Result<Live::Document> Live::ask_to_write(const Document& seen, std::string_view text,
                                          std::string_view what, std::string_view who,
                                          bool& written) {
  const std::string key = this->key(), audit = key + ":audit", from = from_here();
  const std::string version = seen.version ? std::to_string(seen.version) : "0";
  const std::string kept = std::to_string(kKeptChanges);
  auto answer = command(command_of({"EVAL", policy_script(), "2", key, audit,
                                    what == kUnseen ? kUnseen : std::string_view(version), text,
                                    who, from, what, kept}));
  if (!answer) return answer.error();
  if (answer->empty())
    return Error{Code::kProtocol, "the store's answer about the policy is empty"};
  written = answer->front() == '1';
  Document there = parse(std::string_view(*answer).substr(1));
  if (written) there.text = text;
  return there;
}

Result<Live::Document> Live::edit(uint64_t guard, How how, std::string_view patch,
                                  std::string_view who) {
  if (client_.store()) follow();
  const MutexGuard one_by_one(editing_);
  Document seen = document();
  for (int tries = 0; tries < kTries; ++tries) {
    auto next = client_.guards().edited(guard, how == How::kMerge ? seen.text : "", patch);
    if (!next) return next.error();
    Document now{seen.version + 1, *next};
    bool written = true;
    if (client_.store()) {
      auto there = ask_to_write(seen, *next, patch, who, written);
      if (!there) return there.error();
      now = std::move(*there);
    }
    take_over(now);
    if (written) return now;
    seen = std::move(now);
  }
  return Error{Code::kFull, "the live policy is being changed by others all the time: try again"};
}

void Live::take_over(Document document) {
  client_.guards().set_live(document.text);
  const MutexGuard held(mutex_);
  document_ = std::move(document);
}

void Live::look(bool& refused) {
  client_.guards().look_at_files();
  if (!client_.store()) return;
  const MutexGuard one_by_one(editing_);
  auto version = command(command_of({"HGET", key(), "version"}));
  if (version && number_of(*version) != document().version) {
    bool written = false;
    auto there = ask_to_write({}, "", kUnseen, "", written);
    if (there) take_over(std::move(*there));
    if (!there) version = there.error();
  }
  const bool before = std::exchange(refused, !version && version.error().code == Code::kNoPerm);
  if (refused && !before)
    client_.events().report(Level::kWarning, Code::kNoPerm,
                            "the live policy cannot be read: " + version.error().message);
}

void Live::follow() {
  const MutexGuard held(mutex_);
  if (following_ || stopping_) return;
  following_ = true;
  thread_ = std::thread([this] { run(); });
}

void Live::run() {
  bool refused = false;
  int64_t asked_us = -kRefusedUs;
  while (true) {
    const int64_t now_us = client_.timeline().now_us();
    if (refused && now_us - asked_us < kRefusedUs) {
      client_.guards().look_at_files();
    } else {
      asked_us = now_us;
      look(refused);
    }
    MutexGuard held(mutex_);
    if (!stopping_) turn_.wait_for(held, kLookUs);
    if (stopping_) return;
  }
}

void Live::stop() {
  std::thread thread;
  {
    const MutexGuard held(mutex_);
    stopping_ = true;
    thread.swap(thread_);
    turn_.notify_one();
  }
  if (thread.joinable()) thread.join();
}

}  // namespace tidegate
