"""Put back what a probe changed. May be done any number of times, by the probe itself, its watchdog, or anybody's `probe restore`.

There is no etag on a subscription: between the comparing read and the write lie milliseconds in which somebody else may write.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from diagnostics.evidence.unseen import NotSeen
from diagnostics.probe.journal import Entry, Mode
from diagnostics.probe.push_config import LABEL, UNTIL, differences, load, may_hold_secret, undo_line
from diagnostics.probe.reach import Clock, Reach, Refused, Unclear
from diagnostics.probe.rpcs import DELETE_SNAPSHOT, DELETE_SUBSCRIPTION, UPDATE_SUBSCRIPTION
from diagnostics.shell.commands import command
from diagnostics.transport.call import NotThere
from diagnostics.transport.rpcs import GET_SUBSCRIPTION, Rpc

REFUSALS = 3
"""So many clear refusals are believed; one may be a quota of this minute, or a grant that has not come everywhere yet."""


class State(StrEnum):
    """How something stands after restoring."""

    RESTORED = "restored"
    UNTOUCHED = "untouched"
    """There was nothing to put back."""
    CHANGED = "changed"
    """Somebody else has changed it meanwhile; it was left alone."""
    GONE = "gone"
    FAILED = "failed"


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one probe."""

    run: str
    state: State
    says: str
    by_hand: tuple[str, ...] = ()
    """Commands that finish the job, when it is not finished."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in (State.RESTORED, State.UNTOUCHED, State.GONE)


def restore(reach: Reach, entry: Entry, *, unsure: bool = True, force: bool = False) -> Outcome:
    """Put back, check, and say how it stands; tried again, bounded, while Google gives no clear answer. Raises nothing.

    It may end between any two calls, as where there is no time left for everything: each write puts back all of what it is about, or
    deletes one thing that a probe made, so that what is left is never worse than before, and the journal goes on naming it.

    `unsure`: a change may still be on its way, so what is found untouched is looked at once more. `force`: overwrite what somebody else
    has set meanwhile.
    """
    clock, refused = Clock(min(reach.waits.restore_s, reach.left)), 0
    while True:
        try:
            outcome = (
                _cleared(reach, entry, unsure) if entry.mode is Mode.SNAPSHOT else _back(reach, entry, unsure, force)
            )
        except NotThere:  # at whichever call: it may be deleted between any two
            short = entry.subscription.rpartition("/")[2]
            return Outcome(run=entry.run, state=State.GONE, says=f"{short} does not exist any more: nothing to restore")
        except ValueError as damaged:
            return _failed(entry, str(damaged))
        except (Refused, Unclear, NotSeen) as failed:
            outcome = _failed(entry, failed.says)
            unsure |= not isinstance(failed, Refused)
            refused += isinstance(failed, Refused)
        else:
            if entry.mode is Mode.SWITCH:
                return outcome
            refused += 1
        if outcome.state is not State.FAILED or refused == REFUSALS:
            return outcome
        if not clock.wait(min(reach.waits.between_looks_s, 2.0)):
            return outcome


def undo(entry: Entry) -> tuple[str, ...]:
    """The commands that put back by hand."""
    if entry.mode is Mode.SWITCH and entry.push is not None:
        return (undo_line(entry.subscription, entry.push, hide=may_hold_secret(entry.push)),)
    return delete_lines(entry.temporary, entry.snapshot)


def delete_lines(temporary: str, snapshot: str) -> tuple[str, ...]:
    lines = []
    for line, name in (
        ("gcloud pubsub subscriptions delete {name} --project={project}", temporary),
        ("gcloud pubsub snapshots delete {name} --project={project}", snapshot),
    ):
        if name:
            _, project, _, short = name.split("/")
            lines.append(command(line, name=short, project=project))
    return tuple(lines)


# --- switch mode ------------------------------------------------------------------------------------------------------


def _back(reach: Reach, entry: Entry, unsure: bool, force: bool) -> Outcome:
    """Raises NotThere, NotSeen, Refused, Unclear, or ValueError where what was saved is damaged."""
    if entry.push is None:
        raise ValueError(f"the entry of run {entry.run} holds no push config")
    wanted, short = load(entry.push), entry.subscription.rpartition("/")[2]
    found = reach.read(GET_SUBSCRIPTION, {"subscription": entry.subscription})
    if unsure and _untouched(found, wanted, entry):
        reach.pause(reach.waits.settle_s)
        found = reach.read(GET_SUBSCRIPTION, {"subscription": entry.subscription})
    if _untouched(found, wanted, entry):
        return Outcome(run=entry.run, state=State.UNTOUCHED, says=f"{short} pushes as before: nothing to restore")
    if not force and (theirs := _theirs(found, wanted, entry)):
        says = (
            f"{short} was left as it is: {theirs}; probe restore --forget keeps it so, --force puts back what was saved"
        )
        return Outcome(run=entry.run, state=State.CHANGED, says=says, by_hand=undo(entry))
    _write(reach, entry, found, wanted)
    return _checked(reach, entry, wanted)


def _untouched(found: Any, wanted: Any, entry: Entry) -> bool:
    return not differences(wanted, found.push_config) and found.labels.get(LABEL) != entry.run


def _theirs(found: Any, wanted: Any, entry: Entry) -> str:
    """What somebody else has done to the subscription since the probe began; empty: nothing that restoring would undo."""
    label, push = found.labels.get(LABEL), found.push_config
    if push.push_endpoint:
        unlike = differences(wanted, push)
        return f"its push config was changed meanwhile ({', '.join(unlike)})" if unlike else ""
    if label is None and not entry.marked:
        return ""
    if label is None:
        return "it is in pull mode, but without the probe's label: somebody else has set it so"
    return f"it is in pull mode for another probe, run {label}" if label != entry.run else ""


def _write(reach: Reach, entry: Entry, found: Any, wanted: Any) -> None:
    """Push config and labels in one call: there is no moment at which only one of them is back."""
    labels = {k: v for k, v in found.labels.items() if k not in (LABEL, UNTIL)}
    update(reach, entry.subscription, wanted, labels if LABEL in found.labels else None, again=True)


def update(reach: Reach, subscription: str, push: Any, labels: dict[str, str] | None, *, again: bool) -> None:
    """Set push config and labels of a subscription at once, and nothing else. Labels None: they stay as they are."""
    from google.protobuf import field_mask_pb2
    from google.pubsub_v1 import types

    changed = types.Subscription.pb()(name=subscription, push_config=push, labels=labels or {})
    paths = ["push_config"] if labels is None else ["push_config", "labels"]
    request = types.UpdateSubscriptionRequest.pb()(
        subscription=changed, update_mask=field_mask_pb2.FieldMask(paths=paths)
    )
    reach.write(UPDATE_SUBSCRIPTION, types.UpdateSubscriptionRequest.wrap(request), again=again)


def _checked(reach: Reach, entry: Entry, wanted: Any) -> Outcome:
    """Field for field. What Google did not keep is said; a second try would take it for somebody else's change."""
    short = entry.subscription.rpartition("/")[2]
    found = reach.read(GET_SUBSCRIPTION, {"subscription": entry.subscription})
    if unlike := differences(wanted, found.push_config):
        says = f"{short}: after restoring, {', '.join(unlike)} of the push config differ from what was saved"
        return Outcome(run=entry.run, state=State.FAILED, says=says, by_hand=undo(entry))
    says = f"{short} pushes again; its push config is field for field what it was"
    return Outcome(run=entry.run, state=State.RESTORED, says=says)


