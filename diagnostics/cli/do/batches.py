"""What `pubsub-diag batches` does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from diagnostics.cli.frame import keeping, opening, output, replaying, times
from diagnostics.cli.frame.options import Asked, Format
from diagnostics.cli.frame.others import Others
from diagnostics.conclude.diagnosis import Exit
from diagnostics.conclude.say import WOULD_SAY
from diagnostics.evidence.model import (
    BatchMarks,
    Evidence,
    EvidenceSet,
    ItemMarks,
    OpenBatches,
    StartCalls,
    Unseen,
    Why,
)
from diagnostics.question.ask import LOOKBACK, Ask
from diagnostics.readings.ledger.attempts import Attempt, attempts
from diagnostics.report import batches
from diagnostics.report.escape import clean
from diagnostics.run.look import see


def answer(asked: Asked) -> int:
    """List the attempts of the look-back. Exit code 3 when the lines that name batches could not be read, or nothing was found."""
    seen = _kept(asked.bundle, asked.quiet, asked.profile) if asked.bundle else _look(asked)
    found = listed(seen)
    for says in found.unseen:
        output.tell(says)
    if asked.output is Format.JSON:
        output.answer(batches.render_json(found) + "\n", asked.out)
    elif found.batches:
        output.answer(batches.render(found, output.page(to_file=asked.out is not None)), asked.out)
    any_start = bool(_attempts(seen))
    if not any_start:
        days = seen.lookback / timedelta(days=1)
        if found.unseen:
            output.tell(f"whether there was a start attempt in the last {days:g} days is not known")
        else:
            output.tell(
                f"no start attempt was seen in the last {days:g} days; `pubsub-diag profile test` checks the log markers"
            )
    lines = not isinstance(seen.get(BatchMarks), Unseen)
    return int(Exit.OK if any_start and lines else Exit.UNKNOWN)


def look(asked: Asked) -> batches.Listing:
    """The attempts of the look-back, as Google Cloud tells of them now."""
    return listed(_look(asked))


def _attempts(seen: EvidenceSet) -> Sequence[Attempt]:
    marks, calls = seen.get(BatchMarks), seen.get(StartCalls)
    return attempts(() if isinstance(marks, Unseen) else marks.marks, () if isinstance(calls, Unseen) else calls.calls)


def listed(seen: EvidenceSet) -> batches.Listing:
    """The attempts that this evidence tells of, with what of it could not be seen."""
    marks, calls, items = seen.get(BatchMarks), seen.get(StartCalls), seen.get(ItemMarks)
    unseen = tuple(_unseen(of) for of in (marks, calls, items) if isinstance(of, Unseen) or not of.source.complete)
    kept = seen.get(OpenBatches)
    if isinstance(kept, OpenBatches) or kept.why is not Why.NOT_ASKED:
        unseen += (_unseen(kept),) if isinstance(kept, Unseen) or not kept.source.complete else ()
    lines = not isinstance(marks, Unseen)
    still = () if isinstance(kept, Unseen) else kept.batches
    known = None if isinstance(items, Unseen) else items
    return batches.listing(_attempts(seen), known, seen.now, lines=lines, unseen=unseen, kept=still)


def _unseen(of: Evidence | Unseen) -> str:
    what = WOULD_SAY.get(of.what if isinstance(of, Unseen) else type(of).__name__, "")
    if isinstance(of, Unseen):
        return clean(f"not seen: {what}: {of.says}{f'; {of.mend}' if of.mend else ''}")
    return clean(f"seen in part: {what}: {of.source.note}")


def _kept(named: str, quiet: bool, profile: str | None) -> EvidenceSet:
    bundle = replaying.opened(named, Others(profile, quiet))
    replaying.tell(bundle, quiet)
    return bundle.case.evidence


def _look(asked: Asked) -> EvidenceSet:
    """Read both logs, and keep what was seen."""
    since = times.parse(asked.since, "--since") if asked.since else None
    until = times.parse(asked.until, "--until") if asked.until else None
    session, profile = opening.opened(asked)
    begin, end = times.window(since, until, session.now)
    output.tell(f"reading {profile.project}, at most {asked.timeout:g} s", asked.quiet)
    lookback = (end or session.now) - begin if begin else LOOKBACK
    case = see(
        session,
        profile,
        "batches",
        Ask(until=end, lookback=lookback),
        kinds=(BatchMarks, StartCalls, ItemMarks, OpenBatches),
    )
    keeping.keep(case, None, asked.quiet)
    return case.evidence
