// SPDX-License-Identifier: MIT
// Certificates for tests, made by the openssl command: authorities, servers and clients, valid or
// expired.
#pragma once

#include <string>
#include <vector>

namespace tidegate::test {

// In a folder of its own, which goes with it. Aborts the test program where openssl fails.
class Certificates {
 public:
  Certificates();
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  void authority(const std::string& name);  // name.crt, name.key
  // name.crt and name.key, signed. `names`: "DNS:localhost,IP:127.0.0.1".
  void issue(const std::string& name, const std::string& by, const std::string& names,
             bool expired = false);
  std::string path(const std::string& file) const { return folder_ + "/" + file; }
  // A server's arguments: TLS on `port`, clients' certificates asked for or not.
  std::vector<std::string> arguments(const std::string& server, const std::string& authority,
                                     int port, bool ask_clients = false) const;

 private:
  void run(const std::string& command) const;
  std::string folder_;
};

}  // namespace tidegate::test
