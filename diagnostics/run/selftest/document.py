"""The file of a self-test: what is in it, in which words, and that nothing else is."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from diagnostics import __version__
from diagnostics.evidence.model import BatchMarks, Evidence, EvidenceSet, ItemMarks, Leg, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.run.look import everything
from diagnostics.run.selftest import facts
from diagnostics.run.selftest.samples import Samples, take
from diagnostics.run.selftest.shape import spread, told
from diagnostics.run.selftest.watcher import Watcher
from diagnostics.run.selftest.words import Words
from diagnostics.sources.collect import Ask, collect
from diagnostics.sources.route import full_subscription
from diagnostics.transport.session import Session, together

FORMAT = "pubsub-diag self-test"
SCHEMA = 1
HOLDS = (
    "which calls were made, how often, how long they took, and how their pages were filled",
    "which fields of Google's answers were set, and of what form: number, moment, URL of a kind of host, kind of account",
    "Google's constants, names of fields, logs, metrics, labels and methods, and Google's sentences, as far as their words are in a "
    "list that comes with pubsub-diag",
    "counts of log entries by log, severity, kind and status, and how many lines fit the profile's markers",
    "versions of pubsub-diag, Python and Google's libraries",
)
HOLDS_NOT = (
    'names of the project, of topics, subscriptions, services, accounts or people: they are left out, or "…"',
    "texts of log lines and messages, values of environments, addresses, tokens",
    "counts or times of single items or batches",
)
LIBRARIES = (
    "google-cloud-pubsub", "google-cloud-monitoring", "google-cloud-logging", "google-cloud-run", "google-cloud-iam",
    "google-cloud-resource-manager", "google-api-core", "google-auth", "grpcio", "protobuf",
)  # fmt: skip
NO_GAP = frozenset({Why.NOT_CONFIGURED, Why.NOT_ASKED})
"""Why something may be unseen without anything being wrong: nobody named it."""
OF_COORDINATOR = frozenset({"BatchMarks", "StartCalls", "BatchStatus"})
"""Evidence that only a coordinator gives."""
GONE = "[redacted]"


class SourceTold(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one kind of evidence."""

    kind: str
    leg: str = ""
    seen: bool
    entries: int = 0
    complete: bool = True
    gap: bool = False
    """Whether it should have been seen: nothing that it needs was left unnamed."""
    why: str = ""
    says: str = ""
    """By its known words."""


class SelfTest(Struct, frozen=True, kw_only=True):
    """What is written."""

    format: str = FORMAT
    schema_version: int = SCHEMA
    holds: tuple[str, ...] = HOLDS
    holds_not: tuple[str, ...] = HOLDS_NOT
    version: str
    python: str
    libraries: dict[str, str]
    made: str
    """The day."""
    lab: bool
    seconds: float
    signed_in: str
    """How, and as what kind of account."""
    odd: dict[str, int]
    """What was not understood, and how often it was seen. This is what a bug report is about."""
    sources: tuple[SourceTold, ...]
    failed_samples: tuple[str, ...]
    calls: dict[str, Any]
    entries: dict[str, Any]
    metrics: dict[str, Any]
    markers: dict[str, int]
    status_calls: dict[str, Any]
    """What the coordinator's status endpoint answered, and in how many seconds."""
    freshness: dict[str, Any]
    facts: dict[str, Any]

    @property
    def unseen(self) -> tuple[SourceTold, ...]:
        return tuple(source for source in self.sources if source.gap)


def selftest(session: Session, pipeline: PipelineProfile, extra: Iterable[str] = ()) -> SelfTest:
    """Read everything once, within the session's deadline, and tell its shape. `extra`: names that must not get out either."""
    words = Words([*names_of(pipeline), session.project, session.principal, *extra])
    watcher = Watcher(words, session.now)
    session.witness = watcher
    sampling = session.again(max(session.remaining(), 0.001))
    sampling.log_budget = session.log_budget
    taken, evidence = together(
        lambda: take(sampling, pipeline, words),
        lambda: collect(session, pipeline, everything(), Ask()),
    )
    assert isinstance(taken, Samples) and isinstance(evidence, EvidenceSet)
    return _safe(_document(session, pipeline, words, watcher, taken, evidence), words)


def names_of(pipeline: PipelineProfile) -> list[str]:
    """All that the profile names."""
    legs = [named for leg in Leg if (named := pipeline.leg(leg))]
    found = [pipeline.name, pipeline.project, pipeline.coordinator.service, pipeline.worker.service]
    found += [full_subscription(pipeline, leg).rpartition("/")[2] for leg in Leg if pipeline.leg(leg)]
    found += [text for named in legs for text in (named.topic, named.push_account, named.topic_env)]
    return [name for name in found if name]


