// SPDX-License-Identifier: MIT
#include "store/valkey/cache_exchange.h"

#include <hiredis/hiredis.h>

#include <array>
#include <charconv>
#include <cstring>

#include "cache/key.h"
#include "store/valkey/errors.h"
#include "store/valkey/script.h"

namespace tidegate {
namespace {

// With a clock set by hand, expiry is long and fixed.
constexpr int64_t kManualPxMs = 7LL * 24 * 3'600 * 1'000;
// A purge is remembered for so long beyond what the longest entry lives: fills that were under way.
constexpr int64_t kPurgeKeptUs = 3'600'000'000;
constexpr size_t kReplyHead = 8'192;  // what an entry's head and the words before it have at most

void put_bulk(std::string& out, std::string_view bytes) {
  out.append("$").append(std::to_string(bytes.size())).append("\r\n").append(bytes).append("\r\n");
}

size_t elements_of(Op op) { return op == Op::kCacheGet ? 3 : 1; }

char letter_of(Op op) {
  switch (op) {
    case Op::kCacheGet:
      return 'g';
    case Op::kCachePut:
      return 'p';
    case Op::kCacheRelease:
      return 'r';
    case Op::kCacheRenew:
      return 'n';
    case Op::kCacheDelete:
      return 'd';
    case Op::kCachePurge:
      return 'u';
    case Op::kCacheClear:
      return 'c';
    case Op::kConsume:
    case Op::kPeek:
    case Op::kRefund:
    case Op::kReset:
    case Op::kPing:
    case Op::kDebit:
    case Op::kCheck:
    case Op::kCommand:
      break;
  }
  return '?';
}

Error nonsense(const char* what) {
  return {Code::kProtocol, std::string("the store's answer about a cache makes no sense: ") + what};
}

CacheStatus status_of(char letter) {
  switch (letter) {
    case 'h':
      return CacheStatus::kHit;
    case 's':
      return CacheStatus::kStale;
    case 'r':
      return CacheStatus::kRescued;
    case 'w':
      return CacheStatus::kWait;
    case 'm':
      return CacheStatus::kMiss;
  }
  return CacheStatus::kNone;
}

CacheDone done_of(char letter) {
  switch (letter) {
    case 's':
      return CacheDone::kStored;
    case 'l':
      return CacheDone::kLate;
    case 'x':
      return CacheDone::kRefused;
    case 'd':
    case 'f':
      return CacheDone::kDone;
    case 'n':
      return CacheDone::kNot;
  }
  return CacheDone::kNone;
}

// "x 1 2 3" into its letter and as many numbers as are wanted. False: that is not what it is.
template <size_t N>
bool read_words(std::string_view text, char& letter, std::array<int64_t, N>& numbers) {
  if (text.empty()) return false;
  letter = text[0];
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size();
  for (int64_t& number : numbers) {
    if (at == end || *at != ' ') return false;
    const auto read = std::from_chars(at + 1, end, number);
    if (read.ec != std::errc() || number < 0) return false;
    at = read.ptr;
  }
  return at == end;
}

// Head and body as the one block that an entry is.
SharedBytes joined(std::string_view head, std::string_view body) {
  auto bytes = std::make_shared_for_overwrite<char[]>(head.size() + body.size());
  std::memcpy(bytes.get(), head.data(), head.size());
  if (!body.empty()) std::memcpy(bytes.get() + head.size(), body.data(), body.size());
  return {std::move(bytes), head.size() + body.size()};
}

}  // namespace

void CacheExchange::put_word(std::string_view word) {
  put_bulk(words_, word);
  ++word_count_;
}

void CacheExchange::put_number(int64_t number) { put_word(std::to_string(number)); }

bool CacheExchange::add(Call& call) {
  const size_t size = call.cache->entry.size;
  if (calls_.size() == kMostCalls || (!calls_.empty() && words_.size() + size > kMostBytes))
    return false;
  calls_.reserve(calls_.size() + 1);  // no memory is an error before anything has changed
  ops_.reserve(ops_.size() + 1);
  const size_t keys = keys_.size(), words = words_.size(), count = word_count_;
  try {
    put_operation(call);
  } catch (...) {
    keys_.resize(keys);
    words_.resize(words);
    word_count_ = count;
    throw;
  }
  call.place = static_cast<uint32_t>(calls_.size());
  calls_.push_back(&call);
  ops_.push_back(call.op);
  return true;
}

void CacheExchange::put_operation(const Call& call) {
  const CacheAsk& ask = *call.cache;
  const CacheConfig& config = *ask.cache->config;
  const std::string& space = store_.options.name_space;
  const std::string prefix = space + ":1:c:" + config.name + ":";
  const char letter = letter_of(call.op);
  const bool of_tag = call.op == Op::kCachePurge;
  if (of_tag || call.op == Op::kCacheClear)
    put_bulk(keys_, prefix + (of_tag ? "t:" + ask.tag : "clear"));
  else
    put_bulk(keys_, entry_name(space, config.name, ask.digest));
  put_word({&letter, 1});
  put_word(prefix);
  if (of_tag || call.op == Op::kCacheClear)
    return put_number(config.numbers.life.whole_us() +
                      std::max(config.numbers.tomb_us(), kPurgeKeptUs));
  put_word({reinterpret_cast<const char*>(ask.digest.data()), ask.digest.size()});
  put_number(config.numbers.lease_us);
  if (call.op == Op::kCacheDelete) return;
  const bool names_holder = call.op != Op::kCacheGet || ask.fills;
  put_word(names_holder && ask.lease.token ? std::to_string(ask.lease.token) : "");
  if (call.op == Op::kCachePut) return put_entry(ask);
  put_number(config.numbers.retry_us);
  if (call.op != Op::kCacheGet) put_word(ask.failed ? "1" : "");
}

void CacheExchange::put_entry(const CacheAsk& ask) {
  put_number(ask.lease.born);
  for (const int64_t us : {ask.life.ttl_us, ask.life.stale_us, ask.life.error_us}) put_number(us);
  put_number(ask.cache->config->numbers.life.whole_us());
  const std::string_view bytes = ask.entry.view();
  const auto view = read_entry(bytes);
  const size_t head = kEntryFixedBytes + (view ? view->tags.size() : 0);
  put_word(bytes.substr(0, head));
  put_word(bytes.substr(head));
}

std::string_view CacheExchange::command(bool as_source) {
  const bool manual = store_.clock.manual();
  command_.clear();
  command_.reserve(keys_.size() + words_.size() + 256 +
                   (as_source ? cache_script_source().size() : 0));
  command_.append("*").append(std::to_string(5 + calls_.size() + word_count_)).append("\r\n");
  put_bulk(command_, as_source ? "EVAL" : "EVALSHA");
  put_bulk(command_, as_source ? cache_script_source() : cache_script_digest());
  put_bulk(command_, std::to_string(calls_.size()));
  command_.append(keys_);
  put_bulk(command_, std::to_string(manual ? store_.clock.now_us() : 0));
  put_bulk(command_, std::to_string(manual ? kManualPxMs : 0));
  return command_.append(words_);
}

size_t CacheExchange::most_reply_bytes() const {
  size_t most = 0;
  for (const Op op : ops_)
    most += kReplyHead + (op == Op::kCacheGet ? static_cast<size_t>(kMaxEntryBytes) : 0);
  return most;
}

void CacheExchange::clear() {
  calls_.clear();
  ops_.clear();
  // A large body's room is not kept.
  for (std::string* text : {&keys_, &words_, &command_}) {
    text->clear();
    if (text->capacity() > 2 * kMostBytes) text->shrink_to_fit();
  }
  word_count_ = 0;
}

Status CacheExchange::read_look_up(const redisReply* const* elements, CacheAsk& ask) {
  CacheAnswer& answer = ask.answer;
  char letter = 0;
  std::array<int64_t, 5> numbers{};  // lease born, age, fresh, born, wait
  if (elements[0]->type != REDIS_REPLY_STRING ||
      !read_words(text_of(elements[0]), letter, numbers) || status_of(letter) == CacheStatus::kNone)
    return nonsense("a look-up's words");
  answer = {.status = status_of(letter), .source = Source::kStore};
  if (numbers[0] != 0) answer.granted = {ask.lease.token, numbers[0]};
  answer.age_us = numbers[1];
  answer.fresh_us = numbers[2];
  answer.born_us = numbers[3];
  answer.wait_us = numbers[4];
  const bool needs_value =
      answer.status != CacheStatus::kMiss && answer.status != CacheStatus::kWait;
  if (elements[1]->type == REDIS_REPLY_STRING && elements[2]->type == REDIS_REPLY_STRING) {
    SharedBytes bytes = joined(text_of(elements[1]), text_of(elements[2]));
    if (const auto view = read_entry(bytes.view()); view && view->digest == ask.digest)
      answer.entry = std::move(bytes);
  }
  // What lies there is no entry of ours, or of a version to come: as if nothing did.
  if (needs_value && !answer.entry) {
    const LeaseId granted = answer.granted;
    answer = {.status = CacheStatus::kMiss, .source = Source::kStore, .granted = granted};
  }
  return Nothing{};
}

Status CacheExchange::hear(const redisReply& reply, CallList&) {
  size_t expected = 0;
  for (const Op op : ops_) expected += elements_of(op);
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != expected)
    return nonsense("another count of elements");
  const redisReply* const* element = reply.element;
  for (size_t i = 0; i < ops_.size(); element += elements_of(ops_[i++])) {
    if (!calls_[i]) continue;
    CacheAsk& ask = *calls_[i]->cache;
    if (ops_[i] == Op::kCacheGet) {
      if (auto status = read_look_up(element, ask); !status) return status;
      continue;
    }
    char letter = 0;
    std::array<int64_t, 1> born{};
    std::array<int64_t, 0> none{};
    const std::string_view text = text_of(element[0]);
    const bool good =
        ops_[i] == Op::kCachePut ? read_words(text, letter, born) : read_words(text, letter, none);
    if (!good || done_of(letter) == CacheDone::kNone) return nonsense("an operation's words");
    ask.answer = {.done = done_of(letter), .source = Source::kStore};
    ask.answer.born_us = born[0];
    ask.answer.retries = letter == 'f';
  }
  return Nothing{};
}

}  // namespace tidegate
