// SPDX-License-Identifier: MIT
#include "client/policy_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "policy/policy.h"

namespace tidegate {
namespace {

Error unreadable(const std::string& path, std::string_view why) {
  return {Code::kPolicy, path + ": " + std::string(why)};
}

std::string system_text(int error) { return std::generic_category().message(error); }

}  // namespace

PolicyFile::Seen PolicyFile::see(const struct stat& found) {
  return {.device = found.st_dev,
          .inode = found.st_ino,
          .size = found.st_size,
          .seconds = found.st_mtim.tv_sec,
          .nanoseconds = found.st_mtim.tv_nsec};
}

PolicyFile::Seen PolicyFile::look() const {
  struct stat found{};
  return stat(path.c_str(), &found) == 0 ? see(found) : Seen{};
}

bool PolicyFile::changed() const { return look() != seen_; }

Result<std::string> PolicyFile::read() {
  seen_ = look();
  const int file =
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe does not hold us
  if (file < 0) return unreadable(path, system_text(errno));
  struct Closes {
    int file;
    ~Closes() { close(file); }
  } const closes{file};
  struct stat found{};
  if (fstat(file, &found) != 0) return unreadable(path, system_text(errno));
  if (!S_ISREG(found.st_mode)) return unreadable(path, "expected a file, and this is none");
  seen_ = see(found);
  std::string text;
  char piece[65'536];
  while (text.size() <= kMaxPolicyBytes) {
    const ssize_t size = ::read(file, piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return unreadable(path, system_text(errno));
    if (size == 0) return text;
    text.append(piece, static_cast<size_t>(size));
  }
  return unreadable(path, "expected at most " + std::to_string(kMaxPolicyBytes) + " bytes");
}

}  // namespace tidegate
