"""An answer that contradicts itself is caught, in every way that it can; one that does not passes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.diagnosis import Diagnosis, Exit, Forecast, Recovery, RuledOut, State
from diagnostics.evidence.model import Leg, Stage
from diagnostics.pipeline import places
from diagnostics.run.investigate import investigate
from diagnostics.scoring.consistent.check import RULES, contradictions
from diagnostics.scoring.score import score
from diagnostics.scoring.world import files
from diagnostics.steps.finding import Bears, Finding, Kind, Row, Status

MINUTE = timedelta(minutes=1)


@pytest.fixture
def agreed(night: Diagnosis) -> Diagnosis:
    """The night, with a gate that is the cause's own finding."""
    gate = replace(night.findings[0], kind=Kind.MECHANISM, since=night.causes[0].since)
    says = "nothing is on its way; the gate let 15 through, the batch still expects 181"
    cause = replace(night.causes[0], says=says, because=(gate.says,))
    asked = Row(stage=Stage.REQUESTED, leg=None, reached=True, status=Status.OK)
    ladder = (asked, *(r for r in night.ladder if r.stage is not Stage.REQUESTED))
    return replace(night, findings=(gate, *night.findings[1:]), causes=(cause, night.causes[1]), ladder=ladder)


def told(found: Diagnosis, cut: dict[str, frozenset[int]] | None = None) -> list[str]:
    return [says.removeprefix("contradicts: ") for says in contradictions(found, cut)]


def batch(found: Diagnosis, **more: Any) -> Diagnosis:
    assert found.batch is not None
    return replace(found, batch=replace(found.batch, **more))


def row(found: Diagnosis, stage: Stage, **more: Any) -> Diagnosis:
    return replace(found, ladder=tuple(replace(r, **more) if r.stage is stage else r for r in found.ladder))


def cause(found: Diagnosis, **more: Any) -> Diagnosis:
    return replace(found, causes=(replace(found.causes[0], **more), *found.causes[1:]))


def also(found: Diagnosis, **more: Any) -> Diagnosis:
    """One more finding."""
    fields: dict[str, Any] = {
        "code": "push_auth.refused",
        "stage": Stage.DELIVERED,
        "title": "pushes are refused",
        "leg": Leg.REQUEST,
        "status": Status.FAULT,
        "says": "12 pushes answered 403 by Google's front end",
        "kind": Kind.EFFECT,
        "rests_on": ("RequestLog",),
        **more,
    }
    return replace(found, findings=(*found.findings, Finding(**fields)))


def unexplained(found: Diagnosis, **more: Any) -> Diagnosis:
    made = also(found, **more)
    return replace(made, unexplained=(made.findings[-1],))


def done(found: Diagnosis, **more: Any) -> Diagnosis:
    """The same batch, as one that is done."""
    over = batch(
        replace(found, state=State.DONE, finishes_alone=True, here=None, here_leg=None, recovery=Recovery()), **more
    )
    assert over.batch is not None
    counted = f"{over.batch.done}/{over.batch.expected}"
    return replace(
        over, status=Status.OK, exit_code=Exit.OK, causes=(), headline=f"{over.batch.id} done: {counted}", next=()
    )


def test_an_answer_that_agrees_with_itself_passes(agreed: Diagnosis) -> None:
    assert told(agreed) == []
    assert told(unexplained(agreed)) == []
    assert (
        told(cause(also(agreed), because=(*agreed.causes[0].because, "12 pushes answered 403 by Google's front end")))
        == []
    )


