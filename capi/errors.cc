// SPDX-License-Identifier: MIT
#include "internal.h"

namespace {

// Every code once: its name, its kind, its text, and whether the same call may succeed later.
struct ErrorRow {
  int32_t code;
  const char *name, *kind, *text;
  bool retriable = false;
};
constexpr ErrorRow kErrors[] = {
    {TG_OK, "TG_OK", "ok", "success"},
    {TG_EINVAL, "TG_EINVAL", "config", "an argument that cannot be"},
    {TG_ESIZE, "TG_ESIZE", "config", "a record size that is no version of this library's"},
    {TG_ERATE, "TG_ERATE", "config", "a rate that does not parse, or cannot be enforced exactly"},
    {TG_EOPTION, "TG_EOPTION", "config", "an unknown option, or a value out of its range"},
    {TG_EURL, "TG_EURL", "config", "a store URL that does not parse"},
    {TG_EKEY, "TG_EKEY", "config", "an empty key"},
    {TG_ECOST, "TG_ECOST", "config", "a cost out of range"},
    {TG_EHANDLE, "TG_EHANDLE", "handle", "no such limiter in this client"},
    {TG_ENAME, "TG_ENAME", "config", "a limiter's name that is not [A-Za-z0-9_.-]{1,64}"},
    {TG_ECONFLICT, "TG_ECONFLICT", "config",
     "the name is taken by a limiter with another specification"},
    {TG_ECLOSED, "TG_ECLOSED", "closed", "the client or ring is closed"},
    {TG_EFORK, "TG_EFORK", "closed", "opened by the parent of this process"},
    {TG_ECANCELED, "TG_ECANCELED", "canceled", "canceled", true},
    {TG_EFULL, "TG_EFULL", "full", "a stated bound is reached", true},
    {TG_ENOMEM, "TG_ENOMEM", "full", "no memory or descriptor left", true},
    {TG_EINTERNAL, "TG_EINTERNAL", "internal", "a bug in tidegate"},
    {TG_EID, "TG_EID", "config", "slots are taken under an id"},
    {TG_EPOLICY, "TG_EPOLICY", "config", "a policy that does not parse, or says what cannot be"},
    {TG_EATTRIBUTE, "TG_EATTRIBUTE", "config", "an attribute of a request that cannot be"},
    {TG_ESTORE, "TG_ESTORE", "store", "the store could not do it", true},
    {TG_ETIMEDOUT, "TG_ETIMEDOUT", "store", "no answer from the store within the deadline", true},
    {TG_ECONNECT, "TG_ECONNECT", "store", "no connection to the store", true},
    {TG_EAUTH, "TG_EAUTH", "store", "the store refused the password", true},
    {TG_ETLS, "TG_ETLS", "store", "TLS was refused", true},
    {TG_EPROTOCOL, "TG_EPROTOCOL", "store", "the store's answer makes no sense", true},
    {TG_ECLUSTER, "TG_ECLUSTER", "store", "a cluster-enabled server is not supported yet"},
    {TG_EOOM, "TG_EOOM", "store", "the store is out of memory (maxmemory)", true},
    {TG_EREADONLY, "TG_EREADONLY", "store", "the store is a read-only replica", true},
    {TG_ELOADING, "TG_ELOADING", "store", "the store is loading its data", true},
    {TG_EBUSY, "TG_EBUSY", "store", "the store is busy with a script", true},
    {TG_ENOPERM, "TG_ENOPERM", "store", "the store's ACL forbids it", true},
    {TG_EWRONGTYPE, "TG_EWRONGTYPE", "store", "the key in the store holds something else", true},
};
constexpr ErrorRow kUnknown{0, "", "internal", "an unknown code"};

const ErrorRow& row_of(int32_t code) {
  for (const ErrorRow& row : kErrors)
    if (row.code == code) return row;
  return kUnknown;
}

}  // namespace

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

const char* tg_strerror(int32_t code) { return row_of(code).text; }
const char* tg_error_name(int32_t code) { return row_of(code).name; }
const char* tg_error_kind(int32_t code) { return row_of(code).kind; }

int32_t tg_is_retriable(int32_t code) { return row_of(code).retriable; }

int32_t tg_is_fatal(int32_t code) { return code == TG_ECLOSED || code == TG_EFORK; }

}  // extern "C"
