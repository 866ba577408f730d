"""Ways in which a case may differ and mean the same: other names, another time, another order, clocks that are a little apart."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct, structs

from diagnostics.evidence.model import (
    BatchMarks,
    Binding,
    Change,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leg,
    LogRow,
    Mark,
    PlatformLine,
    Series,
    ServiceConfig,
    StartCall,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.evidence.redact import hashed
from diagnostics.keep.bundle import dump, parse
from diagnostics.run.investigate import Case
from tests.matrices.crowded import crowded

SKEW_S = 0.9
LINES = (Mark, StartCall, LogRow, PlatformLine, Change)


class Likeness(NamedTuple):
    """The same case, told otherwise."""

    how: str
    case: Case


def likenesses(case: Case) -> Iterator[Likeness]:
    """Each by itself, and all together."""
    changes: tuple[tuple[str, Callable[[Case], Case]], ...] = (
        ("other names", renamed),
        ("five hours and a bit later", lambda c: moved(c, timedelta(hours=5, minutes=17, seconds=11))),
        ("three days earlier", lambda c: moved(c, -timedelta(days=3))),
        ("shuffled lists", lambda c: shuffled(c, 1)),
        ("shuffled lists again", lambda c: shuffled(c, 2)),
        ("clocks apart", lambda c: skewed(c, 1)),
        ("clocks apart again", lambda c: skewed(c, 2)),
        ("alike items told by one of them", told_by_few),
    )
    whole = case
    for how, change in changes:
        yield Likeness(how, change(case))
        whole = change(whole)
    yield Likeness("all of these", whole)


# --- names ----------------------------------------------------------------------------------------------------------------


def renamed(case: Case, other: Callable[[str, int], str] | None = None) -> Case:
    """Project, services, topics, subscriptions, accounts and batches called otherwise, wherever they stand: as `other` calls the name and
    its number."""
    names = sorted(names_in(case), key=lambda name: (-len(name), name))
    called = other or _other

    def rename(text: str, written: Callable[[str], str] = str) -> str:
        for number, name in enumerate(names):
            text = re.sub(rf"(?<!\w)(?<!\w-){re.escape(name)}(?![\w])", f"\x00{number}\x00", text)
        for number, name in enumerate(names):
            text = text.replace(f"\x00{number}\x00", written(called(name, number)))
        return text

    text = rename(gzip.decompress(dump(case, None)).decode(), lambda name: json.dumps(name)[1:-1])
    for value, salt in _hashed(case):
        text = text.replace(hashed(value, salt), hashed(rename(value), rename(salt)))
    return parse(gzip.compress(text.encode(), 1), ours=True).case


def _hashed(case: Case) -> Iterator[tuple[str, str]]:
    """Names that an environment may hold, of which only a hash is kept, and the name of the service that salts it."""
    legs = [leg for leg in (case.profile.request, case.profile.completion) if leg is not None]
    for service in (case.evidence.get(ServiceConfig, leg) for leg in Leg):
        if not isinstance(service, Unseen):
            for topic in (name for leg in legs for name in (leg.topic, leg.topic.rpartition("/")[2])):
                yield topic, service.source.query


def names_in(case: Case) -> set[str]:
    profile = case.profile
    legs = [leg for leg in (profile.request, profile.completion) if leg is not None]
    found = {profile.project, profile.coordinator.service, profile.worker.service}
    found |= {name for leg in legs for name in (leg.subscription, leg.topic)}
    for marks in (case.evidence.get(BatchMarks), case.evidence.get(ItemMarks)):
        found |= set() if isinstance(marks, Unseen) else {mark.batch for mark in marks.marks}
    short = {name.rpartition("/")[2] for name in found}
    return {name for name in short if len(name) > 3}


def _other(name: str, number: int) -> str:
    """A name of another length, in letters that no rule takes for a secret."""
    return f"zephyr-{number}-{name[::-1].strip('-_').lower()}x" if name[0].isalpha() else name


# --- time -----------------------------------------------------------------------------------------------------------------


_MOMENT = re.compile(r'(?<=timestamp\(")[^"]+')
"""A moment in an IAM condition."""


def _later_by(by: timedelta) -> Callable[[re.Match[str]], str]:
    return lambda moment: f"{datetime.fromisoformat(moment[0]) + by:%Y-%m-%dT%H:%M:%SZ}"


def moved(case: Case, by: timedelta) -> Case:
    """Everything that happened, and the question, so much later."""

    def later(value: Any) -> Any:
        if isinstance(value, datetime):
            return value + by
        if isinstance(value, Binding):
            return structs.replace(value, condition=_MOMENT.sub(_later_by(by), value.condition))
        if isinstance(value, Struct):
            fields = {name: getattr(value, name) for name in value.__struct_fields__}
            other = {name: new for name, old in fields.items() if (new := later(old)) is not old}
            return structs.replace(value, **other) if other else value
        if isinstance(value, tuple):
            return tuple(later(one) for one in value)
        return value

    whole = case.evidence
    evidence = EvidenceSet(
        {key: later(found) for key, found in whole.items()},
        now=whole.now + by,
        lookback=whole.lookback,
        since=whole.since + by,
        looked_at=whole.looked_at + by,
    )
    return replace(case, evidence=evidence, ask=later(case.ask), header=later(case.header))


def skewed(case: Case, seed: int) -> Case:
    """Every log and list has a clock of its own, that differs by less than a second."""
    rng = random.Random(seed)

    def skew(found: Evidence | Unseen) -> Evidence | Unseen:
        by = timedelta(seconds=round(rng.uniform(-SKEW_S, SKEW_S) / 2, 3))
        fields = {} if isinstance(found, Unseen) else {n: getattr(found, n) for n in found.__struct_fields__}
        lines = {
            n: tuple(structs.replace(line, at=line.at + by) for line in held)
            for n, held in fields.items()
            if _logged(held)
        }
        return structs.replace(found, **lines) if lines else found

    return _with(case, {key: skew(found) for key, found in case.evidence.items()})


def _logged(held: Any) -> bool:
    return isinstance(held, tuple) and bool(held) and isinstance(held[0], LINES)


# --- order ----------------------------------------------------------------------------------------------------------------


def shuffled(case: Case, seed: int) -> Case:
    """Lists whose order means nothing in another order: grants and members, subscriptions, series, kinds of evidence."""
    rng = random.Random(seed)

    def mixed(value: Any) -> Any:
        if isinstance(value, Evidence | Binding):
            return structs.replace(value, **{n: mixed(getattr(value, n)) for n in value.__struct_fields__})
        if isinstance(value, tuple) and value and isinstance(value[0], (Series, Binding, SubscriptionSettings, str)):
            return tuple(rng.sample([mixed(one) for one in value], len(value)))
        return value

    found = list(case.evidence.items())
    rng.shuffle(found)
    return _with(case, {key: mixed(one) for key, one in found})


# --- number ---------------------------------------------------------------------------------------------------------------


def told_by_few(case: Case) -> Case:
    """Of items that are told alike one stands for all, as where a batch has too many to read each."""
    whole = {key: crowded(one) if isinstance(one, ItemMarks) else one for key, one in case.evidence.items()}
    return _with(case, whole)


def _with(case: Case, seen: dict[Any, Any]) -> Case:
    whole = case.evidence
    return replace(case, evidence=EvidenceSet(seen, whole.now, whole.lookback, whole.since, whole.looked_at))
