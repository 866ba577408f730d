"""One command at a time against one lab, as a process of its own that has everything imported."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import load
from diagnostics.lab.servers.serve import RunningLab, start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.run.look import lab_profile
from diagnostics.scoring.world import find
from tests.children import TIMED_OUT

ROOT = Path(__file__).parents[2]
PLENTY = 1_000_000
LONGEST_S = 120.0
"""Whoever has not ended by then never does."""


class Ran(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str
    seconds: float
    """From the fork to the end of the process, but for the time in which its main thread had no processor because others had."""
    rpcs: tuple[str, ...]
    """What it asked, each name once."""
    failed: tuple[str, ...]
    """Of these, what was not answered at all."""


class Slot:
    """A lab of its own and a process that forks. Of several slots of a scenario each has its own faults."""

    def __init__(self, lab: Lab, running: RunningLab, folder: Path) -> None:
        self._running, self._folder = running, folder
        profile = lab_profile(lab.world.project)
        assert profile
        self.subscription = profile.request.subscription
        self._forking = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.front.program"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def run(self, line: Sequence[str], timeout_s: float, faults: Sequence[dict[str, Any]] = ()) -> Ran:
        self._post("/lab/faults", list(faults))
        before = len(self._running.rpcs)
        with tempfile.TemporaryDirectory(dir=self._folder) as home:
            out, err = Path(home) / ".out", Path(home) / ".err"
            words = [self.subscription if word == "SUBSCRIPTION" else word for word in line]
            task = {
                "now": "",
                "arguments": [*words, f"--timeout={timeout_s:g}"],
                "environ": self._environ(home),
                "folder": home,
                "out": str(out),
                "err": str(err),
                "timeout_s": LONGEST_S,
            }
            assert self._forking.stdin and self._forking.stdout
            self._forking.stdin.write(json.dumps(task) + "\n")
            self._forking.stdin.flush()
            ended = json.loads(self._forking.stdout.readline())
            said, told = (path.read_text(errors="replace") for path in (out, err))
        calls = self._running.rpcs[before:]
        good = {call.name for call in calls if call.status in ("OK", "200", "NOT_FOUND")}
        asked = tuple(dict.fromkeys(call.name for call in calls))
        return Ran(
            ended["code"],
            said,
            told,
            ended["seconds"] - ended["queued"] if ended["code"] != TIMED_OUT else LONGEST_S,
            asked,
            tuple(name for name in asked if name not in good),
        )

    def close(self) -> None:
        self._forking.kill()
        self._forking.communicate()

    def _environ(self, home: str) -> dict[str, str]:
        return {
            "HOME": home,
            "PATH": home,
            "PUBSUB_DIAG_ENDPOINT": self._running.endpoint,
            "PUBSUB_DIAG_LOG_READS": str(PLENTY),
            **dict.fromkeys(("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), home),
        }

    def _post(self, path: str, said: object) -> None:
        body = json.dumps(said).encode()
        asked = urllib.request.Request(f"http://{self._running.endpoint}{path}", data=body, method="POST")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=30).close()


@contextmanager
def slots(scenario: str, number: int, seed: int = 1) -> Iterator[list[Slot]]:
    """So many slots before one simulation of this scenario, which none of the commands changes."""
    lab = Lab(load(find(scenario), seed), seed, Telemetry())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = []
        for _ in range(number):
            running = stack.enter_context(start(lab, log_reads_per_minute=PLENTY))
            made.append(stack.enter_context(contextlib.closing(Slot(lab, running, folder))))
        yield made
