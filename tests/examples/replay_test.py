# SPDX-License-Identifier: MIT
"""The real replay, from outside: what a user types and what comes back.

TIDEGATE_BIN says where it is (default build/release/bin); TIDEGATE_TEST_URL names a server to
replay through, which is otherwise not tested.
"""

import json
import os
import random

import pytest
from programs import ROOT, START, denied_by_caller, line, model, replay, run

BAD_USE = {
    "a rate that does not parse": ["--limit", "lots", "-"],
    "an empty rate": ["--limit", "", "-"],
    "a burst for a window": ["--limit", "5/s burst 9", "--algorithm", "fixed_window", "-"],
    "an unknown algorithm": ["--algorithm", "magic", "-"],
    "an unknown key": ["--key", "shoe size", "-"],
    "an unknown option": ["--frobnicate", "-"],
    "a short option": ["-x", "-"],
    "an option without its value": ["--limit"],
    "a top that is no number": ["--top", "ten", "-"],
    "a store that does not parse": ["--store", "ftp://there", "-"],
    "an option that the store does not know": ["--store", "memory://?colour=blue", "-"],
    "a file that is not there": ["/nonexistent/access.log"],
    "a folder": ["/"],
    "no file": [],
    "two files": ["a.log", "b.log"],
    "a file's name with a line feed": ["/nonexistent/a\nb"],
}


@pytest.mark.parametrize("arguments", BAD_USE.values(), ids=BAD_USE.keys())
def test_bad_use_is_one_line_and_status_2(arguments):
    done = run("replay", *arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"replay: ") and done.stderr.count(b"\n") == 1


def test_help_and_version_succeed():
    assert b"--limit" in run("replay", "--help").stdout
    header = (ROOT / "capi/include/tidegate.h").read_text()
    assert run("replay", "--version").stdout.decode().split()[1] in header
    assert b"--listen" in run("gate", "--help").stdout


GARBAGE = {
    "empty": (b"", 0, 0),
    "one line without a line feed": (line().rstrip(), 1, 0),
    "CRLF": (line().replace(b"\n", b"\r\n") * 3, 3, 0),
    "blank lines": (b"\n" + line() + b"\n", 1, 2),
    "NUL bytes": (b"\0\0\0" + line() + line(), 1, 1),
    "only NUL bytes": (b"\0" * 100_000, 0, 1),
    "only line feeds": (b"\n" * 1000, 0, 1000),
    "a line of 1 MB": (line() + b"x" * 1_000_000 + b"\n" + line(), 2, 1),
    "a last line of 1 MB": (line() + b"x" * 1_000_000, 1, 1),
    "a path of 1 MB": (line() + line(path="/" + "a" * 1_000_000) + line(), 2, 1),
    "a path of 100 kB": (line(path="/" + "a" * 100_000) + line(), 2, 0),
    "bytes of all kinds": (bytes(range(256)) * 10 + b"\n" + line(), 1, 11),
}


