"""A cause is said with the pipeline's own names, and in one sentence with the value that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.match import Match
from diagnostics.conclude.clauses import LONGEST, Clauses, Names, clause
from diagnostics.evidence.model import EvidenceSet, Leg, Stage
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ServiceProfile
from diagnostics.steps.finding import Finding, Status
from diagnostics.steps.push_auth import tokens
from diagnostics.steps.tells import Mended

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PROFILE = PipelineProfile(
    name="p",
    project="proj",
    request=LegProfile(subscription="work-sub", topic="work"),
    completion=LegProfile(subscription="back-sub", topic="back"),
    coordinator=ServiceProfile(service="boss"),
    worker=ServiceProfile(service="hand"),
)
CLAUSES = Clauses(PROFILE, EvidenceSet({}, NOW, timedelta(days=7), NOW - timedelta(hours=1)))
WRONG = (
    "audience https://old.example is neither a URL of hand (https://hand.example) nor a custom audience of that service"
)


def _match(code: str, leg: Leg, *because: Finding, over: bool = False) -> Match:
    return Match(next(c for c in CATALOGUE if c.code == code), leg, because, settled=True, over=over)


def _audience(says: str, until: datetime | None = None) -> Finding:
    return tokens.AUDIENCE.says(Status.FAULT, says, tells=Mended(), leg=Leg.REQUEST, until=until)


@pytest.mark.parametrize(
    ("code", "leg", "says"),
    [
        ("push-invoker-missing", Leg.REQUEST, "the push service account lacks roles/run.invoker on hand"),
        ("push-invoker-missing", Leg.COMPLETION, "the push service account lacks roles/run.invoker on boss"),
        (
            "subscription-deleted",
            Leg.REQUEST,
            "somebody deleted subscription work-sub, and what is published while it is away is lost",
        ),
        (
            "no-subscription-on-topic",
            Leg.COMPLETION,
            "topic back has no subscription that pushes to boss, so what is published is lost",
        ),
    ],
)
def test_the_parts_of_the_leg_are_named(code: str, leg: Leg, says: str) -> None:
    assert CLAUSES.of(_match(code, leg)) == says


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("completion-contention", "reader fails to record pages, since others write the same record at that moment: x"),
        (
            "closing-rule-needs-an-event",
            "3 are done, 2 are enough, and the batch is open: its closing rule runs only when another page comes",
        ),
        ("publish-failing", "Pub/Sub refused what the coordinator published"),
    ],
)
def test_where_nothing_comes_back_the_worker_counts_its_items(code: str, says: str) -> None:
    """A function behind a trigger counts in a document: there is no coordinator and no completion."""
    alone = PipelineProfile(
        name="p",
        project="proj",
        item="page",
        request=LegProfile(subscription="s"),
        worker=ServiceProfile(service="reader"),
    )
    clauses = Clauses(alone, EvidenceSet({}, NOW, timedelta(days=7), NOW - timedelta(hours=1)))
    told = Finding(
        code="t", stage=Stage.RECORDED, title="t", leg=None, status=Status.FAULT, says="s",
        numbers={"done": 3, "enough": 2}, words={"reason": "x"},
    )  # fmt: skip
    assert clauses.of(_match(code, Leg.COMPLETION, told)) == says


def test_a_part_without_a_name_stays_what_it_is() -> None:
    assert clause(_match("service-gone", Leg.REQUEST)).startswith("the service does not exist")


def test_a_name_cannot_ask_for_what_was_found() -> None:
    assert Names(receiver="{x}").put_into("the service answers {status}").format_map({"status": "9"}) == "{x} answers 9"


def test_the_value_that_is_wrong_stands_alone_where_the_clause_has_none() -> None:
    match = _match("push-audience-mismatch", Leg.REQUEST, _audience(WRONG))
    assert (CLAUSES.alone(match), CLAUSES.of(match)) == (
        WRONG,
        "the audience in the push configuration is neither a URL of hand nor a custom audience",
    )


def test_what_happens_to_messages_says_of_which_subscription_where_nothing_is_named() -> None:
    match = _match("poison-retry-storm", Leg.REQUEST)
    assert CLAUSES.alone(match) == f"subscription work-sub: {CLAUSES.of(match)}"
    assert CLAUSES.alone(_match("done", Leg.REQUEST)) == CLAUSES.of(_match("done", Leg.REQUEST))


@pytest.mark.parametrize(
    "because",
    [
        (),
        (_audience(WRONG), _audience(f"{WRONG}, too")),
        (_audience(WRONG, until=NOW),),
        (_audience("x" * (LONGEST + 1)),),
        (_audience("wrong"),),
    ],
    ids=["none", "two", "over", "too long", "says less"],
)
def test_else_the_clause_stands_alone(because: tuple[Finding, ...]) -> None:
    match = _match("push-audience-mismatch", Leg.REQUEST, *because)
    assert CLAUSES.alone(match) == CLAUSES.of(match)