FIGURES: dict[str, Callable[[Diagnosis], Diagnosis]] = {
    "the headline counts 15 done, the batch 14": lambda d: batch(d, done=14),
    "the headline counts 15 done, and nothing counts them": lambda d: batch(d, done=None),
    "the headline expects 181, the batch 180": lambda d: batch(d, expected=180),
    "the headline says stuck for 13 min, the last progress was 7 min ago": lambda d: batch(
        d, last_progress=d.as_of - 7 * MINUTE
    ),
    "the headline says stuck, and all 15 are done": lambda d: batch(d, expected=15),
    "the batch counts 15 done, the ladder 9 of 15 recorded": lambda d: row(d, Stage.RECORDED, seen_min=9, seen_max=9),
    "the batch is done with 0 of 181": lambda d: done(d, done=0),
    "the batch expects 181, the ladder says that 12 were created": lambda d: row(d, Stage.CREATED, seen_min=12),
    "the batch is done and does not finish alone": lambda d: replace(done(d), finishes_alone=None),
    "a cause blocks the batch and it finishes alone": lambda d: replace(d, finishes_alone=None),
    "the batch is stalled and finishes alone": lambda d: replace(d, finishes_alone=True),
    "does not finish alone, and nothing is said to hold it": lambda d: replace(d, causes=()),
    "a time is told by which it does": lambda d: replace(d, forecast=Forecast(done_by=d.as_of)),
    "196 are done or elsewhere, of 181": lambda d: row(d, Stage.DELIVERED, where={"waiting": 15}),
    "20 times in 40 min is not 20.0 a minute": lambda d: unexplained(
        d, says="the same item failed 20 times in the last 40 min, 20.0 a minute"
    ),
}

ROWS: dict[str, Callable[[Diagnosis], Diagnosis]] = {
    "HERE is delivered, and no row of the ladder is": lambda d: replace(
        d, here=Stage.DELIVERED, ladder=tuple(r for r in d.ladder if r.stage is not Stage.DELIVERED)
    ),
    "HERE is request.delivered, which lacks nothing": lambda d: replace(d, here=Stage.DELIVERED),
    "the batch is stalled, a row lacks items, and none is HERE": lambda d: replace(d, here=None),
    "HERE is published, and the batch is running with nothing that holds it": lambda d: replace(
        d, causes=(), state=State.RUNNING
    ),
    "request.published: 166 are missing, and it is said of 160 where they are": lambda d: row(
        d, Stage.PUBLISHED, seen_min=15, where={"gated": 160}
    ),
    "request.published: 170 stayed behind, and 15 of 181 came": lambda d: row(d, Stage.PUBLISHED, where={"gated": 170}),
    "request.published: ok, and 166 stayed behind": lambda d: row(d, Stage.PUBLISHED, status=Status.OK),
    "20 processed, and 15 delivered": lambda d: row(d, Stage.PROCESSED, seen_min=20, seen_max=20),
    "published.gated holds 170, and 166 are not done": lambda d: replace(
        d, findings=(replace(d.findings[0], held=170), *d.findings[1:])
    ),
    "2 items are named that came to request.delivered, the ladder counts 1": lambda d: replace(
        row(d, Stage.DELIVERED, seen_min=1, seen_max=1), items=(d.items[0], d.items[0])
    ),
    "2 dead letters are to be replayed, 0 lie there": lambda d: replace(
        d, recovery=replace(d.recovery, replay_dead_letters=2)
    ),
    "5 are to be sent again, 166 are lost or gated": lambda d: replace(
        d, recovery=replace(d.recovery, resubmit_count=5)
    ),
    "166 will not come by themselves, and nothing is said": lambda d: replace(d, recovery=Recovery()),
    "1 are named to be sent again, 0 counted": lambda d: replace(d, recovery=replace(d.recovery, resubmit_count=0)),
    "push_auth.refused ends before it begins": lambda d: unexplained(d, since=d.as_of, until=d.as_of - MINUTE),
    "push_auth.refused begins after now": lambda d: unexplained(d, since=d.as_of + MINUTE),
    "push_auth.refused is over, and fault that apart": lambda d: unexplained(d, until=d.as_of),
    "push_auth.refused is over, and warning that holds": lambda d: unexplained(
        d, until=d.as_of, status=Status.WARNING, bears=Bears.HOLDS
    ),
}

