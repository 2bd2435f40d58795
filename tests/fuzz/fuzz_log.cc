// SPDX-License-Identifier: MIT
// The access log's parser on any bytes: what it accepts lies inside the line, is in range, and is
// what the line says.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "access_log.h"

namespace {

void expect(bool is_true) {
  if (!is_true) std::abort();
}

std::string_view view(log_slice slice) { return {slice.data, slice.size}; }

void expect_inside(std::string_view line, log_slice slice) {
  expect(slice.data >= line.data());
  expect(slice.data + slice.size <= line.data() + line.size());
}

void expect_sound(std::string_view line, const access_record& record) {
  for (log_slice slice : {record.address, record.user, record.method, record.target, record.path}) {
    expect_inside(line, slice);
  }
  expect(record.address.size > 0);
  for (char c : view(record.address)) expect(c > ' ' && c < 0x7f);
  expect(view(record.target).starts_with(view(record.path)));
  expect(view(record.path).find('?') == std::string_view::npos);
  expect(record.time_us >= 0 && record.time_us % 1'000'000 == 0);
  expect(record.status >= 0 && record.status <= 999 && record.bytes >= -1);
}

// The same line with another ending says the same.
void expect_same(const access_record& record, std::string line) {
  access_record again;
  expect(access_log_parse(line.data(), line.size(), &again) == 1);
  expect(view(again.address) == view(record.address) && view(again.user) == view(record.user));
  expect(view(again.target) == view(record.target) && again.time_us == record.time_us);
  expect(again.status == record.status && again.bytes == record.bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  access_record record;
  if (!access_log_parse(line.data(), line.size(), &record)) return 0;
  expect_sound(line, record);
  std::string_view text = line;
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  expect_same(record, std::string(text) + "\n");
  expect_same(record, std::string(text) + "\r\n");
  return 0;
}
