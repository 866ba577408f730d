"""What the coordinator counted in and never sent is told beside what Pub/Sub refused of the rest."""

from __future__ import annotations

from msgspec import structs

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import Role
from diagnostics.causes.verdict import Live, decide
from diagnostics.evidence.model import BatchMarks, BatchStatus, Evidence, Leg, Means, PublishCounts
from diagnostics.steps.closed import closed
from diagnostics.steps.published import published
from diagnostics.steps.published.topic import topic
from tests.steps.built import BEGAN, SOURCE, Legged, ago, findings, mark, series

REFUSED = (
    ("PublishCounts", Leg.REQUEST),
    PublishCounts(
        source=SOURCE,
        messages=(),
        requests=(series({38: 77}, response_class="invalid", response_code="permission_denied"),),
    ),
)


def named(failed: int, *more: Legged, forced: str = "") -> dict[str, Live]:
    """Of 84 items none was published and so many failed, by the coordinator's count."""
    errors = [mark(Means.PUBLISH_ERROR, BEGAN - 0.1, f"i{n}", reason="403 not authorized") for n in range(failed)]
    made = (mark(Means.RECEIVED, BEGAN, batch=""), mark(Means.CREATED, BEGAN, expected=84))
    marks = BatchMarks(
        source=SOURCE, marks=(*made, *errors, mark(Means.PUBLISHED, BEGAN - 0.5, count=0, of=84, failed=failed))
    )
    state = BatchStatus(source=SOURCE, batch="B", exists=True, expected=84, completed=0, closed=bool(forced))
    seen: tuple[Evidence | Legged, ...] = (marks, structs.replace(state, forced=forced), *more)
    told = [finding for step in (published, topic, closed) for finding in findings(step, *seen)]
    return {live.match.cause.code: live for live in decide(CATALOGUE, told, tuple(Leg)).live}


def test_what_was_never_sent_is_named_beside_what_was_refused_and_counted_as_failed() -> None:
    both = named(77, REFUSED)
    assert [(code, live.role, live.held) for code, live in both.items()] == [
        ("publisher-role-missing", Role.BLOCKS, 77),
        ("expects-what-nobody-sends", Role.BLOCKS, 7),
    ]
    assert both["expects-what-nobody-sends"].match.onset == ago(BEGAN - 0.5)


def test_where_the_coordinator_counts_no_failure_the_rest_may_be_what_was_refused() -> None:
    assert "expects-what-nobody-sends" not in named(0, REFUSED)
    assert "expects-what-nobody-sends" in named(0)


def test_a_batch_that_was_closed_without_its_work_had_left_them_out_all_the_same() -> None:
    assert "expects-what-nobody-sends" in named(77, REFUSED, forced="EXPIRED")
