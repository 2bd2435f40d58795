# SPDX-License-Identifier: MIT
"""Checks of how the parts fit: includes, the C header, exported symbols, versions, formatting."""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tree import C_FAMILY

HEADER = "capi/include/tidegate.h"

# Every room of the core, and the rooms below it that it may include. core/base is everybody's.
ROOMS = {
    "core/base": set(),
    "core/limiter": set(),
    "core/http": {"core/limiter"},
    "core/options": {"core/http", "core/limiter"},
    "core/stats": {"core/limiter"},
    "core/cache": {"core/limiter", "core/stats"},
    "core/store/memory": {"core/limiter"},
    "core/store": {"core/store/memory", "core/limiter", "core/stats"},
    "core/reactor": set(),
    "core/store/valkey": {
        "core/store",
        "core/reactor",
        "core/http",
        "core/options",
        "core/limiter",
        "core/stats",
    },
    "core/client": {
        "core/store",
        "core/store/memory",
        "core/store/valkey",
        "core/reactor",
        "core/http",
        "core/options",
        "core/limiter",
        "core/cache",
        "core/stats",
    },
}
# What only some may know of, wherever it is included from.
FOREIGN = {
    r"hiredis/": ("core/store/valkey", "tests/"),
    r"openssl/": ("core/store/valkey", "core/http", "tests/"),
    r"sys/(epoll|eventfd|timerfd)\.h": (
        "core/reactor",
        "core/store/valkey",
        "core/client",
        "examples/",
        "tests/",
    ),
    r"pybind11/|Python\.h": ("bindings/python",),
    r"napi\.h|node_api\.h|uv\.h": ("bindings/node",),
}
# The rooms whose headers the C seam may read: the client, and the words that it speaks in.
CAPI_SEES = ("core/base", "core/client", "core/http", "core/limiter", "core/options")
OURS_ONLY_THROUGH_THE_HEADER = ("bindings/", "examples/")


def room_of(path):
    rooms = [room for room in ROOMS if path.startswith(room + "/")]
    return max(rooms, key=len, default=None)


def includes(tree):
    for path, number, line in tree.lines(*C_FAMILY):
        found = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
        if found:
            yield path, number, found.group(1)


def target_of(tree, path, name):
    """The path of ours that an include means, or None."""
    folder = path.rsplit("/", 1)[0]
    for place in (folder, "core", "capi", "capi/include", "tests"):
        target = os.path.normpath(f"{place}/{name}")
        if target in tree.texts:
            return target
    return None


def finding_of_include(path, name, target):
    folder = "/".join(path.split("/")[:2])
    if path.startswith(OURS_ONLY_THROUGH_THE_HEADER):
        if target != HEADER and not target.startswith(folder + "/"):
            return "only tidegate.h is for bindings and examples"
    elif path.startswith("core/"):
        here, there = room_of(path), room_of(target)
        if there == "core/base" or there == here and here:
            return None
        if there not in ROOMS[here]:
            return f"{here} stands below {there or target.split('/')[0]}"
    elif path.startswith("capi/") and target.startswith("core/"):
        if room_of(target) not in CAPI_SEES:
            return "capi talks to core/client, not past it"
    return None


def includes_point_down(tree):
    for path, number, name in includes(tree):
        for pattern, allowed in FOREIGN.items():
            if re.match(pattern, name) and not path.startswith(allowed):
                yield f"{path}:{number}: {name} belongs to {', '.join(allowed)}"
        target = target_of(tree, path, name)
        finding = target and finding_of_include(path, name, target)
        if finding:
            yield f"{path}:{number}: includes {name}: {finding}"


def rooms_link_down(tree):
    """The CMake targets mirror the table above: a room links what it may include, and no more."""
    names = {}
    for path, text in tree.files("CMakeLists.txt"):
        for name, rest in re.findall(r"tidegate_room\(\s*(\w+)([^)]*)\)", text):
            names[name] = (path, path.rsplit("/", 1)[0], re.findall(r"tidegate_\w+", rest))
    for path, room, depends in names.values():
        if room not in ROOMS:
            yield f"{path}: {room} is not in the table of rooms (tests/tidy/design_checks.py)"
            continue
        for other in depends:
            if other in names and names[other][1] not in ROOMS[room] | {"core/base"}:
                yield f"{path}: links {other}, which {room} may not know"


FORBIDDEN_IN_HEADER = {
    r"\benum\b": "an enum has no fixed width",
    r"\bbool\b|\b_Bool\b": "bool has no fixed width",
    r"\blong\b": "long has no fixed width",
    r"^\s+u?int\d+_t\s+\w+\s*:\s*\d+": "a bit-field has no fixed layout",
}


