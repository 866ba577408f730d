"""What a bundle's document holds, as far as this version can read it, and what of it is set apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from diagnostics import __version__
from diagnostics.evidence import model
from diagnostics.evidence.model import Evidence, Key, Leg, SubscriptionConfig, Unseen, Why
from diagnostics.keep.apart import Parts, Read, Unreadable, brief, entries, one_line, read
from diagnostics.keep.bounds import check_piece
from diagnostics.keep.vouched import vouched
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ProfileError, RedactProfile, check
from diagnostics.shell.commands import is_harmless

S = TypeVar("S", bound=Struct)
T = TypeVar("T")

KINDS: dict[str, type[Evidence]] = {
    name: kind for name, kind in vars(model).items() if isinstance(kind, type) and issubclass(kind, Evidence)
}
"""Every kind of evidence by its name."""


class Apart(Struct, frozen=True, kw_only=True):
    """Something that another version wrote and this one does not read."""

    what: str
    """Kind of evidence, or part of the document."""
    leg: Leg | None = None
    says: str
    matters: bool
    """Whether this version would have read it."""

    @property
    def unseen(self) -> Unseen:
        return Unseen(what=self.what, leg=self.leg, why=Why.SET_APART, says=self.says)


class KeptEntry(Struct, frozen=True, kw_only=True):
    """One piece of evidence, as another version may have written it."""

    kind: str
    leg: str | None = None
    seen: msgspec.Raw


class Contents:
    """Reads the parts of one document and gathers what it sets apart. All raise Unreadable where nothing can be made of a part."""

    def __init__(self, made_by: str, ours: bool = False) -> None:
        """`ours`: nobody but this user's own runs wrote it."""
        self._made_by = made_by
        self._offering = _harmless if ours else vouched
        self._apart: dict[Apart, None] = {}
        self.as_written: dict[Key, Evidence | Unseen] = {}
        """Of evidence that offers other commands than it was written with: what was written."""
        self._by = f"pubsub-diag {one_line(made_by, 40)}"

    @property
    def apart(self) -> tuple[Apart, ...]:
        return tuple(self._apart)

    def part(self, name: str, kind: type[S], raw: msgspec.Raw) -> S:
        """A part of which each option stands for itself."""
        try:
            return self._noted(name, None, read(kind, raw, self._made_by, Parts.ALL))
        except Unreadable as why:
            raise Unreadable(f"is not what a bundle is: {name}: {why}") from why

    def optional(self, name: str, kind: type[S], raw: msgspec.Raw, without: S) -> S:
        """A part that can be done without."""
        try:
            return self.part(name, kind, raw)
        except Unreadable as why:
            self._set_apart(name, None, one_line(str(why)), matters=False)
            return without

    def list(self, name: str, kind: type[S], raws: tuple[msgspec.Raw, ...]) -> tuple[S, ...]:
        """A list of which each entry stands for itself."""
        return self._noted(name, None, entries(kind, raws, self._made_by))

    def legs(self, said: tuple[str, ...] | None) -> tuple[Leg, ...] | None:
        """The legs that were asked about; None: all, or none that this version knows."""
        if unknown := [leg for leg in said or () if leg not in set(Leg)]:
            self._set_apart("legs", None, self._lost(unknown))
        return tuple(Leg(leg) for leg in said or () if leg in set(Leg)) or None

    def fields(self, what: str, said: Iterable[str], known: Iterable[str]) -> None:
        """Note which fields of the document itself only one of the two versions knows."""
        there, ours = dict.fromkeys(said), dict.fromkeys(known)
        if unknown := [name for name in there if name not in ours]:
            self._set_apart(what, None, _not_known(unknown), matters=False)
        if lacking := [f"{name}: not there" for name in ours if name not in there]:
            self._set_apart(what, None, self._lost(lacking))

    def profile(self, raw: msgspec.Raw, evidence: Mapping[Key, Evidence | Unseen]) -> PipelineProfile:
        """The profile, without what this version would refuse in one. A leg of which there is evidence is not lost with its entry."""
        profile = self.part("profile", PipelineProfile, raw)
        if profile.completion is None and any(one.what == "profile" for one in self._apart):
            profile = replace(profile, completion=_completion(profile, evidence))
        bare = replace(profile, markers=(), accepted=(), redact=RedactProfile())
        try:
            check(bare, "profile")
        except ProfileError as error:
            raise Unreadable(f"is not what a bundle is: {one_line(str(error))}") from error
        patterns = tuple(p for p in profile.redact.patterns if self._fits(bare, redact=RedactProfile(patterns=(p,))))
        return replace(
            bare,
            markers=tuple(m for m in profile.markers if self._fits(bare, markers=(m,))),
            accepted=tuple(a for a in profile.accepted if self._fits(bare, accepted=(a,))),
            redact=replace(profile.redact, patterns=patterns),
        )

    def evidence(self, said: Iterable[msgspec.Raw], unseen: Iterable[msgspec.Raw]) -> dict[Key, Evidence | Unseen]:
        """All evidence. A kind that is set apart is unseen, with the reason."""
        seen: dict[Key, Evidence | Unseen] = {}
        gaps: dict[Key, Unseen] = {}
        for kind, leg, found in (*self._entries(said), *self._unseen(unseen)):
            key = (kind.__name__, leg)
            if kind.per_leg == (leg is None):
                gaps.update(self._misplaced(kind, found))
            elif key in seen:
                raise Unreadable(f"holds {kind.__name__} twice")
            else:
                seen[key] = self._offering(found)
                if seen[key] is not found:
                    self.as_written[key] = found
        return {**gaps, **seen}

    def lacking(self, wanted: Iterable[Key], evidence: Mapping[Key, Evidence | Unseen]) -> dict[Key, Unseen]:
        """What is wanted and not there: unseen, with the reason."""
        says = f"{self._by}, which made the bundle, did not look at it"
        return {key: self._set_apart(*key, says).unseen for key in wanted if key not in evidence}

    def _entries(self, said: Iterable[msgspec.Raw]) -> Iterator[tuple[type[Evidence], Leg | None, Evidence | Unseen]]:
        for raw in said:
            entry = msgspec.json.decode(raw, type=KeptEntry)
            self.fields("evidence", msgspec.json.decode(raw, type=dict[str, msgspec.Raw]), KeptEntry.__struct_fields__)
            kind = KINDS.get(entry.kind)
            leg = Leg(entry.leg) if entry.leg in set(Leg) else None
            if kind is None:
                says = f"a kind of evidence that pubsub-diag {__version__} does not know"
                self._set_apart(one_line(entry.kind, 80), leg, says, matters=False)
            else:
                check_piece(kind.__name__, entry.seen)
                yield kind, leg, self._piece(kind, leg, entry.seen)

    def _piece(self, kind: type[Evidence], leg: Leg | None, raw: msgspec.Raw) -> Evidence | Unseen:
        name = kind.__name__
        try:
            found = read(kind, raw, self._made_by, Parts.ENTRIES if kind.by_line else Parts.NONE)
        except Unreadable as why:
            return self._set_apart(name, leg, self._lost((str(why),))).unseen
        piece = self._noted(name, leg, found)
        if not found.lost:
            return piece
        note = f"{piece.source.note}; {self._lost(found.lost)}".removeprefix("; ")
        return replace(piece, source=replace(piece.source, complete=False, note=note))

    def _misplaced(self, kind: type[Evidence], found: Evidence | Unseen) -> dict[Key, Unseen]:
        """Evidence of another leg than this version looks at: for the legs that it does look at, there is none."""
        if isinstance(found, Unseen):
            return {}
        says = self._lost((f"seen {'of no leg or an unknown one' if kind.per_leg else 'for a leg'}",))
        legs = tuple(Leg) if kind.per_leg else (None,)
        return {(kind.__name__, leg): self._set_apart(kind.__name__, leg, says).unseen for leg in legs}

    def _unseen(self, said: Iterable[msgspec.Raw]) -> Iterator[tuple[type[Evidence], Leg | None, Unseen]]:
        """What was not seen then. A reason that is not known is one all the same."""
        for raw in said:
            try:
                gap = self._noted("unseen", None, read(Unseen, raw, self._made_by))
            except Unreadable:
                told = msgspec.json.decode(raw)
                what, leg, says = (_text(told, name) for name in ("what", "leg", "says"))
                says = f"not seen then, for a reason that pubsub-diag {__version__} does not know: {one_line(says)}"
                gap = self._set_apart(what, Leg(leg) if leg in set(Leg) else None, says).unseen
            if kind := KINDS.get(gap.what):
                yield kind, gap.leg, gap

    def _fits(self, bare: PipelineProfile, **only: Any) -> bool:
        try:
            check(replace(bare, **only), "profile")
        except ProfileError as error:
            self._set_apart("profile", None, one_line(str(error)))
            return False
        return True

    def _noted(self, what: str, leg: Leg | None, found: Read[T]) -> T:
        if found.lost:
            self._set_apart(what, leg, self._lost(found.lost))
        if found.unknown:
            self._set_apart(what, leg, _not_known(found.unknown), matters=False)
        return found.value

    def _lost(self, lost: Sequence[str]) -> str:
        return f"set apart, as {self._by} wrote it: {brief(lost)}"

    def _set_apart(self, what: str, leg: Leg | None, says: str, matters: bool = True) -> Apart:
        one = Apart(what=what, leg=leg, says=says, matters=matters)
        self._apart[one] = None
        return one


