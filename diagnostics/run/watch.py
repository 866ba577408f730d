"""How a batch gets on from look to look: does it move, how fast, when may it be done. Pure; the looks come from outside.

No threshold of our own. It stalls when work is owed and nothing got further for as long as one item may take (`progress.patience_s`);
missing data is unknown, and before anything could have come back it is too early.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct

from diagnostics.conclude.diagnosis import Batch, Diagnosis, State
from diagnostics.conclude.drain import Forecast, drain
from diagnostics.evidence.model import (
    BatchStatus,
    Evidence,
    EvidenceSet,
    ItemMarks,
    Leg,
    ReceiverCapacity,
    Stage,
    SubscriptionConfig,
    Unseen,
    Why,
)
from diagnostics.steps import progress
from diagnostics.steps.words import span

BACK = (Stage.RETURNED, Stage.RECORDED)


class Sample(NamedTuple):
    """One look."""

    at: datetime
    done: int


class Glance(Struct, frozen=True, kw_only=True):
    """How the batch stands at one look."""

    at: datetime
    batch: str
    state: State
    done: int | None = None
    expected: int | None = None
    stage: str = ""
    """The furthest stage that most of the items which are not done have passed; empty: nothing tells."""
    per_minute: float | None = None
    done_by: Forecast | None = None
    newest_progress: datetime | None = None
    judge_at: datetime | None = None
    """If nothing gets further until then, it stalls."""
    says: str = ""
    not_seen: tuple[str, ...] = ()
    """What could not be read at this look, or not whole: what it would have told is in none of these figures."""

    @property
    def left(self) -> int | None:
        return None if self.expected is None or self.done is None else max(self.expected - self.done, 0)

    def changed(self, before: Glance | None) -> bool:
        """Whether there is something new to say."""
        return before is None or any(
            getattr(self, name) != getattr(before, name) for name in ("batch", "state", "done", "expected")
        )


def glance(diagnosis: Diagnosis, evidence: EvidenceSet, before: Sequence[Sample]) -> Glance:
    """What this look and the earlier ones say together; `before` are those of the same batch, oldest first."""
    batch, now = diagnosis.batch, evidence.now
    gaps = _gaps(evidence)
    if batch is None:
        return Glance(at=now, batch="", state=diagnosis.state, says=_says(diagnosis), not_seen=gaps)
    looks = (*before, *([Sample(now, batch.done)] if batch.done is not None else []))
    times = sorted(i.last for i in diagnosis.items if i.last and i.stage in BACK) or _returns(looks)
    newest = max(filter(None, (batch.last_progress, *times[-1:])), default=None)
    patience = timedelta(
        seconds=progress.patience_s(
            evidence.get(SubscriptionConfig, Leg.REQUEST), evidence.get(ReceiverCapacity, Leg.REQUEST)
        )
    )
    state, judge_at = _judged(diagnosis, evidence, looks, newest, patience)
    left = (batch.expected or 0) - (batch.done or 0)
    rate, done_by = drain(times, now, left, _slowest(evidence, batch, times))
    return Glance(
        at=now,
        batch=batch.id,
        state=state,
        done=batch.done,
        expected=batch.expected,
        stage=_most(diagnosis),
        per_minute=round(rate, 2) if rate else None,
        done_by=done_by if batch.expected is not None and state is State.RUNNING else None,
        newest_progress=newest,
        judge_at=judge_at if state is State.RUNNING else None,
        says=_stalled(now, newest, patience) if state is State.STALLED else _says(diagnosis),
        not_seen=gaps,
    )


def _most(diagnosis: Diagnosis) -> str:
    """Where most of the items are that are not done, as far as anything names them."""
    at = Counter(item.stage.value for item in diagnosis.items if item.where)
    return at.most_common(1)[0][0] if at else ""


def _gaps(evidence: EvidenceSet) -> tuple[str, ...]:
    """Why something was not read, each reason once. What nobody named is no gap."""
    unseen = [gap.says for gap in evidence.unseen() if gap.why not in (Why.NOT_CONFIGURED, Why.NOT_ASKED)]
    cut = [
        f"only part of it was read: {found.source.note or found.source.source}"
        for _, found in evidence.items()
        if isinstance(found, Evidence) and not found.source.complete
    ]
    return tuple(dict.fromkeys((*unseen, *cut)))


def _slowest(evidence: EvidenceSet, batch: Batch, times: Sequence[datetime]) -> timedelta:
    """The longest that an item of the batch took, from the worker's first word of it to its return; where no lines tell, what the first one
    took since the batch began."""
    lines = evidence.get(ItemMarks)
    began: dict[str, datetime] = {}
    took = [timedelta(0)]
    for mark in () if isinstance(lines, Unseen) else lines.marks:
        if mark.item and mark.batch in ("", batch.id) and (batch.started is None or mark.at >= batch.started):
            took.append(mark.at - began.setdefault(mark.item, mark.at))
    if not began and batch.started and times:
        return times[0] - batch.started
    return max(took)


def _judged(
    diagnosis: Diagnosis, evidence: EvidenceSet, looks: Sequence[Sample], newest: datetime | None, patience: timedelta
) -> tuple[State, datetime | None]:
    """(state, until when something must get further). Counts that rise between looks are progress, where no line tells."""
    due = diagnosis.forecast.ask_again_at
    if diagnosis.state not in (State.STALLED, State.UNKNOWN):
        return diagnosis.state, due
    counted = not isinstance(evidence.get(BatchStatus), Unseen)
    now, moved = evidence.now, newest
    if diagnosis.state is State.UNKNOWN and (not counted or not looks):
        return State.UNKNOWN, None
    if moved is None:
        moved = looks[0].at  # we saw the count stand still since then; what was before is not known
    due = moved + patience
    return (State.STALLED if now > due else State.RUNNING), due


def _returns(looks: Sequence[Sample]) -> list[datetime]:
    """A moment for each item by which the count rose, at the look that saw it."""
    return [later.at for earlier, later in pairwise(looks) for _ in range(max(later.done - earlier.done, 0))]


def _stalled(now: datetime, newest: datetime | None, patience: timedelta) -> str:
    since = f"nothing got further for {span((now - newest).total_seconds())}" if newest else "nothing got further"
    return f"{since}; one item may take {span(patience.total_seconds())}"


def _says(diagnosis: Diagnosis) -> str:
    told = [f.says for f in diagnosis.findings if f.code.startswith("progress.")]
    return told[-1] if told else diagnosis.headline.partition(": ")[2] or diagnosis.headline
