"""Switch mode: the subscription itself is pulled from, for a while, and then pushes again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from diagnostics.evidence.model import Leg, PushCounts, RequestLog, seen
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe.journal import Entry
from diagnostics.probe.push_config import LABEL, differences, load
from diagnostics.probe.reach import Clock, Reach, Refused
from diagnostics.probe.restore import update
from diagnostics.probe.snapshot import marks
from diagnostics.question.ask import Ask
from diagnostics.shell.commands import command
from diagnostics.sources.collect import collect
from diagnostics.transport.call import NotThere
from diagnostics.transport.rpcs import GET_SUBSCRIPTION

OUTSTANDING_S = 30
"""A push that was under way at the change-over may still be answered for so long without meaning that pushes go on."""


class NotBegun(Refused):
    """It is not as it was when the plan was made, so nothing was changed."""


def switch(reach: Reach, entry: Entry, may: Callable[[], bool] = lambda: True) -> None:
    """Empty the push config and set the marks, if the subscription still is as it was saved.

    `may` is asked last, right before the write: whether the time for it is not over. Raises Refused, Unclear, NotThere or NotSeen.
    """
    from google.pubsub_v1 import types

    if entry.push is None:
        raise Refused("no push config was saved")
    found = reach.read(GET_SUBSCRIPTION, {"subscription": entry.subscription})
    if unlike := differences(load(entry.push), found.push_config):
        raise NotBegun(f"the push config was changed since the plan was made ({', '.join(unlike)}): nothing was done")
    if found.labels.get(LABEL):
        raise NotBegun(f"another probe has begun since the plan was made, run {found.labels[LABEL]}: nothing was done")
    if not may():
        raise NotBegun("the time for it was over before it began: nothing was done")
    labels = {**found.labels, **marks(entry)} if entry.marked else None
    update(reach, entry.subscription, types.PushConfig.pb()(), labels, again=False)


def lost(reach: Reach, entry: Entry) -> str:
    """Why the subscription is not this probe's to pull from (any more); empty: it still is as this probe has set it. Raises nothing."""
    try:
        found = reach.read(GET_SUBSCRIPTION, {"subscription": entry.subscription}, "still")
    except NotThere:
        return "the subscription does not exist any more"
    except NotSeen as failed:
        return f"whether the subscription still is as the probe has set it could not be seen ({failed.says})"
    if found.push_config.push_endpoint:
        return "somebody has set a push endpoint meanwhile: it pushes again"
    label = found.labels.get(LABEL, "")
    if entry.marked and label != entry.run:
        return f"another probe has taken it over, run {label}" if label else "the mark of this probe is gone"
    return ""


def watch(reach: Reach, profile: PipelineProfile, leg: Leg, due: bool | None) -> str:
    """Wait, bounded, until a push after the restoring is seen; say so, or that none was due."""
    restored, clock = reach.now(), Clock(reach.waits.watch_s)
    if due is False:
        return "no push was due: nothing waited"
    while True:
        if at := _pushed(reach, profile, leg, restored):
            return f"pushes go on: one was seen at {at:%H:%M:%SZ}"
        if not clock.wait(reach.waits.between_looks_s):
            break
    waited = f"no push was seen within {reach.waits.watch_s:.0f} s"
    look = command("pubsub-diag delivery --leg {leg}", leg=leg.value)
    return f"{waited}; the change-over can take several minutes: {look}"


def _pushed(reach: Reach, profile: PipelineProfile, leg: Leg, since: datetime) -> datetime | None:
    """When the first push after that moment was answered, as the request log or the push counts tell."""
    session = reach.brief(now=reach.now())
    ask = Ask(since=since - timedelta(minutes=2))
    got = reach.around("sources.collect", lambda: collect(session, profile, {RequestLog, PushCounts}, ask))
    times: list[datetime] = []
    if log := seen(got.get(RequestLog, leg)):
        pushes = (r for r in (*log.refused, *log.fine) if r.method == "POST" and r.path.split("?")[0] == log.push_path)
        times += [r.at for r in pushes if r.at > since]
    if counts := seen(got.get(PushCounts, leg)):
        after = since + timedelta(seconds=OUTSTANDING_S)
        times += [p.end for s in counts.series for p in s.points if p.start >= after and p.value > 0]
    return min(times, default=None)
