"""A sample of each matrix (all of one: `make blindness` and so on), and proof that each judge can say no."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from msgspec import structs

from diagnostics.evidence.model import ItemMarks, Leg, items_of
from diagnostics.run.investigate import Case
from tests.matrices.answers import Answer, Told
from tests.matrices.blindness import gone, says_more, violations
from tests.matrices.blinds import blinds
from tests.matrices.captured import bundles, capture, case_of, scenarios
from tests.matrices.distractors import DISTRACTORS
from tests.matrices.distractors import Case as Beside
from tests.matrices.distractors import judge as judge_beside
from tests.matrices.likenesses import likenesses
from tests.matrices.merging import merged
from tests.matrices.pairs import Pair
from tests.matrices.pairs import judge as judge_pair
from tests.matrices.played import Play, play
from tests.matrices.sameness import played_otherwise, told_otherwise, unlike
from tests.matrices.singles import alone, single
from tests.sampling import a_share


@cache
def scenario(name: str) -> Path:
    return next(path for path in scenarios() if path.stem == name)


# --- blindness ----------------------------------------------------------------------------------------------------------

SEEN = ("push-invoker-missing", "uptime-checks-refused-healthy", "closed-by-age", "filter-drops-all")


@pytest.fixture(scope="module")
def night() -> Case:
    return case_of(bundles()[0])


def test_every_kind_of_evidence_is_taken_and_every_log_cut(night: Case) -> None:
    taken = [blind.taken for blind in blinds(night)]
    assert len(taken) == len(set(taken)) > 60
    assert {"RequestLog@completion", "SubscriptionPolicy@request", "BatchStatus", "all logs"} <= set(taken)
    assert "ItemMarks: older half of marks not read" in taken
    assert "PushCounts@request: newer half of the window" in taken


def test_what_is_cut_says_so(night: Case) -> None:
    for taken, less in blinds(night):
        changed = {key: found for key, found in less.evidence.items() if found is not dict(night.evidence.items())[key]}
        assert changed, taken
        for found in changed.values():
            assert not hasattr(found, "source") or not found.source.complete, taken


ANSWER = Answer(
    status="fault",
    exit_code=2,
    state="stalled",
    here="request.delivered",
    finishes_alone=False,
    causes=(Told(code="one", leg="request", stage="delivered", role="blocks", confidence="probable"),),
    cleared=frozenset({"two"}),
)


def test_the_judge_of_blindness_can_say_no() -> None:
    def broken(**other: object) -> list[str]:
        return [rule for rule, _ in says_more(ANSWER, structs.replace(ANSWER, **other))]

    sure = structs.replace(ANSWER.causes[0], confidence="confirmed")
    assert broken() == broken(causes=(), cleared=frozenset(), finishes_alone=None) == []
    assert broken(causes=(sure,)) == ["another confirmed"]
    assert broken(causes=(structs.replace(ANSWER.causes[0], code="three"),)) == []
    assert (
        broken(status="ok", exit_code=0) == broken(status="idle", exit_code=0) == broken(state="done") == ["all-clear"]
    )
    assert broken(finishes_alone=True) == ["finishes alone"]
    assert broken(cleared=frozenset({"two", "three"})) == ["cleared"]


def test_a_batch_that_is_done_may_leave_a_warning_unsaid_only_if_it_names_what_was_taken(night: Case) -> None:
    done = structs.replace(ANSWER, status="warning", exit_code=1, state="done", finishes_alone=True, causes=())
    fine = structs.replace(done, status="ok", exit_code=0)
    assert [rule for rule, _ in says_more(done, fine, said=False)] == ["all-clear"]
    assert [rule for rule, _ in says_more(done, fine, said=True)] == []
    taken, less = next(blinds(night))
    kind, leg = taken.partition("@")[::2]
    assert gone(night.evidence, less.evidence) == {(kind, Leg(leg) if leg else None)}


def test_a_kept_run_says_less_of_less() -> None:
    tried, found = violations("kept", bundles()[0])
    assert tried > 60
    assert not found


@pytest.mark.parametrize("name", a_share(SEEN))
def test_a_scenario_says_less_of_less(name: str) -> None:
    tried, found = violations(name, capture(scenario(name)))
    assert tried > 60
    assert not found


# --- pairs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    a_share(
        [
            ("push-invoker-missing", "dead-letter-grants-missing-latent"),
            ("filter-drops-all", "min-instances-lost-latent"),
            ("publish-topic-deleted", "no-subscription-on-completion-topic"),
            ("push-invoker-missing", "crashing-and-never-dead-lettered"),
            ("push-audience-mismatch", "filter-drops-others-only"),
        ],
        of=2,
    ),
)
def test_both_faults_are_named_in_their_roles(a: str, b: str) -> None:
    one, other = single(scenario(a), 1), single(scenario(b), 1)
    made, ask = merged(one, other)
    pair = Pair(one, other, Play(name=f"{a} + {b}", scenario=made, ask=ask, seed=1))
    judged = judge_pair(pair, play(pair.play))
    assert judged.named or judged.misses
    assert not judged.misses


# --- distractors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "distraction"),
    [
        ("push-invoker-missing", "foreign_flood"),
        ("no-subscription-on-completion-topic", "past_outage"),
        ("filter-drops-all", "log_noise"),
    ],
)
def test_what_blocks_is_the_same_beside_a_distraction(name: str, distraction: str) -> None:
    one = single(scenario(name), 1)
    distract = next(d for d in DISTRACTORS if d.__name__ == distraction)
    plain, beside = (Play(name=name, scenario=s, ask=a, seed=1) for s, a in (alone(one), alone(distract(one))))
    assert plain.scenario != beside.scenario
    assert not judge_beside(Beside(one, distraction, beside, plain), play(plain), play(beside))


# --- sameness -----------------------------------------------------------------------------------------------------------


def test_a_likeness_tells_another_story_of_the_same(night: Case) -> None:
    told = {like.how: like.case for like in likenesses(night)}
    assert len(told) == 9
    assert "prediction-worker" not in str(dict(told["other names"].evidence.items()))
    assert told["three days earlier"].evidence.now < night.evidence.now
    assert list(told["shuffled lists"].evidence.items()) != list(night.evidence.items())
    few, all_ = (case.evidence.get(ItemMarks) for case in (told["alike items told by one of them"], night))
    assert isinstance(few, ItemMarks) and isinstance(all_, ItemMarks)
    assert len(few.marks) < len(all_.marks) and items_of(few.marks) == items_of(all_.marks)


def test_the_judge_of_sameness_can_say_no() -> None:
    assert unlike(ANSWER, ANSWER) == ""
    assert unlike(ANSWER, structs.replace(ANSWER, status="ok", here="")) == "status, here"
    assert unlike(ANSWER, structs.replace(ANSWER, causes=())) == "causes"
    benign = structs.replace(ANSWER.causes[0], role="benign")
    assert unlike(ANSWER, structs.replace(ANSWER, causes=(*ANSWER.causes, benign))) == ""
    less = structs.replace(ANSWER, causes=tuple(structs.replace(c, confidence="possible") for c in ANSWER.causes))
    assert (unlike(ANSWER, less), unlike(ANSWER, less, sure=False)) == ("causes", "")
    assert unlike(ANSWER, structs.replace(ANSWER, causes=()), may_be=[c.code for c in ANSWER.causes]) == ""


@pytest.mark.parametrize("name", a_share(["kept", *SEEN[:2]], of=2))
def test_a_case_told_otherwise_gets_the_same_verdict(name: str) -> None:
    tried, found = told_otherwise(name, bundles()[0] if name == "kept" else capture(scenario(name)))
    assert tried == 9
    assert not found


def test_a_scenario_played_otherwise_gets_the_same_verdict() -> None:
    assert played_otherwise(scenario("push-invoker-missing")) == (3, [])
