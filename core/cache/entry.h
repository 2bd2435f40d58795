// SPDX-License-Identifier: MIT
// An entry's bytes: one block that the table, the store and whoever reads a value share.
//
//   0  version 1 · kind · count of tags · 0        36  born, fresh until, stale until, gone at:
//   4  digest, 32 bytes                                8 bytes each, least first
//   68 size of the metadata, of the value: 4 each  76  tags, each a byte of length and its bytes
//      then the metadata, then the value, and nothing behind it
//
// The times are the store's to fill in: who makes an entry does not know them yet.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "cache/decide.h"
#include "http/digest.h"

namespace tidegate {

inline constexpr size_t kMaxTags = 16, kMaxTagBytes = 255, kMaxMetaBytes = 4'096;
inline constexpr int64_t kMaxEntryBytes = 64 << 20;

// Bytes that several owners share, in one allocation. Any thread: they do not change once shared.
struct SharedBytes {
  std::shared_ptr<const char[]> data;
  size_t size = 0;

  std::string_view view() const { return {data.get(), size}; }
  explicit operator bool() const { return data != nullptr; }
};

struct EntryView {
  uint8_t kind = 0;
  Sha256 digest{};
  EntryTimes times;
  uint8_t tag_count = 0;
  std::string_view tags;  // encoded
  std::string_view meta, value;

  // f(tag) for each.
  template <class F>
  void each_tag(F&& f) const {
    for (size_t at = 0; at < tags.size();) {
      const auto size = static_cast<unsigned char>(tags[at]);
      f(tags.substr(at + 1, size));
      at += size + size_t{1};
    }
  }
};

struct EntryParts {
  uint8_t kind = 0;
  Sha256 digest{};
  std::span<const std::string_view> tags;
  std::string_view meta, value;
};

inline constexpr size_t kEntryTimesAt = 36, kEntryFixedBytes = 76;

// The bytes, times 0. The parts are within the bounds above. Allocates once.
SharedBytes make_entry(const EntryParts& parts);
void put_times(char* entry, const EntryTimes& times);

// Whatever the bytes are: what they say, or nothing where they are no entry of ours (cut short, of
// another version, too long). The view points into them.
std::optional<EntryView> read_entry(std::string_view bytes);

}  // namespace tidegate
