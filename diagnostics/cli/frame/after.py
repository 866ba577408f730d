"""What is done once the answer is out: nobody waits for it but the end of the process, and nothing that goes wrong in it changes the
answer or the exit code."""

from __future__ import annotations

from collections.abc import Callable

_ahead: list[Callable[[], None]] = []


def forget() -> None:
    """A command begins: nothing is ahead of it."""
    _ahead.clear()


def once(do: Callable[[], None]) -> None:
    """Do this after the answer, instead of what was to be done before."""
    _ahead[:] = [do]


def do() -> None:
    """The answer is out."""
    ahead = _ahead[:]
    _ahead.clear()
    for one in ahead:
        one()
