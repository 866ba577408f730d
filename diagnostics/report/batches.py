"""Recent start attempts as a table: which came to a batch, how far it is, how old it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct, structs

from diagnostics.evidence.model import BatchStatus, ItemMarks, Means, items_of
from diagnostics.readings.ledger import Attempt
from diagnostics.report.json import pretty
from diagnostics.report.layout import Layout, age, clock


class Listed(Struct, frozen=True, kw_only=True):
    """One start attempt."""

    id: str
    """Empty: the attempt made no batch."""
    started: datetime | None
    """None: no line of the log that was read tells; the batch is known by its state alone."""
    age_s: int | None
    state: str
    """open, closed, forced, empty, refused, failed, or unknown where the lines that tell could not be read."""
    expected: int | None = None
    done: int | None = None
    """None: not known."""
    says: str = ""


class Listing(Struct, frozen=True, kw_only=True):
    as_of: datetime
    batches: tuple[Listed, ...]
    unseen: tuple[str, ...] = ()
    """What could not be seen, or in part only."""


def listing(
    attempts: Sequence[Attempt],
    items: ItemMarks | None,
    now: datetime,
    *,
    lines: bool = True,
    unseen: tuple[str, ...] = (),
    kept: Sequence[BatchStatus] = (),
) -> Listing:
    """The attempts, newest first, and after them batches that only their state tells of. `lines`: whether the lines that tell what came
    of them could be read; `kept`: batches whose state is kept as open."""
    newest_first = sorted(attempts, key=lambda a: a.started, reverse=True)
    still = {status.batch: status for status in kept}
    listed = [_with(_listed(a, items, now, lines), still.pop(a.batch, None)) for a in newest_first]
    return Listing(as_of=now, batches=(*listed, *(_of_state(s, now) for s in still.values())), unseen=unseen)


def _with(listed: Listed, kept: BatchStatus | None) -> Listed:
    """The attempt with what its state counts, where the log has it open, too."""
    if kept is None or listed.state != "open":
        return listed
    done = listed.done if kept.completed is None else kept.completed
    return structs.replace(listed, expected=listed.expected or kept.expected, done=done)


def _of_state(kept: BatchStatus, now: datetime) -> Listed:
    written = f"last written {age(now - kept.updated)} ago" if kept.updated else ""
    return Listed(
        id=kept.batch,
        started=None,
        age_s=None,
        state="open",
        expected=kept.expected,
        done=kept.completed,
        says="; ".join(filter(None, ("known by its state alone", written))),
    )


def render_json(listed: Listing) -> str:
    return pretty(msgspec.json.encode(listed))


def render(listed: Listing, layout: Layout) -> str:
    rows = [
        [
            b.id or "-",
            clock(b.started, listed.as_of) if b.started else "-",
            f"{'?' if b.done is None else b.done}/{'?' if b.expected is None else b.expected}" if b.id else "-",
            b.state,
            age(listed.as_of - b.started) if b.started else "-",
            b.says,
        ]
        for b in listed.batches
    ]
    head = ["batch", "started", "done", "state", "age", ""]
    table = layout.table(head, rows, right=[2, 4])
    if not layout.fits(table):  # when it was started tells its age
        table = layout.listing([*head[:4], head[5]], [[*row[:4], row[5]] for row in rows], right=[2])
    return table + "\n"


def _listed(attempt: Attempt, items: ItemMarks | None, now: datetime, lines: bool) -> Listed:
    state, says = _state(attempt, lines)
    return Listed(
        id=attempt.batch,
        started=attempt.started,
        age_s=int((now - attempt.started).total_seconds()),
        state=state,
        expected=attempt.created.numbers.get("expected") if attempt.created else None,
        done=_done(attempt, items),
        says=says,
    )


def _state(attempt: Attempt, lines: bool) -> tuple[str, str]:
    """(state, what more there is to say)."""
    if attempt.forced:
        return "forced", "closed or reset by hand or by age"
    if attempt.closed:
        return "closed", f"it took {age(attempt.closed.at - attempt.started)}"
    if attempt.empty:
        return "empty", attempt.empty.words.get("reason", "")
    if attempt.refused:
        blocker = attempt.refused.words.get("blocker")
        return "refused", f"{blocker} is in the way" if blocker else attempt.refused.words.get("reason", "")
    if attempt.batch:
        return "open", ""
    if attempt.call:
        state = "failed" if attempt.call.status >= 300 else "no batch" if lines else "unknown"
        return state, f"the start call was answered {attempt.call.status}"
    return "failed", "no batch came of it"


def _done(attempt: Attempt, items: ItemMarks | None) -> int | None:
    """Items done: as the closing line counts them, else those whose completions were logged, if the log is read that far back."""
    if attempt.closed and "count" in attempt.closed.numbers:
        return attempt.closed.numbers["count"]
    if items is None or not attempt.batch or attempt.started < items.since or not items.source.complete:
        return None
    back = (Means.RETURNED_ITEM, Means.RECORDED_ITEM)
    return items_of(m for m in items.marks if m.means in back and m.batch == attempt.batch)
