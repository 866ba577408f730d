"""The probe's entry in Cloud Logging: what another machine needs to put things back when this one is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.probe.journal import Entry
from diagnostics.probe.reach import Clock, Reach
from diagnostics.probe.rpcs import WRITE_LOG
from diagnostics.sources.entries import both, field, logs, quoted
from diagnostics.sources.search import search

LOG = "pubsub-diag-probe"
BEGINS, OVER = "begins", "over"
KEPT = timedelta(days=30)
"""Retention of the _Default bucket."""


class Written(NamedTuple):
    """What the log says of one run."""

    entry: Entry
    over: bool


def write(reach: Reach, entry: Entry, state: str) -> None:
    """State it. Raises Refused or Unclear. Written twice does no harm: the insert id is the same."""
    said = {"run": entry.run, "state": state, "entry": msgspec.json.encode(entry).decode()}
    if entry.push is not None:
        said["endpoint"] = entry.push.endpoint
    resource = {"project_id": entry.project, "subscription_id": entry.subscription.rpartition("/")[2]}
    request = {
        "log_name": f"projects/{entry.project}/logs/{LOG}",
        "resource": {"type": "pubsub_subscription", "labels": resource},
        "entries": [{"insert_id": f"{entry.run}-{state}", "severity": "NOTICE", "json_payload": said}],
    }
    reach.write(WRITE_LOG, request, again=True)


def is_readable(reach: Reach, entry: Entry) -> bool:
    """Whether the entry can be read back, and says the same. Waits for it, bounded."""
    clock = Clock(reach.waits.readback_s)
    while True:
        found = find(reach, entry.project, entry.run).get(entry.run)
        if found is not None and found.entry == entry:
            return True
        if not clock.wait(min(reach.waits.between_looks_s, 2.0)):
            return False


def find(reach: Reach, project: str, run: str = "", since: timedelta = KEPT) -> dict[str, Written]:
    """What the log says of this run, or of all. Raises NotSeen, also where a part of the log that was not searched may say more."""
    now = reach.now()
    only = f"jsonPayload.run={quoted(run)}" if run else ""
    asked, until = both(logs(LOG), only), now + timedelta(minutes=1)
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
            told[entry.run] = Written(entry, False)
    return {name: Written(said.entry, name in over) for name, said in told.items()}


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
