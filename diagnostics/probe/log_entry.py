"""The probe's entry in Cloud Logging: what another machine needs to put things back when this one is lost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.probe.journal import Entry
from diagnostics.probe.reach import Clock, Reach
from diagnostics.probe.rpcs import WRITE_LOG
from diagnostics.sources.entries import both, field, logs, moment, quoted
from diagnostics.sources.search import search

LOG = "pubsub-diag-probe"
BEGINS, OVER = "begins", "over"
KEPT = timedelta(days=30)
"""Retention of the _Default bucket."""
AHEAD = timedelta(days=1)
"""So far the clock here may be behind Google's, and what was written a moment ago is found all the same; Google takes no entry that is
further in the future (logging.proto)."""
RECENT = timedelta(days=1, hours=1)
"""Longer than any probe takes, also where the clock here is ahead."""


class Written(NamedTuple):
    """What the log says of one run."""

    entry: Entry
    over: bool
    at: datetime
    """When it was said, by Google's clock."""


def write(reach: Reach, entry: Entry, state: str) -> None:
    """State it. Raises Refused or Unclear. Written twice does no harm: the insert id is the same."""
    said = {"run": entry.run, "state": state, "entry": msgspec.json.encode(entry).decode()}
    if entry.push is not None:
        said["endpoint"] = entry.push.endpoint
    resource = {"project_id": entry.project, "subscription_id": entry.subscription.rpartition("/")[2]}
    unmarked = "" if entry.marked else "-unmarked"
    request = {
        "log_name": f"projects/{entry.project}/logs/{LOG}",
        "resource": {"type": "pubsub_subscription", "labels": resource},
        "entries": [{"insert_id": f"{entry.run}-{state}{unmarked}", "severity": "NOTICE", "json_payload": said}],
    }
    reach.write(WRITE_LOG, request, again=True)


def read_back(reach: Reach, entry: Entry) -> dict[str, Written] | None:
    """What the log says of the latest probes once it says the same of this one as it was told; None: it does not yet. Waits, bounded."""
    clock = Clock(reach.waits.readback_s)
    while True:
        found = find(reach, entry.project, since=RECENT)
        mine = found.get(entry.run)
        if mine is not None and mine.entry == entry:
            return found
        if not clock.wait(min(reach.waits.between_looks_s, 2.0)):
            return None


def rivals(found: dict[str, Written], entry: Entry) -> list[Entry]:
    """Other probes that were about to switch the same subscription when this one was, and may be at it.

    Each says so in the log before it looks there, so of two at once at least one sees the other. Only Google's clock is used: a machine
    whose clock is wrong still lasts as long as it says.
    """
    mine = found[entry.run].at
    return [
        other.entry
        for other in found.values()
        if other.entry.run != entry.run
        and other.entry.subscription == entry.subscription
        and not other.over
        and mine < other.at + (other.entry.until - other.entry.started)
    ]


def find(reach: Reach, project: str, run: str = "", since: timedelta = KEPT) -> dict[str, Written]:
    """What the log says of this run, or of all. Raises NotSeen, also where a part of the log that was not searched may say more."""
    now = reach.now()
    only = f"jsonPayload.run={quoted(run)}" if run else ""
    asked, until = both(logs(LOG), only), now + AHEAD
    session = reach.brief(now=now)
    found = reach.around(
        "logging.list_log_entries", lambda: search(session, [f"projects/{project}"], asked, now - since, until)
    )
    if not found.complete and not (run and found.items):
        raise NotSeen(Why.TIMED_OUT, found.note)
    told: dict[str, Written] = {}
    over: set[str] = set()
    for line in found.items:
        if field(line, "jsonPayload.state") == OVER:
            over.add(field(line, "jsonPayload.run"))
        elif (entry := _entry(line)) is not None:
            told.setdefault(entry.run, Written(entry, False, moment(line.timestamp)))  # the newest that was said of it
    return {name: said._replace(over=name in over) for name, said in told.items()}


def say_over(reach: Reach, entry: Entry) -> str:
    """Note that the run is over. Gives the reason when that could not be said; nothing depends on it."""
    from diagnostics.probe.reach import Refused, Unclear
    from diagnostics.transport.call import NotThere

    try:
        write(reach, entry, OVER)
    except (Refused, Unclear, NotThere, NotSeen) as failed:
        return str(failed)
    return ""


def _entry(line: Any) -> Entry | None:
    """The entry in a log line; None where somebody else wrote to this log."""
    try:
        return msgspec.json.decode(field(line, "jsonPayload.entry"), type=Entry)
    except msgspec.MsgspecError:
        return None
