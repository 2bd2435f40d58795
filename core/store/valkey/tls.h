// SPDX-License-Identifier: MIT
// TLS by OpenSSL: the peer is verified (chain, time and name) unless tls_verify=false.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "options/options.h"

struct ssl_st;
struct ssl_ctx_st;

namespace tidegate {

// Any thread. The files are read at the first connection; one that cannot be read is that
// connection's error, and is tried again at the next.
class TlsContext {
 public:
  TlsContext() = default;
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // A handshake's state for this host, SNI and name check set; owned by who takes it (SSL_free, or
  // hiredis).
  Result<ssl_st*> make(const StoreUrl& url, const Options& options);
  // Why a handshake failed, in words: the certificate's fault where it was one.
  static std::string why(ssl_st* ssl, const std::string& host);

 private:
  Status load(const Options& options);
  std::mutex mutex_;
  ssl_ctx_st* store_ = nullptr;
};

}  // namespace tidegate
