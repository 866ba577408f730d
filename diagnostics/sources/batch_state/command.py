"""Batch state from a program that the profile names: run as it stands, without a shell, bounded, and its output not trusted.

It prints one JSON object whose fields the profile names, or `null` for a batch that it does not know, and ends with 0. The batch comes
from a log line, so it is handed on only where it cannot be taken for anything but a name.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from typing import IO, Any, NamedTuple

from diagnostics.evidence.model import BatchStatus, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import BatchStateProfile, PipelineProfile
from diagnostics.shell.commands import joined
from diagnostics.sources.batch_state.status import CoordinatorUrl
from diagnostics.sources.batch_state.told import status_of
from diagnostics.transport.provenance import provenance
from diagnostics.transport.session import Session

MOST_BYTES = 1_000_000
"""Of each of its outputs; who prints more is ended."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@=+/-]{0,199}")
"""A batch that may be handed to a program: no option, no space, nothing that a program of the user's might expand."""
LINGER_S = 1.0
"""How long its output is waited for once it has ended, or was ended."""


def read(
    session: Session,
    pipeline: PipelineProfile,
    state: BatchStateProfile,
    coordinator: CoordinatorUrl | Unseen,
    batch: str,
) -> BatchStatus:
    """Run the program for one batch. Raises NotSeen."""
    del pipeline, coordinator
    if len(state.command) < 2:
        raise NotSeen(Why.NOT_CONFIGURED, "the profile names no command: what is kept of a run carries none")
    if not NAME.fullmatch(batch):
        says = f"the batch {redact(batch, 40)!r} is no name to hand to a program"
        raise NotSeen(Why.NOT_CONFIGURED, says)
    words = [state.command[0], *(word.replace("{batch}", batch) for word in state.command[1:])]
    ended = _run(session, state, words)
    line = redact(joined(redact(word) for word in words))
    said = _object(state, ended)
    source = provenance(session, state.name, line, line)
    if said is None:
        return BatchStatus(source=source, batch=batch, exists=False)
    return status_of(state, source, batch, said)


class _Ended(NamedTuple):
    code: int
    out: bytes
    err: bytes
    timed_out: bool = False


def _run(session: Session, state: BatchStateProfile, words: list[str]) -> _Ended:
    """Run it in a session of its own, so that it and all that it began can be ended."""
    seconds = min(state.timeout_s, session.allowance())
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        session.record(state.name, time.monotonic() - started, False, type(error).__name__)
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise NotSeen(Why.NOT_CONFIGURED, f"the {state.name} cannot be run: {why}") from error
    ended = _watched(process, seconds)
    session.record(state.name, time.monotonic() - started, ended.code == 0, "" if ended.code == 0 else f"{ended.code}")
    if ended.timed_out:
        raise NotSeen(Why.TIMED_OUT, f"the {state.name} did not end within {seconds:.3g} s")
    return ended


def _watched(process: subprocess.Popen[bytes], seconds: float) -> _Ended:
    """Its code and outputs; what goes on for longer, or prints without end, is ended with all that it began."""
    assert process.stdout and process.stderr
    too_much = threading.Event()
    outputs = [_Output(pipe, process, too_much) for pipe in (process.stdout, process.stderr)]
    timed_out = False
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        timed_out = not too_much.is_set()
    finally:
        _end(process)
        process.wait()
    out, err = (output.text() for output in outputs)
    return _Ended(process.returncode, out, err, timed_out)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and its children, unless it has ended by itself."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


class _Output:
    """One output, read on a thread of its own, up to a size."""

    def __init__(self, pipe: IO[bytes], process: subprocess.Popen[bytes], too_much: threading.Event) -> None:
        self._pipe = pipe
        self._process = process
        self._too_much = too_much
        self._read = b""
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def _go(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while len(self._read) <= MOST_BYTES and (part := os.read(self._pipe.fileno(), 65_536)):
                self._read += part
            if len(self._read) > MOST_BYTES:
                self._too_much.set()
                _end(self._process)

    def text(self) -> bytes:
        self._thread.join(LINGER_S)
        if not self._thread.is_alive():
            self._pipe.close()
        return self._read


def _object(state: BatchStateProfile, ended: _Ended) -> dict[str, Any] | None:
    """What it printed; None: it knows no such batch."""
    if len(ended.out) > MOST_BYTES or len(ended.err) > MOST_BYTES:
        raise NotSeen(Why.FAILED, f"the {state.name} printed more than {MOST_BYTES:,} bytes and was ended")
    if ended.code:
        lines = ended.err.decode("utf-8", "replace").strip().splitlines()
        told = f": {redact(lines[-1].strip(), 200)}" if lines else ""
        how = f"ended with {ended.code}" if ended.code > 0 else f"was ended by signal {-ended.code}"
        raise NotSeen(Why.FAILED, f"the {state.name} {how}{told}")
    try:
        said = json.loads(ended.out)
    except (ValueError, RecursionError):
        raise NotSeen(Why.FAILED, f"what the {state.name} printed is no JSON: {_begins(ended.out)}") from None
    if said is not None and not isinstance(said, dict):
        raise NotSeen(Why.FAILED, f"what the {state.name} printed is no JSON object: {_begins(ended.out)}")
    return said


def _begins(out: bytes) -> str:
    """The begin of what it printed. More than is shown is redacted: a secret that is cut in two is none for the rules."""
    text = " ".join(out[:4000].decode("utf-8", "replace").split())
    return redact(text, 60) or "nothing"
