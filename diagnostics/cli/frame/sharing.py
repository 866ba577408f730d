"""The store that a team shares, on the command line: what is kept here waits for it, is sent once the answer is out, and what others
sent is read beside what is kept here (`others`).

Nothing of it costs an answer. Sending begins when the answer is written, ends after SEND_S whatever the store does, and says no more
than one line; what was not sent is sent by the next command that looks.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

import msgspec

from diagnostics.cli.frame import after, output
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.keep import names, store
from diagnostics.keep.bundle import Note
from diagnostics.keep.names import Name
from diagnostics.keep.outbox import Outbox
from diagnostics.keep.shared import Place, StoreError, place_of, send
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.report.escape import clean
from diagnostics.transport.session import LAB, Session

SEND_S = 5.0
"""So long the end of the process waits for a store, and no longer."""
MOST_TOLD = 3
"""So many different troubles of a store are told in one line."""
SHARE = 0.4
"""What one call may take of a session's time (`Session.allowance_s`)."""


class Sharing:
    """The store of a profile, and how to get at it."""

    def __init__(self, named: str, session: Callable[[], Session], quiet: bool = False) -> None:
        self.named = named
        self._session = session
        self._quiet = quiet
        self.box = Outbox(key_of(named))

    def keep(self, name: Name, content: bytes) -> None:
        """Let it wait for the store."""
        try:
            self.box.put(name, content)
        except OSError as error:
            output.tell(f"not kept for {self.named}: {error.strerror or type(error).__name__}", self._quiet)

    def place(self, seconds: float) -> Place:
        """The store, for calls that end within this time. Raises StoreError."""
        try:
            return place_of(self.named, lambda: self._session().again(seconds / SHARE))
        except Trouble as trouble:
            raise StoreError(trouble.says, trouble.mend) from trouble

    def send(self) -> None:
        """Send what waits, and say in one line what could not be sent."""
        came = _Came([StoreError(f"it did not answer within {SEND_S:g} s")])
        thread = threading.Thread(target=self._send, args=(came, monotonic() + SEND_S), daemon=True)
        with contextlib.suppress(KeyboardInterrupt):  # the answer is out: whoever interrupts now wants the prompt
            thread.start()
            thread.join(SEND_S)
        says = in_words(came.troubles)
        if came.left and says:
            waits = "1 waits here and goes" if came.left == 1 else f"{came.left} wait here and go"
            output.tell(f"not sent to {self.named}: {in_short(says)}; {waits} with the next run", self._quiet)

    def _send(self, came: _Came, end: float) -> None:
        try:
            came.left = len(self.box.waiting())
            if came.left:
                came.troubles = send(self.place(SEND_S), self.box, lambda: monotonic() < end)
                came.left = len(self.box.waiting())
        except StoreError as error:
            came.troubles = [error]
        except Exception as error:  # whatever it is, it is about the store and not about the answer
            came.troubles = [StoreError(f"{type(error).__name__}: {error}")]


@dataclass
class _Came:
    """What came of sending, as far as it got."""

    troubles: list[StoreError]
    left: int = 0
    """Things that are not known to be there."""


_now: Sharing | None = None
"""The store of the pipeline that this command looks at."""


def meet(profile: PipelineProfile | None, session: Callable[[], Session], quiet: bool) -> Sharing | None:
    """From here on, what is kept is of this pipeline: it goes to its store, if it has one, and what waits for it is sent."""
    global _now
    _now = Sharing(profile.store, session, quiet) if profile is not None and profile.store else None
    if _now is not None:
        after.once(_now.send)
    return _now


def keep_run(run: store.Packed, kind: str = names.RUNS) -> None:
    """A run that is to be kept for the others as well, where there are others."""
    if _now is not None:
        _now.keep(names.of_run(kind, run.stem, run.content), run.content)


def keep_note(said: Note) -> None:
    if _now is not None:
        content = msgspec.json.encode(said)
        _now.keep(names.of_note(said, content), content)


def key_of(named: str) -> str:
    """What is of the lab's Cloud Storage is never sent to Google's."""
    return f"lab {named}" if os.environ.get(LAB) and named.startswith("gs:") else named


def in_words(troubles: Iterable[StoreError]) -> list[str]:
    """Each trouble once, as it may be printed, with what would help."""
    told = (clean(error.says) + (f" ({error.mend})" if error.mend else "") for error in troubles)
    return list(dict.fromkeys(told))


def in_short(says: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(says) - MOST_TOLD
    return "; ".join([*says[:MOST_TOLD], *([f"and {more} more"] if more > 0 else [])])
