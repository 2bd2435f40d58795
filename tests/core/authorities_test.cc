// SPDX-License-Identifier: MIT
// Where the authorities of rediss:// come from on a machine that OpenSSL was not built on.
#include "store/valkey/authorities.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "support/certificates.h"

namespace tidegate {
namespace {

class Authorities : public ::testing::Test {
 protected:
  Authorities() {
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    made_.authority("ours");
    made_.issue("server", "ours", "DNS:localhost");
    made_.authority("theirs");
    std::filesystem::create_directory(folder_);
  }
  ~Authorities() override {
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
  }

  AuthorityPlaces places() const { return {made_.path("own.pem"), folder_, files_}; }

  // Whether a server that `ours` has signed would be accepted.
  bool accepts_our_server(const AuthorityPlaces& places) const {
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(
        SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    EXPECT_TRUE(trust_authorities(context.get(), places));
    const std::unique_ptr<FILE, decltype(&fclose)> file(fopen(server_.c_str(), "r"), fclose);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_X509(file.get(), nullptr, nullptr, nullptr), X509_free);
    const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> check(
        X509_STORE_CTX_new(), X509_STORE_CTX_free);
    X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context.get()), certificate.get(),
                        nullptr);
    return X509_verify_cert(check.get()) == 1;
  }

  test::Certificates made_;
  const std::string folder_ = made_.path("own"), server_ = made_.path("server.crt");
  const std::string ours_ = made_.path("ours.crt"), theirs_ = made_.path("theirs.crt");
  const std::string nowhere_ = made_.path("nowhere.crt");
  const char* const files_[3] = {nowhere_.c_str(), ours_.c_str(), theirs_.c_str()};
};

TEST_F(Authorities, TheFirstFileOfADistributionThatIsThereIsTrusted) {
  EXPECT_EQ(missing_authorities(places()), ours_);
  EXPECT_TRUE(accepts_our_server(places()));
  EXPECT_FALSE(accepts_our_server({made_.path("own.pem"), folder_, {}}));
}

TEST_F(Authorities, NothingIsAddedToWhatOpenSslHasByItself) {
  std::ofstream(folder_ + "/0a1b2c3d.0") << "a certificate";
  EXPECT_EQ(missing_authorities(places()), "");
  std::filesystem::remove(folder_ + "/0a1b2c3d.0");
  EXPECT_EQ(missing_authorities(places()), ours_);
  std::ofstream(made_.path("own.pem")) << "a certificate";
  EXPECT_EQ(missing_authorities(places()), "");
}

TEST_F(Authorities, WhatTheEnvironmentNamesIsTheLastWord) {
  for (const char* variable : {"SSL_CERT_FILE", "SSL_CERT_DIR"}) {
    setenv(variable, theirs_.c_str(), 1);
    EXPECT_EQ(missing_authorities(places()), "") << variable;
    EXPECT_FALSE(accepts_our_server(places())) << variable;
    setenv(variable, "", 1);
    EXPECT_EQ(missing_authorities(places()), ours_) << variable << " is empty";
    unsetenv(variable);
  }
  setenv("SSL_CERT_FILE", ours_.c_str(), 1);
  EXPECT_TRUE(accepts_our_server({made_.path("own.pem"), folder_, {}}));
}

TEST_F(Authorities, AMachineWithoutAnyIsNoErrorHere) {
  EXPECT_EQ(missing_authorities({nowhere_, nowhere_, {}}), "");
  EXPECT_FALSE(accepts_our_server({nowhere_, nowhere_, {}}));
}

TEST_F(Authorities, AFileThatHoldsNoneIsRefused) {
  std::ofstream(nowhere_) << "no certificate";
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  SSL_CTX_free);
  EXPECT_FALSE(trust_authorities(context.get(), places()));
}

TEST_F(Authorities, ThisMachinesOwnAreFound) {
  const AuthorityPlaces system = system_authority_places();
  EXPECT_FALSE(system.own_file.empty() || system.own_folder.empty() || system.files.empty());
  if (!std::filesystem::exists("/etc/ssl/certs/ca-certificates.crt")) GTEST_SKIP() << "no Debian";
  // As a wheel sees it that was linked with another distribution's OpenSSL.
  EXPECT_EQ(missing_authorities({nowhere_, nowhere_, system.files}),
            "/etc/ssl/certs/ca-certificates.crt");
}

}  // namespace
}  // namespace tidegate
