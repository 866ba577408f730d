"""The cheapest way to have something happen later: one simpy event that calls, no process and no list of callbacks of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import simpy
from simpy.events import EventCallbacks


class _Later(simpy.Event):  # type: ignore[misc]  # simpy has no types
    """An event that has been triggered and waits for its moment. Most wait for a deadline that is met long before, many at a time."""

    __slots__ = ("call",)
    _ok = True
    _value: Any = None
    callbacks: EventCallbacks = [lambda event: event.call()]

    def __init__(self, call: Callable[[], None]) -> None:  # no super: it would make a list
        self.call = call


def after(env: simpy.Environment, delay_s: float, call: Callable[[], None]) -> None:
    """Call once, this many simulated seconds from now. Raises ValueError for a moment that has passed."""
    if delay_s < 0:
        raise ValueError(f"Negative delay {delay_s}")
    env.schedule(_Later(call), delay=delay_s)
