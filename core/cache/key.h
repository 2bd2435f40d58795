// SPDX-License-Identifier: MIT
// Keys of a cache: the bytes by which every language names the same entry.
//
//   part       its length in 4 bytes, big-endian, then its bytes; FF FF FF FF: an absent one
//   preimage   01 · part(cache) · part(scope) · key parts
//   key parts  of a request: part("request") · method · route · provider · model · headers · body
//              kind · left out · body; of a call: part("call") · a part for each argument
//   digest     SHA-256 of the preimage. All of it is the entry's identity, the first half its name
//              in the store.
//
// A part that holds several things is made of parts in turn, so a preimage can be read back in one
// way only.
//
// Any thread; pure. Errors are kKey, and say what has no key.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/digest.h"

namespace tidegate {

// The key parts of a call, from its arguments in a flat form: one after another, each a letter and
// what follows it. Sizes and counts are 4 bytes, numbers 8, least byte first.
//
//   z none · t true · f false        i integer of 64 bits       l count, then so many values
//   d double                         n size, decimal digits     m count, then so many pairs: a text
//   s size, UTF-8 · x size, bytes       (a "-" before them)       (s), a value
//
// A number is its exact value, whatever form it has: 1, 1.0 and "1" of n are one.
Result<std::string> call_key(std::string_view values);

struct RequestField {
  std::string_view name;
  std::optional<std::string_view> value;  // nothing: chosen, and the request does not have it
};
struct KeyRequest {
  std::string_view method;  // a token; its case does not count
  std::optional<std::string_view> route, provider, model;
  std::vector<RequestField> fields;  // the chosen ones; several of one name count as one, joined
  std::string_view body;             // empty: none
  std::vector<std::string_view> leave_out = default_leave_out();
  bool as_json = true;  // false: the media type says that the body is none

  static std::vector<std::string_view> default_leave_out() {
    return {"stream_options", "user", "metadata"};
  }
};
Result<std::string> request_key(const KeyRequest& request);

bool is_cache_name(std::string_view name);  // 1 to 64 of A-Z a-z 0-9 _ . -

// What an entry is. A scope is a partition that is never matched across; no scope and an empty one
// are two. kName, kKey; kNoMemory.
Result<Sha256> entry_digest(std::string_view cache, std::optional<std::string_view> scope,
                            std::string_view key_parts);

// Its name in the store. 1 is the version of its format; the digest is the hash tag.
std::string entry_name(std::string_view name_space, std::string_view cache, const Sha256& digest);

}  // namespace tidegate
