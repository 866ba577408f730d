"""A health check claims three things apart: the configuration is right, the path is open, the traffic is well."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.consequences import AFTER
from diagnostics.question.ask import SHOWN
from diagnostics.shell.commands import command
from diagnostics.steps import model_drift, push_auth, serving, since_deploy, traffic
from diagnostics.steps.delivered import push_answers
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.outcome import DOWNSTREAM_HIDDEN
from diagnostics.steps.outcome.of_batch import UNREAD
from diagnostics.steps.published import topic
from diagnostics.steps.push_auth import invoker


class Claim(StrEnum):
    CONFIG = "config"
    PATH = "path"
    TRAFFIC = "traffic"


class Level(Struct, frozen=True, kw_only=True):
    """One claim of a health check."""

    name: Claim
    status: Status
    required: bool
    """Whether an unknown at this level counts."""
    says: str


_CONFIG = frozenset(
    {
        "serving",
        "model_drift",
        "routed",
        "dead_letter",
        "changes",
        "audit",
        "limits",
        "since_deploy.env_lost",
        "since_deploy.deployed",
    }
    | {UNREAD.name, DOWNSTREAM_HIDDEN.name}
    | {"since_deploy.grants", topic.MISSING.name, "topic.not_checked", "cold_start.switched_off"}
    | {"since_deploy.not_checked", since_deploy.UNSEEN.name}
    | {
        f"{step}.not_checked"
        for step in ("route", "addressing", "topic_names", "retrying", "upkeep", "orphans", "builds")
    }
)
"""Steps, and single findings of others, that speak of the configuration."""
_PATH = frozenset({"push_auth", "cold_start.live"})

_TELLING = (
    since_deploy.SETTLING.name,
    traffic.FLOWS.name,
    traffic.IDLE.name,
    push_auth.PROVEN.name,
    push_auth.LIVE.name,
    invoker.GRANTED.name,
    serving.NEWEST.name,
)
"""Findings that say best how a level stands, if nothing is wrong with it."""


_ADVISES = frozenset({"orphans.not_checked", model_drift.LOADED_UNTOLD.name, model_drift.ROWS_UNTOLD.name})
"""Gaps that could hide no more than advice: they are said among what was not seen, and leave no claim open."""


def claim_of(finding: Finding) -> Claim:
    """The level that a finding belongs to; what is neither configuration nor path is traffic."""
    step = finding.code.partition(".")[0]
    if finding.code in _PATH or step in _PATH:
        return Claim.PATH
    return Claim.CONFIG if finding.code in _CONFIG or step in _CONFIG else Claim.TRAFFIC


def levels(findings: Sequence[Finding], require: Sequence[str]) -> tuple[Level, ...]:
    """How each level stands. A level that nothing speaks of is unknown."""
    telling = [f for f in findings if f.code not in _ADVISES]
    required = {claim for claim in Claim if claim in require}
    if SHOWN in require and any(f.code == push_answers.UNSEEN.name and f.status is Status.UNKNOWN for f in telling):
        required.add(Claim.TRAFFIC)  # no traffic is no trouble; traffic that nobody may look at may be
    return tuple(_level(claim, [f for f in telling if claim_of(f) is claim], claim in required) for claim in Claim)


def status_of_levels(found: Sequence[Level]) -> Status:
    """Fault outranks unknown, unknown outranks warning. Unknown counts where the level is required; so does idle traffic, which
    proves nothing about traffic."""
    statuses = {level.status for level in found}
    lacking = any(level.required and level.status in (Status.UNKNOWN, Status.IDLE) for level in found)
    if Status.FAULT in statuses:
        return Status.FAULT
    if lacking:
        return Status.UNKNOWN
    if Status.WARNING in statuses:
        return Status.WARNING
    return Status.IDLE if Status.IDLE in statuses else Status.OK


def headline(found: Sequence[Level], status: Status) -> str:
    """The first level that makes the status, in its words; else what all of them claim."""
    loud = [level for level in found if level.status is status and (level.required or status is not Status.UNKNOWN)]
    if status is Status.UNKNOWN and not loud:
        loud = [level for level in found if level.required and level.status is Status.IDLE]
    if status in (Status.FAULT, Status.WARNING, Status.UNKNOWN) and loud:
        return f"{loud[0].name.value}: {loud[0].says}"
    well = [level.name.value for level in found if level.status is Status.OK]
    rest = [f"{level.name.value} {level.status.value}" for level in found if level.status is not Status.OK]
    all_well = f"{' and '.join(filter(None, (', '.join(well[:-1]), well[-1])))} ok" if well else ""
    return ", ".join(filter(None, (all_well, *rest)))


def advice(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Where to read on about what is wrong and no cause accounts for."""
    named = frozenset[str]().union(*(cause.requires.codes() | {c.name for c in cause.effects} for cause in CATALOGUE))
    steps = (f.code.partition(".")[0] for f in findings if f.abnormal and f.code not in named and f.code not in AFTER)
    return tuple(dict.fromkeys(command("pubsub-diag runbook show {step}", step=step) for step in steps))


def _level(claim: Claim, findings: Sequence[Finding], required: bool) -> Level:
    status = _worst(findings)
    if claim is Claim.CONFIG and status is Status.IDLE and any(f.status is Status.OK for f in findings):
        status = Status.OK  # that nothing was made since a change leaves no part of the configuration open
    same = [f for f in findings if f.status is status]
    same.sort(key=lambda f: _TELLING.index(f.code) if f.code in _TELLING else len(_TELLING))
    says = same[0].says if same else "nothing could be looked at"
    if claim is Claim.PATH and status is Status.OK and same[0].code == invoker.GRANTED.name:
        says += "; by configuration alone, nothing was called (--canary)"
    more = len(same) - 1
    loud = status in (Status.FAULT, Status.WARNING, Status.UNKNOWN)
    return Level(
        name=claim, status=status, required=required, says=says + (f" (and {more} more)" if more and loud else "")
    )


def _worst(findings: Sequence[Finding]) -> Status:
    found = {f.status for f in findings}
    order = (Status.FAULT, Status.UNKNOWN, Status.WARNING)
    loud = next((s for s in order if s in found), None)
    if loud:
        return loud
    if any(f.code == traffic.FLOWS.name for f in findings):
        return Status.OK
    if Status.IDLE in found:
        return Status.IDLE
    return Status.OK if found & {Status.OK, Status.ADVICE} else Status.UNKNOWN
