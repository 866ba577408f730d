"""Children that a test ends with Ctrl-C take it, also where nobody could end the tests so: a shell's background job ignores it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Whoever is started in here has SIGINT's default: a signal that is handled becomes that in a new program, one that is ignored
    stays ignored. Ours is put back at once."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
