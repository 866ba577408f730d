"""What can go wrong before there is a diagnosis: one clear line, and the command that mends it."""

from __future__ import annotations


class Trouble(Exception):
    """The run cannot go on. Ends in exit code 3."""

    def __init__(self, says: str, mend: str = "") -> None:
        super().__init__(says)
        self.says = says
        """One line, without secrets."""
        self.mend = mend
        """A command, or a clause that says what to do; empty when nothing helps."""