# --- snapshot mode ----------------------------------------------------------------------------------------------------


def _cleared(reach: Reach, entry: Entry, unsure: bool) -> Outcome:
    """Both deleted, whichever was made. Deleting what is not there is no error."""
    things: tuple[tuple[Rpc, str, str], ...] = (
        (DELETE_SUBSCRIPTION, "subscription", entry.temporary),
        (DELETE_SNAPSHOT, "snapshot", entry.snapshot),
    )
    made, refused = False, []
    for rpc, field, name in things:
        try:
            made |= _delete(reach, rpc, field, name, unsure)
        except Refused as failed:
            refused.append((field, name, failed.says))
    if refused:
        says = "; ".join(f"{field} {name.rpartition('/')[2]} is left: {why}" for field, name, why in refused)
        left = {field: name for field, name, _ in refused}
        lines = delete_lines(left.get("subscription", ""), left.get("snapshot", ""))
        return Outcome(run=entry.run, state=State.FAILED, says=says, by_hand=lines)
    if not made:
        return Outcome(run=entry.run, state=State.UNTOUCHED, says="nothing had been made")
    return Outcome(run=entry.run, state=State.RESTORED, says="temporary subscription and snapshot are deleted")


def _delete(reach: Reach, rpc: Rpc, field: str, name: str, unsure: bool) -> bool:
    """Whether it was there. Raises Refused or Unclear."""
    for look in (1, 2):
        try:
            reach.write(rpc, {field: name}, again=True)
        except NotThere:
            if unsure and look == 1:
                reach.pause(reach.waits.settle_s)
                continue
            return False
        return True
    return False


def _failed(entry: Entry, says: str) -> Outcome:
    return Outcome(run=entry.run, state=State.FAILED, says=f"not restored: {says}", by_hand=undo(entry))
