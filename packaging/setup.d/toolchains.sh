# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One function for each thing that setup can put into the cache, and one that says where it is.
# Each returns at once where the thing is there already, and replaces its folder as the last act, so
# that an interrupted run leaves nothing half made.

version_at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# ---- C libraries: the system's, or an archive of a pinned source package ----

# The prefix of each: empty where the system's own will do, with its archives; one in the cache otherwise.
hiredis_prefix() { system_has 1.1 hiredis_ssl hiredis hiredis_ssl || echo "$cache/${HIREDIS[0]}-${HIREDIS[1]}"; }
libyaml_prefix() { system_has 0.2 yaml-0.1 yaml || echo "$cache/${LIBYAML[0]}-${LIBYAML[1]}"; }

# system_has MINIMUM MODULE LIBRARY...: pkg-config knows it, and there are archives that fit.
system_has() {
  local folder
  folder=$(pkg-config --variable=libdir "$2" 2>/dev/null) &&
    pkg-config --atleast-version="$1" "$2" && archives_fit "$folder" "${@:3}"
}

# archives_fit FOLDER LIBRARY...: they can become part of a shared library (-fPIC); some systems' cannot.
archives_fit() {
  local folder=$1 names=("${@:2}") scrap status=0
  names=("${names[@]/#/$folder/lib}")
  scrap=$(mktemp "$cache/fit.XXXXXX")
  g++ -shared -o "$scrap" -Wl,-z,text -Wl,--exclude-libs,ALL -Wl,--whole-archive "${names[@]/%/.a}" \
    -Wl,--no-whole-archive 2>/dev/null || status=$?
  rm -f "$scrap"
  return "$status"
}

setup_hiredis() {
  setup_library "$(hiredis_prefix)" libhiredis_ssl.a "${HIREDIS[@]}" -DENABLE_SSL=ON -DDISABLE_TESTS=ON
}
setup_libyaml() { setup_library "$(libyaml_prefix)" libyaml.a "${LIBYAML[@]}" -DBUILD_TESTING=OFF; }

# setup_library PREFIX ARCHIVE NAME VERSION SUITE SHA256 [CMAKE ARGUMENT...]: nothing where no prefix is wanted.
setup_library() {
  [[ -z $1 || -e $1/lib/$2 ]] || step "building $3 $4" build_library "$1" "${@:3}"
}

build_library() { # build_library PREFIX NAME VERSION SUITE SHA256 [CMAKE ARGUMENT...]
  local prefix=$1 name=$2 version=$3 suite=$4 sum=$5 work archive
  work=$(mktemp -d "$cache/source.XXXXXX")
  private_apt "$suite"
  (cd "$work" && apt-get "${private_apt_options[@]}" source --download-only "$name")
  archive=$work/${name}_$version.orig.tar.gz
  echo "$sum  $archive" | sha256sum --check
  mkdir "$work/source"
  tar -xf "$archive" -C "$work/source" --strip-components=1
  cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_INSTALL_PREFIX="$prefix.new" -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_SHARED_LIBS=OFF \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_POLICY_VERSION_MINIMUM=3.5 "${@:6}"
  cmake --build "$work/build"
  rm -rf "$prefix.new"
  cmake --install "$work/build"
  # pkg-config and CMake files name the prefix they were installed to.
  { grep -rlZF "$prefix.new" "$prefix.new" || true; } | xargs -0r sed -i "s|$prefix.new|$prefix|g"
  rm -rf "$prefix" "$work"
  mv "$prefix.new" "$prefix"
}

# ---- servers ----

# server_wrapper NAME: prints the wrapper's path, or nothing where it is not installed.
server_wrapper() {
  local found
  for found in "$cache/servers/"${1/%.x/.*}/server; do
    [[ ! -x $found ]] || echo "$found"
  done | sort -V | tail -n 1
}

setup_servers() {
  local entry name suites package
  for entry in "$@"; do
    read -r name suites package <<<"$entry"
    [[ -n $(server_wrapper "$name") ]] ||
      step "unpacking $name" unpack_server "$name" "$suites" "$package"
  done
}

