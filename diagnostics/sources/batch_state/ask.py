"""Which batch is asked about, and where: the places of the profile in order, until one knows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import structs

from diagnostics.evidence.model import BatchMarks, BatchStatus, Mark, Means, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import BatchStateProfile, PipelineProfile, StateKind
from diagnostics.question.ask import Ask
from diagnostics.readings.believable import contradiction
from diagnostics.sources.batch_state import command, firestore, status
from diagnostics.sources.batch_state.status import CoordinatorUrl
from diagnostics.sources.past.rewind_batch import batch_then
from diagnostics.sources.route import Services
from diagnostics.transport.session import Session

Place = Callable[[str], BatchStatus]
"""Asks one place for one batch. Raises NotSeen."""


def batch_status(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    services: Services,
    marks: BatchMarks | Unseen,
    coordinator: CoordinatorUrl | Unseen,
) -> BatchStatus:
    states = [state for state in pipeline.batch_states if state.kind is not StateKind.LOG]
    if not states:
        raise _nowhere(pipeline)
    told = () if isinstance(marks, Unseen) else marks.marks
    batch = ask.batch or latest_batch(told) or in_the_way(told)
    if not batch:
        mend = "name the batch: pubsub-diag batch BATCH_ID"
        if isinstance(marks, Unseen):
            says = f"no batch to ask about: {marks.says.removeprefix('not asked because ')}"
            raise NotSeen(Why.DEPENDS, says, marks.permission, mend)
        says = "no batch to ask about: the latest start attempt has made none, or the log does not name it"
        raise NotSeen(Why.DEPENDS, says, mend=mend)
    today = first_that_knows(
        [(s.name, believed(partial(_of(s), session, pipeline, s, coordinator), told)) for s in states], batch
    )
    if not ask.past(session.now):
        return today
    return batch_then(session, pipeline, services, today, told, ask.end(session.now))


def latest_batch(marks: tuple[Mark, ...]) -> str:
    """The batch that the latest start attempt made; empty while it has made none, or where no line names any."""
    for mark in reversed(marks):
        if mark.means is Means.CREATED and mark.batch:
            return mark.batch
        if mark.means is Means.RECEIVED:
            return ""
    return ""


def in_the_way(marks: tuple[Mark, ...]) -> str:
    """The batch for whose sake the latest start attempt was refused; empty where it was not, or where the refusal names none."""
    last = next((m for m in reversed(marks) if m.means in (Means.REFUSED, Means.CREATED)), None)
    return last.words.get("blocker", "") if last and last.means is Means.REFUSED else ""


def first_that_knows(places: Sequence[tuple[str, Place]], batch: str) -> BatchStatus:
    """The answer of the first place that knows the batch; failing that, of the first that says it does not. Raises NotSeen where
    none answers. Each place goes by its name."""
    failed: list[tuple[str, NotSeen]] = []
    before: list[str] = []
    unknown: BatchStatus | None = None
    for name, place in places:
        try:
            found = place(batch)
        except NotSeen as error:
            failed.append((name, error))
            before.append(f"{name}: {error.says}")
            continue
        if found.exists:
            return structs.replace(found, instead=tuple(before))
        unknown = unknown or structs.replace(found, instead=tuple(before))
        before.append(f"{name}: it knows no such batch")
    if unknown is not None:
        return unknown
    raise _none_answered(failed)


def _none_answered(failed: Sequence[tuple[str, NotSeen]]) -> NotSeen:
    """What kept each from being read. A permission is named apart only where it is all that is missing; the mend is the last one's: who
    named a further place means it to be read."""
    first = failed[0][1]
    if len(failed) == 1:
        return first
    says = "; ".join(f"{name}: {error.says}" for name, error in failed)
    permissions = {error.permission for _, error in failed}
    mend = next((error.mend for _, error in reversed(failed) if error.mend), "")
    return NotSeen(first.why, redact(says), permissions.pop() if len(permissions) == 1 else "", mend)


def believed(place: Place, told: Sequence[Mark]) -> Place:
    """The place, which does not count as answering where what it says cannot be right beside what the log tells."""

    def ask(batch: str) -> BatchStatus:
        found = place(batch)
        if says := contradiction(found, told):
            raise NotSeen(Why.FAILED, says)
        return found

    return ask


def _of(state: BatchStateProfile) -> Callable[..., BatchStatus]:
    return {
        StateKind.STATUS: status.read,
        StateKind.FIRESTORE: firestore.read,
        StateKind.COMMAND: command.read,
    }[state.kind]


def _nowhere(pipeline: PipelineProfile) -> NotSeen:
    if pipeline.batch_states:
        return NotSeen(Why.NOT_CONFIGURED, "the profile says that the coordinator's log alone tells the batch state")
    says = "the profile does not say where batch state is"
    return NotSeen(Why.NOT_CONFIGURED, says, mend="add [[batch_state]] to the profile")
