"""The night with more of everything: what each kind of evidence, each bundle and each text may hold much of, at a size."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.verdict import decide
from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    Change,
    ChangeLog,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leg,
    LogRow,
    Mark,
    Means,
    Peeked,
    PlatformLine,
    PlatformLines,
    Probed,
    Provenance,
    RequestLog,
    StartCalls,
)
from diagnostics.evidence.redaction import cleaner
from diagnostics.keep.bundle import dump, load, parse
from diagnostics.keep.vouched import vouched
from diagnostics.readings.expired import at_work
from diagnostics.readings.ledger import build
from diagnostics.run.investigate import Case, investigate

NIGHT = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
OF_ITEMS = (Means.STARTED_ITEM, Means.FAILED_ITEM, Means.DONE_ITEM, Means.RETURNED_ITEM, Means.RECORDED_ITEM)
Work = Callable[[], object]
_ANEW = itertools.count()
"""In texts that are redacted: no two are the same, since what was redacted once is remembered."""


class Name(str):
    """A name that is compared and hashed in Python, where it is counted: a search through a list of names is as many steps."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True

    def __hash__(self) -> int:
        return str.__hash__(self)


class Grown(NamedTuple):
    """Something that takes longer the more there is of something."""

    name: str
    make: Callable[[int], Work]
    """What there is to do at this size; making it does not count."""


@cache
def night() -> Case:
    return load(NIGHT, ours=True).case


def more(kind: type[Evidence], n: int, named: type[str] = Name) -> tuple[Leg | None, Evidence]:
    """This kind of evidence with n entries more: of as many items, batches, revisions and instances, over the window."""
    case = night()
    leg = Leg.REQUEST if kind.per_leg else None
    found = case.evidence.get(kind, leg)
    if kind is Probed:
        source = Provenance(source="probe", fetched_at=case.evidence.now, as_of=case.evidence.now)
        return leg, Probed(
            source=source,
            mode="snapshot",
            subscription="s",
            messages=tuple(_messages(n, named)),
            asked_for=n,
            pulls=1,
            empty_pulls=1,
        )
    assert isinstance(found, kind), kind
    if isinstance(found, BatchStatus):
        return leg, structs.replace(found, items=tuple(named(f"item-{k}") for k in range(n)))
    field, entries = {
        ItemMarks: ("marks", _marks),
        BatchMarks: ("marks", _batches),
        RequestLog: ("refused", _rows),
        PlatformLines: ("lines", _lines),
        ChangeLog: ("changes", _changes),
        StartCalls: ("calls", _calls),
    }[kind]
    listed = sorted((*getattr(found, field), *entries(n, named)), key=lambda entry: entry.at)
    return leg, structs.replace(found, **{field: tuple(listed)})


KINDS: tuple[type[Evidence], ...] = (
    ItemMarks, BatchMarks, RequestLog, PlatformLines, ChangeLog, StartCalls, BatchStatus, Probed,
)  # fmt: skip


def grown(n: int, *kinds: type[Evidence], named: type[str] = Name) -> Case:
    """The night with n entries more of each of these kinds."""
    seen = night().evidence
    found = {(kind.__name__, leg): piece for kind in kinds for leg, piece in [more(kind, n, named)]}
    evidence = EvidenceSet({**dict(seen.items()), **found}, seen.now, seen.lookback, seen.since, seen.looked_at)
    return replace(night(), evidence=evidence)


def _moments(n: int) -> Iterator[tuple[int, Any]]:
    seen = night().evidence
    step = (seen.now - seen.since) / (n + 1)
    return ((k, seen.since + (k + 1) * step) for k in range(n))


def _marks(n: int, named: type[str]) -> Iterator[Mark]:
    batch = named("batch_2026-02-07_1770588120")
    for k, at in _moments(n):
        means = OF_ITEMS[k % len(OF_ITEMS)]
        yield Mark(
            means=means,
            at=at,
            service="coordinator" if means in OF_ITEMS[3:] else "worker",
            revision=named(f"worker-{k:05}-abc"),
            instance=named(f"instance-{k}"),
            trace=named(f"trace-{k}"),
            batch=batch,
            item=named(f"item-{k // 2}"),
            correlation=named(f"correlation-{k}"),
            words={"reason": named(f"it was number {k}")},
        )


def _batches(n: int, named: type[str]) -> Iterator[Mark]:
    seen = night().evidence
    step = (seen.since - timedelta(hours=1) - (seen.now - seen.lookback)) / (n + 1)
    for k in range(n):
        at, batch = seen.now - seen.lookback + (k + 1) * step, named(f"batch_2026-01-01_{k:07}")
        made = Mark(
            means=Means.CREATED,
            at=at,
            service="coordinator",
            trace=named(f"start-{k}"),
            batch=batch,
            numbers={"expected": 9},
        )
        yield made
        yield structs.replace(made, means=Means.PUBLISHED, at=at + step / 4, numbers={"count": 9})
        yield structs.replace(made, means=Means.CLOSED, at=at + step / 2, numbers={"count": 9, "of": 9})


def _rows(n: int, named: type[str]) -> Iterator[LogRow]:
    for k, at in _moments(n):
        yield LogRow(
            at=at,
            method="POST",
            path="/predict",
            status=(400, 403, 429, 500, 504)[k % 5],
            latency_s=0.1,
            user_agent="APIs-Google",
            instance=named(f"instance-{k}") if k % 5 in (0, 3) else "",
            revision=named(f"worker-{k:05}-abc"),
            text=named(f"reason {k}"),
        )


