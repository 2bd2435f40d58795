# SPDX-License-Identifier: MIT
"""Keeps the house in order: python3 tests/tidy/tidy.py [--build build/release] [CHECK...]

One line for each check, with what it found under it, and the count at the end. selftest.py shows
that each of them can fail.
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import design_checks  # noqa: E402
import text_checks  # noqa: E402
from tree import Tree  # noqa: E402

CHECKS = text_checks.CHECKS + design_checks.CHECKS
SHOWN = 25


def title(check):
    return check.__name__.replace("_", " ")


def run(tree, checks):
    """(check, findings) of each."""
    for check in checks:
        yield check, list(check(tree))


def write_junit(path, results):
    suite = ElementTree.Element("testsuite", name="tidy")
    for check, findings in results:
        case = ElementTree.SubElement(suite, "testcase", name=title(check))
        if findings:
            why = f"{len(findings)} findings, the first: {findings[0]}"
            ElementTree.SubElement(case, "failure", message=why)
    ElementTree.ElementTree(suite).write(path)


def main():
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="part of a check's name")
    parser.add_argument("--build", default="build/release", help="where libtidegate was built")
    parser.add_argument("--clang-format", help="the program of the pinned version")
    parser.add_argument("--junit", help="also write a report there")
    arguments = parser.parse_args()
    tree = Tree.tracked(root, build=(root / arguments.build), clang_format=arguments.clang_format)
    wanted = [
        check
        for check in CHECKS
        if not arguments.checks or any(part in check.__name__ for part in arguments.checks)
    ]
    results = list(run(tree, wanted))
    for check, findings in results:
        print(f"{'FAILED' if findings else 'ok':7} {title(check)}")
        for finding in findings[:SHOWN]:
            print(f"        {finding}")
        if len(findings) > SHOWN:
            print(f"        and {len(findings) - SHOWN} more")
    if arguments.junit:
        write_junit(arguments.junit, results)
    failed = sum(bool(findings) for _, findings in results)
    print(f"{len(results) - failed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0 or not results)


if __name__ == "__main__":
    main()
