"""Refusals of the topic apart by answer: a quota owns what was put off for want of it, and a missing right what it refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from diagnostics.evidence.model import (
    BatchMarks,
    BatchStatus,
    Evidence,
    Leg,
    Mark,
    Means,
    PublishCounts,
    QuotaExceeded,
    Series,
)
from diagnostics.steps import published
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.published import published as published_step
from diagnostics.steps.published import topic
from diagnostics.steps.published.topic import topic as step
from tests.steps.built import BEGAN, SOURCE, Legged, ago, batch, findings, mark, of, one, series


def counts(**codes: dict[float, float]) -> Legged:
    refused = tuple(series(points, response_class="invalid", response_code=code) for code, points in codes.items())
    return ("PublishCounts", Leg.REQUEST), PublishCounts(source=SOURCE, messages=(), requests=refused)


def quota(*minutes: float) -> Evidence:
    exceeded: tuple[Series, ...] = (series(dict.fromkeys(minutes, 1.0), quota_metric="publisher"),)
    return QuotaExceeded(source=SOURCE, series=exceeded)


def errors(reason: str, first: int, number: int) -> list[Mark]:
    return [mark(Means.PUBLISH_ERROR, BEGAN - 0.1, f"i{n}", reason=reason) for n in range(first, first + number)]


DENIED = errors("403 User not authorized to perform this action.", 0, 60)
BOTH = [*DENIED[:55], *errors("504 Timeout", 55, 5)]


def test_two_answers_are_two_findings_each_with_its_own_number() -> None:
    told = findings(
        step,
        batch(60, 0, *BOTH),
        counts(permission_denied={38: 165}, resource_exhausted={39: 15}),
        quota(39, 38),
    )
    refused, put_off, exceeded = one(topic.REFUSED, told), one(topic.DEFERRED, told), one(topic.QUOTA, told)
    assert (refused.held, refused.numbers["refused"], refused.words["code"]) == (55, 165, "permission_denied")
    assert (put_off.held, put_off.numbers["refused"]) == (5, 15)
    assert (exceeded.held, exceeded.bears) == (5, Bears.HOLDS)


def test_a_quota_of_earlier_that_cost_nothing_is_past() -> None:
    told = findings(step, batch(60, 0, *DENIED), counts(permission_denied={38: 180}), quota(39, 38))
    exceeded = one(topic.QUOTA, told)
    assert (exceeded.status, exceeded.held, exceeded.until) == (Status.OK, 0, ago(38))
    assert one(topic.REFUSED, told).held == 60


def test_a_quota_that_is_exceeded_now_is_a_fault_though_nothing_tells_of_items() -> None:
    exceeded = one(topic.QUOTA, findings(step, batch(60, 60), counts(), quota(2, 1)))
    assert (exceeded.status, exceeded.bears) == (Status.FAULT, Bears.APART)


def test_without_lines_the_only_answer_has_all_that_is_missing() -> None:
    told = findings(step, batch(60, 0), counts(not_found={39: 60}))
    assert one(topic.REFUSED, told).held == 60


def test_refusals_of_others_that_are_over_are_past() -> None:
    past = one(topic.REFUSED, findings(step, batch(60), counts(permission_denied={20: 4})))
    assert (past.status, past.held, past.until) == (Status.OK, 0, ago(20))


def lost(*lines: Mark) -> list[Finding]:
    return findings(published_step, batch(60, 60 - len(lines), *lines))


def state(expected: int) -> Evidence:
    return BatchStatus(source=SOURCE, batch="B", exists=True, expected=expected, completed=0, closed=False)


@pytest.mark.parametrize(("expected", "holds"), [(60, True), (57, True), (55, False)])
def test_what_was_refused_holds_nothing_once_the_batch_is_lowered_to_what_was_published(
    expected: int, holds: bool
) -> None:
    refused = DENIED[:5]
    told = [
        one(published.ERRORS, findings(published_step, batch(60, 55, *refused), state(expected))),
        one(
            topic.REFUSED,
            findings(step, batch(60, 55, *refused), state(expected), counts(permission_denied={38: 15}), quota()),
        ),
    ]
    assert {(f.bears, f.held) for f in told} == {(Bears.HOLDS, 5) if holds else (Bears.SLOWS, 0)}
    assert ("was lowered to 55 and does not wait for them" in told[0].says) is not holds


def test_the_coordinators_errors_are_apart_too() -> None:
    told = lost(*BOTH)
    refused, gave_up = one(published.ERRORS, told), one(published.GAVE_UP, told)
    assert (refused.held, refused.numbers["answered"]) == (55, 55)
    assert (gave_up.held, gave_up.numbers["answered"]) == (5, 0)
    assert refused.since == ago(BEGAN) + timedelta(seconds=6)


def test_a_line_that_does_not_tell_why_is_an_error_without_an_answer() -> None:
    told = lost(*errors("something went wrong", 0, 3))
    assert one(published.ERRORS, told).numbers["answered"] == 0
    assert of(published.GAVE_UP, told) == []


def test_a_quota_that_cost_items_is_told_though_the_batch_was_lowered_by_them() -> None:
    given_up = errors("504 Timeout", 0, 5)
    marks = batch(60, 55, *given_up)
    lowered = BatchStatus(source=SOURCE, batch="B", exists=True, expected=55)
    told = findings(step, marks, lowered, counts(resource_exhausted={39: 15}), quota(39))
    exceeded = one(topic.QUOTA, told)
    assert (exceeded.status, exceeded.bears, exceeded.held) == (Status.WARNING, Bears.SLOWS, 0)
    assert exceeded.until is not None


def test_a_quota_holds_nothing_where_nothing_was_refused() -> None:
    marks = (mark(Means.RECEIVED, BEGAN, batch=""), mark(Means.CREATED, BEGAN, expected=60))
    begun = BatchMarks(source=SOURCE, marks=marks)
    exceeded = one(topic.QUOTA, findings(step, begun, counts(), quota(39)))
    assert (exceeded.status, exceeded.held) == (Status.OK, 0)
    refused = one(topic.QUOTA, findings(step, batch(60, 0), counts(resource_exhausted={39: 60}), quota(39)))
    assert (refused.status, refused.held) == (Status.FAULT, 60)
