// SPDX-License-Identifier: MIT
// The same program, compiled as C++: the header serves both. It has templates that the library has,
// too: an archive's stay its own.
#include "program.c"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

int words(const char* text) {
  std::unordered_map<std::string, std::vector<std::string>> lists;
  std::map<std::string, std::string> names;
  for (const char* at = text; *at; ++at) {
    std::string word(at);
    word.resize(word.size() + 1);
    word.append(word).insert(0, "a");
    lists[word].push_back(word);
    names[word] += word;
  }
  return static_cast<int>(lists.size() + names.size());
}
