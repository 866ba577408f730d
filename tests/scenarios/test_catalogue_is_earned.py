"""Every cause is told apart: it is the answer somewhere, it is not elsewhere, and each of its conditions is needed.

A condition that no scenario needs is either superfluous or untested; both are worth knowing.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.match import fitting
from diagnostics.causes.model import AllOf, AnyOf, Cause, NoneOf, Predicate
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Leg
from diagnostics.lab.scenario import load
from diagnostics.pipeline import places
from diagnostics.run.investigate import Case, investigate
from diagnostics.scoring.compare import disagreements
from diagnostics.scoring.expect import Expected, wanted
from diagnostics.scoring.world import files
from tests.matrices.captured import capture_all, case_of

SCENARIOS = files([places.scenarios()])
SEED = 1


def expected(path: Path) -> Expected:
    return wanted(load(path, SEED), path).expect


@pytest.fixture(scope="module")
def answers() -> dict[str, Expected]:
    return {path.stem: expected(path) for path in SCENARIOS}


@pytest.mark.parametrize("cause", CATALOGUE, ids=lambda c: c.code)
def test_a_cause_is_the_answer_somewhere_and_not_the_answer_elsewhere(
    cause: Cause, answers: dict[str, Expected]
) -> None:
    named = {n for n, e in answers.items() if cause.code in _codes((*e.blocks, *e.worsens, *e.latent, *e.benign))}
    denied = {n for n, e in answers.items() if cause.code in _codes(e.never)}
    assert named, "no scenario has it as its answer"
    assert denied - named or cause.benign, "no look-alike says that it is not the answer"


def _codes(names: tuple[str, ...]) -> set[str]:
    return {name.split("@")[0] for name in names}


# --- conditions -------------------------------------------------------------------------------------------------------


class Answered(NamedTuple):
    """A scenario that passes: what it expects, what its command sees, and the answer."""

    want: Expected
    case: Case
    answer: Diagnosis


@pytest.fixture(scope="module")
def cases() -> list[Answered]:
    """What each scenario's command sees; only those that pass as they are."""
    seen = [(expected(path), case_of(bundle)) for path, bundle in capture_all(SCENARIOS, os.cpu_count() or 1)]
    answered = (Answered(want, case, investigate(case)) for want, case in seen)
    return [one for one in answered if not disagreements(one.want, one.answer)]


def needs(one: Answered, cause: Cause, less: Cause) -> bool:
    """Whether the scenario comes out otherwise with the cause as it is without that condition."""
    if _fits(cause, one.answer) == _fits(less, one.answer):
        return False  # nothing else looks at a cause's conditions
    catalogue = tuple(less if c is cause else c for c in CATALOGUE)
    return bool(disagreements(one.want, investigate(one.case, catalogue)))


def _fits(cause: Cause, answer: Diagnosis) -> object:
    """On which leg it fits, on what it rests, whether it is settled; and what speaks against it."""
    matches, refuted = fitting([cause], answer.findings, tuple(Leg))
    return (
        [(m.leg, [id(f) for f in m.because], m.settled, m.over) for m in matches],
        [(r.leg, [id(f) for f in r.against]) for r in refuted],
    )


def without_one(cause: Cause) -> Iterator[tuple[str, Cause]]:
    """The cause with one condition less, each in turn."""
    for part in ("requires", "decisive", "refutes"):
        predicate: Predicate | None = getattr(cause, part)
        if predicate is None:
            continue
        for what, less in _less(predicate):
            yield f"{part} without {what}", dataclasses.replace(cause, **{part: less})  # type: ignore[arg-type]
        if part == "refutes":
            yield "no refutes", dataclasses.replace(cause, refutes=None)
        if part == "decisive":
            yield "no decisive", dataclasses.replace(cause, decisive=None)


def _less(predicate: Predicate) -> Iterator[tuple[str, Predicate]]:
    """The predicate without one of its parts, or without one part of a part, however deep."""
    if not isinstance(predicate, AllOf | AnyOf | NoneOf):
        return
    for part in predicate.parts:
        rest = tuple(p for p in predicate.parts if p is not part)
        if rest:
            yield f"{'' if isinstance(predicate, AllOf | AnyOf) else 'none of '}{_named(part)}", type(predicate)(rest)
        for what, less in _less(part):
            inner = tuple(less if p is part else p for p in predicate.parts)
            yield f"{what} in {_named(part)}", type(predicate)(inner)


