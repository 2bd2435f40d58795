// SPDX-License-Identifier: MIT
#include "support/certificates.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tidegate::test {
namespace {

const std::string kKey = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";

}  // namespace

Certificates::Certificates() {
  char folder[] = "/tmp/tidegate-tls-XXXXXX";
  folder_ = mkdtemp(folder);
}

Certificates::~Certificates() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Certificates::run(const std::string& command) const {
  const std::string all = "cd " + folder_ + " && openssl " + command + " >>log 2>&1";
  if (std::system(all.c_str()) == 0) return;
  std::fprintf(stderr, "failed: %s\n", all.c_str());
  std::abort();
}

void Certificates::authority(const std::string& name) {
  run("req -x509 " + kKey + "-keyout " + name + ".key -out " + name +
      ".crt -days 3650 -subj /CN=" + name);
}

void Certificates::issue(const std::string& name, const std::string& by, const std::string& names,
                         bool expired) {
  std::ofstream(path(name + ".ext")) << "subjectAltName=" << names << "\n";
  run("req " + kKey + "-keyout " + name + ".key -out " + name + ".csr -subj /CN=" + name);
  // `x509 -days` cannot end in the past; `ca` can.
  std::ofstream(path(name + ".index"));
  std::ofstream(path(name + ".cnf")) << "[ca]\ndefault_ca=d\n[d]\ndatabase=" << name
                                     << ".index\nnew_certs_dir=.\nrand_serial=yes\n"
                                        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n";
  run("ca -batch -config " + name + ".cnf -cert " + by + ".crt -keyfile " + by + ".key -in " +
      name + ".csr -out " + name + ".crt -extfile " + name +
      ".ext -notext -startdate 20200101000000Z " + "-enddate " +
      (expired ? "20210101000000Z" : "20490101000000Z"));
}

std::vector<std::string> Certificates::arguments(const std::string& server,
                                                 const std::string& authority, int port,
                                                 bool ask_clients) const {
  return {"--tls-port",         std::to_string(port),
          "--tls-cert-file",    path(server + ".crt"),
          "--tls-key-file",     path(server + ".key"),
          "--tls-ca-cert-file", path(authority + ".crt"),
          "--tls-auth-clients", ask_clients ? "yes" : "no"};
}

}  // namespace tidegate::test
