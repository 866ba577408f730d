"""Changes of the time before the look-back are read where no batch in it is known to have been good, and only there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.evidence.model import BatchMarks, Mark, Means, Provenance, Unseen, Why
from diagnostics.sources.audit import _may_have_begun_before

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)


def marks(*told: tuple[Means, float, str], complete: bool = True) -> BatchMarks:
    """Means, hours ago, batch."""
    source = Provenance(source="log", fetched_at=NOW, as_of=NOW, complete=complete)
    return BatchMarks(
        source=source,
        marks=tuple(Mark(means=m, at=NOW - timedelta(hours=h), service="c", batch=b) for m, h, b in told),
    )


GOOD = ((Means.CREATED, 26, "A"), (Means.CLOSED, 25, "A"))
NOW_OPEN = (Means.CREATED, 1, "B")


@pytest.mark.parametrize(
    ("seen", "before"),
    [
        (marks(*GOOD, NOW_OPEN), False),
        (marks(NOW_OPEN), True),
        (marks(), True),
        (marks((Means.CREATED, 26, "A"), NOW_OPEN), True),  # it was never closed
        (marks(NOW_OPEN, (Means.CLOSED, 0.5, "B")), False),  # nothing went wrong with it
        (marks((Means.CREATED, 26, "A"), (Means.FORCED, 25, "A"), NOW_OPEN), True),  # closed by hand is not good
        (marks(NOW_OPEN, complete=False), False),  # a good one may be in what was not read
        (Unseen(what="BatchMarks", why=Why.NOT_CONFIGURED, says="no markers"), True),
        (Unseen(what="BatchMarks", why=Why.NOT_ASKED, says="nothing else asks for it"), False),
        (Unseen(what="BatchMarks", why=Why.PERMISSION_DENIED, says="no"), False),
    ],
)
def test_when_it_may_have_begun_before_the_look_back(seen: BatchMarks | Unseen, before: bool) -> None:
    assert _may_have_begun_before(seen) is before
