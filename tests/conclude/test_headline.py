"""The first line says what the answer rests on: of an answer that is unknown, what was left open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from diagnostics.causes.attribute import Share
from diagnostics.causes.match import Match
from diagnostics.causes.model import Cause, Confidence, Has, Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude.clauses import Clauses
from diagnostics.conclude.diagnosis import Diagnosis, Header, State
from diagnostics.conclude.headline import Headline
from diagnostics.conclude.outlook import Outlook
from diagnostics.conclude.say import Teller
from diagnostics.evidence.model import (
    Backlog,
    BatchMarks,
    BatchStatus,
    EvidenceSet,
    ItemMarks,
    Leg,
    Mark,
    Means,
    Point,
    Provenance,
    PushCounts,
    Series,
    Stage,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import LegProfile, Marker, PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.readings.ledger import Attempt, Ledger
from diagnostics.run.investigate import Case, investigate
from diagnostics.steps import dead_letter
from diagnostics.steps.delivered import push_answers, what_waits
from diagnostics.steps.finding import AnyCode, Bears, Finding, Status
from diagnostics.steps.processed import error_answers, failing_items

NOW = datetime(2026, 2, 8, 14, 20, tzinfo=UTC)
START = NOW - timedelta(minutes=3)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
CUT = replace(SOURCE, complete=False, note="the log was read back to 14:15Z")
PROFILE = PipelineProfile(
    name="work",
    project="p",
    request=LegProfile(subscription="work"),
    markers=tuple(Marker(means=m, contains=m.value) for m in Means),
)


def answer(marks: Provenance) -> Diagnosis:
    """Of a batch of which two of four items are done, a minute ago."""
    created = Mark(means=Means.CREATED, at=START, service="s", batch="B", numbers={"expected": 4})
    done = tuple(
        Mark(means=Means.DONE_ITEM, at=NOW - timedelta(minutes=1), service="s", batch="B", item=item) for item in "ab"
    )
    seen = (
        BatchMarks(source=marks, marks=(created,)),
        ItemMarks(source=SOURCE, since=START, marks=done),
        BatchStatus(source=SOURCE, batch="B", exists=True, expected=4, completed=2, closed=False),
    )
    evidence = EvidenceSet({(type(s).__name__, None): s for s in seen}, NOW, timedelta(days=7), START)
    header = Header(pipeline="work", project="p", region="", command="batch")
    return investigate(Case("batch", evidence, PROFILE, Ask(batch="B"), header))


def test_a_batch_that_gets_on_and_is_not_known_to_be_well_says_what_was_left_open() -> None:
    open_ = answer(CUT)
    assert (open_.state, open_.status, open_.finishes_alone) == (State.RUNNING, Status.UNKNOWN, None)
    assert open_.next, "what was left open can be looked at"
    assert open_.headline == (
        "B running: 2/4; whether enough was published for the batch to close could not be seen: "
        "the log was read back to 14:15Z"
    )
    well = answer(SOURCE)
    assert (well.state, well.headline) == (State.RUNNING, "B running: 2/4")


def finding(code: AnyCode) -> Finding:
    return Finding(
        code=code.name, stage=code.stage, title=code.title, leg=Leg.REQUEST, status=Status.WARNING, says=code.title,
        kind=code.kind,
    )  # fmt: skip


@pytest.mark.parametrize(("rests_on", "printed"), [(what_waits.REDELIVERED, True), (dead_letter.GRANTS, False)])
def test_what_follows_stands_with_a_cause_that_messages_meet(rests_on: AnyCode, printed: bool) -> None:
    """That the same pushes fail over and over is seen of messages; that a grant is missing is not."""
    own, after = finding(rests_on), finding(what_waits.OLD_BACKLOG)
    cause = Cause(code="c", family="worker", title="t", says="s", stage=own.stage, requires=Has(rests_on))
    live = Live(Share(Match(cause, Leg.REQUEST, (own,), False), (own,), (after,)), Role.LATENT, Confidence.PROBABLE)
    storm = finding(failing_items.REPEATS)
    at_work = Live(Share(live.match, (storm,), (after,)), Role.LATENT, Confidence.PROBABLE)
    header = Header(pipeline="work", project="p", region="")
    evidence = EvidenceSet({}, NOW, timedelta(days=7), START)
    teller = Teller(PROFILE, evidence, Ledger(), header, NOW, Clauses(PROFILE, evidence))
    assert teller.named(live, (), (live, at_work)).hence == ((after.says,) if printed else ())
    assert teller.named(live, (), (live,)).hence == (after.says,), "it stands nowhere else, and nothing found is hidden"


def test_what_is_quoted_ends_in_no_full_stop_of_its_own() -> None:
    """Google's sentences end in one, and ours goes on after them."""
    denied = Unseen(what="BatchMarks", why=Why.PERMISSION_DENIED, says="logging.googleapis.com refuses: You may not.")
    told = PushCounts(source=SOURCE, series=())
    waiting = Series(points=(Point(start=START, end=NOW, value=7.0),))
    backlog = Backlog(source=SOURCE, undelivered=(waiting,), oldest_age_s=(), outstanding=())
    evidence = EvidenceSet(
        {("BatchMarks", None): denied, ("PushCounts", Leg.REQUEST): told, ("Backlog", Leg.REQUEST): backlog},
        NOW, timedelta(days=7), START,
    )  # fmt: skip
    header = Header(pipeline="work", project="p", region="", command="batch")
    said = investigate(Case("batch", evidence, PROFILE, Ask(), header)).headline
    assert "You may not" in said
    assert ".;" not in said
    assert not said.endswith(".")


