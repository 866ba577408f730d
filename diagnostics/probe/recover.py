"""`probe restore`: finish what any probe left, from this machine's journals, from labels, and from the project's log."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from diagnostics.evidence.unseen import NotSeen
from diagnostics.probe import log_entry
from diagnostics.probe.journal import Journal, Mode
from diagnostics.probe.push_config import LABEL, UNTIL
from diagnostics.probe.reach import Reach, Refused, Unclear
from diagnostics.probe.restore import Outcome, State, restore, update
from diagnostics.probe.traces import LOGGED, MARKED, SWITCHED, Traces, entry_of, rebuilt, traces
from diagnostics.shell.commands import command
from diagnostics.transport.call import NotThere
from diagnostics.transport.rpcs import GET_SUBSCRIPTION

LOOKING = 0.5
"""The share of the time in which it is looked everywhere; the rest is for putting back what is known."""
LONGEST = timedelta(hours=1)
"""No probe lasts so long."""
NOWHERE = (
    "neither this machine's journal nor Cloud Logging knows what its push config was (where it holds what may be a secret, as a query "
    "or user info does, it is not written there)"
)
TOLD = (LOGGED, SWITCHED, MARKED)
"""Traces that another machine sees, so that it is told when they are over."""


def recover(
    reach: Reach,
    journal: Journal,
    project: str,
    world: str,
    run: str = "",
    *,
    force: bool = False,
    forget: bool = False,
) -> tuple[list[Outcome], Traces]:
    """What became of each probe that left something (of `run` alone, if named), and the traces that were found first.

    `force`: also one that may still be at work, and over what somebody else has set. `forget`: leave things as they are now, and only
    take the marks away. Raises nothing.
    """
    left = traces(reach.part(LOOKING), journal, project, world)
    outcomes = []
    for name in _worst_first(left, journal, world):
        if run and name != run:
            continue
        if not force and any(t.running for t in left.found if t.run == name):
            until = max((t.until for t in left.found if t.run == name and t.until), default=None)
            when = f" until {until:%m-%d %H:%M:%SZ} at the latest" if until else ""
            if until and until - reach.now() > LONGEST:
                when += ", which no probe lasts to: the clock of its machine, or of this one, is wrong"
            says = f"run {name} may still be at work{when}; --force ends it"
            outcomes.append(Outcome(run=name, state=State.FAILED, says=says))
            continue
        outcomes.append(_one(reach, journal, left, project, name, force, forget))
    return outcomes, left


def _worst_first(left: Traces, journal: Journal, world: str) -> list[str]:
    """The runs, those first that keep a subscription from pushing: there may not be time for all."""
    switched = {t.run for t in left.found if t.what in (SWITCHED, LOGGED)}
    switched |= {entry.run for entry in journal.entries(world)[0] if entry.mode is Mode.SWITCH}
    return sorted(left.runs(), key=lambda run: run not in switched)


def _one(reach: Reach, journal: Journal, left: Traces, project: str, run: str, force: bool, forget: bool) -> Outcome:
    try:
        entry = rebuilt(left, run, project, reach.now()) if journal.read(run) is None else None
        entry = entry or entry_of(reach, journal, project, run)
    except (NotSeen, ValueError, OSError) as failed:
        return _lost(left, run, str(failed))
    marked = [t.name for t in left.found if t.run == run and t.what in (SWITCHED, MARKED)]
    if entry is None and not (forget and marked):
        return _lost(left, run, NOWHERE)
    if forget and (entry is None or entry.mode is Mode.SWITCH):
        outcome = _forgotten(reach, run, entry.subscription if entry else marked[0])
    else:
        outcome = restore(reach, entry, force=force) if entry else _lost(left, run, NOWHERE)
    if outcome.over:
        outcome = _taken_away(journal, run, outcome)
        if entry and entry.mode is Mode.SWITCH and any(t.what in TOLD for t in left.found if t.run == run):
            log_entry.say_over(reach, entry)
    return outcome


def _taken_away(journal: Journal, run: str, outcome: Outcome) -> Outcome:
    """The outcome, and what keeps the journal from going: it would name the probe for ever."""
    try:
        journal.remove(run)
    except OSError as error:
        says = f"{outcome.says}; but its journal could not be removed ({error}): once it can, rm {journal.path(run)}"
        return msgspec.structs.replace(outcome, says=says)
    return outcome


def _forgotten(reach: Reach, run: str, subscription: str) -> Outcome:
    """Only the labels go."""
    short = subscription.rpartition("/")[2]
    try:
        found = reach.read(GET_SUBSCRIPTION, {"subscription": subscription})
        if found.labels.get(LABEL) == run:
            labels = {k: v for k, v in found.labels.items() if k not in (LABEL, UNTIL)}
            update(reach, subscription, found.push_config, labels, again=True)
    except NotThere:
        return Outcome(run=run, state=State.GONE, says=f"{short} does not exist any more")
    except (NotSeen, Refused, Unclear) as failed:
        return Outcome(run=run, state=State.FAILED, says=str(failed))
    return Outcome(run=run, state=State.UNTOUCHED, says=f"{short} stays as it is; the probe is forgotten")


def _lost(left: Traces, run: str, why: str) -> Outcome:
    lines = []
    for trace in left.found:
        if trace.run != run or trace.what not in (SWITCHED, MARKED):
            continue
        _, project, _, short = trace.name.split("/")
        lines.append(
            command(
                "gcloud pubsub subscriptions update {name} --project={project}"
                + (" --push-endpoint=ENDPOINT --push-auth-service-account=ACCOUNT" if trace.what == SWITCHED else "")
                + " --remove-labels={labels}",
                name=short,
                project=project,
                labels=f"{LABEL},{UNTIL}",
            )
        )
    says = f"run {run} cannot be restored from here: {why}; try it on the machine that ran the probe"
    return Outcome(run=run, state=State.FAILED, says=says, by_hand=tuple(lines))
