# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Debian packages in two ways: installed on the machine (root, for compilers and headers), or
# unpacked into the cache (anybody), so that nothing on the machine changes and no service starts.

present() { # present KIND:WHAT
  local what=${1#*:}
  case $1 in
    command:*) command -v "$what" >/dev/null ;;
    header:*) compgen -G "/usr/include/$what" >/dev/null || compgen -G "/usr/include/*/$what" >/dev/null ||
      compgen -G "/usr/local/include/$what" >/dev/null ;;
    file:*) compgen -G "$what" >/dev/null ;;
    *) fail "no such kind of check: $1" ;;
  esac
}

# require_packages "CHECK PACKAGE"...: installs the packages whose check fails.
require_packages() {
  local need check package missing=()
  for need in "$@"; do
    read -r check package <<<"$need"
    present "$check" || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
}

install_packages() {
  command -v apt-get >/dev/null ||
    fail "missing: $* (Debian's names). Install what your system calls them, then run this again."
  [[ $(id -u) -eq 0 ]] || fail "missing: $*. As root: apt-get install $*"
  step "installing $*" apt_install "$@"
}

apt_install() {
  local options=(-y --no-install-recommends --no-remove -o DPkg::Lock::Timeout=300)
  export DEBIAN_FRONTEND=noninteractive
  # The lists on the machine may be absent or old; asking for new ones is worth it only then.
  apt-get "${options[@]}" install "$@" || { apt-get update && apt-get "${options[@]}" install "$@"; }
}

# The mirror the machine itself uses; nothing here knows a host by name.
debian_mirror() {
  if [[ -n ${TIDEGATE_DEBIAN_MIRROR:-} ]]; then
    echo "$TIDEGATE_DEBIAN_MIRROR"
    return
  fi
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 ~ /^(bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)$/ && $2 == "main" {
           print $3; exit }'
}

# private_apt SUITES: a package world of those suites alone, as if nothing were installed. Sets
# private_apt_options. Lists are fetched once in a run of setup.
private_apt() {
  local suites=$1 root mirror
  root=$cache/apt/${suites//,/+}
  private_apt_options=(
    -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$root/sources"
    -o Dir::Etc::Preferences="$root/preferences" -o Dir::Etc::PreferencesParts=/dev/null
    -o Dir::State="$root/state" -o Dir::State::Lists="$root/lists" -o Dir::State::status=/dev/null
    -o Dir::Cache="$root/cache" -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=true
    -o Acquire::Retries=3 -o APT::Install-Recommends=false -o Acquire::Languages=none
  )
  [[ ! -e $root/ready ]] || return 0
  mirror=$(debian_mirror)
  [[ -n $mirror ]] || fail "no Debian mirror among this machine's apt sources; name one in" \
    "TIDEGATE_DEBIAN_MIRROR (the URI that stands before the suite)"
  mkdir -p "$root"/{sources,lists/partial,cache/archives/partial,state}
  {
    echo "Types: deb deb-src"
    echo "URIs: $mirror"
    echo "Suites: ${suites//,/ }"
    echo "Components: main"
    echo "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg"
  } >"$root/sources/private.sources"
  printf 'Package: *\nPin: release a=*-backports\nPin-Priority: 500\n' >"$root/preferences"
  apt-get "${private_apt_options[@]}" update -o APT::Update::Error-Mode=any
  touch "$root/ready"
}

# unpack_packages SUITES DIRECTORY PACKAGE...: those packages alone, unpacked; no script is run.
unpack_packages() {
  local suites=$1 directory=$2 downloads deb
  shift 2
  private_apt "$suites"
  downloads=$(mktemp -d "$cache/apt/download.XXXXXX")
  (cd "$downloads" && apt-get "${private_apt_options[@]}" download "$@")
  mkdir -p "$directory"
  for deb in "$downloads"/*.deb; do dpkg -x "$deb" "$directory"; done
  rm -rf "$downloads"
}

# closure SUITES PACKAGE: the package and all it depends on, one a line.
closure() {
  private_apt "$1" >&2
  apt-get "${private_apt_options[@]}" install --simulate "$2" | awk '$1 == "Inst" { print $2 }'
}
