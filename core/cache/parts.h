// SPDX-License-Identifier: MIT
// Length-prefixed parts, of which keys are made: 4 bytes of length, big-endian, then the bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

inline constexpr size_t kAbsentPart = 0xffffffff;  // a length that no part has

inline void put_part_size(char* out, size_t size) {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(size >> (24 - 8 * i));
}

inline void append_part(std::string& out, std::optional<std::string_view> bytes) {
  char size[4];
  put_part_size(size, bytes ? bytes->size() : kAbsentPart);
  out.append(size, sizeof size);
  if (bytes) out.append(*bytes);
}

// What is appended while it lives is one part.
class PartScope {
 public:
  explicit PartScope(std::string& out) : out_(out), start_(out.size()) { out.append(4, '\0'); }
  ~PartScope() { put_part_size(out_.data() + start_, out_.size() - start_ - 4); }
  PartScope(const PartScope&) = delete;
  PartScope& operator=(const PartScope&) = delete;

 private:
  std::string& out_;
  const size_t start_;
};

}  // namespace tidegate
