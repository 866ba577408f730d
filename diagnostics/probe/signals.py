"""Ctrl-C, SIGTERM, a closed terminal: end what is being done, once, and then let the putting back finish."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupted(KeyboardInterrupt):
    """The run was told to end. Whoever sees it has put everything back, or has said what is left."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number


class Signals:
    """While it is entered, the first signal raises Interrupted in the main thread, and no later one does anything."""

    def __init__(self) -> None:
        self.caught: int | None = None
        self._held = False
        self._before: dict[int, Any] = {}

    def hold(self) -> None:
        """From now on nothing interrupts."""
        self._held = True

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._arrived) for number in CAUGHT}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        first, self.caught = self.caught is None, self.caught or number
        if first and not self._held:
            raise Interrupted(number)
