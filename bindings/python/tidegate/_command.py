# SPDX-License-Identifier: MIT
"""The command line: `tidegate`, or `python -m tidegate`. Thin over what the package does."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import tidegate
import tidegate.policy


def attribute(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE, such as path=/v1/images")
    return name, value


def check(arguments: argparse.Namespace) -> int:
    """Says what is wrong with policies: "limits.yaml:13:12: rules[1].limit: ..."."""
    faulty = False
    for file in arguments.file:
        faults = tidegate.policy.validate(Path(file))
        for fault in faults:
            path = f"{fault['path']}: " if fault["path"] else ""
            print(f"{file}:{fault['line']}:{fault['column']}: {path}{fault['message']}")
        if not faults:
            print(f"{file}: valid")
        faulty = faulty or bool(faults)
    return 1 if faulty else 0


def explain(arguments: argparse.Namespace) -> int:
    """Says what applies to a request and why, and how its limits stand in the store."""
    with tidegate.connect(arguments.url, policy=Path(arguments.file)) as gate:
        print(json.dumps(gate.policy.explain(dict(arguments.attribute)), indent=2))
    return 0


def ban(arguments: argparse.Namespace) -> int:
    """Bans a caller (identity, address, network). Every process follows within a second."""
    with tidegate.connect(arguments.url) as gate:
        version = gate.policy.set_caller(
            arguments.key,
            ban=arguments.duration if arguments.duration is not None else True,
            reason=arguments.reason,
            who=arguments.who,
        )
    print(f"{arguments.key} is banned; version {version} of the live policy")
    return 0


def unban(arguments: argparse.Namespace) -> int:
    """Takes away what the live policy says of a caller."""
    with tidegate.connect(arguments.url) as gate:
        version = gate.policy.clear(arguments.key, who=arguments.who)
    print(f"nothing is said of {arguments.key}; version {version} of the live policy")
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Says what a policy would have done to the requests of an access log."""
    from ._replay import Replay

    run = Replay(Path(arguments.file), progress=sys.stderr.isatty())
    for log in arguments.log or ["-"]:
        if log == "-":
            run.read(sys.stdin.buffer)
        else:
            with open(log, "rb") as opened:
                run.read(opened)
    print(run.report())
    if arguments.svg:
        Path(arguments.svg).write_text(run.svg(), encoding="utf-8")
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="tidegate", description="Rate limits by policy.")
    top.add_argument("--version", action="version", version=tidegate.__version__)
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        one = commands.add_parser(function.__name__, help=function.__doc__)
        one.set_defaults(run=function)
        return one

    def store(one: argparse.ArgumentParser) -> None:
        one.add_argument("--url", help="the store; default: $TIDEGATE_URL, or this process")

    one = command(check)
    one.add_argument("file", nargs="+", help="a policy, YAML or JSON")
    one = command(explain)
    one.add_argument("file", help="a policy")
    one.add_argument(
        "attribute", nargs="*", type=attribute, help="path=/v1/images identity=k_1 ..."
    )
    store(one)
    one = command(ban)
    one.add_argument("key", help="k_1, 203.0.113.7, 203.0.113.0/24")
    one.add_argument(
        "--for", dest="duration", metavar="SPAN", help="30m, 1h, 7d; default: for good"
    )
    one.add_argument("--reason", help="for whoever asks why; the caller is not told")
    store(one)
    one.add_argument("--who", help="for the audit stream")
    one = command(unban)
    one.add_argument("key")
    store(one)
    one.add_argument("--who", help="for the audit stream")
    one = command(replay)
    one.add_argument("file", help="a policy")
    one.add_argument("log", nargs="*", help="access logs, common or combined; none: standard input")
    one.add_argument("--svg", metavar="FILE", help="draws the denials over time, too")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except BrokenPipeError:
        return 0
    except (tidegate.Error, OSError, ValueError) as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return 2
