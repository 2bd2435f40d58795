# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What suites are written with. A suite is an executable packaging/suites/NN-name that runs from the
# repository's root with the environment of packaging/setup, prints what it likes, names each
# skipped test in a line "SKIPPED: name: why", and closes with "N passed, N failed, N skipped".
#
#   #!/usr/bin/env bash
#   # needs: native python          components of packaging/setup; default: test
#   # limit: 10m                    longest time it may take; default: 15m
#   . packaging/lib.sh
#   check "the thing builds" cmake --build build/thing        one test: a command that must succeed
#   run_ctest release                                         or many, read from a runner's report
#   finish
#
# A suite that stops before finish has failed, whatever it had counted.

set -euo pipefail
shopt -s inherit_errexit

: "${TIDEGATE_BUILD:=build}"
reports=$TIDEGATE_BUILD/log/reports/$(basename "$0")
rm -rf "$reports"
mkdir -p "$reports"
passed=0 failed=0 skipped=0 finished=

cores() { nproc; }

finish() {
  finished=1
  echo "$passed passed, $failed failed, $skipped skipped"
  [[ $failed -eq 0 ]] || exit 1
  exit 0
}

on_exit() {
  local status=$?
  [[ -z $finished ]] || return
  echo "FAILED: the suite stopped early (status $status)"
  echo "$passed passed, $((failed + 1)) failed, $skipped skipped"
}
trap on_exit EXIT

# check TITLE COMMAND...: counts the command as one test. Returns its verdict, so that what follows
# can depend on it; `check ... || finish` where nothing else makes sense.
# A function given as COMMAND runs without errexit: join its commands by &&.
check() {
  local title=$1 status=0
  shift
  "$@" </dev/null || status=$?
  if [[ $status -eq 0 ]]; then
    passed=$((passed + 1))
    echo "ok      $title"
  else
    failed=$((failed + 1))
    echo "FAILED: $title (status $status: $*)"
    return 1
  fi
}

skip() { # skip NAME WHY
  skipped=$((skipped + 1))
  echo "SKIPPED: $1: $2"
}

# count KIND REPORT...: adds what a runner reported. KIND: junit, go (go test -json), cargo (the
# text of cargo test). Prints the failed and the skipped; no report, or an empty one, is a failure.
count() {
  local line numbers
  line=$(python3 packaging/count.py "$@") || true
  grep -v '^counts ' <<<"$line" || true
  numbers=$(sed -n 's/^counts //p' <<<"$line")
  read -r p f s <<<"${numbers:-0 1 0}"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# run_counted KIND REPORT COMMAND...: runs a test runner that writes that report, and counts it. A
# runner that fails without naming a failed test is itself one.
run_counted() {
  local kind=$1 report=$2 before=$failed status=0
  shift 2
  rm -f "$report"
  "$@" </dev/null || status=$?
  count "$kind" "$report"
  if [[ $status -ne 0 && $failed -eq $before ]]; then
    failed=$((failed + 1))
    echo "FAILED: status $status, though no test failed: $*"
  fi
}

# build_preset NAME [TARGET...]: configures and builds; the suite ends here if that fails.
build_preset() {
  local preset=$1
  shift
  check "preset $preset configures" cmake --preset "$preset" || finish
  check "preset $preset builds" cmake --build --preset "$preset" -j "$(cores)" ${@:+--target "$@"} ||
    finish
  passed=$((passed - 2)) # what is built is no test
}

run_ctest() { # run_ctest PRESET [CTEST ARGUMENT...]
  local preset=$1 report
  shift
  report=$(realpath "$reports")/ctest-$preset.xml
  run_counted junit "$report" ctest --preset "$preset" -j "$(cores)" --output-junit "$report" "$@"
}

run_pytest() { # run_pytest PYTHON [PYTEST ARGUMENT...]
  local python=$1 report
  shift
  report=$(mktemp "$(realpath "$reports")/pytest.XXXXXX.xml")
  run_counted junit "$report" "$python" -m pytest -ra --junit-xml "$report" "$@"
}

run_node_test() { # run_node_test NODE [ARGUMENT OR FILE...]
  local node=$1 report
  shift
  report=$(mktemp "$(realpath "$reports")/node.XXXXXX.xml")
  run_counted junit "$report" "$node" --test --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=junit --test-reporter-destination="$report" "$@"
}

run_go_test() { # run_go_test FOLDER [ARGUMENT...]
  run_with_output go "$1" go test -json "${@:2}"
}

run_cargo_test() { # run_cargo_test FOLDER [ARGUMENT...]
  run_with_output cargo "$1" cargo test --no-fail-fast "${@:2}"
}

# run_with_output KIND FOLDER COMMAND...: for runners whose output is their report.
run_with_output() {
  local report
  report=$(mktemp "$(realpath "$reports")/$1.XXXXXX")
  run_counted "$1" "$report" save_output "$report" "$2" "${@:3}"
}

save_output() { # save_output REPORT FOLDER COMMAND...
  (cd "$2" && "${@:3}") 2>&1 | tee "$1"
}
