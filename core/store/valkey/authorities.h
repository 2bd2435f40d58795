// SPDX-License-Identifier: MIT
// Whom a server's certificate is trusted through where tls_ca does not say.
#pragma once

#include <span>
#include <string>

struct ssl_ctx_st;

namespace tidegate {

// Where authorities are looked for. OpenSSL's own places are those it was built with: one that is
// linked statically brings the places of the distribution that it was built on.
struct AuthorityPlaces {
  std::string own_file, own_folder;
  std::span<const char* const>
      files;  // where distributions keep theirs, the first that can be read
};

// OpenSSL's places and the distributions' list.
AuthorityPlaces system_authority_places();

// What is to be loaded besides OpenSSL's own places: the first file of the list that can be read,
// where these hold nothing; empty where SSL_CERT_FILE or SSL_CERT_DIR is set, which are the last
// word.
std::string missing_authorities(const AuthorityPlaces& places);

// Any thread, for a context that nobody else uses yet. False where OpenSSL refuses (ERR_get_error);
// a machine without any authorities is none of its errors: its servers are refused one by one.
[[nodiscard]] bool trust_authorities(ssl_ctx_st* context,
                                     const AuthorityPlaces& places = system_authority_places());

}  // namespace tidegate
