# SPDX-License-Identifier: MIT
"""A Valkey of its own and workers in several languages on it, all under one policy.

with Fleet(commands, quota=600) as fleet:      # commands: what Languages.prepare answered
    with Traffic(fleet.workers, "caller") as traffic:
        traffic.until_denied(10)
assert traffic.total("admitted") == fleet.quota
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from languages import WORKERS
from processes import FleetError, Valkey, Worker
from traffic import ask_once

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
# A check may take long on a busy machine, and a deadline is no answer of the store.
TIMEOUTS = {"timeout_ms": 10_000, "connect_timeout_ms": 2_000}


def policy_of(quota: int) -> str:
    """The examples' policy, with another budget for who has no tier."""
    text = (EXAMPLES / "policy.yaml").read_text()
    text, count = re.subn(r"(?m)^(  basic: +)\d.*$", rf"\g<1>1/day burst {quota}", text)
    if count != 1:
        raise FleetError("examples/policy.yaml: expected one line with the limiter basic")
    return text


class Fleet:
    """A budget of `quota` that comes back at one a day: what is spent stays spent while we look.
    More options of the store's URL: on_failure, fallback_share."""

    def __init__(
        self, commands: Mapping[str, tuple[list[object], str | None]], quota: int, **options: object
    ):
        self.quota = quota
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-fleet-"))
        self.valkey = Valkey(self.folder)
        self.policy = self.folder / "policy.yaml"
        self.policy.write_text(policy_of(quota))
        words = [
            "--store",
            self.valkey.url(**{"on_failure": "closed", **TIMEOUTS, **options}),
            "--policy",
            str(self.policy),
        ]
        environment = {name: value for name, value in os.environ.items() if name != "TIDEGATE_URL"}
        self.workers = [
            Worker(
                f"{language} {number}", language, path, [*command, *words], self.folder, environment
            )
            for language, (command, path) in commands.items()
            for number in range(1, WORKERS[language] + 1)
        ]

    def __enter__(self) -> Fleet:
        try:
            self.valkey.start()
            self.launch(self.workers)
            for worker in self.workers:  # connected, so that all set off together
                ask_once(worker, f"hello-{worker.name.replace(' ', '-')}")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for process in [*self.workers, self.valkey]:
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def launch(self, workers: Sequence[Worker]) -> None:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.find_port()
