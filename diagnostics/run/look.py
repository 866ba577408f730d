"""Look once: fetch what a command's steps read, and diagnose. A live run, the demo and scoring all walk this line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import get_type_hints

from diagnostics import sources
from diagnostics.conclude.diagnosis import Call, Diagnosis, Header
from diagnostics.evidence.model import (
    BalancerLog,
    BatchMarks,
    ChangeLog,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leg,
    PlatformLines,
    RequestLog,
    StartCalls,
)
from diagnostics.evidence.redaction import cleaner
from diagnostics.pipeline.load import builtin_profiles, load_profile
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.run.health import of_health
from diagnostics.run.investigate import COMMANDS, Case, investigate, kinds_for, worth_reading
from diagnostics.sources.collect import Ask, collect
from diagnostics.transport.session import Session

LOGS: tuple[type[Evidence], ...] = (
    BatchMarks,
    ItemMarks,
    StartCalls,
    RequestLog,
    PlatformLines,
    ChangeLog,
    BalancerLog,
)
METRICS = "Cloud Monitoring"


def look(
    session: Session, profile: PipelineProfile, command: str, ask: Ask, legs: Sequence[Leg] | None = None
) -> Diagnosis:
    """The diagnosis of one command, within the session's deadline; `legs` limits it to these."""
    return investigate(see(session, profile, command, ask, legs))


def see(
    session: Session,
    profile: PipelineProfile,
    command: str,
    ask: Ask,
    legs: Sequence[Leg] | None = None,
    kinds: Iterable[type[Evidence]] = (),
) -> Case:
    """All that the command's steps read, if it has any, and further `kinds`, fetched within the session's deadline."""
    ask = of_health(session, profile, ask) if command == "health" else ask
    read = kinds_for(command) if command in COMMANDS else set()
    evidence = collect(session, profile, read | set(kinds), ask)
    asked = cleaner(profile.redact.patterns)(ask)  # names are compared: what holds for evidence holds for this, too
    seen = _case(session, profile, command, asked, evidence, legs)
    more = worth_reading(seen)
    if not more:
        return seen
    evidence = collect(session, profile, more, asked, known=evidence)
    return _case(session, profile, command, asked, evidence, legs)


def _case(
    session: Session,
    profile: PipelineProfile,
    command: str,
    asked: Ask,
    evidence: EvidenceSet,
    legs: Sequence[Leg] | None,
) -> Case:
    calls = tuple(Call(name=c.name, seconds=c.seconds, ok=c.ok, note=c.note) for c in session.calls)
    redacts, profile = profile.redact.patterns, kept(profile)
    return Case(command, evidence, profile, asked, header(session, profile, command, evidence), calls, legs, redacts)


def kept(profile: PipelineProfile) -> PipelineProfile:
    """The profile as it goes with a run: redacted, without commands, and without its patterns of what is to be taken out."""
    return cleaner(profile.redact.patterns)(profile).to_keep()


def header(session: Session, profile: PipelineProfile, command: str, evidence: EvidenceSet) -> Header:
    seen = [found for _, found in evidence.items() if isinstance(found, Evidence)]
    return Header(
        pipeline=profile.name,
        project=profile.project,
        region=profile.region,
        principal=session.principal,
        lab=session.lab is not None,
        command=command,
        logs_as_of=_as_of(e for e in seen if isinstance(e, LOGS)),
        metrics_as_of=_as_of(e for e in seen if e.source.source == METRICS),
        seconds=round(session.seconds(), 3),
        item_lines=next((e.engine for e in seen if isinstance(e, ItemMarks)), ""),
        looked_at=evidence.looked_at if evidence.looked_at != evidence.now else None,
    )


def everything() -> set[type[Evidence]]:
    """Every kind of evidence that can be had by reading; live calls give nothing unless they are asked for."""
    given = (get_type_hints(provider)["return"] for provider in sources.PROVIDERS)
    return {kind for kind in given if issubclass(kind, Evidence)}


def lab_profile(project: str) -> PipelineProfile | None:
    """The built-in profile of the pipeline that the lab plays, told by its project. Outside the lab nothing is guessed."""
    return next((p for p in map(load_profile, builtin_profiles()) if p.project == project), None)


def _as_of(seen: Iterable[Evidence]) -> datetime | None:
    """The newest moment that all of them can speak about."""
    return min((e.source.as_of for e in seen), default=None)
