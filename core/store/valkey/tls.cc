// SPDX-License-Identifier: MIT
#include "store/valkey/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cerrno>

#include "store/valkey/authorities.h"

namespace tidegate {
namespace {

std::string openssl_reason() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  if (error == 0) return "unknown reason";
  const char* reason = ERR_reason_error_string(error);
  return reason ? reason : "error " + std::to_string(error);
}

Error refuse(const std::string& what) { return {Code::kTls, what + ": " + openssl_reason()}; }

bool is_address(const std::string& host) {
  in6_addr parsed;
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(store_); }

Status TlsContext::load(const Options& options) {
  ERR_clear_error();
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> made(SSL_CTX_new(TLS_client_method()),
                                                         SSL_CTX_free);
  if (!made || SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION) != 1)
    return refuse("TLS cannot be set up");
  SSL_CTX_set_mode(made.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const bool own_ca = !options.tls_ca.empty();
  if (own_ca ? SSL_CTX_load_verify_locations(made.get(), options.tls_ca.c_str(), nullptr) != 1
             : !trust_authorities(made.get()))
    return refuse(own_ca ? "tls_ca '" + options.tls_ca + "' cannot be used"
                         : "the system's certificate authorities cannot be used");
  if (!options.tls_cert.empty() &&
      SSL_CTX_use_certificate_chain_file(made.get(), options.tls_cert.c_str()) != 1)
    return refuse("tls_cert '" + options.tls_cert + "' cannot be used");
  if (!options.tls_key.empty() &&
      SSL_CTX_use_PrivateKey_file(made.get(), options.tls_key.c_str(), SSL_FILETYPE_PEM) != 1)
    return refuse("tls_key '" + options.tls_key + "' cannot be used");
  SSL_CTX_set_verify(made.get(), options.tls_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_free(store_);  // connections that are there keep it as long as they need it
  store_ = made.release();
  return Nothing{};
}

TlsContext::Stamps TlsContext::stamps_of(const Options& options) {
  Stamps stamps;
  size_t at = 0;
  for (const std::string* path : {&options.tls_ca, &options.tls_cert, &options.tls_key}) {
    Stamp& stamp = stamps[at++];
    struct stat file;
    if (path->empty() || stat(path->c_str(), &file) != 0) continue;
    stamp = {file.st_dev, file.st_ino, file.st_size,
             file.st_mtim.tv_sec * int64_t{1'000'000'000} + file.st_mtim.tv_nsec};
  }
  return stamps;
}

Result<ssl_st*> TlsContext::make(const StoreUrl& url, const Options& options,
                                 bool* certificate_asked) {
  const MutexGuard guard(mutex_);
  if (const Stamps now = stamps_of(options); !store_ || now != stamps_) {
    if (auto status = load(options); !status) return status.error();
    stamps_ = now;
  }
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(store_), SSL_free);
  if (!ssl) return refuse("TLS cannot be set up");
  const bool address = is_address(url.host);
  if (!address && SSL_set_tlsext_host_name(ssl.get(), url.host.c_str()) != 1)
    return refuse("TLS cannot ask for host " + url.host);
  if (options.tls_verify) {
    X509_VERIFY_PARAM* checks = SSL_get0_param(ssl.get());
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(checks, url.host.c_str())
                            : X509_VERIFY_PARAM_set1_host(checks, url.host.c_str(), 0);
    if (set != 1) return refuse("TLS cannot check the name " + url.host);
  }
  SSL_set_cert_cb(
      ssl.get(),
      [](SSL*, void* asked) {
        *static_cast<bool*>(asked) = true;
        return 1;
      },
      certificate_asked);
  return ssl.release();
}

namespace {

std::string why_refused(ssl_st* ssl, const std::string& host) {
  const long verified = SSL_get_verify_result(ssl);
  const bool certificate = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  if (!certificate) return openssl_reason();
  ERR_clear_error();
  std::string what = "the certificate of " + host + " is refused: ";
  what.append(X509_verify_cert_error_string(verified));
  const bool stranger = verified == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
                        verified == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
                        verified == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
                        verified == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
  if (stranger) what.append("; no authority that is trusted here (tls_ca) has signed it");
  return what;
}

}  // namespace

TlsContext::Fault TlsContext::fault(ssl_st* ssl, bool certificate_asked, const std::string& host) {
  // Behind a write that failed an alert may wait: TLS 1.3 refuses a client's certificate after the
  // client's side of the handshake is done.
  const TlsCall call(ERR_peek_last_error() == 0);
  char byte;
  if (ERR_peek_last_error() == 0) SSL_read(ssl, &byte, 1);
  if (ERR_peek_last_error() != 0) return {true, why_refused(ssl, host)};
  if (!has_sent(ssl)) return {};
  if (!finished(ssl))
    return {true, "the server ended the TLS handshake: does it speak TLS on this port?"};
  if (certificate_asked)
    return {true,
            "the server, which asked for a client's certificate (tls_cert), closed the connection"};
  return {};
}

bool TlsContext::finished(ssl_st* ssl) { return SSL_is_init_finished(ssl); }
bool TlsContext::has_sent(ssl_st* ssl) { return BIO_number_written(SSL_get_wbio(ssl)) > 0; }
bool TlsContext::pending(ssl_st* ssl) { return SSL_pending(ssl) > 0; }

TlsCall::TlsCall(bool needed) {
  if (!needed) return;
  ERR_clear_error();
  sigset_t pending;
  if (sigpending(&pending) != 0 || sigismember(&pending, SIGPIPE)) return;
  sigemptyset(&pipe_);
  sigaddset(&pipe_, SIGPIPE);
  blocked_ = pthread_sigmask(SIG_BLOCK, &pipe_, &before_) == 0;
}

TlsCall::~TlsCall() {
  if (!blocked_) return;
  const timespec now{};
  while (sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace tidegate
