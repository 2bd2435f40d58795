/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_C_UTF8_H_
#define EXAMPLES_C_UTF8_H_
#include <stddef.h>

/* Bytes of the UTF-8 character that the text begins with, 1 to 4, or 0 where there is none. */
static inline size_t utf8_length(const char* text, size_t size) {
  const unsigned char* byte = (const unsigned char*)text;
  if (size == 0) return 0;
  if (byte[0] < 0x80) return 1;
  const size_t length = byte[0] < 0xc2   ? 0
                        : byte[0] < 0xe0 ? 2
                        : byte[0] < 0xf0 ? 3
                        : byte[0] < 0xf5 ? 4
                                         : 0;
  if (length == 0 || length > size) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((byte[i] & 0xc0) != 0x80) return 0;
  }
  if (byte[0] == 0xe0 && byte[1] < 0xa0) return 0; /* overlong */
  if (byte[0] == 0xed && byte[1] > 0x9f) return 0; /* a surrogate */
  if (byte[0] == 0xf0 && byte[1] < 0x90) return 0; /* overlong */
  if (byte[0] == 0xf4 && byte[1] > 0x8f) return 0; /* beyond U+10FFFF */
  return length;
}

#endif /* EXAMPLES_C_UTF8_H_ */
