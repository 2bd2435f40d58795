# SPDX-License-Identifier: MIT
"""The five languages of the fleet: how a worker of each is built, installed and started. Everything
is built in TIDEGATE_BUILD, where the suites of the languages build too, so that nothing is built
twice; the core of the preset release is there already.

    fleet = Languages(root, build)
    command, path = fleet.prepare("go")   # raises Missing, saying what is missing
"""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

from processes import FleetError

BUILD_SECONDS = 900
# How many workers of each the fleet has, and the component of packaging/setup that they need.
WORKERS = {"python": 2, "node": 2, "go": 2, "rust": 2, "c": 2}
COMPONENTS = {"python": "python", "node": "node", "go": "go", "rust": "rust"}
EXAMPLES = {
    "python": "examples/fastapi",
    "node": "examples/express",
    "go": "examples/go",
    "rust": "examples/rust",
}


class Missing(FleetError):
    """This language cannot take part, and why."""


class Languages:
    def __init__(self, root: Path, build: Path):
        self.root, self.build = root, build
        self.place = build / "fleet"
        self.place.mkdir(parents=True, exist_ok=True)
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("TIDEGATE_URL", "PYTHONPATH", "NODE_PATH")
        }
        self.logs: dict[str, Path] = {}

    def prepare(self, language: str) -> tuple[list[object], str | None]:
        """The command that --store and --policy are added to, and the path to ask for (None:
        lines). May take minutes the first time."""
        log = self.logs[language] = self.place / f"build-{language}.log"
        log.write_text("")
        example = self.root / EXAMPLES.get(language, "examples/c")
        if not example.is_dir():
            raise Missing(f"{example} is not there")
        if language in COMPONENTS:
            self.set_up(language)
        return getattr(self, f"build_{language}")(log)

    def run(self, log: Path, *command: object, folder: Path | None = None, **more: str) -> str:
        """A command that must succeed. Its standard output; everything else goes to the log."""
        words = [str(word) for word in command]
        with open(log, "a") as file:
            print("$", shlex.join(words), file=file, flush=True)
            try:
                done = subprocess.run(
                    words,
                    cwd=folder or self.root,
                    stdin=subprocess.DEVNULL,
                    env={**self.environment, **more},
                    stdout=subprocess.PIPE,
                    stderr=file,
                    text=True,
                    timeout=BUILD_SECONDS,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Missing(f"{words[0]}: {error}") from None
            file.write(done.stdout)
        if done.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise Missing(f"{shlex.join(words)[:200]} failed ({done.returncode}; {log}):\n{tail}")
        return done.stdout

    def set_up(self, language: str) -> None:
        """The language's tool chain, installed if need be, and where it is."""
        self.run(self.logs[language], "packaging/setup", COMPONENTS[language])
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = Path(os.environ.get("TIDEGATE_CACHE") or Path(base) / "tidegate")
        for line in (cache / "env.sh").read_text().splitlines():
            words = shlex.split(line)
            if words[:1] == ["export"] and "=" in words[1]:
                name, value = words[1].split("=", 1)
                self.environment.setdefault(name, value)

    def tool(self, program: str, variable: str = "") -> str:
        found = self.environment.get(variable) or shutil.which(program)
        if not found:
            raise Missing(f"{program} was not found: packaging/setup says what to install")
        return found

    def prefix(self, log: Path) -> dict[str, str]:
        """The library installed where pkg-config finds it."""
        prefix = self.place / "prefix"
        self.run(log, "cmake", "--install", self.build / "release", "--prefix", prefix)
        libraries = next(prefix.rglob("libtidegate.so")).parent
        return {"PKG_CONFIG_PATH": str(libraries / "pkgconfig"), "LD_LIBRARY_PATH": str(libraries)}

    def build_python(self, log: Path) -> tuple[list[object], str | None]:
        pythons = self.environment.get("TIDEGATE_PYTHONS", sys.executable).split(":")
        python = next((one for one in pythons if one.endswith("3.11")), pythons[-1])
        venv = self.place / "venv"
        if not (venv / "bin/uvicorn").exists():
            self.run(log, python, "-m", "venv", "--clear", venv)
            self.run(log, venv / "bin/pip", "install", "--quiet", "fastapi", "uvicorn", "pytest")
        self.run(
            log,
            venv / "bin/pip",
            "install",
            "--quiet",
            "--no-deps",
            "--force-reinstall",
            self.wheel(log, venv / "bin/python"),
        )
        serve = self.root / "examples/fastapi/serve.py"
        return [venv / "bin/python", "-B", serve, "--listen", "127.0.0.1:0"], "/items"

    def wheel(self, log: Path, python: Path) -> str:
        """The newest wheel for that Python that is no older than what it is made of."""
        tag = self.run(
            log, python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"
        ).strip()
        sources = self.run(
            log, "git", "ls-files", "core", "capi/include", "capi/src", "bindings/python"
        ).split()
        changed = max(
            (self.root / file).stat().st_mtime for file in sources if (self.root / file).exists()
        )
        found = [
            file
            for depth in ("*", "*/*", "*/*/*")
            for file in glob.glob(str(self.build / depth / f"tidegate-*-{tag}-*.whl"))
            if os.stat(file).st_mtime >= changed
        ]
        if not found:
            wheels = self.place / "wheels"
            self.run(
                log,
                python,
                "-m",
                "pip",
                "wheel",
                "--no-deps",
                "--wheel-dir",
                wheels,
                "./bindings/python",
            )
            found = list(map(str, wheels.glob(f"tidegate-*-{tag}-*.whl")))
        return max(found, key=lambda file: os.stat(file).st_mtime)

    def build_node(self, log: Path) -> tuple[list[object], str | None]:
        tarball = self.run(log, self.root / "bindings/node/pack", self.build / "node")
        place = self.place / "node"
        shutil.copytree(self.root / "examples/express", place, dirs_exist_ok=True)
        self.run(
            log,
            self.tool("npm"),
            "install",
            "--ignore-scripts",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            tarball.split()[-1],
            folder=place,
        )
        return [self.tool("node"), place / "app.js", "--port", "0"], "/items"

    def build_go(self, log: Path) -> tuple[list[object], str | None]:
        program = self.place / "go-worker"
        prefix = self.prefix(log)
        # Go's build cache knows neither what pkg-config said nor the header: it knows these.
        header = zlib.crc32((self.root / "capi/include/tidegate.h").read_bytes())
        self.run(
            log,
            self.tool("go", "TIDEGATE_GO"),
            "build",
            "-buildvcs=false",
            "-tags",
            "tidegate_static",
            "-o",
            program,
            ".",
            folder=self.root / "examples/go",
            GOTOOLCHAIN="local",
            CGO_ENABLED="1",
            CGO_CFLAGS=f"-O2 -DTIDEGATE_H={header}",
            CGO_LDFLAGS=f"-L{prefix['LD_LIBRARY_PATH']}",
            **prefix,
        )
        return [program, "--listen", "127.0.0.1:0"], "/items"

    def build_rust(self, log: Path) -> tuple[list[object], str | None]:
        target = self.build / "cargo"
        self.run(
            log,
            self.tool("cargo", "TIDEGATE_CARGO"),
            "build",
            "--locked",
            folder=self.root / "examples/rust",
            CARGO_TARGET_DIR=str(target),
            **self.prefix(log),
        )
        return [target / "debug/tidegate-example", "--listen", "127.0.0.1:0"], "/items"

    def build_c(self, _: Path) -> tuple[list[object], str | None]:
        program = self.build / "release/bin/gate"
        if not program.exists():
            raise Missing(f"{program} is not there: build the preset release")
        return [program, "--listen", "127.0.0.1:0"], None


def names_of(text: str) -> Sequence[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in WORKERS:
            raise FleetError(f"no language is called {name!r}: expected {', '.join(WORKERS)}")
    if not names:
        raise FleetError(f"no language is named: expected some of {', '.join(WORKERS)}")
    return list(dict.fromkeys(names))
