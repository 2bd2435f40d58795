# SPDX-License-Identifier: MIT
"""python main.py FILE.json [embedded] [store] [web]: measures, prints the table, writes both."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

from common import machine, markdown


def main():
    path, *parts = sys.argv[1:]
    rows = []
    for part in parts or ["embedded", "store", "web"]:
        rows += import_module(part).rows()
    text = f"{machine()}\n\n{markdown(rows)}\n"
    Path(path).write_text(json.dumps(rows, indent=1) + "\n")
    Path(path).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