def _document(
    session: Session, pipeline: PipelineProfile, words: Words, watcher: Watcher, taken: Samples, evidence: EvidenceSet
) -> SelfTest:
    sources = tuple(_source(pipeline, kind, leg, found, words) for (kind, leg), found in evidence.items())
    odd = watcher.oddities()
    odd.update(
        f"{s.kind} could not be read: {s.says}" for s in sources if not s.seen and "reading the answer failed" in s.says
    )
    odd.update(says for says in taken.failed if "reading the answer failed" in says)
    odd.update(_unmarked(taken, evidence))
    odd.update(_receivers(sources))
    return SelfTest(
        version=__version__,
        python=platform.python_version(),
        libraries={name: _version(name) for name in LIBRARIES},
        made=f"{session.now:%Y-%m-%d}",
        lab=session.lab is not None,
        seconds=round(session.seconds(), 1),
        signed_in=" ".join(filter(None, (words.sentence(session.signed_in.how), session.principal.partition(":")[0]))),
        odd=told(odd, most=200),
        sources=sources,
        failed_samples=tuple(taken.failed),
        calls=watcher.told(),
        entries=watcher.entries.told(),
        metrics=watcher.points.told(),
        markers=told(taken.lines),
        status_calls={**told(watcher.status_calls), "seconds": spread(watcher.status_seconds)},
        freshness=_fresh(session, taken),
        facts=facts.answers(watcher),
    )


def _source(
    pipeline: PipelineProfile, kind: str, leg: Leg | None, found: Evidence | Unseen, words: Words
) -> SourceTold:
    of = leg.value if leg else ""
    if isinstance(found, Unseen):
        named = kind not in OF_COORDINATOR or pipeline.completion is not None or bool(pipeline.coordinator.service)
        gap = named and found.why not in NO_GAP
        return SourceTold(kind=kind, leg=of, seen=False, gap=gap, why=found.why.value, says=words.sentence(found.says))
    held = [len(v) for name in found.__struct_fields__ if isinstance(v := getattr(found, name), tuple)]
    return SourceTold(
        kind=kind,
        leg=of,
        seen=True,
        entries=sum(held),
        complete=found.source.complete,
        says=words.sentence(found.source.note),
    )


def _unmarked(taken: Samples, evidence: EvidenceSet) -> dict[str, int]:
    """Lines that have a marker's literal and not its pattern, where no line at all was read as what that marker means."""
    marks = (evidence.get(BatchMarks), evidence.get(ItemMarks))
    read = {(m.service, m.means.value) for found in marks if not isinstance(found, Unseen) for m in found.marks}
    return {
        f"lines of the {role}: have the literal of {means}, but fit no pattern of it": n
        for (role, means), n in taken.missed.items()
        if not taken.lines[f"{role}: read as {means}"] and (role, means) not in read
    }


def _receivers(sources: Iterable[SourceTold]) -> dict[str, int]:
    """Receivers that could not be found out."""
    return {
        f"the receiver of the {s.leg} leg could not be told: {s.says}": 1
        for s in sources
        if s.kind == "ServiceConfig" and not s.seen and s.why in (Why.NOT_CONFIGURED, Why.DEPENDS)
    }


def _fresh(session: Session, taken: Samples) -> dict[str, Any]:
    fresh = taken.fresh
    if fresh is None:
        return {}
    ages = {"metrics": fresh.metrics.at, "logs": fresh.logs.at}
    return {
        **{f"newest_of_{name}_age_s": _age(session.now, at) for name, at in ages.items()},
        "clock_ahead_s": fresh.clock.ahead_s,
    }


def _age(now: datetime, at: datetime | None) -> int | None:
    return None if at is None else round((now - at).total_seconds())


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _safe(document: SelfTest, words: Words) -> SelfTest:
    """The net below the words: a text with a name of this pipeline, or with anything that looks like a secret or a person, goes."""
    own = re.compile(
        "|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(words.names)) or r"(?!)", re.IGNORECASE
    )
    plain = msgspec.to_builtins(document)

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value if redact(value) == value and not own.search(value) else GONE
        if isinstance(value, dict):
            return {clean(key): clean(inner) for key, inner in value.items()}
        return [clean(inner) for inner in value] if isinstance(value, list) else value

    return msgspec.convert(clean(plain), SelfTest)
