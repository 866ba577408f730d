"""What came of the batch that was asked about, once it is closed: a second look, which costs `batch` no answer where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from diagnostics.evidence.model import DownstreamRows, ItemMarks, ResultRows, Stage, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import subjects
from diagnostics.steps.finding import Bears, Finding, Status, Telling
from diagnostics.steps.outcome import of_dates, rows
from diagnostics.steps.outcome.claims import claim_to_check, kept, redone, redone_by
from diagnostics.steps.tells import Hidden

UNREAD = Telling("outcome.unread", Stage.CLOSED, "whether its results are there was not seen", tells=Hidden)


def of_batch(
    ledger: Ledger,
    profile: PipelineProfile,
    results: ResultRows | Unseen,
    downstream: DownstreamRows | Unseen,
    lines: ItemMarks | Unseen,
    now: datetime,
) -> Iterator[Finding]:
    """Reads the rows of the batch's own date. Where a later batch did it again, they say nothing of this one."""
    claim = claim_to_check(ledger, lines, now)
    if profile.results is None or claim is None:
        return
    if isinstance(results, Unseen):
        if results.why is not Why.NOT_ASKED:
            yield UNREAD.says(
                Status.UNKNOWN,
                f"whether the results of {claim.batch} are in {profile.results.table} was not seen: {results.says}",
                subject=subjects.batch(claim.batch),
                rests_on=("ResultRows",),
                tells=Hidden.of(results),
            )
        return
    if not results.since <= claim.day <= results.until:
        return
    day = tuple(d for d in results.days if d.day == claim.day)
    own = replace(results, since=claim.day, until=claim.day, days=day)
    yield rows(own)
    later = redone_by(ledger, claim)
    yield from [redone(claim, later, results.table)] if later else map(_of_done, kept(claim, own, profile, now))
    yield from of_dates(own, downstream, profile, None if later else claim.day, now)


def _of_done(finding: Finding) -> Finding:
    """That the batch is done stands: what it did not leave holds none of its items, and is the fault that `outcome` calls it."""
    if finding.status is not Status.FAULT:
        return finding
    return replace(finding, status=Status.WARNING, bears=Bears.SLOWS, held=0)
