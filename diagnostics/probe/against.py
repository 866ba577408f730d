"""What speaks against a probe. Refusing is the default; --force overrides what a person can take the risk of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from diagnostics.evidence.model import DELETED_TOPIC, SubscriptionSettings
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe.journal import Mode
from diagnostics.probe.measured import Measured, span
from diagnostics.probe.permissions import lacking
from diagnostics.probe.reach import Reach
from diagnostics.probe.snapshot import TOO_OLD_S
from diagnostics.probe.traces import Traces
from diagnostics.shell.commands import advice

FEWEST_LEFT = 2
"""Delivery attempts that have to be left: one for the peek, one for a push after it."""


class Refusal(Struct, frozen=True, kw_only=True):
    """A reason not to."""

    says: str
    mend: str = ""
    forcible: bool = True
    """Whether --force overrides it."""


def of_state(mode: Mode, settings: SubscriptionSettings, source: Any) -> Iterator[Refusal]:
    short = settings.name.rpartition("/")[2]
    if settings.detached:
        yield Refusal(says=f"{short} is detached from its topic: nothing can be pulled from it", forcible=False)
    if mode is Mode.SNAPSHOT and settings.topic == DELETED_TOPIC:
        mend = "pubsub-diag probe run --mode switch"
        yield Refusal(
            says=f"the topic of {short} is deleted: no second subscription can be made", mend=mend, forcible=False
        )
    if mode is Mode.SWITCH and not settings.push_endpoint:
        says = f"{short} has no push endpoint: it is no push subscription, or somebody has switched it already"
        yield Refusal(says=says, mend="pubsub-diag probe status", forcible=False)
    for other in ("bigquery_config", "cloud_storage_config", "bigtable_config"):
        if other in source.DESCRIPTOR.fields_by_name and source.HasField(other) and getattr(source, other).ByteSize():
            yield Refusal(says=f"{short} exports ({other}): it is no push subscription", forcible=False)


def of_traces(left: Traces) -> Iterator[Refusal]:
    for run in left.runs():
        found = [t for t in left.found if t.run == run]
        things = ", ".join(f"{t.what} {t.name.rpartition('/')[2]}" for t in found)
        is_running = any(t.running for t in found)
        says = (
            f"a probe is active, run {run}: {things}"
            if is_running
            else f"an earlier probe left something, run {run}: {things}"
        )
        yield Refusal(says=says, mend="pubsub-diag probe status" if is_running else "pubsub-diag probe restore")
    for says in left.unseen:
        yield Refusal(says=f"whether another probe is active cannot be seen: {says}")


def of_permissions(
    reach: Reach, profile: PipelineProfile, mode: Mode, settings: SubscriptionSettings
) -> Iterator[Refusal]:
    for lack in lacking(reach, profile, mode, settings):
        if lack.why:
            yield Refusal(says=f"whether {lack.name} is held on {lack.on} could not be told: {lack.why}")
        else:
            mend = advice("ask for a role with {permission}", permission=lack.name)
            yield Refusal(says=f"{lack.name} is missing on {lack.on}", mend=mend)


def of_snapshot(measured: Measured) -> Iterator[Refusal]:
    if measured.oldest_s is not None and measured.oldest_s > TOO_OLD_S:
        says = f"the oldest message is {span(measured.oldest_s)} old: Google refuses a snapshot of a backlog older than 6 d 23 h"
        yield Refusal(says=says, mend="pubsub-diag probe run --mode switch", forcible=False)


def of_switch(settings: SubscriptionSettings, measured: Measured) -> Iterator[Refusal]:
    if settings.ordering:
        says = "the subscription delivers in order: a message that is peeked at holds back all later ones of its ordering key"
        yield Refusal(says=says, mend="pubsub-diag probe run --mode snapshot")
    if settings.dead_letter is None:
        return
    most = settings.dead_letter.max_attempts
    if measured.attempts is None:
        says = f"peeking costs each message one of its {most} delivery attempts, and how many it has left is not known"
    elif most - measured.attempts >= FEWEST_LEFT:
        return
    else:
        says = (
            f"peeking could dead-letter messages: a message has {most} delivery attempts, and up to {measured.attempts} pushes "
            "have failed since the oldest was published"
        )
    yield Refusal(says=says, mend="pubsub-diag probe run --mode snapshot")