def _named(part: Predicate) -> str:
    return ", ".join(sorted(part.codes())) or type(part).__name__


WITNESSES = r"published\.(errors|refused)|published\.errors, published\.refused"
REFUSED_FOR_GOOD = "publish-failing|publisher-role-missing|request-topic-name-wrong|region-not-allowed"
DELIBERATE = {
    # several witnesses of one thing, each of which may be hidden
    rf"publish-failing: decisive without ({WITNESSES})": "the coordinator's lines, and the topic's counter",
    rf"publisher-role-missing: decisive without ({WITNESSES})( in .*)?": "likewise",
    rf"({REFUSED_FOR_GOOD}): requires without ({WITNESSES})( in .*)?": "likewise",
    r"request-topic-missing: requires without published\.topic_missing": "likewise, and what says itself that it is not there",
    r"published-elsewhere: requires without (limits\.topic_in_force|published\.elsewhere)": "the publisher's environment, and the counter",
    r"completion-topic-misnamed: (requires|decisive) without (limits\.topic_in_force|returned\.topic_missing) in .*": "likewise, and lines",
    r"completions-not-awaited: requires without .*returned\.topic_missing.*": "a topic that is not there is told by lines or by its name",
    r"foreign-refusals: decisive without (delivered\.acked|delivered\.ours|push_auth\.proven)": "three proofs that pushes get through",
    r"downstream-fails: decisive without processed\.all_fail": "seconds of first tries after others got through",
    r"gate-refuses-everything: requires without published\.empty in published\.empty": "lines item by item, or one that counts",
    r"results-missing: decisive without outcome\.(older|short)": "item by item, by number, or rows of an older try",
    r"capacity-blip-drained: requires without delivered\.(acked|recovered) in .*": "acks that are counted, or what came through again",
    r"dead-letter-grants-missing: requires without dead_letter\.unseen in .*": "what is not bound, or not seen to be",
    r"attempts-(spent-in-an-outage|used-up): (requires|decisive) without delivered\.(failing|held_back) in .*": (
        "by reason, or by counters alone"
    ),
    r"failed-items-awaited: decisive without delivered\.failing in .*": "likewise",
    r"expects-what-nobody-sends: requires without closed\.(forced|hollow) in .*": "how it was closed, or that it is not",
    r"push-denied-by-policy: decisive without push_auth\.forbidden in push_auth\.forbidden": "now, or until nothing was left to push",
    # what other tests hold
    r"attempts-(spent-in-an-outage|used-up): decisive without (NothingHolds|delivered\.failing, delivered\.held_back)": (
        "tests/causes/test_verdict.py has what still fails"
    ),
    r"failed-items-awaited: decisive without (NothingHolds|delivered\.failing, delivered\.held_back)": "likewise",
    r"poison-retry-storm: (requires|decisive) without (peeked\.unreadable|(delivered\.acked, )?peeked\.stuck.*|delivered\.acked in .*)": (
        "a probe needs consent, which no scenario gives; tests/cli/test_probe.py has it"
    ),
    r"poison-retry-storm: requires without (delivered\.old_backlog|processed\.unreadable) in .*": "nothing is named",
    r"(poison-retry-storm|reason-that-never-passes|retries-meet-leftovers): requires without processed\.fail( in processed\.fail)?": (
        "a few that fail last; tests/steps/test_processed.py"
    ),
    r"(publish-failing|publisher-role-missing): (requires|decisive) without (none of )?(limits\.topic_in_force|published\.denied).*": (
        "refused by another topic, or under a deny policy, beside it: the pairs"
    ),
    r"publisher-role-missing: (no refutes|.*published\.right_held.*)": "a deny policy that is lifted; tests/steps/test_route_and_topic.py",
    r"completion-publisher-role-missing: refutes without .*": "likewise, and another topic that refuses; the pairs have it",
    r"publish-failing: requires without .*(published\.deferred|published\.gave_up).*": "Pub/Sub that is down; tests/steps/test_topic.py",
    r"publish-failing: no decisive": "refused for what has no name of its own; tests/causes/test_verdict.py",
    r"publish-failing: requires without .*published\.(region|right_held).*": "likewise; tests/steps/test_refused_why.py",
    r"region-not-allowed: requires without published\.region in .*": "before anything was published; tests/steps/test_refused_why.py",
    r"max-instances-saturated: decisive without cold_start\.saturated": "where nobody counted the instances; tests/causes/test_verdict.py",
    r"completion-publisher-role-missing: requires without returned\.right_taken": "of who lacks the right; tests/steps/test_returned.py",
    r"completion-topic-misnamed: requires without limits\.topic_in_force, returned\.topic_missing": "one of several witnesses",
    r"completion-topic-misnamed: requires without limits\.topic_untried": "likewise; tests/steps/test_route_and_topic.py",
    r"completion-publish-failing: (requires|decisive) without returned\.(errors|topic_asks).*": "the topic's own word, or its counter's",
    r"completions-not-awaited: requires without returned\.silent": "item by item, or by number",
    r"gate-refuses-everything: requires without published\.gated": "lines item by item, or one that counts",
    r"poison-retry-storm: requires without processed\.repeats": "item by item, or by what comes back and waits",
    r"request-topic-name-wrong: requires without limits\.topic_in_force in .*": "the counter has none of it",
    r"application-refuses-pushes: no decisive": "what ended before: tests/steps/test_processed.py",
    r"work-after-the-response: no decisive": "likewise",
    r"capacity-blip-drained: requires without delivered\.acked, delivered\.recovered": "turned away, then silence, is no drain",
    r"push-invoker-missing: no refutes": "a grant through a group is not seen, and may be what lets pushes in",
    r"push-audience-mismatch: no refutes": "acks can outlive a wrong audience for a while",
    r"(poison-retry-storm|reason-that-never-passes|retries-meet-leftovers): no refutes": (
        "beside a worker that is broken; the pairs have it"
    ),
    r"poison-retry-storm: requires without delivered\.old_backlog, processed\.unreadable": "where no item is named and no hour counted",
    r"writes-fail-behind-acks: no refutes": "lines of a failure beside all rows; tests/causes/test_verdict.py has it",
    r"completion-publisher-role-missing: no refutes": "another topic that refuses, too; the pairs have it",
    r"region-not-allowed: requires without published\.region": "before anything was published; tests/steps/test_refused_why.py",
    r"(every-item-fails|downstream-fails|work-after-the-response|start-killed): requires without processed\.crashing": (
        "a crash that does more than one thing is one fault, not two"
    ),
    r"worker-crashing: decisive without processed\.crashing": "what ends without a word was killed by what no log names",
    r"(batch-record-gone|completions-acked-uncounted): requires without recorded\.errors": (
        "where lines tell of errors, what is settled holds"
    ),
    r"schema-refuses-messages: requires without published\.schema": "of three reasons for one code the settled one accounts for it",
    r"other-batch-running: requires without requested\.refused": "what it accounts for, as no benign cause has effects",
    # one fault, not two: what is settled accounts for the other's finding
    r"cannot-scale-fast-enough: requires without cold_start\.saturated": "500 beside 429 is one want of room",
    r"expects-what-nobody-sends: decisive without .*published\..*": "what was refused or put off is accounted for by what did it",
    r"expects-what-nobody-sends: requires without closed\.forced, closed\.hollow, .*": "if it waits; tests/steps/test_closed.py",
    r"start-timed-out-before-publish: requires without none of published\..*": "what refused it accounts for the call that took too long",
    r"start-cut-off-while-loading: requires without (created\.missing, )?(created\.unseen, )?published\.cut_short.*": "there is one",
    r"start-cut-off-while-loading: requires without created\.(missing|unseen), .*": "likewise",
    r"model-variable-ignored: requires without model_drift\.rows_of_another in .*": "without such rows it accounts for nothing",
    r"model-variable-ignored: requires without model_drift\.variable in .*": "where it differs, that accounts for more",
    r"endpoint-answers-no-ack: requires without routed\.endpoint_elsewhere": "a program that redirects what comes to a wrong path",
    r"stale-active-batch-blocks-start: requires without created\.stale_open in created\.stale_open": "by its state, or by its silence",
}
"""Conditions that no scenario needs, as regular expressions of their whole names, and why they stay."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_condition_of_each_cause_is_needed_by_some_scenario(cases: list[Answered]) -> None:
    idle = {
        f"{cause.code}: {what}"
        for cause in CATALOGUE
        for what, less in without_one(cause)
        if not any(needs(one, cause, less) for one in cases)
    }
    known = {what: {name for name in idle if re.fullmatch(what, name)} for what in DELIBERATE}
    more, gone = sorted(idle.difference(*known.values())), sorted(what for what, names in known.items() if not names)
    assert not more, "no scenario needs these conditions:\n" + "\n".join(more)
    assert not gone, "these are needed by now, or are there no more:\n" + "\n".join(gone)
