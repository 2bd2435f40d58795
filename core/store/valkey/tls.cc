// SPDX-License-Identifier: MIT
#include "store/valkey/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

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
             : SSL_CTX_set_default_verify_paths(made.get()) != 1)
    return refuse("tls_ca '" + options.tls_ca + "' cannot be used");
  if (!options.tls_cert.empty() &&
      SSL_CTX_use_certificate_chain_file(made.get(), options.tls_cert.c_str()) != 1)
    return refuse("tls_cert '" + options.tls_cert + "' cannot be used");
  const std::string& key = options.tls_key.empty() ? options.tls_cert : options.tls_key;
  if (!key.empty() && SSL_CTX_use_PrivateKey_file(made.get(), key.c_str(), SSL_FILETYPE_PEM) != 1)
    return refuse("tls_key '" + key + "' cannot be used");
  SSL_CTX_set_verify(made.get(), options.tls_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  store_ = made.release();
  return Nothing{};
}

Result<ssl_st*> TlsContext::make(const StoreUrl& url, const Options& options) {
  std::scoped_lock lock(mutex_);
  if (!store_)
    if (auto status = load(options); !status) return status.error();
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
  return ssl.release();
}

std::string TlsContext::why(ssl_st* ssl, const std::string& host) {
  const long verified = SSL_get_verify_result(ssl);
  if (verified == X509_V_OK) return openssl_reason();
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

}  // namespace tidegate
