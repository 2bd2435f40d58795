// SPDX-License-Identifier: MIT
// Whatever lies under our key in a store: an entry that is written again as it was, or none.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "cache/entry.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto view = tidegate::read_entry(bytes);
  if (!view) return 0;
  std::vector<std::string_view> tags;
  view->each_tag([&](std::string_view tag) { tags.push_back(tag); });
  require(tags.size() == view->tag_count && tags.size() <= tidegate::kMaxTags);
  const tidegate::SharedBytes again =
      tidegate::make_entry({view->kind, view->digest, tags, view->meta, view->value});
  require(again.size == size);
  std::vector<char> whole(again.data.get(), again.data.get() + again.size);
  tidegate::put_times(whole.data(), view->times);
  require(std::memcmp(whole.data(), data, size) == 0);
  return 0;
}
