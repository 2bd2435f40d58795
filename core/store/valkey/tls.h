// SPDX-License-Identifier: MIT
// TLS by OpenSSL: the peer is verified (chain, time and name) unless tls_verify=false.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <array>
#include <memory>
#include <string>

#include "base/lock.h"
#include "base/result.h"
#include "options/options.h"

struct ssl_st;
struct ssl_ctx_st;

namespace tidegate {

// Any thread; what has an ssl_st belongs to who has that. The files are read at the first
// connection, and anew at one that finds them changed: a certificate is renewed without a restart.
// One that cannot be read is that connection's error, and is tried again at the next.
class TlsContext {
 public:
  TlsContext() = default;
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // A handshake's state for this host, SNI and name check set; owned by who takes it (SSL_free, or
  // hiredis). *certificate_asked becomes true when the server wants to see a client's certificate.
  Result<ssl_st*> make(const StoreUrl& url, const Options& options, bool* certificate_asked);

  // Why a connection was lost before it was ready, where TLS has to do with it; reads what the
  // server may have said last.
  struct Fault {
    bool is_tls = false;
    std::string why;
  };
  static Fault fault(ssl_st* ssl, bool certificate_asked, const std::string& host);
  static bool finished(ssl_st* ssl);
  static bool has_sent(ssl_st* ssl);  // so the server has accepted
  static bool pending(ssl_st* ssl);   // bytes that are decrypted, and not yet read

 private:
  // Which files were read: as they were then.
  struct Stamp {
    dev_t device = 0;
    ino_t file = 0;
    off_t size = 0;
    int64_t changed_ns = 0;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 3>;
  static Stamps stamps_of(const Options& options);
  Status load(const Options& options) TIDEGATE_REQUIRES(mutex_);

  Mutex mutex_;
  ssl_ctx_st* store_ TIDEGATE_GUARDED_BY(mutex_) = nullptr;
  Stamps stamps_ TIDEGATE_GUARDED_BY(mutex_);
};

// What is said to OpenSSL within it. OpenSSL writes with write(), which has no flag to keep SIGPIPE
// from a host that does not ignore it: the signal is blocked in this thread meanwhile, and taken
// back if it came. What OpenSSL has to complain of is of this call, and of no other's.
class TlsCall {
 public:
  explicit TlsCall(bool needed);
  ~TlsCall();
  TlsCall(const TlsCall&) = delete;
  TlsCall& operator=(const TlsCall&) = delete;

 private:
  bool blocked_ = false;
  sigset_t pipe_, before_;
};

}  // namespace tidegate
