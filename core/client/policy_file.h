// SPDX-License-Identifier: MIT
// A file with a policy, and whether it is another one than when it was read.
#pragma once

#include <sys/stat.h>

#include <string>

#include "base/result.h"

namespace tidegate {

// One thread at a time.
struct PolicyFile {
  std::string path;

  // kPolicy: it is not there, no regular file, too large, or cannot be read. What was seen of it
  // counts as read either way: a fault is found once.
  Result<std::string> read();
  bool changed() const;

 private:
  // Its identity, size and time to the nanosecond; all 0 where it is not there.
  struct Seen {
    uint64_t device = 0, inode = 0;
    int64_t size = 0, seconds = 0, nanoseconds = 0;
    bool operator==(const Seen&) const = default;
  };
  static Seen see(const struct stat& found);
  Seen look() const;

  Seen seen_;
};

}  // namespace tidegate
