// SPDX-License-Identifier: MIT
#include "cache/entry.h"

#include <bit>
#include <cstring>

namespace tidegate {
namespace {

constexpr char kVersion = 1;
constexpr size_t kDigestAt = 4, kSizesAt = 68;
static_assert(std::endian::native == std::endian::little, "numbers are copied as they stand");

template <class T>
T number_at(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Times that an engine of ours would have written.
bool plausible(const EntryTimes& times) {
  constexpr int64_t kMost = int64_t{1} << 53;
  return times.born >= 0 && times.fresh_until >= times.born &&
         times.stale_until >= times.fresh_until && times.gone_at >= times.stale_until &&
         times.gone_at <= kMost;
}

}  // namespace

SharedBytes make_entry(const EntryParts& parts) {
  size_t tags_size = 0;
  for (const std::string_view tag : parts.tags) tags_size += 1 + tag.size();
  const size_t size = kEntryFixedBytes + tags_size + parts.meta.size() + parts.value.size();
  auto bytes = std::make_shared_for_overwrite<char[]>(size);
  std::memset(bytes.get(), 0, kEntryFixedBytes);
  bytes[0] = kVersion;
  bytes[1] = static_cast<char>(parts.kind);
  bytes[2] = static_cast<char>(parts.tags.size());
  std::memcpy(bytes.get() + kDigestAt, parts.digest.data(), parts.digest.size());
  const uint32_t sizes[2] = {static_cast<uint32_t>(parts.meta.size()),
                             static_cast<uint32_t>(parts.value.size())};
  std::memcpy(bytes.get() + kSizesAt, sizes, sizeof sizes);
  char* at = bytes.get() + kEntryFixedBytes;
  const auto append = [&](std::string_view text) {
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at += text.size();
  };
  for (const std::string_view tag : parts.tags) {
    *at++ = static_cast<char>(tag.size());
    append(tag);
  }
  append(parts.meta);
  append(parts.value);
  return {std::move(bytes), size};
}

void put_times(char* entry, const EntryTimes& times) {
  const int64_t all[4] = {times.born, times.fresh_until, times.stale_until, times.gone_at};
  std::memcpy(entry + kEntryTimesAt, all, sizeof all);
}

std::optional<EntryView> read_entry(std::string_view bytes) {
  if (bytes.size() < kEntryFixedBytes || bytes[0] != kVersion || bytes[3] != 0) return std::nullopt;
  EntryView view;
  view.kind = static_cast<uint8_t>(bytes[1]);
  view.tag_count = static_cast<uint8_t>(bytes[2]);
  std::memcpy(view.digest.data(), bytes.data() + kDigestAt, view.digest.size());
  view.times = {number_at<int64_t>(bytes, kEntryTimesAt), number_at<int64_t>(bytes, 44),
                number_at<int64_t>(bytes, 52), number_at<int64_t>(bytes, 60)};
  const size_t meta = number_at<uint32_t>(bytes, kSizesAt);
  const size_t value = number_at<uint32_t>(bytes, kSizesAt + 4);
  if (view.tag_count > kMaxTags || meta > kMaxMetaBytes ||
      value > static_cast<size_t>(kMaxEntryBytes) || !plausible(view.times))
    return std::nullopt;
  size_t at = kEntryFixedBytes;
  for (uint8_t i = 0; i < view.tag_count; ++i) {
    if (at == bytes.size()) return std::nullopt;
    at += 1 + static_cast<unsigned char>(bytes[at]);
    if (at > bytes.size()) return std::nullopt;
  }
  view.tags = bytes.substr(kEntryFixedBytes, at - kEntryFixedBytes);
  if (bytes.size() - at != meta + value) return std::nullopt;
  view.meta = bytes.substr(at, meta);
  view.value = bytes.substr(at + meta, value);
  return view;
}

}  // namespace tidegate
