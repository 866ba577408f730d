"""A progress bar on stderr, for people: none where there is no terminal."""

from __future__ import annotations

import os
from datetime import timedelta
from types import TracebackType
from typing import Any, TextIO

from diagnostics.conclude.diagnosis import State
from diagnostics.report.escape import clean
from diagnostics.run.watch import Glance


class Bar:
    """Progress, rate and forecast of one batch. A context manager, so that the terminal is left as it was."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self._progress: Any = None
        self._task: Any = None
        self._named = ""
        if quiet or not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[told]}", markup=False),
            TimeElapsedColumn(),
            console=Console(file=stream),
        )

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
            self._task = self._progress.add_task("looking", total=None, told="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, now: Glance) -> None:
        """The newest look."""
        if self._progress is None:
            return
        if now.batch and now.batch != self._named:
            self._named = now.batch
            self._progress.console.print(f"watching {clean(now.batch)}", markup=False, highlight=False)
        self._progress.update(
            self._task,
            description=clean(counted(now)),
            completed=now.done or 0,
            total=now.expected,
            told=clean(told(now)),
        )


def counted(now: Glance) -> str:
    """How many are done, and how far most of the others are: what matters most stands first, where the line may be cut."""
    if not now.batch:
        return "no batch yet"
    done, of = ("?" if n is None else str(n) for n in (now.done, now.expected))
    return f"{done}/{of} done" + (f", most {now.stage}" if now.stage else "")


def told(now: Glance) -> str:
    """Rate and forecast in a few words; while nothing can be said of them, the state."""
    if now.state is not State.RUNNING:
        return now.state.value
    if not now.done:
        until = f", judged at {now.judge_at:%H:%M:%SZ}" if now.judge_at else ""
        return f"too early{until}"
    rate = f"{now.per_minute:.1f}/min" if now.per_minute else "no rate yet"
    if now.done_by is None:
        return rate
    latest = f"{now.done_by.latest + timedelta(seconds=59):%H:%MZ}" if now.done_by.latest else "?"
    soon = now.done_by.earliest.replace(second=0, microsecond=0) <= now.at
    return f"{rate}, done {'now' if soon else f'{now.done_by.earliest:%H:%M}'}–{latest}"