@pytest.mark.parametrize(
    ("bears", "told"), [(Bears.APART, "; subscription work: 78% of pushes fail"), (Bears.SLOWS, "; 78% of pushes fail")]
)
@pytest.mark.parametrize("state", [State.STALLED, State.UNKNOWN])
def test_what_goes_on_and_nothing_accounts_for_stands_in_the_headline(state: State, bears: Bears, told: str) -> None:
    """Of what nothing tells that the batch's items meet it, as the subscription's own trouble."""
    evidence = EvidenceSet({}, NOW, timedelta(days=7), START)
    marks = [Mark(means=Means.CREATED, at=START, service="s", batch="B", numbers={"expected": 4})]
    ledger = Ledger(attempt=Attempt("B", marks), expected=4, told=True)
    headline = Headline(PROFILE, evidence, ledger, NOW, Clauses(PROFILE, evidence))
    failing = replace(
        finding(push_answers.FAILING), says="78% of pushes fail", status=Status.WARNING, bears=bears, leg=Leg.REQUEST
    )
    verdict = Verdict((), (), (failing,))
    said = headline.says("batch", Status.UNKNOWN, state, verdict, (failing,), Outlook(alone=None))
    assert said.endswith(told)
    over = replace(failing, until=NOW)
    after = headline.says("batch", Status.UNKNOWN, state, Verdict((), (), (over,)), (over,), Outlook(alone=None))
    assert "78%" not in after


@pytest.mark.parametrize(
    ("blocks", "nameless", "told"),
    [
        (1, 0, "s (confirmed)"),
        (2, 0, "s (confirmed), and 1 more cause holds it"),
        (3, 0, "s (confirmed), and 2 more causes hold it"),
        (1, 1, "s (confirmed), and 1 more thing holds it"),
        (0, 2, "accounts for it), and 1 more thing holds it"),
    ],
)
def test_what_else_holds_it_is_counted_and_called_a_cause_only_where_it_is_one(
    blocks: int, nameless: int, told: str
) -> None:
    refused = replace(finding(error_answers.ERRORS), status=Status.FAULT, bears=Bears.HOLDS)
    cause = Cause(code="c", family="state", title="t", says="s", stage=Stage.CLOSED, requires=Has(error_answers.ERRORS))
    live = Live(Share(Match(cause, Leg.REQUEST, (), True), (), ()), Role.BLOCKS, Confidence.CONFIRMED)
    evidence = EvidenceSet({}, NOW, timedelta(days=7), START)
    marks = [Mark(means=Means.CREATED, at=START, service="s", batch="B", numbers={"expected": 4})]
    ledger = Ledger(attempt=Attempt("B", marks), expected=4, told=True)
    headline = Headline(PROFILE, evidence, ledger, NOW, Clauses(PROFILE, evidence))
    unnamed = tuple(replace(refused, says=f"found {n}") for n in range(nameless))
    verdict = Verdict((live,) * blocks, (), unnamed)
    assert headline.says("batch", Status.FAULT, State.STALLED, verdict, (), Outlook(alone=None)).endswith(told)
