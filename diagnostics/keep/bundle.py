"""Evidence that lasts: one run in one file, to be diagnosed again by anyone, without a network, years later.

A bundle is one JSON document, compressed with gzip. There is nothing to unpack: it holds no names of files, so none can lead
anywhere. The document is a `Document` below; `schema()` is its JSON Schema. Format version 1:

    format, format_version   "pubsub-diag bundle", 1. A reader refuses a newer format; what it does not know of this one it sets apart
    made_by, made_at         version of pubsub-diag, and when it looked
    command … calls          what the run asked, of which pipeline, and which calls it made
    now, since, lookback     the time that the evidence speaks of
    evidence[], unseen[]     what was seen, as {kind, leg, seen}, where kind is a class of `diagnostics.evidence.model`; and what was not
    diagnosis                what `made_by` concluded; null when the run did not conclude
    notes[], redactions      what people noted, and how much was taken out

What comes from a file is not trusted: sizes are bounded before anything is decoded, every value has to be of its type, and all that
is wrong is a BundleError in one line. What another version wrote is no error (`diagnostics.keep.apart`): a kind of evidence that is not
known or cannot be read is unseen, and the answer says so.
"""

from __future__ import annotations

import dataclasses
import gzip
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from diagnostics import __version__
from diagnostics.conclude.diagnosis import Call, Concluded, Diagnosis, Exit, Header, Missing
from diagnostics.evidence import model
from diagnostics.evidence.model import Evidence, EvidenceSet, Key, Leg, Means, Unseen
from diagnostics.evidence.redaction import Redactions, count
from diagnostics.evidence.whole_text import wholly
from diagnostics.keep import bounds
from diagnostics.keep import then as concluded
from diagnostics.keep.apart import Unreadable, one_line
from diagnostics.keep.bounds import MIB, MOST_BYTES, TooMuchError
from diagnostics.keep.contents import KINDS, Apart, Contents, in_utc
from diagnostics.keep.then import Then
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.run.investigate import COMMANDS, Case, investigate, kinds_for
from diagnostics.shell.files import read as read_file
from diagnostics.steps.finding import Status

FORMAT = "pubsub-diag bundle"
VERSION = 1
PART = 2**18
"""Bytes that are unpacked at a time."""
ASK = "ask"
"""The field that holds what was asked."""


class BundleError(ValueError):
    """A bundle that cannot be used: one line that names it and says why."""


class NoteKind(StrEnum):
    """What a note is about."""

    DID = "did"
    """Somebody did something: rolled back, sought, published by hand."""
    DETECTED = "detected"
    """Somebody saw that something was wrong, or was told."""
    BELIEVED = "believed"
    """What was taken for the cause, right or wrong."""
    RESOLVED = "resolved"
    """It was over, as far as who wrote it could tell."""


class Note(Struct, frozen=True, kw_only=True):
    """What a person did or believed, and when: what no audit log tells."""

    at: datetime
    says: str
    """Redacted."""
    batch: str = ""
    """The batch that it is about; empty: whatever was under way."""
    written: datetime
    """When it was written down."""
    kind: NoteKind = NoteKind.DID


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
    apart: tuple[Apart, ...] = ()
    """What another version wrote and this one does not read."""
    as_written: dict[Key, Evidence | Unseen] = {}
    """Of evidence that offers other commands than it was written with: what was written. Nothing of it is printed."""

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


class Document(Head, frozen=True, kw_only=True):
    """The whole file, as it is written."""

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
    diagnosis: Diagnosis | None = None
    notes: tuple[Note, ...] = ()
    redactions: Redactions = Redactions()


class Kept(Head, frozen=True, kw_only=True):
    """The same, as it is read: another version may have written what it holds."""

    made_at: datetime
    command: str
    legs: tuple[str, ...] | None = None
    ask: msgspec.Raw
    profile: msgspec.Raw
    header: msgspec.Raw
    calls: tuple[msgspec.Raw, ...] = ()
    now: datetime
    since: datetime
    lookback: timedelta
    evidence: tuple[msgspec.Raw, ...]
    unseen: tuple[msgspec.Raw, ...] = ()
    diagnosis: msgspec.Raw = msgspec.Raw(b"null")
    notes: tuple[msgspec.Raw, ...] = ()
    redactions: msgspec.Raw = msgspec.Raw(b"{}")


