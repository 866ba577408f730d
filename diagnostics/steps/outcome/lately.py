"""What came of the newest date that has results, whatever batch made them: no batch needs to be named for that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from diagnostics.evidence.model import DownstreamRows, ResultRows, Unseen, Why
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.outcome import NAMED, UNNAMED, of_dates
from diagnostics.steps.outcome.of_batch import UNREAD
from diagnostics.steps.tells import Hidden


def lately(
    profile: PipelineProfile,
    results: ResultRows | Unseen,
    downstream: DownstreamRows | Unseen,
    ask: Ask,
    now: datetime,
) -> Iterator[Finding]:
    """Older dates may be as they were left on purpose. What was written before a deploy says nothing of it."""
    if profile.results is None:
        return
    if isinstance(results, Unseen):
        if results.why is not Why.NOT_ASKED:
            yield UNREAD.says(
                Status.UNKNOWN,
                f"what is in {profile.results.table} was not seen: {results.says}",
                rests_on=("ResultRows",),
                tells=Hidden.of(results),
            )
        return
    day = next((d for d in reversed(results.days) if d.rows), None)
    since = ask.deploy.at if ask.deploy else None
    if day is None or (since and (day.last is None or day.last < since)):
        return
    newest = replace(results, since=day.day, until=day.day, days=(day,))
    said = of_dates(newest, downstream, profile, None, now)
    by_model = (UNNAMED.name, NAMED.name) if profile.model else ()  # `model_drift` says which model they are of
    yield from (finding for finding in said if finding.code not in by_model)
