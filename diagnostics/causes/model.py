"""A cause is one frozen dataclass of data; the predicates below are all the logic it may use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Generic

from diagnostics.evidence.model import Leg, Stage
from diagnostics.readings.wholeness import Needed
from diagnostics.steps.finding import AnyCode, Bears, Finding, Kind, Status, Telling
from diagnostics.steps.tells import T


class Role(StrEnum):
    """What a cause does to this batch."""

    BLOCKS = "blocks"
    WORSENS = "worsens"
    LATENT = "latent"
    BENIGN = "benign"


class Confidence(StrEnum):
    CONFIRMED = "confirmed"
    PROBABLE = "probable"
    POSSIBLE = "possible"


class Board:
    """What was found, as one cause on one leg sees it: findings of that leg and those that belong to no leg."""

    def __init__(self, findings: Sequence[Finding], leg: Leg) -> None:
        self.leg = leg
        self.findings = tuple(f for f in findings if f.leg in (leg, None))

    def of(self, code: AnyCode) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.code == code.name)


class Predicate:
    """A condition on the board. `match` gives the findings that make it true, or None when it is not."""

    def match(self, board: Board) -> tuple[Finding, ...] | None:
        raise NotImplementedError

    def codes(self) -> frozenset[str]:
        """Names of the codes it looks at."""
        raise NotImplementedError


def _distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple({id(f): f for f in findings}.values())


@dataclass(frozen=True)
class Has(Predicate):
    """A finding of this code, in one of these statuses, bearing on the batch in one of these ways (empty: any)."""

    code: AnyCode
    status: tuple[Status, ...] = (Status.WARNING, Status.FAULT)
    bears: tuple[Bears, ...] = ()

    def match(self, board: Board) -> tuple[Finding, ...] | None:
        found = tuple(
            f for f in board.of(self.code) if f.status in self.status and (not self.bears or f.bears in self.bears)
        )
        return found or None

    def codes(self) -> frozenset[str]:
        return frozenset({self.code.name})


def ok(code: AnyCode) -> Has:
    """The step looked and found nothing wrong."""
    return Has(code, (Status.OK,))


@dataclass(frozen=True)
class AllOf(Predicate):
    parts: tuple[Predicate, ...]

    def match(self, board: Board) -> tuple[Finding, ...] | None:
        matches = [p.match(board) for p in self.parts]
        if any(m is None for m in matches):
            return None
        return _distinct(f for m in matches if m for f in m)

    def codes(self) -> frozenset[str]:
        return frozenset().union(*(p.codes() for p in self.parts))


@dataclass(frozen=True)
class AnyOf(Predicate):
    parts: tuple[Predicate, ...]

    def match(self, board: Board) -> tuple[Finding, ...] | None:
        matches = [m for p in self.parts if (m := p.match(board)) is not None]
        return _distinct(f for m in matches for f in m) if matches else None

    def codes(self) -> frozenset[str]:
        return frozenset().union(*(p.codes() for p in self.parts))


@dataclass(frozen=True)
class NoneOf(Predicate):
    """None of these holds. It matches with no findings of its own."""

    parts: tuple[Predicate, ...]

    def match(self, board: Board) -> tuple[Finding, ...] | None:
        return None if any(p.match(board) is not None for p in self.parts) else ()

    def codes(self) -> frozenset[str]:
        return frozenset().union(*(p.codes() for p in self.parts))


@dataclass(frozen=True)
class Over(Predicate, Generic[T]):
    """A number that a finding tells exceeds a bound; one that was not seen does not."""

    code: Telling[T]
    number: Callable[[T], float | None]
    bound: float
    status: tuple[Status, ...] = ()
    """In one of these statuses (empty: any)."""

    def match(self, board: Board) -> tuple[Finding, ...] | None:
        found = (f for f in board.of(self.code) if not self.status or f.status in self.status)
        return tuple(f for f in found if self._over(f)) or None

    def _over(self, finding: Finding) -> bool:
        told = self.code.of(finding)
        number = None if told is None else self.number(told)
        return number is not None and number > self.bound

    def codes(self) -> frozenset[str]:
        return frozenset({self.code.name})


def pushes_of(finding: Finding) -> Leg | None:
    """The leg whose pushes it is about, if it is about one: only completions are recorded, whoever counts them."""
    return finding.leg or (Leg.COMPLETION if finding.stage is Stage.RECORDED else None)


@dataclass(frozen=True)
class NothingHolds(Predicate):
    """No mechanism and no effect of these stages holds items of the batch now: what is found there has no maker any more."""

    stages: frozenset[Stage]
    but: tuple[AnyCode, ...] = ()
    """What holds items by an ack: no attempt is used up by it."""

    def match(self, board: Board) -> tuple[Finding, ...] | None:
        here = (f for f in board.findings if pushes_of(f) in (board.leg, None))
        return None if any(self._holds(f) for f in here) else ()

    def codes(self) -> frozenset[str]:
        return frozenset()

    def _holds(self, finding: Finding) -> bool:
        makes = finding.kind in (Kind.MECHANISM, Kind.EFFECT) and finding.stage in self.stages
        acks = any(finding.code == code.name for code in self.but)
        return makes and not acks and finding.abnormal and finding.until is None and finding.bears is Bears.HOLDS


ALWAYS = AllOf(())
"""As `decisive`: what the cause requires settles it."""


def all_of(*parts: Predicate) -> AllOf:
    return AllOf(parts)


def any_of(*parts: Predicate) -> AnyOf:
    return AnyOf(parts)


def none_of(*parts: Predicate) -> NoneOf:
    return NoneOf(parts)


BOTH = (Leg.REQUEST, Leg.COMPLETION)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A known way for a batch to stop, or to look as if it had."""

    code: str
    family: str
    """publish, routing, subscription, auth, capacity, worker, deadline, dead_letter, completion, state, quota, drift, outcome, artefact"""
    title: str
    says: str
    """One clause: what is going on. {name} stands for a number or word of the findings it rests on."""
    over: Predicate | None = None
    """What shows that it is over, though what it held stays behind."""
    said: str = ""
    """The clause for when it is over, in the past; with the words of what shows that, too."""
    stage: Stage
    legs: tuple[Leg, ...] = (Leg.REQUEST,)
    """Where it is tried; a cause that belongs to no leg is tried on the request leg."""
    requires: Predicate
    decisive: Predicate | None = None
    """What settles it, once what it requires is there; ALWAYS: that alone does; None: it can be probable at best."""
    effects: tuple[AnyCode, ...] = ()
    """What it does to messages, besides what it rests on: mechanisms and effects that are its own. What follows stands in
    `consequences`, once for all causes."""
    elsewhere: tuple[AnyCode, ...] = ()
    """The same on the other leg: what the worker does to its pushes shows on the request leg, what it then fails to report on the
    way back."""
    refutes: Predicate | None = None
    overturned_by: tuple[Needed, ...] = ()
    """Evidence that could overturn it: unless all of it was seen whole, the cause is probable at most."""
    told_apart_by: tuple[Needed, ...] = ()
    """Evidence that tells it from another one that looks the same: unless it was seen whole, a cause that nothing settles is possible at
    most."""
    settled_by: tuple[str, ...] = ()
    """Commands that would settle it, cheapest first."""
    next: tuple[str, ...] = ()
    """Commands of the remedy; the runbook has the rest."""
    benign: bool = False
    never_blocks: bool = False
    """It can worsen or wait, but not hold a batch by itself."""
    outlasts: bool = False
    """It is about what a closed batch left behind: that the batch is over does not free it."""
    refines: str = ""
    """Code of the more general cause of which it is a special case, with a remedy of its own: who accepts or expects that one accepts
    or expects this one, too."""
    hopeful: bool = False
    """Benign, and says nothing once something is known to hold the batch."""

    @cached_property
    def effect_codes(self) -> frozenset[str]:
        return frozenset(code.name for code in self.effects)

    @cached_property
    def elsewhere_codes(self) -> frozenset[str]:
        return frozenset(code.name for code in self.elsewhere)

    @property
    def runbook(self) -> str:
        return f"causes/{self.family}/{self.code}.md"
