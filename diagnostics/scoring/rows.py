"""The ladder as it was expected: how far items came, where the rest is, and where the batch stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import UNSET

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Leg, Stage
from diagnostics.scoring.expect import Amount, Expected, Items
from diagnostics.scoring.known import BOTH, Place, place
from diagnostics.steps.finding import Row


def disagreements(expected: Expected, found: Diagnosis) -> Iterator[str]:
    for name, amount in expected.ladder.items():
        row = _row(name, found)
        if row is None or not _fits(amount, row):
            yield f"ladder.{name}: expected {amount_of(amount)}, found {_seen(row)}"
    for name, places in expected.where.items():
        yield from _where(name, places, _row(name, found))
    if expected.here is not UNSET:
        yield from _here(expected.here, found)


def differs(what: str, expected: object, found: object) -> Iterator[str]:
    if expected != found:
        yield f"{what}: expected {expected}, found {found}"


def holds(expected: Items, count: int) -> bool:
    low, high = expected if isinstance(expected, tuple) else (expected, expected)
    return low <= count <= high


def amount_of(amount: Amount) -> str:
    """An expected amount in words."""
    if amount is None:
        return "unknown"
    if isinstance(amount, bool):
        return "yes" if amount else "no"
    return f"{amount[0]} to {amount[1]}" if isinstance(amount, tuple) else str(amount)


def _row(name: str, found: Diagnosis) -> Row | None:
    meant = place(name)
    return next((row for row in found.ladder if meant and _at(meant, row.stage, row.leg)), None)


def _at(meant: Place, stage: Stage, leg: Leg | None) -> bool:
    """Without a leg, `delivered` is the request leg's; `returned` and what follows belong to any."""
    late = (Stage.RETURNED, Stage.RECORDED, Stage.CLOSED)
    if meant.leg:
        return stage is meant.stage and leg is meant.leg
    return stage is meant.stage and (leg is not Leg.COMPLETION or stage in late)


def _fits(amount: Amount, row: Row) -> bool:
    if amount is None:
        return row.seen_min is None and row.seen_max is None and row.reached is None
    if isinstance(amount, bool):
        return row.reached is amount
    if row.not_reached and row.seen_min is None:
        return holds(amount, 0)
    return (
        row.seen_min is not None
        and row.seen_max is not None
        and all(holds(amount, bound) for bound in (row.seen_min, row.seen_max))
    )


def _seen(row: Row | None) -> str:
    """What a row says, in words."""
    if row is None:
        return "no such row"
    if row.not_reached:
        return "not reached"
    if row.reached is not None:
        return "yes" if row.reached else "no"
    if row.seen_min == row.seen_max:
        return "unknown" if row.seen_min is None else str(row.seen_min)
    return f"{row.seen_min} to {row.seen_max}"


def _where(name: str, expected: Mapping[str, Items], row: Row | None) -> Iterator[str]:
    """The places are an exact set: what is somewhere else is wrong, too."""
    if row is None:
        yield f"where.{name}: found no such row"
        return
    for where, amount in expected.items():
        if not holds(amount, row.where.get(where, 0)):
            yield f"where.{name}.{where}: expected {amount_of(amount)}, found {row.where.get(where, 0)}"
    for elsewhere, count in row.where.items():
        if count and elsewhere not in expected:
            yield f"where.{name}.{elsewhere}: not expected, found {count}"


def right_here(expected: str | None, found: Diagnosis) -> bool:
    """Whether it stopped where it was expected to; None: nowhere."""
    meant = place(expected) if expected else None
    if found.here is None or meant is None:
        return found.here is None and expected is None
    return _at(meant, found.here, found.here_leg)


class Off(NamedTuple):
    """How far the numbers of a ladder are from those that were expected."""

    items: int
    """Of all rows whose number was expected: the least that would do."""
    off: int
    """Items between what the rows say and what would do, of those that give a number."""
    unsaid: int
    """Rows that give none."""


def off(ladder: Mapping[str, Amount], found: Diagnosis) -> Off:
    items = distance = unsaid = 0
    for name, amount in ladder.items():
        if amount is None or isinstance(amount, bool):
            continue
        low, high = amount if isinstance(amount, tuple) else (amount, amount)
        items += low
        row = _row(name, found)
        bounds = None if row is None else (0, 0) if row.not_reached else (row.seen_min, row.seen_max)
        if bounds is None or bounds[0] is None or bounds[1] is None:
            unsaid += 1
        else:
            distance += max(low - bounds[0], bounds[1] - high, 0)
    return Off(items, distance, unsaid)


def _here(expected: str | None, found: Diagnosis) -> Iterator[str]:
    if right_here(expected, found):
        return
    meant = place(expected) if expected else None
    if found.here is None:
        yield from differs("here", expected, None)
    else:
        with_leg = (found.here in BOTH and found.here_leg is Leg.COMPLETION) or (found.here_leg and meant and meant.leg)
        shown = f"{found.here_leg}.{found.here}" if with_leg else found.here.value
        yield f"here: expected {expected}, found {shown}"
