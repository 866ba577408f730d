"""How fast a push subscription delivers: a window of outstanding pushes, and pauses after nacks. Both are subscription-wide.

Google's push page gives the behaviour, not the formula; the formulas here are the simplest that meet its figures.
"""

from __future__ import annotations

SMALLEST_WINDOW = 3
"""The page: the window starts at "a small single-digit number"."""
LARGEST_WINDOW = 3000
"""Outstanding messages per region up to which the window grows exponentially."""
MEMORY = 20
"""Answers over which the share of nacks is averaged."""
NEGLIGIBLE = 0.005


class Flow:
    """Window and pause of one push subscription."""

    def __init__(self) -> None:
        self.window = float(SMALLEST_WINDOW)
        self.paused_until = 0.0
        self.nack_share = 0.0
        """Exponentially weighted share of nacks among the last answers."""
        self._acks = 0

    def acked(self) -> None:
        """The window doubles with each window full of acks."""
        self.nack_share -= self.nack_share / MEMORY
        self._acks += 1
        if self._acks >= self.window:
            self.window = min(self.window * 2, LARGEST_WINDOW)
            self._acks = 0

    def nacked(self, now: float) -> float:
        """The window halves and delivery pauses; returns the pause in seconds."""
        self.nack_share += (1 - self.nack_share) / MEMORY
        self.window = max(self.window / 2, SMALLEST_WINDOW)
        self._acks = 0
        pause = backoff(self.nack_share)
        self.paused_until = max(self.paused_until, now + pause)
        return pause


def backoff(nack_share: float) -> float:
    """Seconds without delivery after a nack: 100 ms to 60 s, exponential in the share of nacks among recent answers.

    The page's two examples hold: one nack in five answers gives 0.36 s (the page: about 500 ms), only nacks give 60 s (30-60 s).
    """
    return 0.1 * 600**nack_share if nack_share > NEGLIGIBLE else 0.0