@pytest.mark.parametrize("text, good, malformed", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("key", ["address", "path", "user"])
def test_no_input_is_fatal(text, good, malformed, key):
    report = replay(text, "--key", key)
    assert (report["passed"] + report["denied"], report["malformed"]) == (good, malformed)


def test_random_bytes_are_counted_and_nothing_else():
    noise = random.Random(7).randbytes(2_000_000)
    report = replay(noise)
    assert report["lines"] == noise.count(b"\n") + (not noise.endswith(b"\n"))
    assert report["passed"] == 0


def test_the_first_three_malformed_lines_are_named():
    lines = [line() for _ in range(20)]
    for at in (3, 9, 11, 17):
        lines[at - 1] = b"no such line\n"
    report = replay(lines)
    assert report["malformed"] == 4 and report["malformed_lines"] == [3, 9, 11]
    table = run("replay", "-", text=b"".join(lines)).stdout.decode()
    assert "lines 3, 9, 11 ..." in table


def test_a_file_and_standard_input_say_the_same(tmp_path):
    lines = b"".join(line(second=i // 50) for i in range(1000))
    (tmp_path / "access.log").write_bytes(lines)
    done = run("replay", "--json", tmp_path / "access.log")
    from_file, from_input = json.loads(done.stdout), replay(lines)
    del from_file["elapsed_us"], from_input["elapsed_us"]
    assert from_file == from_input and from_file["denied"] > 0


def test_the_report_has_these_fields():
    report = replay([line()] * 3, "--limit", "2/minute", "--algorithm", "gcra")
    types = {
        "version": str, "limit": str, "name": str, "algorithm": str, "key": str, "store": str,
        "lines": int, "passed": int, "denied": int, "malformed": int, "malformed_lines": list,
        "stepped_back": int, "first": str, "last": str, "callers": int, "evicted": int,
        "elapsed_us": int, "top": list,
    }  # fmt: skip
    assert {name: type(value) for name, value in report.items()} == types
    assert report["algorithm"] == "token_bucket" and report["name"] == "2-per-60s"
    assert report["first"] == report["last"] == "2026-01-05T00:00:00Z"
    assert report["top"] == [{"caller": "10.0.0.1", "requests": 3, "denied": 1}]
    empty = replay(b"")
    assert empty["first"] is None and empty["top"] == []


def random_log(seed, back=0.02):
    """(second, address) of callers with bursts, by a clock that steps back now and then."""
    rng, second, log = random.Random(seed), 1000, []
    for _ in range(3000):
        second += rng.choice([0, 0, 0, 0, 1, 1, 2, 15])
        if rng.random() < back:
            second = max(0, second - rng.choice([1, 1, 2, 30, 400]))
        log.append((second, f"10.0.0.{int(rng.paretovariate(1.1)) % 9 + 1}"))
    return log


def by_the_model(log, limit):
    store, denied = model.Store([limit]), {}
    for second, address in log:
        part = model.Part(0, address)
        if not store.consume((START + second) * 1_000_000, [part]).allowed:
            denied[address] = denied.get(address, 0) + 1
    return denied


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("algorithm", model.ALGORITHMS)
def test_the_reference_model_counts_the_same(algorithm, seed):
    log = random_log(seed)
    expected = by_the_model(log, model.Limit(algorithm, 10, 60_000_000))
    report = replay(
        [line(address, second) for second, address in log],
        "--limit", "10/minute", "--algorithm", algorithm,
    )  # fmt: skip
    assert denied_by_caller(report) == expected and expected
    assert report["denied"] == sum(expected.values())
    assert report["stepped_back"] == sum(b[0] < a[0] for a, b in zip(log, log[1:]))


def test_a_burst_counts_the_same():
    log = random_log(11)
    expected = by_the_model(log, model.Limit("token_bucket", 10, 60_000_000, 25))
    lines = [line(address, second) for second, address in log]
    assert denied_by_caller(replay(lines, "--limit", "10/minute burst 25")) == expected


def test_zones_do_not_move_the_time():
    zones = [0, 330, -420, 60]
    plain = replay([line(second=i) for i in range(200)], "--limit", "10/minute")
    zoned = replay([line(second=i, zone=zones[i % 4]) for i in range(200)], "--limit", "10/minute")
    assert zoned["stepped_back"] == 0 and zoned["denied"] == plain["denied"] > 0


KEYS = {
    "address": {"192.0.2.1": 1, "2001:db8:1:2::/64": 1, "host.example": 1},
    "path": {"/a": 3, "/b": 1},
    "user": {"ann": 1, "@192.0.2.1": 0, "@2001:db8:1:2::/64": 1, "@host.example": 1},
}


@pytest.mark.parametrize("key, expected", KEYS.items())
def test_every_key_tells_callers_apart(key, expected):
    lines = [
        line("192.0.2.1", user="ann", path="/a?1"),
        line("192.0.2.1", user="ann", path="/a?2"),
        line("192.0.2.2", path="/a"),
        line("2001:db8:1:2::1", path="/a"),
        line("2001:db8:1:2:3::4", path="/b"),
        line("host.example", path="/b"),
        line("host.example", path="/c"),
    ]
    report = replay(lines, "--key", key, "--limit", "1/minute")
    assert denied_by_caller(report) == {who: n for who, n in expected.items() if n}


def test_callers_with_odd_names_make_sound_json_and_a_quiet_terminal():
    paths = {
        "/ü": "/%C3%BC",
        '/\\"q\\"': '/\\"q\\"',
        "/\x1b[31m": "/%1B[31m",
        "/\x7f": "/%7F",
        "/" + "long" * 100: "/" + "long" * 100,
    }
    lines = [line(path=path) for path in paths for _ in range(3)]
    lines += [line(path="/RAW").replace(b"RAW", b"\xff\xfe")] * 3
    report = replay(lines, "--key", "path", "--limit", "1/minute")
    assert {row["caller"] for row in report["top"]} == {*paths.values(), "/%FF%FE"}
    table = run("replay", "--key", "path", "--limit", "1/minute", "-", text=b"".join(lines)).stdout
    assert all(b" " <= bytes([byte]) < b"\x7f" for byte in table.replace(b"\n", b""))
    assert b"/%1B[31m\n" in table and b"/" + b"long" * 14 + b"lon...\n" in table


def test_top_takes_the_most_denied_first():
    lines = [line(f"10.0.0.{i}") for i in range(1, 30) for _ in range(i + 1)]
    report = replay(lines, "--limit", "1/minute", "--top", "12")
    assert [row["denied"] for row in report["top"]] == list(range(29, 17, -1))
    assert replay(lines, "--limit", "1/minute", "--top", "0")["top"] == []
    assert len(replay(lines, "--limit", "1/minute", "--top", "1000")["top"]) == 29


def test_several_rates_are_all_or_nothing():
    report = replay([line()] * 30, "--limit", "10/minute; 5/second")
    assert (report["passed"], report["denied"]) == (5, 25)


def test_states_dropped_for_room_are_reported():
    lines = [line(f"10.0.{i // 250}.{i % 250}") for i in range(20_000)]
    assert replay(lines, "--limit", "1/day")["evicted"] == 0
    few = replay(lines, "--limit", "1/day", "--store", "memory://?max_keys=1000")
    assert 15_000 < few["evicted"] < 20_000


@pytest.mark.skipif("TIDEGATE_TEST_URL" not in os.environ, reason="no server named")
@pytest.mark.parametrize("algorithm", model.ALGORITHMS)
def test_a_server_counts_the_same(algorithm):
    url = os.environ["TIDEGATE_TEST_URL"]
    lines = [line(address, second) for second, address in random_log(5)]
    common = ["--limit", "10/minute", "--algorithm", algorithm]
    assert replay(lines, *common, "--store", url)["top"] == replay(lines, *common)["top"] != []


def test_a_server_that_is_away_is_one_line_and_status_1():
    done = run("replay", "--store", "redis://127.0.0.1:1", "-", text=line())
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)