def _lines(n: int, named: type[str]) -> Iterator[PlatformLine]:
    texts = (
        "Starting new instance",
        "Memory limit of 512 MiB exceeded with 530 MiB used",
        "Container called exit(1).",
        "ValueError",
    )
    for k, at in _moments(n):
        yield PlatformLine(
            at=at,
            log="stderr" if k % 4 == 3 else "varlog/system",
            severity="ERROR",
            text=f"{texts[k % 4]} {k}",
            revision=named(f"worker-{k:05}-abc"),
            instance=named(f"instance-{k}"),
        )


def _changes(n: int, named: type[str]) -> Iterator[Change]:
    methods = ("UpdateSubscription", "ReplaceService", "SetIamPolicy", "CreateRevision")
    for k, at in _moments(n):
        yield Change(
            at=at,
            api="run.googleapis.com" if k % 2 else "pubsub.googleapis.com",
            method=methods[k % 4],
            resource=named(f"services/prediction-worker-{k % 7}" if k % 2 else "subscriptions/prediction-request-prod"),
            by=named(f"deployer-{k}@p.iam.gserviceaccount.com"),
            says=named(f"image changed {k}"),
        )


def _calls(n: int, named: type[str]) -> Iterator[Any]:
    found = night().evidence.get(StartCalls)
    assert isinstance(found, StartCalls)
    for k, at in _moments(n):
        yield structs.replace(found.calls[k % len(found.calls)], at=at, trace=named(f"call-{k}"))


def _messages(n: int, named: type[str]) -> Iterator[Peeked]:
    now = night().evidence.now
    for k in range(n):
        yield Peeked(
            id=named(f"{k}"),
            published=now - timedelta(seconds=n - k),
            size=99,
            batch=named("batch_x"),
            item=named(f"item-{k}"),
        )


# --- what is done with it ---------------------------------------------------------------------------------------------


def _diagnosis(*kinds: type[Evidence]) -> Callable[[int], Work]:
    return lambda n: partial(investigate, grown(n, *kinds))


def _ledger(n: int) -> Work:
    case = grown(n, ItemMarks, BatchMarks, BatchStatus)
    return partial(build, case.evidence, case.profile, "batch_2026-02-07_1770588120", None, None)


def _at_work(n: int) -> Work:
    """Half of the items are begun and never end; the others end."""
    marks = [
        structs.replace(mark, means=Means.STARTED_ITEM if k % 2 else Means.DONE_ITEM, item=Name(f"item-{k}"))
        for k, mark in enumerate(_marks(n, Name))
    ]
    return partial(at_work, marks, night().evidence.now, frozenset())


def _verdict(n: int) -> Work:
    """Of what is found in as much evidence: each finding is held against each, so that there may not be more the more there is."""
    case = grown(n, *KINDS)
    legs = [leg for leg in Leg if case.profile.leg(leg)]
    return partial(decide, CATALOGUE, investigate(case).findings, legs)


def _bundle(n: int) -> Work:
    """What is read of a file: with names as they come, which is once each."""
    return partial(parse, _kept(n))


def _other_version(n: int) -> Work:
    """Each entry has a field more: it is read in Python, and put together anew."""
    text = gzip.decompress(_kept(n)).replace(b'"means":', b'"mood":1,"means":')
    return partial(parse, gzip.compress(text, 1))


def _kept(n: int) -> bytes:
    """A run that saw nothing but what there is much of."""
    case = grown(n, *KINDS, named=str)
    seen = case.evidence
    much = {key: found for key, found in seen.items() if key[0] in {kind.__name__ for kind in KINDS}}
    return dump(replace(case, evidence=EvidenceSet(much, seen.now, seen.lookback, seen.since, seen.looked_at)), None)


def _lines_redacted(n: int) -> Work:
    anew = next(_ANEW)
    lines = [
        f"{anew} worker {k}: password=hunter{k} for item-{k}, token ya29.{'a' * 30}{k}, mail a{k}@example.com"
        for k in range(n)
    ]
    cleaned = cleaner()
    return lambda: [cleaned(line) for line in lines]


def _text_redacted(n: int) -> Work:
    anew = next(_ANEW)
    text = " ".join(f"word{anew}{k} key=va-{k}/lue, {{'a{k}': [\"b\", 'c=']}} -p x{'=' * (k % 3)}" for k in range(n))
    return partial(cleaner(), text)


def _endless_word(n: int) -> Work:
    """One word without an end, of what secrets are made of: nothing may begin anew at each of its letters."""
    return partial(cleaner(), f"{next(_ANEW)}" + "a1B2-_./=" * n)


def _kept_command(n: int) -> Work:
    source = Provenance(
        source="a",
        by_hand="gcloud logging read '" + 'a="b" AND ' * n + "c' --project=p",
        fetched_at=night().evidence.now,
        as_of=night().evidence.now,
    )
    return partial(vouched, structs.replace(more(ItemMarks, 1)[1], source=source))


OF_EVIDENCE = tuple(Grown(f"diagnosis: {kind.__name__}", _diagnosis(kind)) for kind in KINDS)
TOGETHER = (
    Grown("diagnosis", _diagnosis(*KINDS)),
    Grown("ledger", _ledger),
    Grown("items at work", _at_work),
    Grown("verdict", _verdict),
    Grown("bundle", _bundle),
    Grown("bundle of another version", _other_version),
    Grown("redaction: lines", _lines_redacted),
    Grown("redaction: a text", _text_redacted),
    Grown("redaction: a word", _endless_word),
    Grown("command of a bundle", _kept_command),
)
