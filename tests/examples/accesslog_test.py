# SPDX-License-Identifier: MIT
"""The generator: the same log for the same seed, with abusers in it that replay finds."""

import pytest
from programs import denied_by_caller, replay, run


def test_the_generated_log_is_the_same_for_the_same_seed():
    first, again = (run("accesslog", "--lines", "5000", "--seed", "3") for _ in range(2))
    other = run("accesslog", "--lines", "5000", "--seed", "4")
    assert first.stdout == again.stdout != other.stdout
    assert first.stdout.count(b"\n") == 5000
    report = replay(first.stdout)
    assert report["malformed"] == report["stepped_back"] == 0


@pytest.mark.parametrize("lines, abusers", [(2_000, 2), (20_000, 5), (200_000, 8)])
def test_the_abusers_are_found(lines, abusers):
    log = run("accesslog", "--lines", lines, "--abusers", abusers)
    expected = set(log.stderr.decode().split())
    report = replay(log.stdout, "--limit", "100/minute burst 20", "--top", abusers)
    assert len(expected) == abusers
    assert set(denied_by_caller(report)) == expected


BAD_GENERATOR = [["--lines", "many"], ["--lines", "-1"], ["--abusers", "99"], ["--what"], ["x"],
                 ["--seed"]]  # fmt: skip


@pytest.mark.parametrize("arguments", BAD_GENERATOR)
def test_the_generator_refuses_what_makes_no_sense(arguments):
    done = run("accesslog", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
