// SPDX-License-Identifier: MIT
// TLS: whom we trust, and what we say where we do not.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "support/certificates.h"
#include "support/every_server.h"
#include "support/gate.h"

namespace tidegate::test {
namespace {

class ValkeyTls : public OnEveryServer {
 protected:
  static void SetUpTestSuite() {
    made_ = new Certificates;
    made_->authority("ours");
    made_->authority("theirs");
    made_->issue("good", "ours", "DNS:localhost,IP:127.0.0.1");
    made_->issue("named", "ours", "DNS:localhost");
    made_->issue("elsewhere", "ours", "DNS:db.example");
    made_->issue("old", "ours", "DNS:localhost,IP:127.0.0.1", true);
    made_->issue("client", "ours", "DNS:client");
    made_->issue("stranger", "theirs", "DNS:client");
  }
  static void TearDownTestSuite() { delete made_; }

  std::string url(const std::string& options, const std::string& host = "127.0.0.1") const {
    return "rediss://" + host + ":" + std::to_string(port_) +
           "?timeout_ms=5000&connect_timeout_ms=5000&" + options;
  }
  std::string trust(const std::string& authority = "ours") const {
    return "tls_ca=" + made_->path(authority + ".crt");
  }
  std::vector<std::string> with(const std::string& certificate, bool ask_clients = false) const {
    return made_->arguments(certificate, "ours", port_, ask_clients);
  }