CAUSES: dict[str, Callable[[Diagnosis], Diagnosis]] = {
    "status fault and exit code 1": lambda d: replace(d, exit_code=Exit.WARNING),
    "gated-batch-never-closes blocks a batch that is done": lambda d: replace(d, state=State.DONE),
    "gated-batch-never-closes blocks, and the answer is ok": lambda d: replace(d, status=Status.OK, exit_code=Exit.OK),
    "the batch is done, and the answer is a fault": lambda d: replace(
        done(d), status=Status.FAULT, exit_code=Exit.FAULT
    ),
    "gated-batch-never-closes is named twice": lambda d: replace(d, causes=(d.causes[0], *d.causes)),
    "the headline is undetermined, and gated-batch-never-closes blocks": lambda d: replace(
        d, headline=f"{d.headline.partition(': ')[0]}: cause undetermined"
    ),
    "the headline does not say what blocks: gated-batch-never-closes (probable)": lambda d: cause(
        d, confidence=Confidence.PROBABLE
    ),
    "the answer is unknown, and the headline does not say what of the batch is open": lambda d: replace(
        also(done(d), status=Status.UNKNOWN), status=Status.UNKNOWN, exit_code=Exit.UNKNOWN
    ),
    "the headline is sure of a cause, and none blocks": lambda d: cause(d, role=Role.LATENT),
    "is confirmed, and one of start-cut-short": lambda d: cause(d, one_of=("start-cut-short",)),
    "is one of start-cut-short, which is not named": lambda d: cause(d, one_of=("start-cut-short",)),
    "gated-batch-never-closes begins after now": lambda d: cause(d, since=d.as_of + MINUTE),
    "begins at 14:02, after its effect push_auth.refused at 13:31": lambda d: cause(
        also(d, since=d.as_of - 50 * MINUTE), because=("12 pushes answered 403 by Google's front end",)
    ),
    "gated-batch-never-closes begins with the batch, and is of stage delivered": lambda d: cause(
        d, stage=Stage.DELIVERED
    ),
    "gated-batch-never-closes is over, and said to last": lambda d: replace(
        d, findings=(replace(d.findings[0], until=d.as_of), *d.findings[1:])
    ),
    "gated-batch-never-closes is not over, and said to be over": lambda d: cause(d, until=d.as_of),
    "gated-batch-never-closes is over and blocks": lambda d: cause(d, until=d.as_of),
    "push_auth.refused was found, and neither explained nor unexplained": also,
    "push_auth.refused was found and is not printed": also,
    "push_auth.refused is unexplained and explained by gated-batch-never-closes": lambda d: cause(
        unexplained(d), because=("12 pushes answered 403 by Google's front end",)
    ),
    "gated-batch-never-closes is named and ruled out": lambda d: replace(
        d, ruled_out=(RuledOut(code="gated-batch-never-closes", leg=Leg.REQUEST, because="no gate"),)
    ),
    "sign-in (request) is cleared, and push_auth.refused was found": lambda d: replace(
        unexplained(d), ruled_out=(RuledOut(code="sign-in", leg=Leg.REQUEST, because="may call"),)
    ),
    "the failing messages is cleared, and poison-retry-storm was found": lambda d: replace(
        d, ruled_out=(RuledOut(code="the failing messages", leg=None, because="too few"),)
    ),
}

PRINTED: dict[str, Callable[[Diagnosis], Diagnosis]] = {
    "a template is left: {how}": lambda d: replace(d, headline=d.headline + " {how}"),
    "a word of the program is left: None": lambda d: replace(d, headline=d.headline + ", of None"),
    "an offered command is not filled in: pubsub-diag batch {batch} --items": lambda d: cause(
        d, next=("pubsub-diag batch {batch} --items",)
    ),
    "push_auth.refused is over, and told with “are”": lambda d: also(
        d, status=Status.OK, until=d.as_of, says="12 pushes are refused"
    ),
    "gated-batch-never-closes is on the completion leg, and offers pubsub-diag worker": lambda d: cause(
        d, leg=Leg.COMPLETION, next=("pubsub-diag worker",)
    ),
    "is on the completion leg, and offers pubsub-diag runbook show gated-batch-never-closes": lambda d: cause(
        d, leg=Leg.COMPLETION
    ),
    "the answer is fault, and nothing is offered": lambda d: replace(d, next=()),
    "a command is offered twice": lambda d: replace(d, next=(*d.next, *d.next)),
}


