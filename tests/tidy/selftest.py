# SPDX-License-Identifier: MIT
"""Shows that every tidy check can fail: each gets a tree that is wrong, and one that is right."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import design_checks as design  # noqa: E402
import text_checks as text  # noqa: E402
from functions import functions  # noqa: E402
from tidy import CHECKS, title  # noqa: E402
from tree import Tree  # noqa: E402

SPDX = "// SPDX-License-Identifier: MIT\n"
HEADER = (
    '/* SPDX-License-Identifier: MIT */\n#include <stdint.h>\n#define TG_VERSION "1.2.3"\n'
    "const char *tg_version(void);\nint32_t tg_call(void (*hook)(int32_t), int32_t);\n"
)
SYMBOLS = "tg_call\ntg_version\n"
LONG = "".join(f"  x += {i};\n" for i in range(70))
PYTHON_LONG = "".join(f"    x += {i}\n" for i in range(71))


def around(opening, closing="}\n"):
    return opening + LONG + closing


# (check, files that are wrong, part of what is found)
BAD = [
    (text.files_are_short, {"core/a.cc": "x\n" * 501}, "501 lines"),
    (text.files_are_short, {"tests/core/a_test.cc": "x\n" * 801}, "801 lines"),
    (text.files_are_short, {"capi/include/tidegate.h": "x\n" * 350}, "349 at most"),
    (text.files_are_short, {"README.md": "x\n" * 151}, "151 lines"),
    (text.files_are_short, {"packaging/run": "#!/usr/bin/env bash\n" * 501}, "501 lines"),
    (text.functions_are_short, {"core/a.cc": around("int f(int x) {\n")}, "core/a.cc:1: f has 72"),
    (
        text.functions_are_short,
        {"core/a.cc": around("namespace a {\nclass B : C {\n  B(int x) : y_(x) {\n", "}\n};\n}\n")},
        "core/a.cc:3: B has 72",
    ),
    (
        text.functions_are_short,
        {"core/a.cc": around("extern \"C\" {\nint f(void) { char c = '{'; /* } */\n", "}\n}\n")},
        ":2:",
    ),
    (text.functions_are_short, {"core/a.cc": around('TEST(A, B) {\n  auto s = R"(})";\n')}, "A.B"),
    (
        text.functions_are_short,
        {"core/a.cc": around("static auto f = [](int x) {\n", "};\n")},
        ":1:",
    ),
    (text.functions_are_short, {"a.py": "def f(x):\n" + PYTHON_LONG}, "f has 72"),
    (text.functions_are_short, {"a.js": around("export async function f(x) {\n")}, "f has 72"),
    (
        text.functions_are_short,
        {"a.ts": around("class A {\n  of(x: number): void {\n", "}\n}\n")},
        ":2:",
    ),
    (
        text.functions_are_short,
        {
            "a.js": around(
                "describe('a', () => {\n  it('b', () => {\n    x = /[}'/]/.test(y);\n", "});\n});\n"
            )
        },
        ":2:",
    ),
    (text.functions_are_short, {"a.go": around("func (c *C) F() error {\n")}, "F has 72"),
    (
        text.functions_are_short,
        {"a.rs": around("impl A {\n    pub async fn f(x: u8) {\n", "    }\n}\n")},
        ":2: f has 72",
    ),
    (text.lines_are_narrow, {"core/a.h": "x" * 101 + "\n"}, "core/a.h:1: 101 columns"),
    (text.sources_name_their_licence, {"core/a.lua": "return 1\n"}, "core/a.lua"),
    (text.sources_name_their_licence, {"core/CMakeLists.txt": "project(x)\n"}, "CMakeLists"),
    (
        text.sources_name_their_licence,
        {"packaging/run": "#!/usr/bin/env python3\n"},
        "packaging/run",
    ),
    (text.top_level_is_agreed, {"notes/a.md": "a\n"}, "notes"),
    (text.lines_end_cleanly, {"a.md": "a \n"}, "a.md:1: white space"),
    (text.lines_end_cleanly, {"a.cc": "a\tb\n"}, "a tab"),
    (text.lines_end_cleanly, {"a.md": "```go\n```\na\tb\n"}, "a.md:3: a tab"),
    (text.lines_end_cleanly, {"a.md": "a"}, "no line break"),
    (text.lines_end_cleanly, {"a.md": "a\n\n"}, "empty lines"),
    (text.lines_end_cleanly, {"a.md": "a\r\n"}, "white space"),
    (text.no_leftovers, {"a.cc": "// TO" + "DO: later\n"}, "left over"),
    (text.no_machine_paths, {"a.md": "see /wo" + "rk/notes\n"}, "a path"),
    (text.no_machine_paths, {"a.md": "see /ho" + "me/someone/x\n"}, "a path"),
    (text.nothing_built_is_tracked, {"lib/libx.so": "x"}, "libx.so"),
    (text.nothing_built_is_tracked, {"a/node_modules/b/index.js": "x"}, "node_modules"),
    (
        text.lock_files_name_no_mirror,
        {"package-lock.json": '"resolved": "https://x/y"\n'},
        "registry",
    ),
    (text.links_lead_somewhere, {"docs/a.md": "[b](b.md)\n"}, "docs/a.md:1: leads nowhere: b.md"),
    (text.links_lead_somewhere, {"a.md": "[b](#not-there)\n# There\n"}, "no such heading"),
    (text.links_lead_somewhere, {"a.md": "[b][1]\n\n[1]: ../gone.md\n"}, "leads nowhere"),
    (text.shell_scripts_parse, {"a.sh": "if true; then\n"}, "a.sh"),
    (
        design.includes_point_down,
        {"core/limiter/a.h": '#include "store/b.h"\n', "core/store/b.h": ""},
        "stands below core/store",
    ),
    (
        design.includes_point_down,
        {"core/store/memory/a.h": '#include "store/b.h"\n', "core/store/b.h": ""},
        "stands below",
    ),
    (
        design.includes_point_down,
        {"core/client/a.cc": '#include "tidegate.h"\n', design.HEADER: HEADER},
        "stands below capi",
    ),
    (
        design.includes_point_down,
        {
            "bindings/node/a.cc": "#include <limiter/limiter.h>\n",
            "core/limiter/limiter.h": "",
        },
        "only tidegate.h",
    ),
    (
        design.includes_point_down,
        {"bindings/node/a.cc": '#include "../../capi/internal.h"\n', "capi/internal.h": ""},
        "only tidegate.h",
    ),
    (
        design.includes_point_down,
        {"capi/a.cc": '#include "store/b.h"\n', "core/store/b.h": ""},
        "not past it",
    ),
    (design.includes_point_down, {"core/reactor/a.cc": "#include <hiredis/async.h>\n"}, "hiredis"),
    (
        design.rooms_link_down,
        {
            "core/limiter/CMakeLists.txt": "tidegate_room(tidegate_limiter DEPENDS "
            "tidegate_stats)\n",
            "core/stats/CMakeLists.txt": "tidegate_room(tidegate_stats)\n",
        },
        "links tidegate_stats",
    ),
    (
        design.rooms_link_down,
        {"core/new/CMakeLists.txt": "tidegate_room(tidegate_new)\n"},
        "not in the table",
    ),
    (design.header_keeps_its_rules, {design.HEADER: HEADER + "enum tg_kind { TG_A };\n"}, "enum"),
    (design.header_keeps_its_rules, {design.HEADER: HEADER + "long tg_size(void);\n"}, "long"),
    (
        design.header_keeps_its_rules,
        {design.HEADER: "int32_t tg_call(void);\n"},
        "does not compile as c11",
    ),
    (design.header_keeps_its_rules, {design.HEADER: HEADER + "int tg_new(int new);\n"}, "as c++20"),
    (design.header_keeps_its_rules, {}, "not there"),
    (
        design.header_and_symbols_agree,
        {design.HEADER: HEADER, "capi/symbols.txt": "tg_call\n"},
        "tg_version is declared",
    ),
    (
        design.header_and_symbols_agree,
        {design.HEADER: HEADER, "capi/symbols.txt": SYMBOLS + "tg_zzz\n"},
        "tg_zzz is not declared",
    ),
    (
        design.header_and_symbols_agree,
        {design.HEADER: HEADER, "capi/symbols.txt": "tg_version\ntg_call\n"},
        "not sorted",
    ),
    (design.libraries_export_the_list, {"capi/symbols.txt": "tg_call\n"}, "exports tg_version"),
    (
        design.libraries_export_the_list,
        {"capi/symbols.txt": SYMBOLS + "tg_x\n"},
        "does not export tg_x",
    ),
    (design.versions_are_equal, {}, "no TG_VERSION"),
    (
        design.versions_are_equal,
        {design.HEADER: HEADER, "bindings/python/pyproject.toml": 'version = "1.2.4"\n'},
        "says 1.2.4",
    ),
    (
        design.versions_are_equal,
        {
            design.HEADER: HEADER,
            "bindings/node/package.json": '{"name": "tidegate", "version": "1.0.0"}',
        },
        "1.0.0",
    ),
    (
        design.versions_are_equal,
        {
            design.HEADER: HEADER,
            "bindings/rust/Cargo.toml": 'tidegate-sys = { version = "=1.2.2" }\n',
        },
        "1.2.2",
    ),
    (
        design.versions_are_equal,
        {design.HEADER: HEADER, "bindings/go/v.go": 'const Version = "0.1.0"\n'},
        "0.1.0",
    ),
    (
        design.versions_are_equal,
        {
            design.HEADER: HEADER,
            "bindings/rust/Cargo.lock": 'name = "tidegate-sys"\nversion = "9.0.0"\n',
        },
        "9.0.0",
    ),
    (design.sources_are_formatted, {"core/a.cc": "int   f( ) ;\n"}, "would change it"),
]

# What no check may object to.
GOOD = {
    design.HEADER: HEADER,
    "capi/symbols.txt": SYMBOLS,
    "README.md": "# Tide gate\n\n[b](#tide-gate) [c](docs/) `[x](y)` [d](https://example.org/x)\n",
    "tests/docs.md": "[up](../README.md#tide-gate)\n\n```\n[not](a-link)\n```\n```go\n\tx()\n```\n",
    "core/store/memory/a.h": SPDX + '#include "limiter/b.h"\n#include "store/memory/c.h"\n',
    "core/store/memory/c.h": SPDX,
    "core/limiter/b.h": SPDX + '#include "base/d.h"\n',
    "core/limiter/CMakeLists.txt": SPDX.replace("//", "#") + "tidegate_room(tidegate_limiter)\n",
    "core/base/d.h": SPDX
    + around("namespace a {\nint x(int y);\n", "}\n" + "// ok\n" * 70),
    "bindings/node/a.cc": SPDX + "#include <tidegate.h>\n#include <uv.h>\n",
    "bindings/node/package.json": '{"name": "tidegate", "version": "1.2.3"}\n',
    "bindings/go/a.go": SPDX + "func f() {\n\treturn\n}\n",
    "tests/a.js": SPDX + "const x = {\n" + "  a: 1,\n" * 80 + "};\n",
    "packaging/a.sh": "# SPDX-License-Identifier: MIT\necho ok  # ~/work is no path of a machine\n",
}
GOOD["README.md"] = GOOD["README.md"].replace("docs/", "core/limiter")


def stand_in_library(folder):
    """Both kinds of library, with tg_call and tg_version in them and something hidden."""
    (folder / "capi").mkdir()
    source = (
        "int tg_call(void){return 0;} int tg_version(void){return 0;} static int h(void){return 1;}"
        "int (*tg_unused(void))(void);"
    )
    make = ["gcc", "-x", "c", "-", "-o"]
    subprocess.run(
        [*make, folder / "capi/libtidegate.so", "-shared", "-fPIC"],
        input=source.encode(),
        check=True,
        stderr=subprocess.DEVNULL,
    )
    subprocess.run(
        [*make, folder / "x.o", "-c"], input=source.encode(), check=True, stderr=subprocess.DEVNULL
    )
    subprocess.run(["ar", "rcs", folder / "capi/libtidegate.a", folder / "x.o"], check=True)


def stand_in_formatter(folder):
    """Finds one fault, so that the check is shown to fail without the real program."""
    program = folder / "clang-format"
    program.write_text("#!/bin/sh\nexec sed 's/( )/()/'\n")
    program.chmod(0o755)
    return str(program)


def main():
    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stand_in_library(folder)
        more = {"build": folder, "clang_format": stand_in_formatter(folder)}
        for number, (check, files, expected) in enumerate(BAD):
            findings = list(check(Tree(files, **more)))
            if not any(expected in finding for finding in findings):
                failures.append(
                    f"{title(check)}: sample {number} passes, or says {findings}"
                    f" and not '{expected}'"
                )
        for check in CHECKS:
            findings = list(check(Tree(GOOD, **more)))
            failures += [f"{title(check)} objects to what is right: {it}" for it in findings]
    failures += [
        f"{title(check)}: no sample shows that it can fail"
        for check in CHECKS
        if check not in {it[0] for it in BAD}
    ]
    failures += [
        f"a function was missed in {path}"
        for path, count in COUNTED.items()
        if len(list(functions(path, GOOD_CODE[path]))) != count
    ]
    for line in failures:
        print(f"FAILED: {line}")
    print(f"{len(BAD)} bad samples, {len(CHECKS)} checks, {len(failures)} failures")
    sys.exit(bool(failures))


GOOD_CODE = {
    "a.cc": """
#define X(a) { a
struct A { int x = 0; int f() const { return x; } static A g(); };
A A::g() { if (1) { for (;;) { } } return {}; }
template <class T> requires(sizeof(T) > 1) T h(T t) noexcept { return [&](T u) { return u; }(t); }
constexpr int kTable[] = {1, 2};
A::A(int a) : x{a}, y(a) { }
""",
    "a.js": "const f = (x) => { if (x) { y(); } };\nclass A { b() { } get c() { return {}; } }\n",
}
COUNTED = {"a.cc": 5, "a.js": 3}

if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    main()
