# SPDX-License-Identifier: MIT
"""What no tool checks. Tools check the rest: packaging/suites/10-tidy runs both."""

import re
import subprocess
import sys
from os.path import dirname, normpath
from pathlib import Path

PUBLIC, HEADER, SYMBOLS = "capi/include/", "capi/include/tidegate.h", "capi/symbols.txt"
C_FAMILY = (".h", ".cc", ".c")
CODE = (*C_FAMILY, ".js", ".mjs", ".cjs", ".ts", ".py", ".lua", ".go", ".rs", ".sh")
# The rooms of the core, and whom each may include besides itself and core/base.
ROOMS = {
    "base": "",
    "limiter": "",
    "cache": "limiter http stats",
    "policy": "limiter http options cache stats",
    "stats": "limiter",
    "http": "limiter",
    "options": "http limiter",
    "store/memory": "limiter cache",
    "store": "reactor store/memory limiter cache stats",
    "store/valkey": "store reactor http options limiter cache stats",
    "reactor": "",
    "client": "store store/memory store/valkey reactor options http policy cache limiter stats",
    "console": "client policy cache limiter stats http options",
}
CAPI_SEES = "base client console http limiter options policy cache stats".split()
POLLING = ("core/reactor/", "core/store/valkey/", "core/client/", "examples/", "tests/")
FOREIGN = {  # what only some may know of
    r"hiredis/": ("core/store/valkey/", "tests/"),
    r"yaml\.h": ("core/policy/document.cc", "tests/", "packaging/cmake/"),
    r"openssl/": ("core/store/valkey/", "core/http/", "tests/"),
    r"sys/(epoll|eventfd|timerfd|event)\.h": POLLING,
}
NO_FUNCTION = re.compile(
    r".*\b(class|struct|union|enum|namespace|impl|mod|trait|interface)\b|\s*(describe|suite)\b|for\b"
)


def ending(texts, *endings):
    return ((path, text) for path, text in texts.items() if path.endswith(endings))


def files_are_short(texts, build):
    caps = {HEADER: 349, "README.md": 150}
    for path, text in texts.items():
        cap = 800 if "tests/" in path or path.endswith("_test.go") else 500
        cap = caps.get(path, 199 if path.startswith(PUBLIC) else cap)
        lines = len(text.splitlines())
        if lines > cap and (path in caps or path.endswith(CODE) or text.startswith("#!")):
            yield f"{path}: {lines} lines, {cap} at most"


def functions(text):
    """(line, length), but for Python (ruff). Formatters leave no choice: a function ends with the
    first brace that stands as deep as its first line, and a long block in one counts as one."""
    opened = {}  # by depth
    for number, line in enumerate(text.split("\n"), 1):
        code = line.lstrip()
        depth = len(line) - len(code)
        if not code or code.startswith((")", "#", "//")):
            continue
        first, opening = opened.pop(depth, (0, ""))
        opened = {key: value for key, value in opened.items() if key < depth}
        if code[0] != "}":
            opened[depth] = number, line
        elif "(" in opening and not NO_FUNCTION.match(opening):
            yield first, number - first + 1


def functions_are_short(texts, build):
    for path, text in ending(texts, *CODE):
        for line, length in functions(text):
            if length > 70:
                yield f"{path}:{line}: a function of {length} lines, 70 at most"


def links_lead_somewhere(texts, build):
    for path, text in ending(texts, ".md"):
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
        for target in re.findall(r"(?:\]\(|^\[[^\]]+\]:\s*)([^)\s#]+)", prose, re.M):
            other = normpath(f"{dirname(path)}/{target}").lstrip("/")
            if not re.match(r"[a-z][a-z0-9+.-]*:", target):
                if not any(it == other or it.startswith(other + "/") for it in texts):
                    yield f"{path}: leads nowhere: {target}"


def room_of(path):
    return max((room for room in ROOMS if path.startswith(f"core/{room}/")), key=len, default="")


def why_not(path, target):
    """What forbids the file at `path` to include the one of ours at `target`, or None."""
    here, there, home = room_of(path), room_of(target), "/".join(path.split("/")[:2])
    if path.startswith(("bindings/", "examples/")):
        if not target.startswith((PUBLIC, home + "/")):
            return "only tidegate.h is for bindings and examples"
    elif path.startswith("core/"):
        if not here or there not in (here, "base", *ROOMS[here].split()):
            return f"{here or dirname(path)} may not know {there or target}"
    elif path.startswith("capi/") and target.startswith("core/") and there not in CAPI_SEES:
        return "the C seam talks to the client, not past it"
    return None


