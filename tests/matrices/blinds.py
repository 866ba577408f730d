"""Ways to see less of a case: a kind of evidence taken away, a log or a list read in part, a window of metrics shortened.

What is left says so, as a source would that met the same: evidence that is missing was refused, evidence that was cut is marked incomplete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import structs

from diagnostics.evidence.model import (
    Change,
    Evidence,
    EvidenceSet,
    Key,
    LogRow,
    Mark,
    PlatformLine,
    Point,
    RevisionSettings,
    Series,
    StartCall,
    SubscriptionSettings,
    Unseen,
    Why,
)
from diagnostics.run.investigate import Case

LINES = (Mark, StartCall, LogRow, PlatformLine, Change)
"""What logs are made of: each has its moment, the oldest first."""
LISTED = (SubscriptionSettings, RevisionSettings, str)
"""What is listed page by page."""
FEW = 3

GROUPS = {
    "all logs": ("BatchMarks", "ItemMarks", "StartCalls", "RequestLog", "PlatformLines", "ChangeLog", "BalancerLog"),
    "all metrics": (
        "PublishCounts",
        "PushCounts",
        "PushHistory",
        "Backlog",
        "BacklogHistory",
        "AckCounts",
        "DeadLetterCounts",
        "PushLatencies",
        "DeliveryHealth",
        "ReceiverTraffic",
        "ReceiverCapacity",
        "QuotaExceeded",
    ),
    "all policies": (
        "SubscriptionPolicy",
        "TopicPolicy",
        "DeadLetterTopicPolicy",
        "ServicePolicy",
        "PushAccountPolicy",
        "ProjectPolicy",
        "AncestorPolicies",
        "CustomRoles",
        "DenyPolicies",
        "PushAccount",
    ),
    "Cloud Run": ("ServiceConfig", "Revisions"),
    "application logs": ("BatchMarks", "ItemMarks"),
    "logs and batch state": (
        "BatchMarks",
        "ItemMarks",
        "StartCalls",
        "RequestLog",
        "PlatformLines",
        "ChangeLog",
        "BatchStatus",
    ),
}
"""Kinds that one missing role takes away together."""


class Blind(NamedTuple):
    """A case of which less is seen, and what was taken."""

    taken: str
    case: Case


def blinds(case: Case) -> Iterator[Blind]:
    """Every way of seeing less of this case, each by itself."""
    held = {key: found for key, found in case.evidence.items() if isinstance(found, Evidence)}
    for key, found in held.items():
        yield Blind(_named(key), seeing(case, {key: _refused(key)}))
        for taken, left in (*_logs_cut(found), *_lists_cut(found), *_windows_cut(found)):
            yield Blind(f"{_named(key)}: {taken}", seeing(case, {key: left}))
    for name, kinds in GROUPS.items():
        gone: dict[Key, Evidence | Unseen] = {key: _refused(key) for key in held if key[0] in kinds}
        if gone:
            yield Blind(name, seeing(case, gone))


def seeing(case: Case, instead: dict[Key, Evidence | Unseen]) -> Case:
    """The same case with other evidence in these places."""
    whole = case.evidence
    evidence = EvidenceSet(
        {key: instead.get(key, found) for key, found in whole.items()},
        now=whole.now,
        lookback=whole.lookback,
        since=whole.since,
        looked_at=whole.looked_at,
    )
    return replace(case, evidence=evidence)


def _named(key: Key) -> str:
    kind, leg = key
    return f"{kind}@{leg.value}" if leg else kind


def _refused(key: Key) -> Unseen:
    kind, leg = key
    return Unseen(what=kind, leg=leg, why=Why.PERMISSION_DENIED, says=f"{kind} may not be read")


def _logs_cut(found: Evidence) -> Iterator[tuple[str, Evidence]]:
    """Each of its logs without the older half, without the newer half, and with the newest few lines only."""
    for name, lines in _members(found, LINES):
        half = len(lines) // 2
        if not half:
            continue
        yield f"older half of {name} not read", _from(found, name, lines[half:])
        yield f"newer half of {name} not read", _up_to(found, name, lines[:half])
        if len(lines) > FEW:
            yield f"only the newest {FEW} of {name} read", _from(found, name, lines[-FEW:])


def _from(found: Evidence, name: str, kept: Sequence[Any]) -> Evidence:
    """As if it had been read from the newest line back to the first of these."""
    begin = kept[0].at
    note = f"what was logged before {begin:%Y-%m-%dT%H:%M:%SZ} was not read: there is too much"
    since = {"since": begin} if "since" in found.__struct_fields__ else {}
    return _partial(found, note, {name: tuple(kept), **since})


def _up_to(found: Evidence, name: str, kept: Sequence[Any]) -> Evidence:
    """As if it had been read from the oldest line on to the last of these."""
    end = kept[-1].at
    note = f"what was logged after {end:%Y-%m-%dT%H:%M:%SZ} was not read: there is too much"
    return _partial(found, note, {name: tuple(kept)}, as_of=end)


def _lists_cut(found: Evidence) -> Iterator[tuple[str, Evidence]]:
    for name, listed in _members(found, LISTED):
        if half := len(listed) // 2:
            note = f"only {half} were read: a page failed"
            yield f"half of {name} not read", _partial(found, note, {name: listed[:half]})


def _windows_cut(found: Evidence) -> Iterator[tuple[str, Evidence]]:
    """Its series without the older half of their time, and without the newer half."""
    series = dict(_members(found, (Series,)))
    moments = sorted({point.end for each in series.values() for one in each for point in one.points})
    if len(moments) < 2:
        return
    middle = moments[len(moments) // 2 - 1]
    before = f"points before {middle:%Y-%m-%dT%H:%M:%SZ} were not read"
    after = f"points after {middle:%Y-%m-%dT%H:%M:%SZ} were not read"
    yield (
        "older half of the window",
        _partial(found, before, {name: _points(each, lambda p: bool(p.end > middle)) for name, each in series.items()}),
    )
    yield (
        "newer half of the window",
        _partial(
            found,
            after,
            {name: _points(each, lambda p: bool(p.end <= middle)) for name, each in series.items()},
            as_of=middle,
        ),
    )


def _points(series: Sequence[Series], keep: Callable[[Point], bool]) -> tuple[Series, ...]:
    return tuple(structs.replace(one, points=tuple(p for p in one.points if keep(p))) for one in series)


def _members(found: Evidence, kinds: tuple[type, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Fields that hold a sequence of these."""
    for name in found.__struct_fields__:
        value = getattr(found, name)
        if isinstance(value, tuple) and value and isinstance(value[0], kinds):
            yield name, value


def _partial(found: Evidence, note: str, fields: dict[str, Any], as_of: datetime | None = None) -> Evidence:
    source = structs.replace(found.source, complete=False, note=note, as_of=as_of or found.source.as_of)
    return structs.replace(found, source=source, **fields)
