# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# Everything that packaging/setup downloads, and how it is known to be the right thing.
#
#   Debian packages     verified by apt against the signed release file; a suite's own security
#                       updates are wanted, so the suite is pinned and not the version
#   hiredis, libyaml    SHA-256 of the upstream tarball inside Debian's source package
#   clang-format, ruff  exact version and SHA-256 of the wheel (pip --require-hashes)
#   Node.js, oxlint     exact version (npm checks the registry's integrity value)

# source package, version, suite, and the SHA-256 of its upstream tarball. CMake looks for
# NAME-VERSION in the cache too (packaging/cmake): a suite holds the two to each other.
HIREDIS=(
  hiredis 1.2.0 trixie
  82ad632d31ee05da13b537c124f819eb88e18851d9cb0c30ae0552084811588c
)
LIBYAML=(
  libyaml 0.2.5 trixie
  fa240dbf262be053f3898006d502d514936c818e422afdcf33921c63bed9bf2e
)

# name==version, and the SHA-256 of the wheels for x86_64 and aarch64.
CLANG_FORMAT=(
  clang-format==19.1.7
  f4906fb463dd2033032978f56962caab268c9428a384126b9400543eb667f11c
  dac394c83a9233ab6707f66e1cdbd950f8b014b58604142a5b6f7998bf0bcc8c
)
RUFF=(
  ruff==0.17.6
  aa3b08254a732acba246891089a152c47c5733dc36b8ecb76ce8602f8326e5e4
  435241c61af5909a022f76219d3d1bf24730dc1bf0acabb5ddf4b569ab3cbb30
)

OXLINT_VERSION=1.94.0

NODE_VERSIONS=(20.20.2 22.23.3 24.21.0 26.10.0)

PYTHON_MINORS=(10 11 12 13) # of Python 3

# name-version  suites (the later ones' packages win)  package. ".x": whatever minor the suite has.
SERVERS_BASE=(
  "redis-7.0   bookworm                      redis-server"
  "valkey-8.0  bookworm,bookworm-backports   valkey-server"
)
SERVERS_MORE=(
  "redis-8.0   trixie                        redis-server"
  "valkey-8.1  trixie                        valkey-server"
  "valkey-9.x  forky                         valkey-server"
)
# Of what a server depends on, the packages it does not need in order to run in place.
SERVER_UNNEEDED='^(adduser|base-passwd|debconf|dpkg|gcc-.*-base|init-system-helpers|lib.*-perl'
SERVER_UNNEEDED+='|libaudit.*|libcap-ng0|libdb5.*|libdebconfclient0|libgdbm.*|libpam.*|libperl.*'
SERVER_UNNEEDED+='|libsemanage.*|libsepol.*|login.defs|lsb-base|openssl-provider-legacy|passwd|perl.*'
SERVER_UNNEEDED+='|sysvinit-utils|tar|usrmerge)$'

GO_MINIMUM=1.24
GO_SUITES=trixie
GO_PACKAGES=(golang-1.24-go golang-1.24-src)

CARGO_MINIMUM=1.85
CARGO_PACKAGES=(cargo-web rustc-web)

# What must be there before cmake can run. Each entry: how to see it is there, and the package.
NEEDS_NATIVE=(
  "command:g++ g++"
  "command:cmake cmake"
  "command:ninja ninja-build"
  "command:git git"
  "command:pkg-config pkg-config"
  "command:openssl openssl"
  "command:python3 python3"
  "file:/etc/ssl/certs/ca-certificates.crt ca-certificates"
  "header:openssl/ssl.h libssl-dev"
  "header:xxhash.h libxxhash-dev"
  "header:gtest/gtest.h libgtest-dev"
  "header:gmock/gmock.h libgmock-dev"
  "header:nlohmann/json.hpp nlohmann-json3-dev"
)
NEEDS_CLANG=(
  "command:clang++-14 clang-14"
  "file:/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a libclang-rt-14-dev"
)
NEEDS_BENCH=(
  "command:wrk wrk"
  "header:benchmark/benchmark.h libbenchmark-dev"
)
NEEDS_PYTHON=(
  "command:python3 python3"
  "file:/usr/include/python3*/Python.h python3-dev"
  "file:/usr/lib/python3*/ensurepip/__init__.py python3-venv"
)
NEEDS_NODE=(
  "command:npm npm"
  "command:node nodejs"
)
