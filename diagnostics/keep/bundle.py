"""Evidence that lasts: one run in one file, to be diagnosed again by anyone, without a network, years later.

A bundle is one JSON document, compressed with gzip. There is nothing to unpack: it holds no names of files, so none can lead
anywhere. The document is a `Document` below; `schema()` is its JSON Schema. Format version 1:

    format, format_version   "pubsub-diag bundle", 1. A reader refuses a newer format; a field that it does not know it ignores
    made_by, made_at         version of pubsub-diag, and when it looked
    command … calls          what the run asked, of which pipeline, and which calls it made
    now, since, lookback     the time that the evidence speaks of
    evidence[], unseen[]     what was seen, as {kind, leg, seen}, where kind is a class of `diagnostics.evidence.model`; and what was not
    diagnosis                what `made_by` concluded; null when the run did not conclude
    notes[], redactions      what people noted, and how much was taken out

What comes from a file is not trusted: sizes are bounded before anything is decoded, every value has to be of its type, and all that
is wrong is a BundleError in one line.
"""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from diagnostics import __version__
from diagnostics.conclude.diagnosis import Call, Concluded, Diagnosis, Header
from diagnostics.evidence import model
from diagnostics.evidence.model import Evidence, EvidenceSet, Key, Leg, Means, Unseen
from diagnostics.evidence.redaction import Redactions, count
from diagnostics.keep import then as concluded
from diagnostics.keep.then import Then
from diagnostics.pipeline.profile import PipelineProfile, ProfileError, check
from diagnostics.question.ask import Ask
from diagnostics.run.investigate import COMMANDS, Case, investigate

FORMAT = "pubsub-diag bundle"
VERSION = 1
MOST_BYTES = 32 * 2**20
"""Of a bundle as a file."""
MOST_JSON = 64 * 2**20
"""Of its document. A hundred thousand log lines are some 25 MB."""

KINDS: dict[str, type[Evidence]] = {
    name: kind for name, kind in vars(model).items() if isinstance(kind, type) and issubclass(kind, Evidence)
}
"""Every kind of evidence by its name."""


class BundleError(ValueError):
    """A bundle that cannot be used: one line that names it and says why."""


class Note(Struct, frozen=True, kw_only=True):
    """What a person did or believed, and when: what no audit log tells."""

    at: datetime
    says: str
    """Redacted."""
    batch: str = ""
    """The batch that it is about; empty: whatever was under way."""
    written: datetime
    """When it was written down."""


class Bundle(Struct, frozen=True, kw_only=True):
    """One run that was kept."""

    case: Case
    then: Then | None
    """What the version that made it concluded; None: the run drew no conclusion."""
    diagnosis: Diagnosis | None = None
    """What this version concludes of it; None: it was not asked to."""
    notes: tuple[Note, ...]
    made_at: datetime
    """When the run looked; for a past window that is later than the time the evidence speaks of."""
    version: str
    """Version of pubsub-diag that made it."""
    redactions: Redactions

    @property
    def batch(self) -> str:
        """The batch that the run was about, as far as it knows; else empty."""
        return batch_of(self.case, self.diagnosis or self.then)


class Entry(Struct, frozen=True, kw_only=True):
    """One piece of evidence."""

    kind: str
    leg: Leg | None = None
    seen: msgspec.Raw


class Head(Struct, frozen=True, kw_only=True):
    """What is read first: whether the rest can be."""

    format: str
    format_version: int
    made_by: str


class Seen(Head, frozen=True, kw_only=True):
    """All but the conclusion."""

    made_at: datetime
    command: str
    legs: tuple[Leg, ...] | None = None
    ask: Ask
    profile: PipelineProfile
    header: Header
    calls: tuple[Call, ...] = ()
    now: datetime
    since: datetime
    lookback: timedelta
    evidence: tuple[Entry, ...]
    unseen: tuple[Unseen, ...] = ()
    notes: tuple[Note, ...] = ()
    redactions: Redactions = Redactions()