def includes_point_down(texts, build):
    for path, text in ending(texts, *C_FAMILY):
        for name in re.findall(r'^\s*#\s*include\s*["<]([^">]+)[">]', text, re.M):
            for pattern, allowed in FOREIGN.items():
                if re.match(pattern, name) and not path.startswith(allowed):
                    yield f"{path}: {name} belongs to {', '.join(allowed)}"
            places = (dirname(path), "core", "capi", "capi/include", "tests")
            targets = (normpath(f"{place}/{name}") for place in places)
            target = next((it for it in targets if it in texts), None)
            if target and (finding := why_not(path, target)):
                yield f"{path}: includes {name}: {finding}"


def public_code(texts):
    code = "\n".join(text for path, text in texts.items() if path.startswith(PUBLIC))
    return re.sub(r"/\*.*?\*/|^\s*#(?:\\\n|[^\n])*", "", code, flags=re.S | re.M)


def header_has_fixed_widths(texts, build):
    code = public_code(texts)
    for word in re.findall(r"\b(?:enum|bool|_Bool|long)\b|\w+ \w+\s*:\s*\d+;", code):
        yield f"{PUBLIC}: '{word}' has no fixed width"


def header_list_and_libraries_agree(texts, build):
    listed = texts.get(SYMBOLS, "").split()
    if not listed or listed != sorted(set(listed)):
        yield f"{SYMBOLS}: empty, not sorted, or something twice"
    code = re.sub(r"\([^()]*\)(?=[^;]*\))", "()", public_code(texts))  # of functions as arguments
    found = {PUBLIC: set(re.findall(r"\b(tg_\w+)\s*\((?!\*)", code))}
    for name, option in (("libtidegate.so", "-D"), ("libtidegate.a", "-g")):
        command = ["nm", option, "--defined-only", "--format=posix", build / "capi" / name]
        rows = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        fields = [row.split() for row in rows]
        found[name] = {it[0].split("@")[0] for it in fields if len(it) > 1 and it[1] != "A"}
    for where, names in found.items():
        yield from (f"{where}: has {it}, {SYMBOLS} has not" for it in sorted(names - set(listed)))
        yield from (f"{where}: lacks {it} of {SYMBOLS}" for it in sorted(set(listed) - names))


# Where a version of ours stands, and how it is written there.
VERSIONS = {
    r"(^|/)pyproject\.toml$": r'^version\s*=\s*"([^"]+)"',
    r"(^|/)Cargo\.toml$": r'^(?:version|tidegate[\w-]*\s*=.*version)\s*=\s*"=?([^"]+)"',
    r"(^|/)Cargo\.lock$": r'name = "tidegate[\w-]*"\nversion = "([^"]+)"',
    r"(^|/)package(-lock)?\.json$": r'"name": "@?tidegate[^"]*",\s*"version": "([^"]+)"',
    r"^(bindings|examples)/.*\.(py|pyi|js|mjs|ts|go|rs)$": (
        r"^[^\n]*\b(?:__version__|VERSION|[Vv]ersion)\b[^\n=:]*[:=]\s*[\"'](\d+\.\d+\.\d+)[\"']"
    ),
}


def versions_are_equal(texts, build):
    ours = re.findall(r'^#define TG_VERSION "(\d+\.\d+\.\d+)"$', texts[HEADER], re.M)
    for path, text in texts.items():
        for where, pattern in VERSIONS.items():
            found = re.findall(pattern, text, re.M) if re.search(where, path) else []
            yield from (f"{path}: says {it}, {HEADER} {ours}" for it in found if [it] != ours)


NOTICES, DEPENDENCIES = "packaging/THIRD_PARTY_LICENSES", "packaging/DEPENDENCIES.md"
IN_BINARIES = {"pybind11", "node-addon-api", "node-api-headers"}  # besides what the library has


def notices_are_complete(texts, build):
    library = texts[DEPENDENCIES].split("\n## In the library\n")[1].split("\n## ")[0]
    rows = set(re.findall(r"^\| ([\w-]+) +\|", library, re.M)) - {"dependency", "---"}
    told = set(re.findall(r"^=+\n(\S+)\n=+\n\n[^\n]*\S", texts[NOTICES], re.M))
    yield from (f"{NOTICES}: has no licence of {it}" for it in sorted((rows | IN_BINARIES) - told))


CHECKS = [files_are_short, functions_are_short, links_lead_somewhere, includes_point_down]
CHECKS += [notices_are_complete]
CHECKS += [header_has_fixed_widths, header_list_and_libraries_agree, versions_are_equal]


def main(build="build/release"):
    root = Path(__file__).resolve().parents[2]
    listed = subprocess.check_output(["git", "ls-files"], cwd=root, text=True).splitlines()
    texts = {it: (root / it).read_text(errors="replace") for it in listed if (root / it).is_file()}
    findings = [finding for check in CHECKS for finding in check(texts, root / build)]
    print("\n".join(findings or [f"{len(texts)} files, {len(CHECKS)} checks: nothing found"]))
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
