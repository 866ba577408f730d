"""Hold a diagnosis against what was expected. Every disagreement is one line: what was expected, what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis, Named
from diagnostics.evidence.model import Leg, Stage
from diagnostics.scoring.expect import Amount, Expected
from diagnostics.steps.finding import Row, Status


def disagreements(expected: Expected, found: Diagnosis) -> tuple[str, ...]:
    """All of them; empty when the diagnosis is as expected."""
    return (
        *_outcome(expected, found),
        *_causes(expected, found.causes),
        *_ladder(expected, found),
        *_findings(expected, found),
    )


def _outcome(expected: Expected, found: Diagnosis) -> Iterator[str]:
    yield from _differs("status", expected.status.value, found.status.value)
    if expected.exit_code is not None:
        yield from _differs("exit_code", expected.exit_code, int(found.exit_code))
    if expected.state is not None:
        yield from _differs("state", expected.state.value, found.state.value)
    if expected.finishes_alone is not UNSET:
        yield from _differs("finishes_alone", expected.finishes_alone, found.finishes_alone)
    if expected.here is not UNSET:
        here = _place(found.here, found.here_leg, "completion" in (expected.here or "")) if found.here else None
        yield from _differs("here", expected.here, here)
    if expected.suspect is not UNSET:
        first = f"{found.suspects[0].method} {found.suspects[0].resource}" if found.suspects else None
        yield from _differs("suspect", expected.suspect, first)


def _causes(expected: Expected, found: Sequence[Named]) -> Iterator[str]:
    by_role = {
        Role.BLOCKS: expected.blocks,
        Role.WORSENS: expected.worsens,
        Role.LATENT: expected.latent,
        Role.BENIGN: expected.benign,
    }
    for role, codes in by_role.items():
        for code in codes:
            if not any(c.role is role and _is(c, code) for c in found):
                yield f"{code}: expected to be named as {role.value}, found {_named(c for c in found if _is(c, code))}"
    for cause in found:
        if _among(cause, expected.never):
            yield f"{cause.code}: must not be named, found {_named([cause])}"
        elif cause.role is Role.BLOCKS and not _among(cause, expected.blocks):
            yield f"{cause.code}: not expected to block, found {_named([cause])}"
        elif cause.role in (Role.WORSENS, Role.LATENT) and not _among(cause, (*by_role[cause.role], *expected.allow)):
            yield f"{cause.code}: not expected, found {_named([cause])}"
        if expected.undetermined and cause.role is Role.BLOCKS and cause.confidence is Confidence.CONFIRMED:
            yield f"{cause.code}: the cause cannot be determined, found {_named([cause])}"
    for code, confidence in expected.confidence.items():
        held = {c.confidence for c in found if _is(c, code)}
        if held != {confidence}:
            yield f"{code}: expected {confidence.value}, found {_named(c for c in found if _is(c, code))}"


def _ladder(expected: Expected, found: Diagnosis) -> Iterator[str]:
    for name, amount in expected.ladder.items():
        leg_name, _, stage_name = name.rpartition(".")
        if stage_name not in set(Stage) or leg_name not in ("", *Leg):
            yield f"ladder.{name}: no such stage"
            continue
        rows = [r for r in found.ladder if r.stage.value == stage_name and (r.leg or "") in _legs(leg_name, stage_name)]
        if not rows:
            yield f"ladder.{name}: expected {_amount(amount)}, found no such row"
        elif not _holds(amount, rows[0]):
            yield f"ladder.{name}: expected {_amount(amount)}, found {_row(rows[0])}"


def _findings(expected: Expected, found: Diagnosis) -> Iterator[str]:
    stated = {f.code for f in found.findings if f.abnormal or f.status is Status.ADVICE}
    yield from (f"finding {code}: expected, not found" for code in expected.findings if code not in stated)
    yield from (f"finding {code}: must not be found" for code in expected.not_findings if code in stated)
    if expected.unexplained is not None:
        yield from _differs("unexplained", sorted(expected.unexplained), sorted({f.code for f in found.unexplained}))


def _legs(leg: str, stage: str) -> tuple[str, ...]:
    """Legs that a row of this name may carry. `delivered` is the request leg's; `returned` and what follows belong to any."""
    if leg:
        return (leg,)
    late = stage in (Stage.RETURNED, Stage.RECORDED, Stage.CLOSED)
    return ("", Leg.REQUEST, Leg.COMPLETION) if late else ("", Leg.REQUEST)


def _holds(amount: Amount, row: Row) -> bool:
    if amount is None:
        return row.seen_min is None and row.seen_max is None and row.reached is None
    if isinstance(amount, bool):
        return row.reached is amount
    low, high = amount if isinstance(amount, tuple) else (amount, amount)
    if row.not_reached and row.seen_min is None:
        return low == 0
    return row.seen_min is not None and row.seen_max is not None and low <= row.seen_min <= row.seen_max <= high


def _amount(amount: Amount) -> str:
    if amount is None:
        return "unknown"
    if isinstance(amount, bool):
        return "yes" if amount else "no"
    return f"{amount[0]} to {amount[1]}" if isinstance(amount, tuple) else str(amount)


def _row(row: Row) -> str:
    if row.not_reached:
        return "not reached"
    if row.reached is not None:
        return "yes" if row.reached else "no"
    if row.seen_min == row.seen_max:
        return "unknown" if row.seen_min is None else str(row.seen_min)
    return f"{row.seen_min} to {row.seen_max}"


def _differs(what: str, expected: object, found: object) -> Iterator[str]:
    if expected != found:
        yield f"{what}: expected {expected}, found {found}"


def _place(stage: Stage, leg: Leg | None, with_leg: bool) -> str:
    return f"{leg.value}.{stage.value}" if leg is Leg.COMPLETION and (with_leg or stage in _BOTH) else stage.value


_BOTH = (Stage.PUBLISHED, Stage.ROUTED, Stage.DELIVERED, Stage.PROCESSED)
"""Stages that both legs have, so that a name without a leg means the request leg's."""


def _is(cause: Named, code: str) -> bool:
    name, _, leg = code.partition("@")
    return cause.code == name and leg in ("", cause.leg or "")


def _among(cause: Named, codes: Iterable[str]) -> bool:
    return any(_is(cause, code) for code in codes)


def _named(causes: Iterable[Named]) -> str:
    return ", ".join(f"{c.role.value} ({c.confidence.value})" for c in causes) or "nowhere"
