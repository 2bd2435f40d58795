# SPDX-License-Identifier: MIT
"""count.py REPORT: a runner's own report, JUnit XML or what `go test -v` and `cargo test` print.

Prints "FAILED: name: why" and "SKIPPED: name: why", and closes with "counts PASSED FAILED SKIPPED".
A report that is missing, unreadable or without a test is a failure.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

LINE = re.compile(
    r"(?:^ +\S+\.go:\d+: (?P<go_why>.*)\n)?^ *--- (?P<go>PASS|FAIL|SKIP): (?P<go_name>\S+)"
    r"|^test (?P<name>.+?) \.\.\. (?:.*?)(?P<cargo>ok|FAILED|ignored)(?:, (?P<why>.*))?$",
    re.M,
)
VERDICTS = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}
VERDICTS |= {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}


def junit(text):
    for case in ElementTree.fromstring(text).iter("testcase"):
        names = dict.fromkeys((case.get("classname", ""), case.get("name", "")))
        name = "::".join(filter(None, names))
        for word, verdict in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
            found = case.find(word)
            if found is not None:
                # ctest only knows that it failed; GoogleTest says why, after "file:line: Failure".
                printed = case.findtext("system-out") or ""
                said = re.search(r": (?:Failure|Skipped)\n+((?:[^\[\n].*\n){1,4})", printed)
                yield name, verdict, said[1] if said else found.get("message") or found.text
                break
        else:
            yield name, "passed", ""


def printed(text):
    found = [match.groupdict() for match in LINE.finditer(text)]
    # A Go test that holds subtests is not one of its own, unless it failed and none of them did.
    verdicts = {(it["go_name"], it["go"]) for it in found}
    for it in found:
        inner = {end for name, end in verdicts if name and name.startswith(f"{it['go_name']}/")}
        if not inner or (it["go"] == "FAIL" and "FAIL" not in inner):
            why = it["go_why"] or it["why"]
            yield it["go_name"] or it["name"], VERDICTS[it["go"] or it["cargo"]], why


def main(path):
    try:
        text = Path(path).read_text(errors="replace")
        tests = list(junit(text) if path.endswith(".xml") else printed(text))
    except (OSError, ElementTree.ParseError) as error:
        tests = [(path, "failed", f"no readable report: {error}")]
    for name, verdict, why in tests or [(path, "failed", "the report holds no test")]:
        if verdict != "passed":
            print(f"{verdict.upper()}: {name}:", " ".join((why or "").split())[:300])
    verdicts = [verdict for _, verdict, _ in tests] or ["failed"]
    print("counts", *(verdicts.count(word) for word in ("passed", "failed", "skipped")))


if __name__ == "__main__":
    main(sys.argv[1])
