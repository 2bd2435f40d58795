// SPDX-License-Identifier: MIT
// What a server says, in our codes, and where each is counted.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "stats/metrics.h"

struct redisReply;

namespace tidegate {

// What a string, a status or an error says; else nothing.
std::string_view text_of(const redisReply* reply);
// The text of an error reply as an operator may see it: one line of ASCII of 200 bytes at most, and
// nothing of the command that a server repeats in it, which has callers' keys.
std::string said(std::string_view error);
// The text of an error reply, with or without its leading "-". kStore for what has no code of its
// own.
Code code_of_error(std::string_view reply);
// True for NOSCRIPT: the program certainly did not run.
bool is_noscript(std::string_view reply);
Counter counter_of(Code code);
// The server was told to be a replica: another is asked for at the same address.
bool is_demotion(Code code);
// What a live connection can answer that only a new one may mend: it leads to another server
// (READONLY, MASTERDOWN), or has to log in anew (NOAUTH).
bool needs_another_connection(std::string_view error, Code code);
// What a call is told that was not let through after this: a wrong password stays the reason while
// nobody tries it again.
Code refusal_of(Code last);

}  // namespace tidegate
