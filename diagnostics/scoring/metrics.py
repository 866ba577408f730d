"""How right answers are over many scenarios, in the measures of the field: a pass or fail of each hides how it fails.

What is counted of one answer is a `Judged`; `Summary` adds them up. A cause that an expectation allows, and does not ask for, counts for
nothing. Causes that are benign are no part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import UNSET, Struct

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis, Named
from diagnostics.lab.unverified import Unverified
from diagnostics.scoring.expect import Expected
from diagnostics.scoring.roles import is_cause
from diagnostics.scoring.rows import off, right_here
from diagnostics.steps.finding import Status

GOOD = (Status.OK, Status.ADVICE, Status.IDLE)
BAD = (Status.WARNING, Status.FAULT)


class Judged(Struct, frozen=True, kw_only=True):
    """One answer against what was expected of it."""

    expected: int
    """Causes that had to be named as blocking or worsening; alternatives of which one is enough are one."""
    found: int
    """Causes that were named so, without those that may be."""
    right: int
    """Of the expected, named so."""
    exact: bool
    """Just the expected ones were named as blocking, and just the expected ones as worsening."""
    latent: bool
    """Just the expected ones were named as latent."""
    here: bool | None = None
    """Whether it stopped where it says; None: nothing was expected."""
    ladder_items: int = 0
    """Items of all rows whose number was expected."""
    ladder_off: int = 0
    """By how many items these rows are wrong. A row that gives no number is off by nothing."""
    ladder_unsaid: int = 0
    """Rows whose number was expected and not given."""
    false_alarm: bool = False
    """All is well, and the answer is a warning or a fault."""
    false_all_clear: bool = False
    """Something is wrong or not to be seen, and the answer is that all is well."""
    over_claims: tuple[str, ...] = ()
    """Causes called confirmed that nobody expected, or that cannot be told for sure."""
    honest: bool = True
    """Not exact, but no wrong cause is called confirmed, and the answer is not that all is well."""


class Noise(Struct, frozen=True, kw_only=True):
    """What the draw of one run kept from view or put in the way."""

    metric_gaps: float
    """Share of minutes in which a gauge has no point."""
    short_log_pages: float
    """Share of log reads that come in part."""
    uptime_checks: bool
    """Refused calls that have nothing to do with the batch."""
    items: int = 0
    """Of the largest batch; 0: there was none."""

    @classmethod
    def of(cls, draw: Unverified, items: int = 0) -> Noise:
        return cls(
            metric_gaps=draw.gap_share,
            short_log_pages=draw.short_log_pages,
            uptime_checks=draw.uptime_checks,
            items=items,
        )

    @property
    def gaps(self) -> bool:
        return bool(self.metric_gaps or self.short_log_pages)


def judge(expected: Expected, found: Diagnosis) -> Judged:
    held = {role: [c for c in found.causes if c.role is role] for role in Role}
    acting = (*held[Role.BLOCKS], *held[Role.WORSENS])
    asked = (*expected.blocks, *expected.worsens)
    either = bool(expected.one_of)
    met = either and any(_among(c, expected.one_of) for c in found.causes)
    right = sum(any(is_cause(c, code) for c in acting) for code in asked) + met
    counted = [c for c in acting if _among(c, asked) or not _may_be(expected, c)]
    claims = tuple(sorted({c.code for c in found.causes if _over_claimed(expected, c)}))
    items, distance, unsaid = off(expected.ladder, found)
    clear = expected.status not in GOOD and found.status in GOOD
    return Judged(
        expected=len(asked) + either,
        found=len(counted) + met,
        right=right,
        exact=all(_exact(expected, codes, held[role]) for role, codes in _asked(expected)) and met == either,
        latent=_exact(expected, expected.latent, held[Role.LATENT]),
        here=None if expected.here is UNSET else right_here(expected.here, found),
        ladder_items=items,
        ladder_off=distance,
        ladder_unsaid=unsaid,
        false_alarm=expected.status in GOOD and found.status in BAD,
        false_all_clear=clear,
        over_claims=claims,
        honest=not claims and not clear,
    )


def _asked(expected: Expected) -> Iterable[tuple[Role, tuple[str, ...]]]:
    return ((Role.BLOCKS, expected.blocks), (Role.WORSENS, expected.worsens))


def _exact(expected: Expected, codes: Sequence[str], named: Sequence[Named]) -> bool:
    every = all(any(is_cause(c, code) for c in named) for code in codes)
    return every and all(_among(c, codes) or _may_be(expected, c) for c in named)


def _may_be(expected: Expected, cause: Named) -> bool:
    """It is allowed in this role, and not asked for."""
    allowed = () if cause.role is Role.BLOCKS else expected.allow
    return _among(cause, (*allowed, *expected.one_of, *expected.not_confirmed))


def _over_claimed(expected: Expected, cause: Named) -> bool:
    if cause.confidence is not Confidence.CONFIRMED or cause.role is Role.BENIGN:
        return False
    if _among(cause, expected.not_confirmed) or (expected.undetermined and cause.role is Role.BLOCKS):
        return True
    named = (*expected.blocks, *expected.worsens, *expected.latent, *expected.benign, *expected.allow, *expected.one_of)
    return not _among(cause, named)


def _among(cause: Named, codes: Iterable[str]) -> bool:
    return any(is_cause(cause, code) for code in codes)


def summary(measured: Sequence[tuple[Judged, Noise]]) -> list[str]:
    """Many answers added up, as a person reads it: a measure a line."""
    seen = [judged for judged, _ in measured]
    whole = [judged.exact for judged, noise in measured if not noise.gaps]
    gaps = [judged.exact for judged, noise in measured if noise.gaps]
    here = [judged.here for judged in seen if judged.here is not None]
    right = sum(j.right for j in seen)
    missed = [j.honest for j in seen if not j.exact]
    return [
        f"noise         {_noise([noise for _, noise in measured])}",
        f"causes        precision {_share(right, sum(j.found for j in seen))}, "
        f"recall {_share(right, sum(j.expected for j in seen))}, of those that block or worsen",
        f"exact set     {_share(sum(whole), len(whole))} where all was served, {_share(sum(gaps), len(gaps))} with gaps; "
        f"latent causes {_share(sum(j.latent for j in seen), len(seen))}",
        f"not exact     {sum(missed)} that claim no more than they know, {len(missed) - sum(missed)} that do",
        f"stage         {_share(sum(here), len(here))}",
        f"ladder        {sum(j.ladder_off for j in seen)} of {sum(j.ladder_items for j in seen)} items off, "
        f"{sum(j.ladder_unsaid for j in seen)} numbers not given",
        f"false         {sum(j.false_alarm for j in seen)} alarms, {sum(j.false_all_clear for j in seen)} all-clears",
        f"over-claims   {_counted(claim for j in seen for claim in j.over_claims)}",
    ]


def _noise(noise: Sequence[Noise]) -> str:
    return (
        f"in {len(noise)} runs: gauges without a point {_each(n.metric_gaps for n in noise)}; "
        f"log reads in part {_each(n.short_log_pages for n in noise)}; "
        f"foreign refused calls in {sum(n.uptime_checks for n in noise)}" + _sizes([n.items for n in noise if n.items])
    )


def _sizes(items: Sequence[int]) -> str:
    return f"; largest batches of {min(items):,} to {max(items):,} items" if items else ""


def _each(shares: Iterable[float]) -> str:
    return ", ".join(f"{100 * share:.0f} % in {count}" for share, count in sorted(Counter(shares).items()))


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.1f} %)" if whole else "none to tell of"


def _counted(codes: Iterable[str]) -> str:
    counted = Counter(codes)
    told = ", ".join(f"{code} {count}" for code, count in counted.most_common())
    return f"{counted.total()}: {told}" if counted else "0"
