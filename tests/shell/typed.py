"""Commands typed into real shells, where nothing but stubs is in PATH: each notes down how it was called, and does nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SHELLS = tuple(shell for shell in ("bash", "dash") if shutil.which(shell))
STUBS = (
    "pubsub-diag",
    "gcloud",
    "curl",
    "pip",
    "sudo",
    "bq",
    "kubectl",
    "touch",
    "rm",
    "env",
    "id",
    "mark-of-the-test",
)
MARK = "mark-of-the-test"
SWALLOWED = "(took the next line with it)"
SECONDS = 120
_STUB = """#!/bin/sh
printf '%s\\0' "$#" "${0##*/}" "$@" >>"$NOTED_DOWN"
"""


class Called(NamedTuple):
    """One program that a shell started."""

    program: str
    arguments: tuple[str, ...]


class Typed(NamedTuple):
    """What became of lines that were typed one after the other."""

    calls: list[list[Called]]
    """Of each line, what it started."""
    made: list[str]
    """Files that were not there before."""
    said: str


class Room:
    """A folder to type in, empty, and stubs beside it."""

    def __init__(self, folder: Path) -> None:
        self.stubs, self.here, self.home = folder / "stubs", folder / "here", folder / "home"
        self._noted = folder / "noted"
        for each in (self.stubs, self.here, self.home):
            each.mkdir(parents=True)
        for name in STUBS:
            (self.stubs / name).write_text(_STUB)
            (self.stubs / name).chmod(0o755)

    def type(self, lines: Sequence[str], shell: str) -> Typed:
        """Each line as somebody pastes it at a prompt, history expansion and all. A line may hold line breaks."""
        self._noted.write_bytes(b"")
        path = shutil.which(shell)
        assert path is not None
        script = "".join(f"{line}\n{MARK} {at}\n" for at, line in enumerate(lines))
        words = [path, "--norc", "--noprofile", "-i"] if shell == "bash" else [path, "-i"]
        ended = subprocess.run(
            words,
            input=script.encode("utf-8", "surrogatepass"),
            cwd=self.here,
            env={"PATH": str(self.stubs), "HOME": str(self.home), "NOTED_DOWN": str(self._noted), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            timeout=SECONDS,
            check=False,
            start_new_session=True,
        )
        return Typed(self._calls(), self._made(), ended.stderr.decode(errors="replace")[-2000:])

    def _calls(self) -> list[list[Called]]:
        words = self._noted.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
        calls: list[list[Called]] = []
        since: list[Called] = []
        at = 0
        while at < len(words):
            count, program = int(words[at]), words[at + 1]
            called = Called(program, tuple(words[at + 2 : at + 2 + count]))
            at += 2 + count
            if program != MARK:
                since.append(called)
            else:
                calls += [[Called(SWALLOWED, ())] for _ in range(len(calls), int(called.arguments[-1]))]
                calls.append(since)
                since = []
        return calls

    def _made(self) -> list[str]:
        found = [*self.here.iterdir(), *self.home.iterdir()]
        return sorted(f.name for f in found if f.name != ".bash_history")