def _completion(profile: PipelineProfile, evidence: Mapping[Key, Evidence | Unseen]) -> LegProfile | None:
    """The way back, by the subscription that was looked at as far as that is known; None: nothing was looked at."""
    if not any(leg is Leg.COMPLETION and _looked_at(found) for (_, leg), found in evidence.items()):
        return None
    config = evidence.get((SubscriptionConfig.__name__, Leg.COMPLETION))
    found = re.search(r"projects/[^/]+/subscriptions/.+", config.source.query) if isinstance(config, Evidence) else None
    name = found[0] if found else "?"
    return LegProfile(subscription=name.removeprefix(f"projects/{profile.project}/subscriptions/"))


def _looked_at(found: Evidence | Unseen) -> bool:
    return not isinstance(found, Unseen) or found.why is not Why.NOT_CONFIGURED


def _not_known(names: Sequence[str]) -> str:
    return f"fields that pubsub-diag {__version__} does not know: {brief(names)}"


def _text(said: Any, name: str) -> str:
    found = said.get(name) if isinstance(said, dict) else None
    return found if isinstance(found, str) else ""


def in_utc(value: Any) -> None:
    """Refuse a time that is not in UTC: all that reads evidence takes it for granted."""
    if isinstance(value, datetime):
        if value.tzinfo is not UTC and value.utcoffset() != timedelta(0):
            raise Unreadable("holds a time that is not in UTC")
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            in_utc(getattr(value, name))
    elif isinstance(value, tuple | list):
        for inner in value:
            in_utc(inner)


def _harmless(found: Evidence | Unseen) -> Evidence | Unseen:
    """Without commands that run or write more than they name: no run writes such, and somebody would paste them."""
    if isinstance(found, Unseen):
        return found if is_harmless(found.mend) else replace(found, mend="")
    source = found.source
    return found if is_harmless(source.by_hand) else replace(found, source=replace(source, by_hand=""))
