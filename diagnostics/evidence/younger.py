"""Evidence without what is older than a moment: after a deploy, old traffic says nothing about the new revision."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import structs

from diagnostics.evidence.model import (
    Evidence,
    EvidenceSet,
    LogRow,
    PlatformLine,
    PushHistory,
    Series,
    Unseen,
)


def younger(evidence: EvidenceSet, since: datetime) -> EvidenceSet:
    """The same evidence; of time series and logs only what began after `since`. Configuration is as it was."""
    return EvidenceSet(
        {key: found if isinstance(found, Unseen) else _cut(found, since) for key, found in evidence.items()},
        now=evidence.now,
        lookback=evidence.lookback,
        since=max(since, evidence.since),
        looked_at=evidence.looked_at,
    )


def _cut(found: Evidence, since: datetime) -> Evidence:
    if isinstance(found, PushHistory):
        return structs.replace(found, series=())  # a point an hour: the one that holds the deploy is not of it alone
    values = {name: getattr(found, name) for name in found.__struct_fields__}
    cut = {name: _members(value, since) for name, value in values.items() if isinstance(value, tuple) and value}
    return structs.replace(found, **cut)


def _members(values: tuple[Any, ...], since: datetime) -> tuple[Any, ...]:
    first = values[0]
    if isinstance(first, Series):
        return tuple(structs.replace(s, points=_kept(s.points, lambda p: p.start, since)) for s in values)
    if isinstance(first, LogRow | PlatformLine):
        return _kept(values, lambda line: line.at, since)
    return values


def _kept(values: tuple[Any, ...], at: Callable[[Any], datetime], since: datetime) -> tuple[Any, ...]:
    return tuple(v for v in values if at(v) >= since)
