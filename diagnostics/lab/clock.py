"""The lab's clock: it stands, keeps pace with the wall clock, or is advanced."""

from __future__ import annotations

import time

import simpy


class Clock:
    """Simulated time, in seconds since the epoch. Not thread-safe: the lab holds its lock around every use."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._pace = 0.0
        self._pace_from = (0.0, 0.0)

    def now(self) -> float:
        """Simulated now; with a pace, the simulation first catches up with the wall clock."""
        if self._pace:
            simulated, wall = self._pace_from
            self.run_until(simulated + (time.monotonic() - wall) * self._pace)
        return float(self._env.now)

    def run_until(self, moment: float) -> None:
        """Run the simulation to a moment; a moment that has passed changes nothing."""
        if moment > self._env.now:
            self._env.run(until=moment)

    def advance(self, seconds: float) -> float:
        """Run the simulation on and return the new now. Raises ValueError for negative seconds."""
        if seconds < 0:
            raise ValueError(f"time only runs forward, got {seconds} s")
        self.run_until(self.now() + seconds)
        self.keep_pace(self._pace)
        return float(self._env.now)

    def keep_pace(self, pace: float = 1.0) -> None:
        """From now on, `pace` simulated seconds pass in a second of wall time; with 0, time passes only when it is advanced."""
        self.now()
        self._pace = pace
        self._pace_from = (float(self._env.now), time.monotonic())
