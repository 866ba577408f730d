"""What probes have left anywhere: journals of this machine, labelled subscriptions and snapshots of the project, entries in its log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from diagnostics.evidence.model import Leg, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.probe import log_entry
from diagnostics.probe.journal import Entry, Journal, Mode, Phase, here, running
from diagnostics.probe.push_config import LABEL, UNTIL
from diagnostics.probe.reach import Reach
from diagnostics.probe.restore import delete_lines, undo
from diagnostics.probe.rpcs import LIST_SNAPSHOTS
from diagnostics.transport.call import NotThere, pages
from diagnostics.transport.rpcs import LIST_SUBSCRIPTIONS, Rpc

NAME = "pubsub-diag-probe-"
"""Names of what a probe makes begin so."""
SWITCHED, MARKED, TEMPORARY, SNAPSHOT, JOURNAL, LOGGED = (
    "subscription in pull mode",
    "mark on a subscription that pushes",
    "temporary subscription",
    "snapshot",
    "journal",
    "log entry",
)


class Trace(Struct, frozen=True, kw_only=True):
    """One thing that a probe left, or is using right now."""

    run: str
    what: str
    name: str
    until: datetime | None = None
    """When its probe is over at the latest."""
    running: bool
    """Whether its probe may still be at work."""
    by_hand: tuple[str, ...] = ()
    """Commands that take it away, where that needs no more than its name."""


class Traces(Struct, frozen=True, kw_only=True):
    """All that was found, and what could not be looked at."""

    found: tuple[Trace, ...]
    unseen: tuple[str, ...] = ()

    def runs(self) -> list[str]:
        return list(dict.fromkeys(t.run for t in self.found))


def traces(reach: Reach, journal: Journal, project: str, world: str, logged: bool = True) -> Traces:
    """Look everywhere. Raises nothing; what could not be seen is said. `logged`: look into Cloud Logging, too."""
    now, found, unseen = reach.now(), [], []
    local, damaged = journal.entries(world)
    alive = {e.run: running(e, now) for e in local}
    for entry in local:
        found.append(
            Trace(
                run=entry.run,
                what=JOURNAL,
                name=str(journal.path(entry.run)),
                until=entry.until,
                running=alive[entry.run],
            )
        )
    lists: tuple[tuple[Rpc, str], ...] = ((LIST_SUBSCRIPTIONS, "subscriptions"), (LIST_SNAPSHOTS, "snapshots"))
    for rpc, field in lists:
        try:
            found += _labelled(_list(reach, rpc, field, project), field, now, alive)
        except NotSeen as failed:
            unseen.append(f"{field} of {project}: {failed.says}")
    if logged:
        try:
            found += _logged(reach, project, now, alive)
        except NotSeen as failed:
            unseen.append(f"log of {project}: {failed.says}")
    return Traces(found=tuple(found), unseen=(*unseen, *damaged))


def entry_of(reach: Reach, journal: Journal, project: str, run: str) -> Entry | None:
    """The entry of a run, from this machine's journal or else from the log. Raises NotSeen or ValueError."""
    local = journal.read(run)
    if local is not None:
        return local
    written = log_entry.find(reach, project, run).get(run)
    return written.entry if written else None


def rebuilt(traces: Traces, run: str, project: str, now: datetime) -> Entry | None:
    """The entry of a snapshot run out of what it left: names are all that clearing away needs. None for another mode."""
    left = {t.what: t.name for t in traces.found if t.run == run}
    if not left.keys() & {TEMPORARY, SNAPSHOT} or left.keys() & {SWITCHED, MARKED}:
        return None
    return Entry(
        run=run,
        mode=Mode.SNAPSHOT,
        leg=Leg.REQUEST,
        phase=Phase.CHANGING,
        subscription=f"projects/{project}/subscriptions/-",
        temporary=left.get(TEMPORARY, ""),
        snapshot=left.get(SNAPSHOT, ""),
        started=now,
        until=now,
    )


def _list(reach: Reach, rpc: Rpc, field: str, project: str) -> list[Any]:
    session = reach.brief()
    request = {"project": f"projects/{project}", "page_size": 1000}
    try:
        listed = reach.around(rpc.name, lambda: pages(session, rpc, request, field))
    except NotThere as error:
        raise _not_listed(project) from error
    if not listed.complete:
        raise _not_listed(project, listed.note)
    return list(listed.items)


def _not_listed(project: str, note: str = "") -> NotSeen:
    return NotSeen(Why.FAILED, note or f"the project {project} does not exist")


def _labelled(things: list[Any], field: str, now: datetime, alive: dict[str, bool]) -> Iterator[Trace]:
    for thing in things:
        run = thing.labels.get(LABEL)
        if not run:
            continue
        what = SNAPSHOT if field == "snapshots" else _of_subscription(thing, run)
        until = _moment(thing.labels.get(UNTIL, ""))
        by_hand = delete_lines(thing.name if what == TEMPORARY else "", thing.name if what == SNAPSHOT else "")
        yield Trace(
            run=run,
            what=what,
            name=thing.name,
            until=until,
            running=alive.get(run, until is None or now < until),
            by_hand=by_hand,
        )


def _of_subscription(thing: Any, run: str) -> str:
    if thing.name.rpartition("/")[2] == NAME + run:
        return TEMPORARY
    return MARKED if thing.push_config.push_endpoint else SWITCHED


def _logged(reach: Reach, project: str, now: datetime, alive: dict[str, bool]) -> Iterator[Trace]:
    for run, said in log_entry.find(reach, project, since=log_entry.RECENT).items():
        if here(said.entry):
            continue  # the journal knows better: the entry that says it is over takes seconds to be readable
        if not said.over and run not in alive and (now < said.entry.until or not said.entry.marked):
            yield Trace(
                run=run,
                what=LOGGED,
                name=said.entry.subscription,
                until=said.entry.until,
                running=now < said.entry.until,
                by_hand=undo(said.entry),
            )


def _moment(seconds: str) -> datetime | None:
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() else None
