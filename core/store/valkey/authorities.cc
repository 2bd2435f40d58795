// SPDX-License-Identifier: MIT
#include "store/valkey/authorities.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace tidegate {
namespace {

// As Go's crypto/x509 looks for them.
constexpr const char* kFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Gentoo, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL 6
    "/etc/ssl/ca-bundle.pem",                             // openSUSE
    "/etc/pki/tls/cacert.pem",                            // OpenELEC
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // CentOS, RHEL 7 and newer
    "/etc/ssl/cert.pem",                                  // Alpine, macOS
    "/usr/local/etc/ssl/cert.pem",                        // FreeBSD
};

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

bool can_be_read(const std::string& file) { return access(file.c_str(), R_OK) == 0; }

bool holds_something(const std::string& folder) {
  std::error_code error;
  const std::filesystem::directory_iterator entries(folder, error);
  return !error && entries != std::filesystem::directory_iterator();
}

}  // namespace

AuthorityPlaces system_authority_places() {
  return {.own_file = X509_get_default_cert_file(),
          .own_folder = X509_get_default_cert_dir(),
          .files = kFiles};
}

std::string missing_authorities(const AuthorityPlaces& places) {
  if (is_set(X509_get_default_cert_file_env()) || is_set(X509_get_default_cert_dir_env()))
    return {};
  if (can_be_read(places.own_file) || holds_something(places.own_folder)) return {};
  const auto found = std::ranges::find_if(places.files, can_be_read);
  return found == places.files.end() ? std::string() : *found;
}

bool trust_authorities(ssl_ctx_st* context, const AuthorityPlaces& places) {
  if (SSL_CTX_set_default_verify_paths(context) != 1) return false;
  const std::string file = missing_authorities(places);
  return file.empty() || SSL_CTX_load_verify_file(context, file.c_str()) == 1;
}

}  // namespace tidegate
