# SPDX-License-Identifier: MIT
"""Checks of what is written: sizes, layout, links, leftovers. Each yields "path:line: finding"."""

import os
import re
import stat
import subprocess

from functions import functions
from tree import C_FAMILY, CODE, is_shell, is_test

TOP_LEVEL = {
    "CMakeLists.txt",
    "CMakePresets.json",
    "LICENSE",
    "README.md",
    "core",
    "capi",
    "bindings",
    "examples",
    "tests",
    "packaging",
}
BUILT = (".so", ".a", ".o", ".node", ".whl", ".tgz", ".pyc", ".gcda", ".profraw")
COLUMNS, FUNCTION_LINES, HEADER_LINES, README_LINES = 100, 70, 350, 150
REFERENCE = "tests/conformance/"  # the models, as they were given to us
# Put together here, so that this file does not hold them.
LEFTOVER = re.compile(
    r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b"
)
MACHINE_PATH = re.compile(
    r"(?<![\w.~$}])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "home/\\w+")) + r")\b/?"
)


def is_code(path, text):
    return path.endswith(CODE) or is_shell(path, text)


def files_are_short(tree):
    for path, text in tree.files():
        if path == "capi/include/tidegate.h":
            cap = HEADER_LINES - 1
        elif path == "README.md":
            cap = README_LINES
        elif is_code(path, text):
            cap = 800 if is_test(path) else 500
        else:
            continue
        count = len(text.splitlines())
        if count > cap:
            yield f"{path}: {count} lines, {cap} at most"


def functions_are_short(tree):
    for path, text in tree.files():
        for function in functions(path, text):
            if function.length > FUNCTION_LINES:
                yield (
                    f"{path}:{function.line}: {function.name} has {function.length} lines, "
                    f"{FUNCTION_LINES} at most"
                )


def lines_are_narrow(tree):
    for path, number, line in tree.lines(*C_FAMILY, ".lua", ".py"):
        if len(line) > COLUMNS and not path.startswith(REFERENCE):
            yield f"{path}:{number}: {len(line)} columns, {COLUMNS} at most"


def sources_name_their_licence(tree):
    for path, text in tree.files():
        cmake = path.endswith(("CMakeLists.txt", ".cmake"))
        if not (cmake or is_code(path, text) or text.startswith("#!")):
            continue
        if "SPDX-License-Identifier: MIT" not in "\n".join(text.split("\n")[:3]):
            yield f"{path}:1: no SPDX-License-Identifier: MIT in the first lines"


def top_level_is_agreed(tree):
    for name in sorted({path.split("/")[0] for path in tree.texts}):
        if name not in TOP_LEVEL and not name.startswith("."):
            yield f"{name}: not one of the agreed top-level names"


def lines_end_cleanly(tree):
    for path, text in tree.files():
        if "/corpus/" in path:
            continue
        tabs = path.endswith((".go", "go.mod", ".bat", "Makefile", ".tsv", ".txt", ".jsonl"))
        in_go = False  # gofmt's tabs, shown in a Markdown file
        for number, line in enumerate(text.split("\n"), 1):
            if line.startswith("```"):
                in_go = path.endswith(".md") and line == "```go"
            if line != line.rstrip():
                yield f"{path}:{number}: white space at the end of the line"
            elif "\t" in line and not tabs and not in_go:
                yield f"{path}:{number}: a tab"
        if text and not text.endswith("\n"):
            yield f"{path}: no line break at the end"
        elif text.endswith("\n\n"):
            yield f"{path}: empty lines at the end"


def no_leftovers(tree):
    for path, number, line in tree.lines():
        if LEFTOVER.search(line) and not path.endswith((".jsonl", ".lock", "-lock.json")):
            yield f"{path}:{number}: left over: {line.strip()[:60]}"


def no_machine_paths(tree):
    here = [str(place) + "/" for place in (tree.root, os.environ.get("HOME")) if place]
    for path, number, line in tree.lines():
        if MACHINE_PATH.search(line) or any(place in line for place in here if len(place) > 2):
            yield f"{path}:{number}: a path of one machine: {line.strip()[:60]}"


def nothing_built_is_tracked(tree):
    for path in tree.texts:
        if path.endswith(BUILT) or re.search(r"(^|/)(node_modules|__pycache__|target|dist)/", path):
            yield f"{path}: a built file"


def lock_files_name_no_mirror(tree):
    for path, number, line in tree.lines("package-lock.json"):
        if '"resolved": "http' in line:
            yield f"{path}:{number}: names the registry it came from"


LINK = re.compile(
    r"(?<!`)\[[^\]]*\]\(<?([^)<>\s]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)", re.M
)


def anchors(text):
    for title in re.findall(
        r"^#{1,6}\s+(.*?)\s*#*$", re.sub(r"```.*?```", "", text, flags=re.S), re.M
    ):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        yield re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    yield from re.findall(r"<a (?:name|id)=\"([^\"]+)\"", text)


def links_lead_somewhere(tree):
    for path, text in tree.files(".md"):
        prose = re.sub(r"```.*?```", lambda code: "\n" * code.group().count("\n"), text, flags=re.S)
        for found in LINK.finditer(prose):
            target = found.group(1) or found.group(2)
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            line = prose.count("\n", 0, found.start()) + 1
            name, _, anchor = target.partition("#")
            other = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if other not in tree.texts and not tree.is_folder(other):
                yield f"{path}:{line}: leads nowhere: {target}"
            elif anchor and other.endswith(".md") and anchor not in anchors(tree.texts[other]):
                yield f"{path}:{line}: no such heading: {target}"


def shell_scripts_parse(tree):
    for path, text in tree.files():
        if not is_shell(path, text):
            continue
        done = subprocess.run(["bash", "-n"], input=text, text=True, stderr=subprocess.PIPE)
        if done.returncode:
            yield f"{path}: {done.stderr.strip().splitlines()[0]}"
        elif text.startswith("#!") and tree.root:
            if not os.stat(tree.root / path).st_mode & stat.S_IXUSR:
                yield f"{path}: begins with #! but cannot be executed"


CHECKS = [
    files_are_short,
    functions_are_short,
    lines_are_narrow,
    sources_name_their_licence,
    top_level_is_agreed,
    lines_end_cleanly,
    no_leftovers,
    no_machine_paths,
    nothing_built_is_tracked,
    lock_files_name_no_mirror,
    links_lead_somewhere,
    shell_scripts_parse,
]