  static Certificates* made_;
  const int port_ = free_port();
};
Certificates* ValkeyTls::made_ = nullptr;

void expect_works(const std::string& url) {
  Gate gate(url);
  const Outcome ping = gate.ping();
  EXPECT_EQ(ping.status, TG_OK) << url << "\n" << ping.text;
  const uint64_t limiter = gate.open("5/d", "works");
  EXPECT_EQ(gate.consume(limiter, url).source, TG_SOURCE_STORE) << gate.event_texts();
}

void expect_refused(const std::string& url, const std::string& word) {
  Gate gate(url);
  for (int i = 0; i < 3; ++i) {
    const Outcome ping = gate.ping();
    EXPECT_EQ(ping.status, TG_ETLS) << ping.text;
    EXPECT_NE(ping.text.find(word), std::string::npos) << ping.text;
  }
  EXPECT_EQ(gate.consume(gate.open("5/d", "l"), "k").source, TG_SOURCE_FALLBACK);
  EXPECT_GT(gate.stats().tls_errors, 0);
  EXPECT_NE(gate.event_texts().find(word), std::string::npos);
}

TEST_P(ValkeyTls, OurAuthorityIsAccepted) {
  Server server(GetParam(), with("good"));
  expect_works(url(trust()));
  expect_works(url(trust(), "localhost"));
  expect_works(url(trust() + "&testing=1&read_bytes=64"));
}

TEST_P(ValkeyTls, AnotherAuthorityIsRefused) {
  Server server(GetParam(), with("good"));
  expect_refused(url(trust("theirs")), "no authority that is trusted here (tls_ca)");
}

TEST_P(ValkeyTls, AnotherHostNameIsRefused) {
  Server server(GetParam(), with("elsewhere"));
  expect_refused(url(trust(), "localhost"), "ostname mismatch");
  expect_refused(url(trust()), "IP address mismatch");
}

TEST_P(ValkeyTls, ANameIsNoAddress) {
  Server server(GetParam(), with("named"));
  expect_works(url(trust(), "localhost"));
  expect_refused(url(trust()), "IP address mismatch");
}

TEST_P(ValkeyTls, AnExpiredCertificateIsRefused) {
  Server server(GetParam(), with("old"));
  expect_refused(url(trust()), "expired");
}

TEST_P(ValkeyTls, VerificationCanBeTurnedOff) {
  Server server(GetParam(), with("old"));
  expect_works(url("tls_verify=false"));
}

TEST_P(ValkeyTls, AClientsCertificateIsShown) {
  Server server(GetParam(), with("good", true));
  expect_works(url(trust() + "&tls_cert=" + made_->path("client.crt") +
                   "&tls_key=" + made_->path("client.key")));
  Gate gate(url(trust()));
  EXPECT_LT(gate.ping().status, 0);
}

TEST_P(ValkeyTls, FilesThatCannotBeReadAreNamed) {
  Server server(GetParam(), with("good"));
  expect_refused(url("tls_ca=/nowhere/ca.crt"), "/nowhere/ca.crt");
}

TEST_P(ValkeyTls, AServerWithoutTlsIsNoTlsServer) {
  Server server(GetParam());
  Gate gate("rediss://127.0.0.1:" + std::to_string(server.port()) + "?timeout_ms=2000&" + trust());
  const Outcome ping = gate.ping();
  EXPECT_LT(ping.status, 0);
  EXPECT_NE(ping.text.find("TLS handshake"), std::string::npos) << ping.text;
  EXPECT_EQ(gate.consume(gate.open("5/d", "l"), "k").source, TG_SOURCE_FALLBACK);
}

// TLS 1.3 refuses a client's certificate behind the client's side of the handshake: what is read or
// written next finds it out.
TEST_P(ValkeyTls, AClientsCertificateThatIsRefusedIsTlsFault) {
  Server server(GetParam(), with("good", true));
  for (int i = 0; i < 10; ++i) {
    Gate gate(url(trust() + "&tls_cert=" + made_->path("stranger.crt") +
                  "&tls_key=" + made_->path("stranger.key")));
    const Outcome ping = gate.ping();
    EXPECT_EQ(ping.status, TG_ETLS) << ping.text;
    Gate without(url(trust()));
    EXPECT_EQ(without.ping().status, TG_ETLS);
  }
}

TEST_P(ValkeyTls, FilesThatWereReplacedAreReadAnew) {
  Server server(GetParam(), with("good"));
  const std::string file = made_->path("rotated-" + std::to_string(port_) + ".crt");
  const auto put = [&](const std::string& authority) {
    std::filesystem::copy_file(made_->path(authority + ".crt"), file + ".new",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::rename(file + ".new", file);
  };
  put("theirs");
  Gate gate(url("tls_ca=" + file));
  EXPECT_EQ(gate.ping().status, TG_ETLS);
  put("ours");
  EXPECT_TRUE(gate.comes_back(gate.open("5/d", "l"))) << gate.event_texts();
}

// The first bytes that a client of localhost sends, from a listener of our own.
TEST(ValkeyTlsHello, TheHostIsNamedInTheHandshake) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  listen(listener, 4);
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const int port = ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
  Gate gate("rediss://localhost:" + std::to_string(port) + "?timeout_ms=300&tls_verify=false");
  std::thread asks([&] { gate.ping(); });
  const int peer = accept(listener, nullptr, nullptr);
  char bytes[4096];
  const ssize_t got = recv(peer, bytes, sizeof bytes, 0);
  close(peer);
  close(listener);
  asks.join();
  ASSERT_GT(got, 0);
  EXPECT_NE(std::string(bytes, static_cast<size_t>(got)).find("localhost"), std::string::npos);
}

TEST_P(ValkeyTls, ManyRequestsThroughATlsRingAreExact) {
  Server server(GetParam(), with("good"));
  for (const std::string more : {"", "&testing=1&read_bytes=64"}) {
    Gate gate(url(trust() + more));
    const uint64_t limiter = gate.open("500/d", more.empty() ? "a" : "b");
    Reaper ring(gate);
    for (uint64_t i = 0; i < 2000; ++i)
      ring.submit(TG_OP_CONSUME, {{limiter, "k" + std::to_string(i % 2)}}, i);
    int allowed = 0;
    const auto outcomes = ring.take(2000);
    for (const Outcome& outcome : outcomes) allowed += outcome.allowed;
    EXPECT_EQ(outcomes.size(), 2000u);
    EXPECT_EQ(allowed, 1000);
    EXPECT_EQ(gate.stats().by_store, 2000);
  }
}

TEST_P(ValkeyTls, AForkedChildDoesNotDisturbItsParent) {
  Server server(GetParam(), with("good"));
  Gate gate(url(trust()));
  const uint64_t limiter = gate.open("50/d", "l");
  Reaper ring(gate);
  EXPECT_EQ(gate.consume(limiter, "k").source, TG_SOURCE_STORE);
  ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, 1);
  EXPECT_EQ(ring.take(1).at(0).source, TG_SOURCE_STORE);
  const pid_t child = fork();
  if (child == 0) {
    bool fine = gate.consume(limiter, "k").status == TG_EFORK;
    tg_ring_free(ring.ring());
    tg_client_free(gate.client());
    Gate own(url(trust()));
    fine = fine && own.consume(own.open("50/d", "l"), "k").source == TG_SOURCE_STORE;
    _exit(fine ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(gate.consume(limiter, "k").parts[0].remaining, 46);
  ring.submit(TG_OP_CONSUME, {{limiter, "k"}}, 2);
  EXPECT_EQ(ring.take(1).at(0).source, TG_SOURCE_STORE);
  EXPECT_EQ(gate.stats().connects, 2);  // nobody had to connect again
}

TIDEGATE_ON_EVERY_SERVER(ValkeyTls);

}  // namespace
}  // namespace tidegate::test