unpack_server() {
  local name=$1 suites=$2 package=$3 work loader program version libraries wanted
  work=$(mktemp -d "$cache/servers/new.XXXXXX")
  chmod 755 "$work"
  mapfile -t wanted < <(closure "$suites" "$package" | grep -vE "$SERVER_UNNEEDED")
  [[ ${#wanted[@]} -gt 0 ]] || fail "apt found nothing to install for $package in $suites"
  unpack_packages "$suites" "$work/root" "${wanted[@]}"
  # With /lib and /usr/lib apart or merged, as the suite has it.
  loader=$(cd "$work" && find root -path '*/lib*' -name 'ld-linux*.so*' -not -type d | sort | head -n 1)
  program=root/usr/bin/$package
  libraries=$(cd "$work" && find root -name '*.so*' -not -type d -printf '%h\n' | sort -u)
  [[ -n $loader && -e $work/$program ]] || fail "$package of $suites has no loader or program"
  write_server_wrapper "$work" "$loader" "$program" "$libraries"
  version=$("$work/server" --version | sed -nE 's/.*[ =]v?=?([0-9]+\.[0-9]+)\.[0-9]+.*/\1/p')
  name=${name%-*}-$version
  [[ $name == ${1/%.x/.*} ]] || fail "$package of $suites is $version, wanted: $1"
  rm -rf "$cache/servers/$name"
  mv "$work" "$cache/servers/$name"
}

# The wrapper runs the program with the libraries it came with, wherever the cache is moved to.
write_server_wrapper() {
  local work=$1 loader=$2 program=$3 libraries=$4 line path=""
  while read -r line; do path+="\$here/$line:"; done <<<"$libraries"
  cat >"$work/server" <<WRAPPER
#!/bin/sh
here=\$(cd -- "\$(dirname -- "\$0")" && pwd)
unset LD_PRELOAD
exec "\$here/$loader" --library-path "${path%:}" "\$here/$program" "\$@"
WRAPPER
  chmod 755 "$work/server"
}

# list_servers ENTRY...: name=wrapper:name=wrapper of those that are installed.
list_servers() {
  local entry name wrapper list=()
  for entry in "$@"; do
    read -r name _ <<<"$entry"
    wrapper=$(server_wrapper "$name")
    [[ -z $wrapper ]] || list+=("$(basename "$(dirname "$wrapper")")=$wrapper")
  done
  join_colon "${list[@]}"
}

# ---- Python ----

# find_pythons: the interpreters that can build and install a wheel, one for each minor version.
find_pythons() {
  local minor candidate list=()
  for minor in "${PYTHON_MINORS[@]}"; do
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python3."$minor" \
      "$(type -P "python3.$minor" || true)" /usr/bin/python3."$minor"; do
      if [[ -x $candidate ]] && python_is_usable "$candidate" "3.$minor"; then
        list+=("$candidate")
        break
      fi
    done
  done
  join_colon "${list[@]}"
}

python_is_usable() {
  "$1" -I -c '
import importlib.util, os, sys, sysconfig
ok = "%d.%d" % sys.version_info[:2] == sys.argv[1]
ok = ok and os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
sys.exit(not (ok and importlib.util.find_spec("ensurepip")))' "$2" 2>/dev/null
}

setup_python() { [[ -n $(find_pythons) ]] || require_packages "${NEEDS_PYTHON[@]}"; }

# ---- Node.js ----

node_binary() { echo "$cache/node/$1/bin/node"; }

setup_node() {
  local version
  require_packages "${NEEDS_NODE[@]}"
  for version in "${NODE_VERSIONS[@]}"; do
    [[ -x $(node_binary "$version") ]] ||
      step "fetching Node.js $version" fetch_node "$version"
  done
}

fetch_node() {
  local version=$1 work machine
  case $(uname -m) in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    *) fail "no Node.js package for $(uname -m)" ;;
  esac
  work=$(mktemp -d "$cache/node/new.XXXXXX")
  npm install --prefix "$work" --ignore-scripts --no-audit --no-fund --no-save \
    "node-linux-$machine@$version"
  [[ $("$work/node_modules/node-linux-$machine/bin/node" --version) == "v$version" ]] ||
    fail "the package node-linux-$machine@$version holds another version"
  rm -rf "$cache/node/$version"
  mv "$work/node_modules/node-linux-$machine" "$cache/node/$version"
  rm -rf "$work"
}

list_nodes() {
  local version list=()
  for version in "${NODE_VERSIONS[@]}"; do
    [[ ! -x $(node_binary "$version") ]] || list+=("$(node_binary "$version")")
  done
  join_colon "${list[@]}"
}

# ---- Go, Rust ----

# first_at_least MINIMUM ARGUMENT CANDIDATE...: the first that says a version which is new enough; Go
# its own tool chain's, never a downloaded one's.
first_at_least() {
  local candidate version
  for candidate in "${@:3}"; do
    [[ -x $candidate ]] || continue
    version=$(GOTOOLCHAIN=local "$candidate" "$2" 2>/dev/null | grep -oE '[0-9]+\.[0-9.]+' | head -n 1) || continue
    ! version_at_least "$version" "$1" || { echo "$candidate" && return; }
  done
}

find_go() {
  first_at_least "$GO_MINIMUM" version "$(type -P go || true)" /usr/local/go/bin/go "$cache"/go/usr/lib/go-*/bin/go
}

setup_go() { [[ -n $(find_go) ]] || step "unpacking Go" unpack_go; }

unpack_go() {
  rm -rf "$cache/go"
  unpack_packages "$GO_SUITES" "$cache/go" "${GO_PACKAGES[@]}"
}

find_cargo() {
  first_at_least "$CARGO_MINIMUM" --version "$(type -P cargo || true)" "${CARGO_HOME:-$HOME/.cargo}/bin/cargo"
}

setup_rust() {
  [[ -n $(find_cargo) ]] || install_packages "${CARGO_PACKAGES[@]}"
  [[ -n $(find_cargo) ]] || fail "no cargo of at least $CARGO_MINIMUM: install Rust by rustup," \
    "or remove Debian's old rustc and cargo and install ${CARGO_PACKAGES[*]}"
}

# ---- formatters and linters ----

clang_format_binary() { echo "$cache/${CLANG_FORMAT[0]/==/-}/clang_format/data/bin/clang-format"; }
ruff_binary() { echo "$cache/${RUFF[0]/==/-}/bin/ruff"; }
oxlint_script() { echo "$cache/oxlint-$OXLINT_VERSION/node_modules/oxlint/bin/oxlint"; }

setup_linters() {
  setup_python
  setup_node
  [[ -x $(clang_format_binary) ]] || step "fetching ${CLANG_FORMAT[0]}" fetch_wheel "${CLANG_FORMAT[@]}"
  [[ -x $(ruff_binary) ]] || step "fetching ${RUFF[0]}" fetch_wheel "${RUFF[@]}"
  [[ -e $(oxlint_script) ]] || step "fetching oxlint $OXLINT_VERSION" fetch_oxlint
}

fetch_wheel() { # fetch_wheel NAME==VERSION SHA256...
  local target=$cache/${1/==/-} hashes=("${@:2}") pythons
  pythons=$(find_pythons)
  rm -rf "$target" "$target.new"
  mkdir "$target.new"
  "${pythons%%:*}" -I -m venv "$target.new/venv"
  echo "$1" "${hashes[@]/#/--hash=sha256:}" >"$target.new/requirements.txt"
  "$target.new/venv/bin/python" -m pip install --disable-pip-version-check --only-binary :all: \
    --require-hashes --target "$target.new" -r "$target.new/requirements.txt"
  rm -rf "$target.new/venv"
  mv "$target.new" "$target"
}

fetch_oxlint() {
  local target=$cache/oxlint-$OXLINT_VERSION
  rm -rf "$target" "$target.new"
  npm install --prefix "$target.new" --ignore-scripts --no-audit --no-fund "oxlint@$OXLINT_VERSION"
  mv "$target.new" "$target"
}
