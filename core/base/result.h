// SPDX-License-Identifier: MIT
// Errors are values: Result<T> is a T or an Error. Nothing in the core throws.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace tidegate {

// The codes of tidegate.h, by their meaning; the C seam passes them through unchanged.
enum class Code : int32_t {
  kOk = 0,
  kInvalid = -1,
  kSize = -2,
  kRate = -3,
  kOption = -4,
  kUrl = -5,
  kKey = -6,
  kCost = -7,
  kHandle = -8,
  kName = -9,
  kConflict = -10,
  kClosed = -11,
  kFork = -12,
  kCanceled = -13,
  kFull = -14,
  kNoMemory = -15,
  kInternal = -16,
  kId = -17,
  kPolicy = -18,
  kAttribute = -19,
  kStore = -32,
  kTimedOut = -33,
  kConnect = -34,
  kAuth = -35,
  kTls = -36,
  kProtocol = -37,
  kCluster = -38,
  kOom = -39,
  kReadOnly = -40,
  kLoading = -41,
  kBusy = -42,
  kNoPerm = -43,
  kWrongType = -44,
};

// What went wrong, in one line for a person: the value, where, and what was expected.
struct Error {
  Code code = Code::kInternal;
  std::string message;
  int32_t position = -1;  // byte offset in the text that was parsed, or -1
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  const Error& error() const { return error_; }

 private:
  std::optional<T> value_;
  Error error_;
};

struct Nothing {};
using Status = Result<Nothing>;

}  // namespace tidegate
