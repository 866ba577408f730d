"""What the version that made a bundle concluded: kept as it was written, and read as far as this version can.

The diagnosis changes from version to version. So nothing of an old one has to be as this version would write it: what is missing,
unknown or of another type is empty, and a status that is not known is unknown.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.steps.finding import Status


class ThenBatch(Struct, frozen=True, kw_only=True):
    """The batch that it was about; without an id, a start that made none."""

    id: str


class ThenCause(Struct, frozen=True, kw_only=True):
    """A cause that was named then, in the words of then."""

    code: str
    leg: str
    role: str
    confidence: str


class Then(Struct, frozen=True, kw_only=True):
    """A conclusion that was drawn once, as far as it can be read."""

    raw: msgspec.Raw
    """All of it, as it was written."""
    status: Status
    headline: str
    batch: ThenBatch | None
    """None: it was about no batch."""
    causes: tuple[ThenCause, ...]

    def says_the_same_as(self, found: Diagnosis) -> bool:
        """Whether this diagnosis says the same, to the last word."""
        return bool(_plain(self.raw) == _plain(msgspec.json.encode(found)))


def read(raw: msgspec.Raw) -> Then | None:
    """The conclusion in this JSON; None: none was drawn."""
    said = _plain(raw)
    if said is None:
        return None
    batch, causes = _in(said, "batch"), _in(said, "causes")
    return Then(
        raw=raw.copy(),
        status=_status(_in(said, "status")),
        headline=_text(said, "headline") or "in words that this version cannot read",
        batch=None if batch is None else ThenBatch(id=_text(batch, "id")),
        causes=tuple(_cause(one) for one in causes if _text(one, "code")) if isinstance(causes, list) else (),
    )


def _plain(raw: bytes | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _cause(said: Any) -> ThenCause:
    return ThenCause(**{name: _text(said, name) for name in ThenCause.__struct_fields__})


def _status(said: Any) -> Status:
    return Status(said) if isinstance(said, str) and said in set(Status) else Status.UNKNOWN


def _text(said: Any, name: str) -> str:
    """The text under this name; empty where there is none."""
    found = _in(said, name)
    return found if isinstance(found, str) else ""


def _in(said: Any, name: str) -> Any:
    return said.get(name) if isinstance(said, dict) else None