def dump(case: Case, diagnosis: Diagnosis | None, notes: tuple[Note, ...] = ()) -> bytes:
    """The bundle of a case. The same case gives the same bytes. Messages' data, if a probe was told to show it, stays out.

    Raises TooMuchError for what no version would read again.
    """
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
    text = _json(document)
    bounds.check_document(text)
    bounds.check_parts(calls=document.calls, notes=notes, gaps=document.unseen)
    packed = gzip.compress(text, compresslevel=6, mtime=0)
    if len(packed) > MOST_BYTES:
        raise TooMuchError(
            f"takes {len(packed) / MIB:.0f} MiB, more than the {MOST_BYTES // MIB} MiB that a bundle may"
        )
    return packed


def load(path: Path, ours: bool = False) -> Bundle:
    """The bundle in this file. `ours`: nobody but this user's own runs wrote it; what anybody may have written offers no command but the
    forms that this version prints itself (`diagnostics.keep.vouched`). Raises BundleError."""
    try:
        return parse(read_file(path, MOST_BYTES), str(path), ours)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error


def parse(packed: bytes, where: str = "bundle", ours: bool = False) -> Bundle:
    """The bundle in these bytes; `where` names it in errors, `ours` as in `load`. Raises BundleError."""
    try:
        text = _unpacked(packed)
        del packed  # the document is all that is needed from here on
        return _bundle(_document(text), msgspec.json.decode(text, type=dict[str, msgspec.Raw]), ours)
    except (BundleError, Unreadable, TooMuchError) as error:
        raise BundleError(f"{where}: {error}") from error
    except RecursionError as error:
        raise BundleError(f"{where}: is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{where}: is not what a bundle is: {one_line(str(error))}") from error


def replay(bundle: Bundle, case: Case | None = None) -> Diagnosis:
    """The diagnosis of a bundle: by the version that made it the same to the last byte. Another version says what was concluded then.

    `case`: another question to the same evidence (another command, one leg). Raises BundleError when the evidence contradicts itself so
    that no diagnosis can be made of it, which no run of pubsub-diag saves.
    """
    asked = case or bundle.case
    if asked.command not in COMMANDS:
        raise BundleError(
            f"it is of a command that pubsub-diag {__version__} does not draw conclusions for: {one_line(asked.command)}"
        )
    found, then = _diagnosed(bundle, asked), bundle.then
    if then is None or asked != bundle.case or _says_the_same(bundle, then, found):
        return found
    said = Concluded(version=bundle.version, at=bundle.made_at, status=then.status, headline=then.headline)
    return msgspec.structs.replace(found, concluded=said)


def _diagnosed(bundle: Bundle, asked: Case) -> Diagnosis:
    try:
        return _with(bundle.apart, investigate(asked), asked.evidence)
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"its evidence contradicts itself: {type(error).__name__}: {error}") from error


def _says_the_same(bundle: Bundle, then: Then, found: Diagnosis) -> bool:
    """Whether this version concludes to the last word what was concluded, but for the commands that it does not vouch for."""
    if bundle.version != __version__:
        return False
    if not bundle.as_written or then.says_the_same_as(found):
        return then.says_the_same_as(found)
    seen = bundle.case.evidence
    written = EvidenceSet(
        {**dict(seen.items()), **bundle.as_written}, seen.now, seen.lookback, seen.since, seen.looked_at
    )
    return then.says_the_same_as(_diagnosed(bundle, dataclasses.replace(bundle.case, evidence=written)))


def _with(apart: Iterable[Apart], found: Diagnosis, evidence: EvidenceSet) -> Diagnosis:
    """The diagnosis, and what was set apart among that which it did not see. Whole kinds are unseen evidence already."""
    unseen = evidence.unseen()
    parts = tuple(Missing.of(one.unseen, one.matters) for one in apart if one.unseen not in unseen)
    whole = msgspec.structs.replace(found, unknown=found.unknown + parts) if parts else found
    return _in_doubt(whole) if any(one.what == ASK and one.matters for one in apart) else whole