class Document(Seen, frozen=True, kw_only=True):
    """The whole file, as it is written."""

    diagnosis: Diagnosis | None = None


class Kept(Seen, frozen=True, kw_only=True):
    """The same, as it is read: of the conclusion, another version may have another idea."""

    diagnosis: msgspec.Raw = msgspec.Raw(b"null")


def dump(case: Case, diagnosis: Diagnosis | None, notes: tuple[Note, ...] = ()) -> bytes:
    """The bundle of a case. The same case gives the same bytes. Messages' data, if a probe was told to show it, stays out."""
    seen = case.evidence
    document = Document(
        format=FORMAT,
        format_version=VERSION,
        made_by=__version__,
        made_at=seen.looked_at,
        command=case.command,
        legs=None if case.legs is None else tuple(case.legs),
        ask=case.ask,
        profile=case.profile,
        header=case.header,
        calls=tuple(case.calls),
        now=seen.now,
        since=seen.since,
        lookback=seen.lookback,
        evidence=tuple(_entry(key, found) for key, found in seen.items() if isinstance(found, Evidence)),
        unseen=seen.unseen(),
        diagnosis=diagnosis,
        notes=notes,
        redactions=count(seen),
    )
    return gzip.compress(msgspec.json.encode(document), compresslevel=6, mtime=0)


def load(path: Path) -> Bundle:
    """The bundle in this file. Raises BundleError."""
    try:
        with path.open("rb") as file:
            packed = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    return parse(packed, str(path))


def parse(packed: bytes, where: str = "bundle") -> Bundle:
    """The bundle in these bytes; `where` names it in errors. Raises BundleError."""
    try:
        return _bundle(_document(_unpacked(packed)))
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from error


def replay(bundle: Bundle, case: Case | None = None) -> Diagnosis:
    """The diagnosis of a bundle: by the version that made it the same to the last byte. Another version says what was concluded then.

    `case`: another question to the same evidence (another command, one leg). Raises BundleError when the evidence contradicts itself so
    that no diagnosis can be made of it, which no run of pubsub-diag saves.
    """
    asked = case or bundle.case
    try:
        found = investigate(asked)
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"its evidence contradicts itself: {type(error).__name__}: {error}") from error
    then = bundle.then
    if then is None or asked != bundle.case or (bundle.version == __version__ and then.says_the_same_as(found)):
        return found
    said = Concluded(version=bundle.version, at=bundle.made_at, status=then.status, headline=then.headline)
    return msgspec.structs.replace(found, concluded=said)


def batch_of(case: Case, said: Diagnosis | Then | None) -> str:
    """The batch that a run was about: as concluded, as asked, or the latest that the coordinator's log names."""
    if said is not None and said.batch is not None:
        return said.batch.id or case.ask.batch  # a start that made no batch is not about the batch before it
    marks = case.evidence.get(model.BatchMarks)
    created = (
        [] if isinstance(marks, Unseen) else [m.batch for m in marks.marks if m.means is Means.CREATED and m.batch]
    )
    return case.ask.batch or (created[-1] if created else "")


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a bundle's document, each kind of evidence among its definitions."""
    (whole, *kinds), components = msgspec.json.schema_components(
        [Document, *KINDS.values()], ref_template="#/$defs/{name}"
    )
    del kinds
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FORMAT, **whole, "$defs": components}


# --- writing ------------------------------------------------------------------------------------------------------------


def _entry(key: Key, found: Evidence) -> Entry:
    kind, leg = key
    if isinstance(found, model.Probed):
        messages = tuple(msgspec.structs.replace(message, data="") for message in found.messages)
        found = msgspec.structs.replace(found, messages=messages)
    return Entry(kind=kind, leg=leg, seen=msgspec.Raw(msgspec.json.encode(found)))


# --- reading: from the outside in, each step bounded by the one before it ------------------------------------------------


