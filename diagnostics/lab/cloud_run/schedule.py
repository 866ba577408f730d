"""The cheapest way to have something happen later: one simpy event and a callback, no process."""

from __future__ import annotations

from collections.abc import Callable

import simpy


def after(env: simpy.Environment, delay_s: float, call: Callable[[], None]) -> None:
    """Call once, this many simulated seconds from now."""
    env.timeout(delay_s).callbacks.append(lambda _event: call())
