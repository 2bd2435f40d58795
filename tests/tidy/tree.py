# SPDX-License-Identifier: MIT
"""What the checks look at: the tracked files, or made-up ones in the self-test."""

import subprocess
from pathlib import Path

C_FAMILY = (".h", ".cc", ".c")
SCRIPTS = (".js", ".mjs", ".cjs", ".ts")
CODE = C_FAMILY + SCRIPTS + (".py", ".lua", ".go", ".rs", ".sh")


class Tree:
    """Paths and their text. A file that is not UTF-8 is binary: its text is None."""

    def __init__(self, texts, root=None, build=None, clang_format=None):
        self.texts = texts
        self.root = root
        self.build = build
        self.clang_format = clang_format

    @classmethod
    def tracked(cls, root, **more):
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, stdout=subprocess.PIPE, check=True
        ).stdout.decode()
        texts = {}
        for path in filter(None, listed.split("\0")):
            if (root / path).is_file():
                texts[path] = read(root / path)
        return cls(texts, root, **more)

    def files(self, *endings):
        """(path, text) of the text files with one of those endings, or all."""
        for path, text in self.texts.items():
            if text is not None and (not endings or path.endswith(endings)):
                yield path, text

    def lines(self, *endings):
        """(path, number, line) of those files."""
        for path, text in self.files(*endings):
            for number, line in enumerate(text.split("\n"), 1):
                yield path, number, line

    def is_folder(self, path):
        return path in ("", ".") or any(name.startswith(path + "/") for name in self.texts)


def read(path):
    try:
        return Path(path).read_bytes().decode()
    except UnicodeDecodeError:
        return None


def is_shell(path, text):
    return path.endswith(".sh") or text.startswith(("#!/usr/bin/env bash", "#!/bin/sh"))


def is_test(path):
    return "tests/" in path or path.endswith("_test.go")
