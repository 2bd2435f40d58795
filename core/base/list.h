// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace tidegate {

// First in, first out, without a node of its own: T has `next` and `previous`, and is in one list
// at a time. One thread at a time.
template <class T>
class List {
 public:
  bool empty() const { return !head_; }
  T* front() const { return head_; }
  size_t size() const { return size_; }

  void push_back(T* item) {
    item->next = nullptr;
    item->previous = tail_;
    (tail_ ? tail_->next : head_) = item;
    tail_ = item;
    ++size_;
  }

  void remove(T* item) {
    (item->previous ? item->previous->next : head_) = item->next;
    (item->next ? item->next->previous : tail_) = item->previous;
    item->next = item->previous = nullptr;
    --size_;
  }

  T* pop_front() {
    T* item = head_;
    if (item) remove(item);
    return item;
  }

  // Moves all of `other` behind what is here.
  void splice(List& other) {
    if (other.empty()) return;
    other.head_->previous = tail_;
    (tail_ ? tail_->next : head_) = other.head_;
    tail_ = other.tail_;
    size_ += other.size_;
    other.head_ = other.tail_ = nullptr;
    other.size_ = 0;
  }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tidegate
