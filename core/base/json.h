// SPDX-License-Identifier: MIT
// JSON, written. What has several members is put together by who knows them; this says how a text
// is quoted, and where commas go. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate {

// The code point at `at`, and how many bytes it takes; a byte that is no UTF-8 stands for U+FFFD.
std::pair<uint32_t, size_t> decode_utf8(std::string_view text, size_t at);

// As Python's json.dumps writes it: ASCII only, surrogate pairs above U+FFFF.
void append_json(std::string& out, std::string_view text);

// Members and elements one behind the other, with the commas between them.
//
//   JsonWriter json(out);
//   json.open('{').member("name", "api").key("rates").open('[').value(1).close(']').close('}');
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& key(std::string_view name);
  JsonWriter& value(int64_t number);
  JsonWriter& value(std::string_view text);
  JsonWriter& truth(bool yes);
  template <class T>
  JsonWriter& member(std::string_view name, const T& what) {
    return key(name).value(what);
  }
  JsonWriter& member(std::string_view name, bool yes) { return key(name).truth(yes); }

 private:
  void separate();

  std::string& out_;
};

}  // namespace tidegate