def _unpacked(packed: bytes) -> bytes:
    """The document's bytes: all of one gzip member, and nothing behind it."""
    if len(packed) > MOST_BYTES:
        raise BundleError(f"is larger than {MOST_BYTES // 2**20} MiB")
    inflating = zlib.decompressobj(wbits=31)
    try:
        text = inflating.decompress(packed, MOST_JSON + 1)
    except zlib.error as error:
        raise BundleError("is no bundle of pubsub-diag, or is damaged") from error
    if len(text) > MOST_JSON:
        raise BundleError(f"unpacks to more than {MOST_JSON // 2**20} MiB")
    if not inflating.eof:
        raise BundleError("is cut short")
    if inflating.unused_data:
        raise BundleError("holds more than a bundle")
    return text


def _document(text: bytes) -> Kept:
    try:
        head = msgspec.json.decode(text, type=Head)
        if head.format != FORMAT:
            raise BundleError("is no bundle of pubsub-diag")
        if head.format_version > VERSION:
            raise BundleError(
                f"was made by pubsub-diag {_short(head.made_by)} in format {head.format_version}; "
                f"this is {__version__} and reads up to {VERSION}: update it"
            )
        return msgspec.json.decode(text, type=Kept)
    except RecursionError as error:
        raise BundleError("is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"is not what a bundle is: {_short(str(error))}") from error


def _bundle(said: Kept) -> Bundle:
    seen: dict[Key, Evidence | Unseen] = {}
    entries: list[tuple[Key, Entry | Unseen]] = [((e.kind, e.leg), e) for e in said.evidence]
    for key, part in [*entries, *(((u.what, u.leg), u) for u in said.unseen)]:
        kind = _kind(key, said.made_by)
        if key in seen:
            raise BundleError(f"holds {kind.__name__} twice")
        seen[key] = part if isinstance(part, Unseen) else _found(part, kind)
    then = concluded.read(said.diagnosis)
    if said.command not in COMMANDS and then is not None:
        raise BundleError(f"is of a command that pubsub-diag {__version__} does not have: {_short(said.command)}")
    try:
        check(said.profile, "profile")
    except ProfileError as error:
        raise BundleError(f"is not what a bundle is: {_short(str(error))}") from error
    _in_utc((said, *seen.values()))
    ordered = dict(sorted(seen.items(), key=lambda held: (held[0][0], held[0][1] or "")))  # as the collector orders it
    evidence = EvidenceSet(ordered, said.now, said.lookback, said.since, said.made_at)
    case = Case(said.command, evidence, said.profile, said.ask, said.header, said.calls, said.legs)
    return Bundle(
        case=case,
        then=then,
        notes=said.notes,
        made_at=said.made_at,
        version=said.made_by,
        redactions=said.redactions,
    )


def _kind(key: Key, made_by: str) -> type[Evidence]:
    name, leg = key
    kind = KINDS.get(name)
    if kind is None:
        unknown = f"holds a kind of evidence that pubsub-diag {__version__} does not know: {_short(name)}"
        raise BundleError(f"{unknown}; it was made by {_short(made_by)}")
    if kind.per_leg == (leg is None):
        raise BundleError(f"holds {name} {'without' if kind.per_leg else 'with'} a leg")
    return kind


def _found(entry: Entry, kind: type[Evidence]) -> Evidence:
    try:
        return msgspec.json.decode(entry.seen, type=kind)
    except RecursionError as error:
        raise BundleError("is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"is not what a bundle is: {entry.kind}: {_short(str(error))}") from error


def _in_utc(value: Any) -> None:
    """Refuse a time that is not in UTC: all that reads evidence takes it for granted."""
    if isinstance(value, datetime):
        if value.tzinfo is not UTC and value.utcoffset() != timedelta(0):
            raise BundleError("holds a time that is not in UTC")
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            _in_utc(getattr(value, name))
    elif isinstance(value, tuple | list):
        for inner in value:
            _in_utc(inner)


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"
