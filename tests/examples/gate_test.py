# SPDX-License-Identifier: MIT
"""The real gate, over standard input and over TCP.

TIDEGATE_BIN says where the programs are (default build/release/bin); TIDEGATE_TEST_URL names a
server to share a budget on, which is otherwise not tested.
"""

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TIDEGATE_BIN", ROOT / "build/release/bin"))
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "TIDEGATE_URL"}


def gate(*arguments, text=b""):
    return subprocess.run(
        [BIN / "gate", *arguments], input=text, capture_output=True, timeout=30, env=ENVIRONMENT
    )


def words(answers):
    return [answer.split()[0] for answer in answers.decode().splitlines()]


@contextmanager
def listening(*arguments):
    command = [BIN / "gate", *arguments, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as child:
        try:
            host, port = child.stdout.readline().decode().split()[-1].rsplit(":", 1)
            yield host, int(port)
            assert child.poll() is None, "it is still there"
        finally:
            child.terminate()


def ask(address, text):
    """All the answers to a text, sent at once."""
    with socket.create_connection(address, timeout=10) as peer:
        peer.sendall(text)
        peer.shutdown(socket.SHUT_WR)
        answers = b""
        while piece := peer.recv(65536):
            answers += piece
        return answers


LINES = {
    "a key": (b"a\n", ["allowed"]),
    "the fourth is denied": (b"a\n" * 4, ["allowed"] * 3 + ["denied"]),
    "a cost": (b"a 3\na\nb\n", ["allowed", "denied", "allowed"]),
    "a cost that never fits": (b"a 4\na\n", ["denied", "allowed"]),
    "a cost of nothing": (b"a 3\na 0\n", ["allowed", "allowed"]),
    "no key": (b"\na\n", ["error", "allowed"]),
    "a cost that is no number": (b"a x\na -1\na 1.5\na\n", ["error"] * 3 + ["allowed"]),
    "too many words": (b"a 1 2\n", ["error"]),
    "no line feed at the end": (b"a 3\na", ["allowed", "denied"]),
    "CRLF and blanks": (b"  a \t 3 \r\na\r\n", ["allowed", "denied"]),
}


@pytest.mark.parametrize("text, expected", LINES.values(), ids=LINES.keys())
def test_lines_are_answered_alike_on_standard_input_and_over_tcp(text, expected):
    done = gate("--limit", "3/hour", text=text)
    assert done.returncode == 0 and words(done.stdout) == expected
    with listening("--limit", "3/hour") as address:
        assert words(ask(address, text)) == expected


def test_an_answer_says_what_remains_and_how_long_to_wait():
    answers = gate("--limit", "2/hour", text=b"a\na\na\na 3\n").stdout.decode().splitlines()
    assert answers[0] == "allowed remaining=1 retry_after=0.000 source=memory"
    assert answers[1] == "allowed remaining=0 retry_after=0.000 source=memory"
    denied, remaining, retry_after, _ = answers[2].split()
    assert (denied, remaining) == ("denied", "remaining=0")
    assert 1790 < float(retry_after.split("=")[1]) <= 1800
    assert answers[3] == "denied remaining=0 retry_after=never source=memory"


BAD_USE = [["--limit", "lots"], ["--frobnicate"], ["--limit"], ["key"], ["--name", "a b"],
           ["--store", "ftp://x"], ["--listen", "nowhere"], ["--listen", "127.0.0.1:65536"],
           ["--listen", "::"], ["--algorithm", "magic"]]  # fmt: skip


@pytest.mark.parametrize("arguments", BAD_USE)
def test_bad_use_is_one_line_and_status_2(arguments):
    done = gate(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


def test_connections_share_one_budget_and_come_and_go():
    with listening("--limit", "100/hour") as address:
        answers = b"".join(ask(address, b"k\n" * 30) for _ in range(5))
        assert words(answers).count("allowed") == 100
        for _ in range(50):  # who hangs up without reading leaves nothing behind
            with socket.create_connection(address) as peer:
                peer.sendall(b"x\n" * 100)
        peers = [socket.create_connection(address, timeout=10) for _ in range(100)]
        for i, peer in enumerate(peers):
            peer.sendall(b"p%d\n" % i)
        assert all(peer.recv(100).startswith(b"allowed remaining=99") for peer in peers)
        for peer in peers:
            peer.close()
        assert words(ask(address, b"still there\nhere\n")) == ["error", "allowed"]


def test_a_line_in_pieces_and_a_line_without_end():
    with listening("--limit", "3/hour") as address:
        with socket.create_connection(address, timeout=10) as peer:
            for piece in (b"a", b"b", b" ", b"2", b"\n"):
                peer.sendall(piece)
                time.sleep(0.01)
            assert peer.recv(100).startswith(b"allowed remaining=1 ")
        with socket.create_connection(address, timeout=10) as peer:
            peer.sendall(b"x" * 1024)
            assert peer.recv(100) == b"", "it hangs up"


def test_a_long_line_is_refused_as_a_whole_on_standard_input():
    text = b"x" * 1022 + b"\n" + b"x" * 1023 + b"\n" + b"x" * 100_000 + b"\na\n"
    done = gate("--limit", "3/hour", text=text)
    assert words(done.stdout) == ["allowed", "error", "error", "allowed"]


def test_many_lines_that_make_no_sense_do_not_hold_up_those_that_do():
    with listening("--limit", "3/hour") as address:
        assert words(ask(address, b"\n" * 5000 + b"k\n")) == ["error"] * 5000 + ["allowed"]


def test_many_lines_at_once_are_answered_in_order():
    with listening("--limit", "10000/day", "--algorithm", "fixed_window") as address:
        answers = ask(address, b"".join(b"k\n" for _ in range(5000))).decode().splitlines()
        left = [int(answer.split()[1].split("=")[1]) for answer in answers]
        assert len(left) == 5000 and left == sorted(left, reverse=True)


@pytest.mark.skipif("TIDEGATE_TEST_URL" not in os.environ, reason="no server named")
def test_two_processes_share_the_budget_of_one_server():
    url = f"{os.environ['TIDEGATE_TEST_URL']}?namespace=gate-{os.getpid()}"
    answers = gate("--store", url, "--limit", "10/minute", text=b"k\n" * 6).stdout
    with listening("--store", url, "--limit", "10/minute") as address:
        answers += ask(address, b"k\n" * 6)
    assert words(answers) == ["allowed"] * 10 + ["denied"] * 2
    assert answers.count(b"source=store") == 12