@pytest.mark.parametrize(("says", "change"), [*FIGURES.items(), *ROWS.items(), *CAUSES.items(), *PRINTED.items()])
def test_a_contradiction_is_told(agreed: Diagnosis, says: str, change: Callable[[Diagnosis], Diagnosis]) -> None:
    found = told(change(agreed))
    assert any(says in one for one in found), found


def test_what_follows_from_what_nothing_explains_is_printed_by_its_title(agreed: Diagnosis) -> None:
    after: dict[str, Any] = {
        "code": "delivered.failing",
        "title": "pushes are not acknowledged",
        "says": "100% of pushes fail",
        "kind": Kind.CONSEQUENCE,
    }
    agreed = replace(agreed, ruled_out=())
    assert told(also(unexplained(agreed), **after)) == []
    assert any("neither explained" in one for one in told(also(agreed, **after)))


def test_as_many_as_were_read_is_no_count(agreed: Diagnosis) -> None:
    whole = also(agreed, status=Status.OK, says="1000 pushes answered 403", kind=Kind.NOTE)
    more = also(agreed, status=Status.OK, says="1000 or more pushes answered 403", kind=Kind.NOTE)
    cut = {"RequestLog": frozenset({1000, 7})}
    assert told(whole) == told(more, cut) == told(whole, {"RequestLog": frozenset({999})}) == []
    assert told(whole, cut) == [
        "push_auth.refused counts 1000 in what was read in part: 1000 pushes answered 403",
    ]


def test_as_many_as_were_read_may_be_a_least_and_so_may_its_shares(agreed: Diagnosis) -> None:
    cut = {"RequestLog": frozenset({50})}

    def says(sentence: str) -> list[str]:
        return told(also(agreed, status=Status.OK, says=sentence, kind=Kind.NOTE), cut)

    assert says("at least 50 pushes answered 400 (50) by the application itself") == []
    assert len(says("50 pushes answered 400 (50) by the application itself")) == 1
    assert len(says("at least 50 pushes answered 400 (50); 50 items failed")) == 1


def test_a_route_that_lost_items_accounts_for_them(agreed: Diagnosis) -> None:
    lost = row(row(agreed, Stage.ROUTED, reached=False, where={"dropped": 15}), Stage.DELIVERED, seen_min=0, seen_max=0)
    later = (Stage.PROCESSED, Stage.RETURNED, Stage.RECORDED)
    for stage in later:
        lost = row(lost, stage, not_reached=True)
    assert told(replace(batch(lost, done=0), items=())) != []
    assert not [one for one in told(replace(batch(lost, done=0), items=())) if "request.delivered" in one]


def test_an_answer_without_a_batch_is_held_to_the_rest(agreed: Diagnosis) -> None:
    part = replace(
        agreed,
        pipeline=replace(agreed.pipeline, command="delivery"),
        batch=None,
        ladder=(),
        here=None,
        here_leg=None,
        headline="delivery: well {so}",
        causes=(),
        status=Status.OK,
        exit_code=Exit.OK,
        finishes_alone=None,
    )
    assert told(part) == ["a template is left: {so}"]


def test_every_rule_is_tried() -> None:
    assert len({rule.__qualname__ + rule.__module__ for rule in RULES}) == len(RULES) >= 20


def test_a_scenario_whose_answer_contradicts_itself_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = (p for p in files([places.scenarios()]) if p.stem == "push-invoker-missing")
    real = investigate

    def twisted(*case: Any) -> Diagnosis:
        return batch(real(*case), done=3)

    monkeypatch.setattr("diagnostics.scoring.score.investigate", twisted)
    said = score(path, 1).disagreements
    assert any(one.startswith("contradicts: the headline counts ") for one in said), said