def _in_doubt(found: Diagnosis) -> Diagnosis:
    """All may be well with what was asked about, or with something else: that is not known to be well."""
    if found.exit_code != Exit.OK:
        return found
    headline = f"what was asked can be read in part only; without the rest: {found.headline}"
    return msgspec.structs.replace(found, status=Status.UNKNOWN, exit_code=int(Exit.UNKNOWN), headline=headline)


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
    text = _json(found)
    bounds.check_piece(kind, text)
    return Entry(kind=kind, leg=leg, seen=msgspec.Raw(text))


def _json(value: Struct) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # evidence is whole; a name from the command line may not be
        return msgspec.json.encode(wholly(value))


# --- reading: from the outside in, each step bounded by the one before it ------------------------------------------------


def _unpacked(packed: bytes) -> bytes:
    """The document's bytes. They are gone through once in parts, of which none is kept: what is damaged, or too much, takes no room."""
    if len(packed) > MOST_BYTES:
        raise BundleError(f"is larger than {MOST_BYTES // MIB} MiB")
    counted = bounds.Counting()
    for part in _parts(packed):
        counted.take(part)
    return zlib.decompress(packed, wbits=31, bufsize=max(counted.bytes, 1))


def _parts(packed: bytes) -> Iterator[bytes]:
    """The document in parts of at most PART: all of one gzip member, whose checksum is right, and nothing behind it."""
    inflating, left = zlib.decompressobj(wbits=31), memoryview(packed)
    try:
        while not inflating.eof:
            given, left = left[:PART], left[PART:]
            part = inflating.decompress(given, PART)
            yield part
            while not inflating.eof and (inflating.unconsumed_tail or len(part) == PART):
                part = inflating.decompress(inflating.unconsumed_tail, PART)
                yield part
            if not given and not inflating.eof:
                raise BundleError("is cut short")
    except zlib.error as error:
        raise BundleError("is no bundle of pubsub-diag, or is damaged") from error
    if inflating.unused_data or left:
        raise BundleError("holds more than a bundle")


def _document(text: bytes) -> Kept:
    head = msgspec.json.decode(text, type=Head)
    if head.format != FORMAT:
        raise BundleError("is no bundle of pubsub-diag")
    if head.format_version < 1:
        raise BundleError(f"says that it is of format {head.format_version}, which never was: it is damaged")
    if head.format_version > VERSION:
        raise BundleError(
            f"was made by pubsub-diag {one_line(head.made_by)} in format {head.format_version}; "
            f"this is {__version__} and reads up to {VERSION}: update it"
        )
    return msgspec.json.decode(text, type=Kept)


def _bundle(said: Kept, fields: Iterable[str], ours: bool) -> Bundle:
    bounds.check_parts(calls=said.calls, notes=said.notes, gaps=said.unseen, pieces=said.evidence, legs=said.legs or ())
    contents = Contents(said.made_by, ours)
    contents.fields("bundle", fields, Kept.__struct_fields__)
    evidence = contents.evidence(said.evidence, said.unseen)
    profile = contents.profile(said.profile, evidence)
    evidence |= contents.lacking(_wanted(said.command, profile), evidence)
    ask = contents.part(ASK, Ask, said.ask)
    header = contents.part("header", Header, said.header)
    calls = contents.list("calls", Call, said.calls)
    notes = contents.list("notes", Note, said.notes)
    redactions = contents.optional("redactions", Redactions, said.redactions, Redactions())
    legs = contents.legs(said.legs)
    in_utc((said.made_at, said.now, said.since, *evidence.values(), profile, ask, header, notes))
    ordered = dict(
        sorted(evidence.items(), key=lambda held: (held[0][0], held[0][1] or ""))
    )  # as the collector orders it
    seen = EvidenceSet(ordered, said.now, said.lookback, said.since, said.made_at)
    return Bundle(
        case=Case(said.command, seen, profile, ask, header, calls, legs),
        then=concluded.read(said.diagnosis),
        notes=notes,
        made_at=said.made_at,
        version=said.made_by,
        redactions=redactions,
        apart=contents.apart,
        as_written=contents.as_written,
    )


def _wanted(command: str, profile: PipelineProfile) -> Iterator[Key]:
    """All that the command reads of such a pipeline."""
    for kind in kinds_for(command) if command in COMMANDS else ():
        for leg in Leg if kind.per_leg else (None,):
            if leg is None or profile.leg(leg):
                yield kind.__name__, leg
