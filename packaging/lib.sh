# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What suites are written with. A suite is an executable packaging/suites/NN-name that runs from the
# repository's root with the environment of packaging/setup.
#
#   #!/usr/bin/env bash
#   # needs: native python          components of packaging/setup; default: test
#   # limit: 10m                    longest time it may take; default: 15m
#   . packaging/lib.sh
#   need "the thing builds" cmake --build build/thing      no test, but the suite ends where it fails
#   check "the thing starts" build/thing --version         one test: a command that must succeed
#   run_ctest release                                      or many, read from a runner's report
#   finish
#
# A function given as COMMAND runs without errexit: join its commands by &&. A suite that stops before
# finish has failed, whatever it had counted. $scratch is an empty folder that goes with the suite.

set -euo pipefail
shopt -s inherit_errexit

: "${TIDEGATE_BUILD:=build}"
reports=$(realpath -m "$TIDEGATE_BUILD/log/reports/$(basename "$0")")
rm -rf "$reports"
mkdir -p "$reports"
scratch=$(mktemp -d)
passed=0 failed=0 skipped=0 finished=

cores() { nproc; }

finish() {
  finished=1
  exit $((failed > 0))
}

on_exit() {
  local status=$?
  rm -rf "$scratch"
  [[ -n $finished ]] || fail_with "the suite stopped early (status $status)"
  echo "$passed passed, $failed failed, $skipped skipped"
}
trap on_exit EXIT

fail_with() {
  failed=$((failed + 1))
  echo "FAILED: $*"
}

skip() { # skip NAME WHY
  skipped=$((skipped + 1))
  echo "SKIPPED: $1: $2"
}

# try TITLE COMMAND...: says "ok" or counts a failure, and returns which.
try() {
  local title=$1 status=0
  shift
  "$@" </dev/null || status=$?
  [[ $status -ne 0 ]] || { echo "ok      $title" && return; }
  fail_with "$title (status $status: $*)"
  return 1
}

need() { try "$@" || finish; }

check() { # `check ... || true` where what follows does not depend on it
  try "$@" || return
  passed=$((passed + 1))
}

# run_counted REPORT COMMAND...: runs a test runner that writes that report, and counts it. A runner
# that fails without naming a failed test is itself one.
run_counted() {
  local report=$1 before=$failed status=0 counted p f s
  shift
  rm -f "$report"
  "$@" </dev/null || status=$?
  counted=$(python3 packaging/count.py "$report") || true
  sed '/^counts /d' <<<"$counted"
  read -r _ p f s < <(grep '^counts ' <<<"$counted" || echo counts 0 1 0)
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  [[ $status -eq 0 || $failed -gt $before ]] || fail_with "status $status, though no test failed: $*"
}

build_preset() { # build_preset NAME [TARGET...]
  need "preset $1 configures" cmake --preset "$1" -DTIDEGATE_WERROR=ON # for users they are only warnings
  need "preset $1 builds" cmake --build --preset "$1" -j "$(cores)" ${2:+--target "${@:2}"}
}

run_ctest() { # run_ctest PRESET [CTEST ARGUMENT...]
  run_counted "$reports/$1.xml" \
    ctest --preset "$1" -j "$(cores)" --output-junit "$reports/$1.xml" "${@:2}"
}

run_pytest() { # run_pytest PYTHON [PYTEST ARGUMENT...]
  local report
  report=$(mktemp "$reports/pytest.XXXXXX.xml")
  run_counted "$report" "$1" -m pytest -ra --junit-xml "$report" "${@:2}"
}

run_node_test() { # run_node_test NODE [ARGUMENT OR FILE...]
  local report
  report=$(mktemp "$reports/node.XXXXXX.xml")
  run_counted "$report" "$1" --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=junit --test-reporter-destination="$report" "${@:2}"
}

# run_printed FOLDER COMMAND...: for runners whose output is their report: go test -v, cargo test.
run_printed() {
  local report
  report=$(mktemp "$reports/printed.XXXXXX")
  run_counted "$report" print_into "$report" "$@"
}
print_into() { (cd "$2" && "${@:3}") 2>&1 | tee "$1"; }