def header_keeps_its_rules(tree):
    text = tree.texts.get(HEADER)
    if text is None:
        yield f"{HEADER}: not there"
        return
    code = re.sub(
        r"/\*.*?\*/", lambda comment: "\n" * comment.group().count("\n"), text, flags=re.S
    )
    for number, line in enumerate(code.split("\n"), 1):
        for pattern, why in FORBIDDEN_IN_HEADER.items():
            if re.search(pattern, line):
                yield f"{HEADER}:{number}: {why}"
    for compiler, language, standard in (("gcc", "c", "c11"), ("g++", "c++", "c++20")):
        done = subprocess.run(
            [
                compiler,
                f"-std={standard}",
                "-Wall",
                "-Wextra",
                "-pedantic",
                "-Werror",
                "-fsyntax-only",
                "-x",
                language,
                "-",
            ],
            input=text + "\nint tidegate_header_is_complete(void);\n",
            text=True,
            stderr=subprocess.PIPE,
        )
        if done.returncode:
            yield f"{HEADER}: does not compile as {standard}: {done.stderr.splitlines()[0]}"


def declared_functions(header):
    code = re.sub(r"/\*.*?\*/|^\s*#(?:\\\n|[^\n])*", "", header, flags=re.S | re.M)
    return set(re.findall(r"\b(tg_\w+)\s*\((?!\*)", re.sub(r"\([^()]*\)(?=[^;]*\))", "()", code)))


def header_and_symbols_agree(tree):
    listed = tree.texts.get("capi/symbols.txt", "").split()
    declared = declared_functions(tree.texts.get(HEADER, ""))
    if listed != sorted(set(listed)):
        yield "capi/symbols.txt: not sorted, or something twice"
    for name in sorted(declared - set(listed)):
        yield f"capi/symbols.txt: {name} is declared in tidegate.h, and not listed"
    for name in sorted(set(listed) - declared):
        yield f"capi/symbols.txt: {name} is not declared in tidegate.h"


def exported(library, *options):
    done = subprocess.run(
        ["nm", *options, "--defined-only", "--format=posix", str(library)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rows = (line.split() for line in done.stdout.splitlines())
    return {row[0].split("@")[0] for row in rows if len(row) > 1 and row[1] != "A"}


def libraries_export_the_list(tree):
    listed = set(tree.texts.get("capi/symbols.txt", "").split())
    shared, archive = tree.build / "capi/libtidegate.so", tree.build / "capi/libtidegate.a"
    for library, options in ((shared, ["-D"]), (archive, ["-g"])):
        if not library.exists():
            yield f"{library.name}: not built in {tree.build}"
            continue
        found = exported(library, *options)
        for name in sorted(found - listed):
            yield f"{library.name}: exports {name}, which capi/symbols.txt does not list"
        for name in sorted(listed - found):
            yield f"{library.name}: does not export {name}"


# Where a version of ours stands, and how it is written there.
VERSIONS = {
    r"(^|/)pyproject\.toml$": r'^version\s*=\s*"([^"]+)"',
    r"(^|/)Cargo\.toml$": r'^version\s*=\s*"([^"]+)"'
    r'|^tidegate[\w-]*\s*=.*version\s*=\s*"=?([^"]+)"',
    r"^(bindings|examples)/.*\.(py|pyi|js|mjs|ts|go|rs)$": (
        r"^[^\n]*\b(?:__version__|VERSION|Version|version)\b"
        r"[^\n=:]*[:=]\s*[\"'](\d+\.\d+\.\d+)[\"']"
    ),
}


def versions_in(tree):
    for path, text in tree.files():
        for where, pattern in VERSIONS.items():
            if re.search(where, path):
                for found in re.finditer(pattern, text, re.M):
                    line = text.count("\n", 0, found.start()) + 1
                    yield path, line, next(filter(None, found.groups()))
        name = path.rsplit("/", 1)[-1]
        if name == "Cargo.lock":
            for version in re.findall(r'name = "tidegate[\w-]*"\nversion = "([^"]+)"', text):
                yield path, 0, version
        elif name in ("package.json", "package-lock.json"):
            package = json.loads(text)
            if str(package.get("name", "")).split("/")[-1].startswith("tidegate"):
                yield path, 0, package.get("version")


def versions_are_equal(tree):
    found = re.search(r'^#define TG_VERSION "(\d+\.\d+\.\d+)"$', tree.texts.get(HEADER, ""), re.M)
    if not found:
        yield f"{HEADER}: no TG_VERSION"
        return
    for path, line, version in versions_in(tree):
        if version not in (found.group(1), None):
            yield f"{path}:{line}: says {version}, tidegate.h says {found.group(1)}"


def sources_are_formatted(tree):
    if not tree.clang_format:
        yield "no clang-format: packaging/setup tools fetches it"
        return

    def differs(item):
        path, text = item
        done = subprocess.run(
            [tree.clang_format, f"--assume-filename={path}"],
            input=text,
            text=True,
            capture_output=True,
            cwd=tree.root,
        )
        if done.returncode:
            return f"{path}: {done.stderr.strip()[:100]}"
        pairs = zip(text.split("\n"), done.stdout.split("\n"))
        first = next((i for i, (was, is_now) in enumerate(pairs, 1) if was != is_now), None)
        return f"{path}:{first}: clang-format would change it" if done.stdout != text else None

    with ThreadPoolExecutor(2) as pool:
        yield from filter(None, pool.map(differs, tree.files(*C_FAMILY)))


CHECKS = [
    includes_point_down,
    rooms_link_down,
    header_keeps_its_rules,
    header_and_symbols_agree,
    libraries_export_the_list,
    versions_are_equal,
    sources_are_formatted,
]
