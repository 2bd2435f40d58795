# SPDX-License-Identifier: MIT
"""Shows that every check of tidy.py can fail, and that none objects to what is right."""

import subprocess
import sys
import tempfile
from pathlib import Path

import tidy

SPDX = "// SPDX-License-Identifier: MIT\n"
HEADER = (
    SPDX + '#include <stdint.h>\n#define TG_VERSION "1.2.3"\nint32_t tg_f(void (*g)(int32_t));\n'
)
TABLE = "\n## In the library\n\n| dependency | why |\n| --- | --- |\n| hiredis | it |\n\n## More\n"
BAR = "=" * 9
NOTICES = "".join(
    f"{BAR}\n{name}\n{BAR}\n\nCopyright\n" for name in ("hiredis", *sorted(tidy.IN_BINARIES))
)
RIGHT = {
    tidy.DEPENDENCIES: TABLE,
    tidy.NOTICES: NOTICES,
    tidy.HEADER: HEADER,
    tidy.SYMBOLS: "tg_f\n",
    "README.md": "[core](core/base) [site](https://example.org) `[no](link)`\n",
    "core/base/a.h": SPDX + "class A {\n  int f();\n" + "  int g();\n" * 80 + "};\n",
    "core/client/b.cc": SPDX + '#include "base/a.h"\nint f() {\n' + "  g();\n" * 68 + "}\n",
    "bindings/python/pyproject.toml": 'version = "1.2.3"\n',
}
LONG = "(x) {\n" + "  x();\n" * 70 + "}\n"
# What is put beside what is right, and what the check must then say.
WRONG = [
    ("files_are_short", {"a.py": "x\n" * 501}, "501 lines"),
    ("files_are_short", {tidy.HEADER: "x\n" * 350}, "349 at most"),
    ("functions_are_short", {"a.cc": "int f" + LONG}, "a.cc:1: a function of 72 lines"),
    ("functions_are_short", {"a.js": "export function f" + LONG}, "of 72 lines"),
    ("links_lead_somewhere", {"docs/a.md": "[b](b.md)\n"}, "leads nowhere: b.md"),
    ("includes_point_down", {"core/base/x.cc": '#include "client/y.h"', "core/client/y.h": ""},
     "base may not know client"),
    ("includes_point_down", {"core/new/x.cc": '#include "base/a.h"'}, "core/new may not know base"),
    ("includes_point_down", {"core/http/x.cc": "#include <hiredis/async.h>"}, "belongs to"),
    ("includes_point_down", {"core/http/x.cc": "#include <yaml.h>"}, "yaml.h belongs to"),
    ("includes_point_down", {"bindings/go/x.c": '#include "base/a.h"'}, "only tidegate.h"),
    ("includes_point_down", {"capi/x.cc": '#include "store/y.h"', "core/store/y.h": ""}, "past it"),
    ("notices_are_complete", {tidy.DEPENDENCIES: TABLE.replace("hir", "xir")}, "licence of xire"),
    ("notices_are_complete", {tidy.NOTICES: NOTICES.replace("Copyright", "")}, "of pybind11"),
    ("header_has_fixed_widths", {tidy.HEADER: HEADER + "enum tg_e { TG_A };\n"}, "'enum'"),
    ("header_list_and_libraries_agree", {tidy.HEADER: HEADER + "int tg_g(int);\n"}, "has tg_g"),
    ("header_list_and_libraries_agree", {tidy.SYMBOLS: ""}, "libtidegate.so: has tg_f"),
    ("header_list_and_libraries_agree", {tidy.SYMBOLS: "tg_f\ntg_g\n"}, "lacks tg_g"),
    ("versions_are_equal", {"bindings/python/pyproject.toml": 'version = "1.2.4"\n'}, "says 1.2.4"),
    ("versions_are_equal", {"Cargo.lock": 'name = "tidegate"\nversion = "9.0.0"\n'}, "says 9.0.0"),
]  # fmt: skip


def main():
    failures = []
    with tempfile.TemporaryDirectory() as name:
        build = Path(name)
        (build / "capi").mkdir()
        make = "echo 'int tg_f(void) { return 0; }' | gcc -x c -shared -fPIC -o libtidegate.so - &&"
        subprocess.run(f"{make} cp libtidegate.so libtidegate.a", shell=True, cwd=build / "capi")
        for check in tidy.CHECKS:
            failures += check(RIGHT, build)
            if check.__name__ not in (name for name, _, _ in WRONG):
                failures.append(f"{check.__name__}: no sample shows that it can fail")
        for check, texts, expected in WRONG:
            findings = list(getattr(tidy, check)(RIGHT | texts, build))
            if not any(expected in finding for finding in findings):
                failures.append(f"{check}: says {findings}, not '{expected}'")
    print("\n".join(f"FAILED: {failure}" for failure in failures))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
