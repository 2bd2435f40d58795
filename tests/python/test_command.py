# SPDX-License-Identifier: MIT
"""The command line, as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import wait_for

import tidegate

POLICY = """
version: 1
limiters: {api: 3/minute}
rules:
  - {when: {path: /health}, exempt: true}
  - limit: api
callers: {198.51.100.9: {ban: true}}
"""


def run(*arguments, stdin=None):
    return subprocess.run(
        [sys.executable, "-m", "tidegate", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "limits.yaml"
    path.write_text(POLICY)
    return path


def test_check(policy, tmp_path):
    done = run("check", policy)
    assert (done.returncode, done.stdout) == (0, f"{policy}: valid\n")
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text("version: 1\nlimiters: {api: 3/minute}\nrules:\n  - limit: app\n")
    done = run("check", policy, faulty)
    assert done.returncode == 1
    assert f"{faulty}:4:12: rules[0].limit: " in done.stdout
    done = run("check", tmp_path / "none.yaml")
    assert done.returncode == 2 and "none.yaml" in done.stderr


def test_explain(policy):
    done = run("explain", policy, "path=/", "identity=k_1")
    answer = json.loads(done.stdout)
    assert answer["verdict"] == "limits" and answer["states"][0]["remaining"] == 3
    assert run("explain", policy, "path").returncode == 2


def test_bans_are_followed(policy, own_store):
    url = own_store.start().url()
    with tidegate.connect(url, policy=policy) as gate:
        done = run("ban", "k_1", "--for", "1h", "--reason", "loud", "--url", url)
        assert done.returncode == 0 and "version 1" in done.stdout, done.stderr
        wait_for(lambda: gate.check(path="/", identity="k_1").verdict == "banned", "the ban")
        assert run("unban", "k_1", "--url", url).returncode == 0
        wait_for(lambda: gate.check(path="/", identity="k_1").verdict == "limits", "the end of it")


def test_replay(policy, tmp_path):
    line = '{0} - - [10/Oct/2025:13:55:{1:02} +0000] "GET {2} HTTP/1.1" 200 12 "-" "curl"\n'
    log = [line.format("203.0.113.7", second, "/a?b=c") for second in range(5)]
    log += [line.format("203.0.113.8", 9, "/health"), line.format("198.51.100.9", 9, "/")]
    log += ["what is this\n", '1 - - [no time] "GET / HTTP/1.1" 200 1\n']
    picture = tmp_path / "denials.svg"
    done = run("replay", policy, "--svg", picture, stdin="".join(log))
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert said.startswith("9 lines, 2 not understood\n")
    assert "           3   42.9 %  passed" in said and "           2   28.6 %  denied" in said
    assert "           2  @203.0.113.7" in said and "           2  api" in said
    assert "denials over time" in said
    assert picture.read_text().count("<rect") >= 2
