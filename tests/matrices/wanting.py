"""What is wrong with results, by the lab's tables: which causes hold of what was left within the days that were looked at.

Each has two sides: that it is there, without which it must not be told; and that it is there so plainly that it has to be told, by the
limits that the runbooks name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.matrices.left import Batch, Left, Row

MERGED_S = 600.0
"""A batch that was closed less long ago may still be merging its results."""
DUE_S = 6 * 3600.0
"""So long after the newest result something has to be made of it."""
ENOUGH, NEARLY_ALL = 20, 0.9
"""Of so many rows in force of a date one value fills a column, if so large a share has it."""
SOME = 0.5
"""The programs draw a confidence among hundreds: no good build gives so large a share of a date one and the same."""
NAMES_MODEL = re.compile(r"v9_\d{8}_\d{6}")
TRAINED = re.compile(r"_train(\d{4})(\d\d)(\d\d)-(\d{4})(\d\d)(\d\d)_")


class Window(NamedTuple):
    """First and last day that were looked at, as they are written."""

    since: str
    until: str


def in_force(left: Left, window: Window) -> dict[str, list[Row]]:
    """Rows in force of each date, the earliest first."""
    found: dict[str, list[Row]] = {}
    for row in sorted(left.rows, key=lambda row: row.date):
        if row.active and window.since <= row.date <= window.until:
            found.setdefault(row.date, []).append(row)
    return found


# --- what batches brought and the table has not ---------------------------------------------------------------------------


def lost(left: Left, batch: Batch) -> list[str]:
    """Items that the worker reported results of, and of which no row was written since the batch began. A later batch of the same date
    may have taken its place; one that was just closed may still bring them."""
    later = any(other.date == batch.date and other.started > batch.started for other in left.batches)
    if batch.closed is None or left.now - batch.closed < MERGED_S or later:
        return []
    there = {row.player for row in left.rows if row.date == batch.date and row.written >= batch.started}
    return [item for item in batch.brought if item not in there]


def _lost_in(left: Left, window: Window) -> bool:
    return any(lost(left, batch) for batch in left.batches if window.since <= batch.date <= window.until)


def _plainly_lost(left: Left, window: Window) -> bool:
    """Of the batch that was asked about, or all of a date: of others, what was given up is counted, too."""
    for batch in left.batches:
        none = not any(row.date == batch.date for row in left.rows)
        if window.since <= batch.date <= window.until and (batch.asked or none) and lost(left, batch):
            return True
    return False


# --- what is in force -----------------------------------------------------------------------------------------------------


def _superseded(left: Left, window: Window) -> bool:
    if any(row.superseded for rows in in_force(left, window).values() for row in rows):
        return True
    there = {(row.date, row.player) for row in left.rows if window.since <= row.date <= window.until}
    return bool(there - {(date, row.player) for date, rows in in_force(left, window).items() for row in rows})


def _one_value(share: float, enough: int) -> Callable[[Left, Window], bool]:
    def stands(left: Left, window: Window) -> bool:
        for rows in in_force(left, window).values():
            most = max(Counter(row.confidence for row in rows).values())
            if len(rows) >= enough and most >= share * len(rows):
                return True
        return False

    return stands


def _unnamed(left: Left, window: Window) -> bool:
    return any(not NAMES_MODEL.fullmatch(row.version) for rows in in_force(left, window).values() for row in rows)


def _lately_unnamed(left: Left, window: Window) -> bool:
    return any(not NAMES_MODEL.fullmatch(row.version) for row in _newest(left, window))


def _trained_on(left: Left, window: Window) -> bool:
    return any(_saw(row) for rows in in_force(left, window).values() for row in rows)


def _saw(row: Row) -> bool:
    range_ = TRAINED.search(row.file)
    if range_ is None:
        return False
    parts = range_.groups()
    return "-".join(parts[:3]) <= row.date <= "-".join(parts[3:])


def _nothing_made(left: Left, window: Window) -> bool:
    return any(
        date not in left.picked and left.now - max(row.written for row in rows) > DUE_S
        for date, rows in in_force(left, window).items()
    )


# --- models ---------------------------------------------------------------------------------------------------------------


def _newest(left: Left, window: Window) -> list[Row]:
    return next(iter(reversed(in_force(left, window).values())), [])


def _of_another(left: Left, window: Window) -> bool:
    return bool(left.production) and any(row.file != left.production for row in _newest(left, window))


def _another_is_told(left: Left, _: Window) -> bool:
    return bool(left.production) and left.told != left.production


def _not_heeded(left: Left, _: Window) -> bool:
    return bool(left.production) and left.told == left.production and left.loaded != left.production


def _of_another_alone(left: Left, window: Window) -> bool:
    """While what serves is right: else that is the cause."""
    serves = left.told == left.loaded == left.production
    return serves and _of_another(left, window)


STANDS: dict[str, Callable[[Left, Window], bool]] = {
    "results-missing": _lost_in,
    "writes-fail-behind-acks": _lost_in,
    "superseded-results-in-force": _superseded,
    "one-value-in-all-results": _one_value(SOME, 2),
    "results-of-an-unnamed-model": _unnamed,
    "results-for-training-dates": _trained_on,
    "downstream-not-made": _nothing_made,
    "wrong-model-configured": _another_is_told,
    "model-variable-ignored": _not_heeded,
    "results-of-another-model": _of_another,
}
"""Cause to whether it is there. What is not here nothing that happens to a batch can bring or take: what the places say of the models."""
PLAINLY: dict[str, Callable[[Left, Window], bool]] = {
    **STANDS,
    "results-missing": _plainly_lost,
    "writes-fail-behind-acks": _plainly_lost,
    "one-value-in-all-results": _one_value(NEARLY_ALL, ENOUGH),
    "results-of-another-model": _of_another_alone,
}
"""Cause to whether it has to be told."""
OF_DRIFT: dict[str, Callable[[Left, Window], bool]] = {"results-of-an-unnamed-model": _lately_unnamed}
"""The same where only the newest results are looked at."""

OF_FINDING = {
    "outcome.missing": "results-missing",
    "outcome.older": "results-missing",
    "outcome.short": "results-missing",
    "outcome.not_stored": "writes-fail-behind-acks",
    "outcome.superseded_active": "superseded-results-in-force",
    "outcome.none_active": "superseded-results-in-force",
    "outcome.one_value": "one-value-in-all-results",
    "outcome.unnamed_model": "results-of-an-unnamed-model",
    "outcome.trained_on": "results-for-training-dates",
    "outcome.downstream": "downstream-not-made",
    "model_drift.contradicts": "manifest-contradicts-itself",
    "model_drift.registry_differs": "model-records-behind-manifest",
    "model_drift.document_differs": "model-records-behind-manifest",
    "model_drift.variable_differs": "wrong-model-configured",
    "model_drift.variable_ignored": "model-variable-ignored",
    "model_drift.rows_of_another": "results-of-another-model",
    "model_drift.rows_unnamed": "results-of-an-unnamed-model",
}
"""Finding to the cause that it is of."""


_NOT_COUNTED = frozenset({"outcome.pending", "outcome.untold", "outcome.uncounted", "outcome.unread"})
COULD_NOT_TELL = {
    "results-missing": _NOT_COUNTED,
    "writes-fail-behind-acks": _NOT_COUNTED,
    "downstream-not-made": frozenset({"outcome.downstream_hidden"}),
    "wrong-model-configured": frozenset({"model_drift.hidden"}),
    "model-variable-ignored": frozenset({"model_drift.hidden", "model_drift.loaded_untold"}),
    "results-of-another-model": frozenset({"model_drift.hidden", "model_drift.rows_untold"}),
}
"""Where the evidence does not tell of a cause: the findings that say so, as unknown."""


def stands(code: str, own: tuple[str, ...], left: Left, window: Window) -> bool:
    """Whether the cause is there. `own`: those of the scenario, which nothing that happens to a batch takes away."""
    return STANDS[code](left, window) if code in STANDS else code in own


def plainly(own: tuple[str, ...], drift: bool, left: Left, window: Window) -> Iterator[str]:
    """Those of the scenario's causes that have to be told. `drift`: only the newest results are looked at."""
    table = {**PLAINLY, **(OF_DRIFT if drift else {})}
    yield from (code for code in own if code not in table or table[code](left, window))
