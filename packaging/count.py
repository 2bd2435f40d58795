# SPDX-License-Identifier: MIT
"""Reads test runners' reports: count.py junit|go|cargo REPORT...

Prints "FAILED: name: why" and "SKIPPED: name: why" for each such test, and closes with
"counts PASSED FAILED SKIPPED". A report that is missing, unreadable or without a test is a failure.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, verdict, name, why=""):
        setattr(self, verdict, getattr(self, verdict) + 1)
        if verdict != "passed":
            line = " ".join((why or "no reason given").split())[:300]
            print(f"{verdict.upper()}: {name}: {line}")

    def total(self):
        return self.passed + self.failed + self.skipped


def gtest_reason(output, word):
    """ctest only knows that it failed; GoogleTest says why, after "file:line: Failure"."""
    found = re.search(rf": {word}\n+((?:[^\[\n].*\n){{1,4}})", output or "")
    return found.group(1) if found else ""


def read_junit(path, tally):
    for case in ElementTree.parse(path).iter("testcase"):
        name = "::".join(filter(None, (case.get("classname"), case.get("name"))))
        if case.get("classname") in (case.get("name"), "test"):
            name = case.get("name")
        bad = case.find("failure")
        bad = case.find("error") if bad is None else bad
        skipped = case.find("skipped")
        if bad is not None:
            why = bad.get("message") or bad.text
            tally.add("failed", name, why or gtest_reason(case.findtext("system-out"), "Failure"))
        elif skipped is not None:
            why = gtest_reason(case.findtext("system-out"), "Skipped") or skipped.get("message")
            tally.add("skipped", name, why or skipped.text)
        else:
            tally.add("passed", name)


def read_go(path, tally):
    """A test that holds subtests is not one of its own, unless it failed and none of them did."""
    ends, output, parents = {}, {}, {}
    for line in open(path, encoding="utf-8", errors="replace"):
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        key = (event.get("Package", ""), event.get("Test", ""))
        if "/" in key[1]:
            parents.setdefault((key[0], key[1].rsplit("/", 1)[0]), []).append(key)
        if event["Action"] == "output":
            output.setdefault(key, []).append(event["Output"])
        elif event["Action"] in ("pass", "fail", "skip"):
            ends[key] = event["Action"]
    words = {"pass": "passed", "fail": "failed", "skip": "skipped"}
    failed_within = {key[0] for key, end in ends.items() if key[1] and end == "fail"}
    for (package, test), end in ends.items():
        why = "".join(output.get((package, test), []))
        subtests = [ends.get(key) for key in parents.get((package, test), [])]
        if subtests and (end != "fail" or "fail" in subtests):
            continue
        if test:
            tally.add(words[end], f"{package}.{test}", why)
        elif not test and end == "fail" and package not in failed_within:
            tally.add("failed", package, why)  # a panic, a build that failed


def read_cargo(path, tally):
    verdicts = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}
    text = open(path, encoding="utf-8", errors="replace").read()
    for name, verdict, why in re.findall(
        r"^test (.+?) \.\.\. (?:.*?)(ok|FAILED|ignored)(?:, (.*))?$", text, re.M
    ):
        tally.add(verdicts[verdict], name, why)
    for line in re.findall(r"^error(?:\[E\d+\])?: .*", text, re.M)[:5]:
        if not line.startswith(("error: test failed", "error: doctest failed")):
            if not re.match(r"error: \d+ targets? failed", line):
                tally.add("failed", "cargo", line)


def main(kind, paths):
    tally = Tally()
    for path in paths:
        before = tally.total()
        try:
            {"junit": read_junit, "go": read_go, "cargo": read_cargo}[kind](path, tally)
        except (OSError, ElementTree.ParseError, ValueError) as error:
            tally.add("failed", path, f"no readable report: {error}")
        if tally.total() == before:
            tally.add("failed", path, "the report holds no test")
    print(f"counts {tally.passed} {tally.failed} {tally.skipped}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
