// SPDX-License-Identifier: MIT
#include "internal.h"

namespace tidegate::capi {

int32_t fail(tg_error* error, const Error& why) {
  const auto code = static_cast<int32_t>(why.code);
  if (error) {
    error->code = code;
    error->position = why.position;
    put_text(why.message, error->message, sizeof error->message);
  }
  return code;
}

int32_t fail(tg_error* error, Code code, std::string_view message) {
  return fail(error, Error{code, std::string(message)});
}

int64_t put_text(std::string_view text, char* buffer, size_t size) {
  if (buffer && size) {
    const size_t fits = std::min(text.size(), size - 1);
    std::memcpy(buffer, text.data(), fits);
    buffer[fits] = '\0';
  }
  return static_cast<int64_t>(text.size());
}

}  // namespace tidegate::capi

extern "C" {

int32_t tg_abi(void) { return TG_ABI; }

const char* tg_version(void) { return TG_VERSION; }

const char* tg_strerror(int32_t code) {
  switch (code) {
    case TG_OK:
      return "success";
    case TG_EINVAL:
      return "an argument that cannot be";
    case TG_ESIZE:
      return "a record size that is no version of this library's";
    case TG_ERATE:
      return "a rate that does not parse, or cannot be enforced exactly";
    case TG_EOPTION:
      return "an unknown option, or a value out of its range";
    case TG_EURL:
      return "a store URL that does not parse";
    case TG_EKEY:
      return "an empty key";
    case TG_ECOST:
      return "a cost out of range";
    case TG_EHANDLE:
      return "no such limiter in this client";
    case TG_ENAME:
      return "a limiter's name that is not [A-Za-z0-9_.-]{1,64}";
    case TG_ECONFLICT:
      return "the name is taken by a limiter with another specification";
    case TG_ECLOSED:
      return "the client or ring is closed";
    case TG_EFORK:
      return "opened by the parent of this process";
    case TG_ECANCELED:
      return "canceled";
    case TG_EFULL:
      return "a stated bound is reached";
    case TG_ENOMEM:
      return "no memory or descriptor left";
    case TG_EINTERNAL:
      return "a bug in tidegate";
    case TG_ESTORE:
      return "the store could not do it";
    case TG_ETIMEDOUT:
      return "no answer from the store within the deadline";
    case TG_ECONNECT:
      return "no connection to the store";
    case TG_EAUTH:
      return "the store refused the password";
    case TG_ETLS:
      return "TLS was refused";
    case TG_EPROTOCOL:
      return "the store's answer makes no sense";
    case TG_ECLUSTER:
      return "a cluster-enabled server is not supported yet";
    case TG_EOOM:
      return "the store is out of memory (maxmemory)";
    case TG_EREADONLY:
      return "the store is a read-only replica";
    case TG_ELOADING:
      return "the store is loading its data";
    case TG_EBUSY:
      return "the store is busy with a script";
    case TG_ENOPERM:
      return "the store's ACL forbids it";
    case TG_EWRONGTYPE:
      return "the key in the store holds something else";
    default:
      return "an unknown code";
  }
}

int32_t tg_is_retriable(int32_t code) {
  if (code == TG_EFULL || code == TG_ECANCELED || code == TG_ENOMEM) return 1;
  return code <= TG_ESTORE && code != TG_ECLUSTER && code >= TG_EWRONGTYPE;
}

int32_t tg_is_fatal(int32_t code) { return code == TG_ECLOSED || code == TG_EFORK; }

}  // extern "C"
