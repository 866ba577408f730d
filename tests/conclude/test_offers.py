"""What is offered leads on: of the right leg, only where it tells more than the answer does, the check first of what is not sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diagnostics.causes.attribute import Share
from diagnostics.causes.catalogue import find
from diagnostics.causes.match import Match
from diagnostics.causes.model import Confidence, Role
from diagnostics.causes.verdict import Live, Verdict
from diagnostics.conclude.adding import Adding
from diagnostics.conclude.diagnosis import State
from diagnostics.conclude.offers import Offers
from diagnostics.evidence.model import (
    Change,
    ChangeLog,
    Evidence,
    EvidenceSet,
    Key,
    Leg,
    Mark,
    Means,
    Provenance,
    Stage,
    Unseen,
    Why,
)
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ServiceProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.readings.ledger.attempts import Attempt
from diagnostics.steps import processed, push_auth, requested
from diagnostics.steps.cold_start import startup
from diagnostics.steps.delivered import push_answers
from diagnostics.steps.finding import Bears, Finding, Status
from diagnostics.steps.processed import error_answers
from diagnostics.steps.push_auth import entrance, judged
from diagnostics.steps.returned import refused
from diagnostics.steps.routed.vanished import OUTLIVED
from diagnostics.steps.tells import Hidden, Mended

NOW = datetime(2026, 2, 8, 14, 0, tzinfo=UTC)
SOURCE = Provenance(source="audit logs", fetched_at=NOW, as_of=NOW)
PROFILE = PipelineProfile(
    name="p",
    project="proj",
    request=LegProfile(subscription="s", topic="t"),
    completion=LegProfile(subscription="back", topic="done"),
    worker=ServiceProfile(service="worker"),
    coordinator=ServiceProfile(service="coordinator"),
)
REFUSED = push_auth.REFUSED.says(
    Status.FAULT, "12 pushes refused", leg=Leg.REQUEST, bears=Bears.HOLDS, tells=push_auth.TurnedAway(refused=12)
)


def evidence(*resources: str, denied: bool = False) -> EvidenceSet:
    """A change of each of these resources."""
    made = [Change(at=NOW, api="a", method="m", resource=name, by="ci", ok=True) for name in resources]
    seen: dict[Key, Evidence | Unseen] = {
        ("ChangeLog", None): ChangeLog(source=SOURCE, since=NOW - timedelta(days=7), changes=tuple(made))
    }
    if denied:
        seen["ProjectPolicy", None] = Unseen(what="ProjectPolicy", why=Why.PERMISSION_DENIED, says="denied")
    return EvidenceSet(seen, now=NOW, lookback=timedelta(days=7), since=NOW - timedelta(hours=6))


def adds(command: str, *findings: Finding, asked: str = "batch", **more: Any) -> bool:
    about = more.pop("about", ())
    return Adding(asked, findings, more.pop("printed", ()), evidence(**more) if more else evidence(*about)).adds(
        f"pubsub-diag {command}", about
    )


FINE = error_answers.FINE.says(Status.OK, "40 pushes, all answered", leg=Leg.REQUEST)
ERRORS = error_answers.ERRORS.says(
    Status.FAULT,
    "40 pushes answered 500",
    leg=Leg.REQUEST,
    tells=error_answers.Errors(answers=40, recent=40, share=1, status=500),
)
FAILING = push_answers.FAILING.says(
    Status.FAULT,
    "100% of pushes fail",
    leg=Leg.REQUEST,
    tells=push_answers.Failing(share=1, per_min=8, acks=0, class_={"internal": 40}),
)
UNSEEN = processed.UNSEEN.says(Status.UNKNOWN, "not seen", leg=Leg.REQUEST)


def test_a_part_is_worth_it_for_what_the_answer_leaves_out() -> None:
    assert adds("worker --leg request", FINE)
    assert not adds("worker --leg request", FINE, printed=(FINE.says,))
    assert not adds("worker --leg request", ERRORS), "what went wrong is printed"
    assert not adds("worker --leg request", UNSEEN)
    assert not adds("worker --leg completion", FINE)
    assert adds("worker", FINE)
    assert not adds("worker"), "nothing was found"
    assert adds("delivery --leg request", FAILING), "a consequence is printed by its title"
    assert not adds("worker --leg request", FINE, UNSEEN), "it could not tell how it stands, whatever else it says"
    assert adds("worker --leg request", FINE, UNSEEN, ERRORS)


def test_a_part_is_not_offered_by_itself() -> None:
    assert not adds("worker", FINE, asked="worker")
    assert adds("batch -v", FINE, asked="batch")


def test_a_call_tells_more_unless_it_would_be_kept_out() -> None:
    hidden = judged.UNSEEN.says(Status.UNKNOWN, "hidden", leg=Leg.REQUEST, tells=Hidden())
    closed = entrance.INGRESS.says(Status.FAULT, "ingress is internal", leg=Leg.REQUEST, tells=Mended())
    assert adds("push-auth --leg request") and adds("push-auth --leg request", REFUSED)
    assert not adds("push-auth --leg request", hidden)
    assert not adds("push-auth --leg request", closed)
    assert adds("cold-start --leg request", closed)


def test_changes_are_worth_it_where_what_it_is_about_has_changed() -> None:
    assert adds("changes --leg request", about=("services/worker",))
    assert not adds("changes --leg request")
    assert not Adding("batch", (), (), evidence("topics/t")).adds("pubsub-diag changes", ("services/worker",))


def test_access_is_worth_it_where_something_may_not_be_read() -> None:
    assert not adds("access")
    assert Adding("batch", (), (), evidence(denied=True)).adds("pubsub-diag access", ())


def offered(
    *live: Live,
    unexplained: Sequence[Finding] = (),
    findings: Sequence[Finding] = (),
    seen: EvidenceSet | None = None,
    state: State = State.STALLED,
    here: tuple[Stage | None, Leg | None] = (None, None),
    profile: PipelineProfile = PROFILE,
) -> list[str]:
    ledger = Ledger(
        told=True,
        attempt=Attempt(batch="b", marks=[Mark(at=NOW, means=Means.CREATED, batch="b", service="coordinator")]),
    )
    verdict = Verdict(live, (), tuple(unexplained))
    made = Offers("batch", profile, seen or evidence(), ledger, (*findings, *unexplained), ())
    return [c.removeprefix("pubsub-diag ") for c in made.next(state, verdict, (), here)]


def live(code: str, finding: Finding, sure: Confidence = Confidence.CONFIRMED, leg: Leg = Leg.REQUEST) -> Live:
    cause = find(code)
    assert cause is not None
    return Live(Share(Match(cause, leg, (finding,), True), (finding,), ()), Role.BLOCKS, sure)


def test_what_is_sure_has_its_remedy_and_what_is_not_its_check_first() -> None:
    page = "runbook show push-invoker-missing"
    assert offered(live("push-invoker-missing", REFUSED)) == [page]
    assert offered(live("push-invoker-missing", REFUSED, Confidence.PROBABLE)) == ["push-auth --leg request", page]


def test_what_is_gone_has_a_remedy_of_its_own_beside_that_of_what_kept_it() -> None:
    gone = OUTLIVED.says(Status.FAULT, "12 items are gone", leg=Leg.REQUEST, bears=Bears.HOLDS, held=12)
    kept = live("push-invoker-missing", REFUSED)
    lost = replace(kept, share=replace(kept.share, follows=(gone,)))
    assert offered(lost) == ["runbook show push-invoker-missing", "runbook show messages-outlived-retention"]


def test_a_check_that_tells_nothing_is_left_out() -> None:
    hidden = judged.UNSEEN.says(Status.UNKNOWN, "hidden", leg=Leg.REQUEST, tells=Hidden())
    probable = live("push-invoker-missing", REFUSED, Confidence.PROBABLE)
    assert offered(probable, findings=[hidden]) == ["runbook show push-invoker-missing"]


def test_the_way_back_is_looked_at_where_the_cause_is_on_it() -> None:
    back = push_auth.REFUSED.says(
        Status.FAULT, "refused", leg=Leg.COMPLETION, bears=Bears.HOLDS, tells=push_auth.TurnedAway(refused=12)
    )
    assert offered(live("push-invoker-missing", back, Confidence.PROBABLE, Leg.COMPLETION)) == [
        "push-auth --leg completion",
        "runbook show push-invoker-missing --leg completion",
    ]


def test_past_what_nothing_names_is_looked_at_what_changed_where_it_happened() -> None:
    worker = evidence("services/worker")
    errors = error_answers.ERRORS.says(
        Status.FAULT,
        "500",
        leg=Leg.REQUEST,
        bears=Bears.HOLDS,
        tells=error_answers.Errors(answers=40, recent=40, share=1, status=500),
    )
    assert offered(unexplained=[errors]) == ["runbook show processed"]
    assert offered(unexplained=[errors], seen=worker) == ["runbook show processed", "changes --leg request"]
    start = requested.FAILED.says(Status.FAULT, "504", bears=Bears.HOLDS, tells=requested.Failed(killed=0))
    assert offered(unexplained=[start], seen=worker) == ["runbook show requested"]
    told = refused.Unpublished(errors=1, topic="", reason="")
    silent = refused.ERRORS.says(Status.FAULT, "not published", leg=Leg.COMPLETION, bears=Bears.HOLDS, tells=told)
    assert offered(unexplained=[silent], seen=worker)[-1] == "changes --leg request"
    assert offered(unexplained=[start], seen=evidence("services/coordinator")) == [
        "runbook show requested",
        "changes --leg completion",
    ]


def test_where_nothing_was_found_the_row_where_it_stopped_is_looked_at() -> None:
    note = push_answers.ACKED.says(Status.OK, "40 acked", leg=Leg.REQUEST, tells=push_answers.Acks(acks=40))
    at = (Stage.DELIVERED, Leg.REQUEST)
    assert offered(here=at, findings=[note]) == ["push-auth --leg request", "delivery --leg request", "batch b -v"]
    assert offered(here=(Stage.PROCESSED, Leg.REQUEST)) == ["batch b -v"]
    assert offered(here=(Stage.PROCESSED, Leg.REQUEST), seen=evidence(denied=True)) == ["access", "batch b -v"]


@pytest.mark.parametrize("state", [State.DONE, State.RUNNING])
def test_nothing_is_offered_where_all_is_well(state: State) -> None:
    assert offered(state=state) == []


def test_a_batch_that_could_not_be_judged_is_shown_as_it_was_found() -> None:
    assert offered(state=State.UNKNOWN) == ["batch b -v"]


def test_a_leg_that_the_profile_lacks_is_not_offered() -> None:
    alone = PipelineProfile(name="p", project="proj", request=LegProfile(subscription="s"))
    told = startup.Slow(startup_s=20, deadline_s=10, starts=1, expired=1, all_expired=1)
    slow = startup.TOO_SLOW.says(Status.FAULT, "slow", leg=Leg.REQUEST, bears=Bears.HOLDS, tells=told)
    assert offered(here=(Stage.RETURNED, Leg.COMPLETION), profile=alone) == ["batch b -v"]
    assert offered(unexplained=[slow], profile=alone) == ["runbook show cold_start", "cold-start --leg request"]
