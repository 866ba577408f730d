"""Every cause is told apart: it is the answer somewhere, it is not elsewhere, and each of its conditions is needed.

A condition that no scenario needs is either superfluous or untested; both are worth knowing.
"""

from __future__ import annotations

import dataclasses
import os
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


DELIBERATE = {
    "publish-failing: decisive without": "one of two witnesses; which of them is there depends on what the caller may see",
    "publisher-role-missing: decisive without": "likewise",
    "publisher-role-missing: requires without published": "likewise, of three",
    "publish-denied-by-policy: decisive without": "likewise",
    "request-topic-missing: requires without published": "likewise: the topic itself, the coordinator's lines, the topic's counter",
    "other-batch-running: requires without requested.refused": "what it accounts for, as no benign cause has effects",
    "publish-failing: requires without": "one of several witnesses, likewise",
    "published-elsewhere: requires without": "the topic's counter and the publisher's environment tell the same; either may be hidden",
    "foreign-refusals: decisive without": "one of three proofs that pushes get through",
    "push-invoker-missing: no refutes": "a grant through a group is not seen, and may be what lets pushes in",
    "push-audience-mismatch: no refutes": "a token may be an hour old, so acks can outlive a wrong audience for a while",
    "poison-retry-storm: requires without delivered.old_backlog, processed.unreadable": "where no item is named and no hour counted",
    "capacity-blip-drained: requires without delivered.acked, delivered.recovered": "turned away, then silence, is no drain",
    "poison-retry-storm: requires without processed.fail": "one among very many items; tests/steps/test_processed.py has it",
    "poison-retry-storm: requires without delivered.redelivered": "where no item is named; old messages are mostly counted, too",
    "poison-retry-storm: no refutes": "old messages that come round beside a worker that is broken; the pairs have it",
    "poison-retry-storm: requires without peeked": "a probe needs consent, which no scenario gives; tests/cli/test_probe.py has it",
    "poison-retry-storm: requires without delivered.acked, peeked": "likewise",
    "poison-retry-storm: decisive without peeked": "likewise",
    "poison-retry-storm: requires without processed.repeats": "one of several witnesses: item by item, or by what comes back and waits",
    "every-item-fails: requires without processed.crashing": "a crash that also leaves error lines is one fault, not two",
    "downstream-fails: requires without processed.crashing": "likewise",
    "reason-that-never-passes: requires without": "a few that fail last; tests/steps/test_processed.py has it",
    "reason-that-never-passes: no refutes": "as with poison-retry-storm",
    "retries-meet-leftovers: requires without": "likewise",
    "retries-meet-leftovers: no refutes": "likewise",
    "work-after-the-response: requires without processed.crashing": "a crash that leaves no line of the end is one fault, not two",
    "work-after-the-response: no decisive": "item lines begin with the batch; tests/steps/test_processed.py has what ended before",
    "application-refuses-pushes: no decisive": "likewise",
    "endpoint-answers-no-ack: requires without": "a program that redirects what comes to a path that it does not have",
    "cannot-scale-fast-enough: requires without": "500 beside 429 is one want of room, not two",
    "expects-what-nobody-sends: requires without closed": "whether the batch waits for them; tests/steps/test_closed.py has when it does",
    "start-killed: requires without processed.crashing": "a crash that takes the start call along is one fault, not two",
    "start-cut-off-while-loading: requires without created": "where the batch is there, what is settled accounts for the call",
    "gate-refuses-everything: requires without published.gated": "one of two witnesses: lines item by item, or one that counts",
    "schema-refuses-messages: requires without published.schema": "of three reasons for one code the one that is settled accounts for it",
    "writes-fail-behind-acks: no refutes": "lines of a failure beside all rows; tests/causes/test_verdict.py has it",
    "attempts-used-up: decisive without": "what still fails is seen by its reason, or by counters alone where a command looks at less",
    "failed-items-awaited: decisive without": "likewise",
    "attempts-spent-in-an-outage: decisive without": "likewise",
    "completion-topic-misnamed: requires without returned.topic_missing": "one of several witnesses",
    "completion-topic-misnamed: requires without limits.topic_untried": "likewise",
    "completion-topic-misnamed: requires without limits.topic_in_force, returned.topic_missing": "likewise",
    "completions-not-awaited: requires without returned.silent": "one of two witnesses: item by item, or by number",
    "batch-record-gone: requires without recorded.errors": "errors that are over; what holds the batch then is settled",
    "completions-acked-uncounted: requires without recorded.errors": "where lines tell of errors, what is settled accounts for it",
    "region-not-allowed: requires without published.region": "before anything was published; tests/steps/test_refused_why.py has it",
    "completion-publisher-role-missing: requires without returned.right_taken": "likewise; tests/steps/test_returned.py has it",
    "completion-publisher-role-missing: refutes without": "another topic may refuse for want of a right, too; the pairs have it",
    "completion-publisher-role-missing: no refutes": "likewise",
    "max-instances-saturated: decisive without": "where nobody counted the instances; tests/causes/test_verdict.py has it",
    "results-missing: decisive without": "one of several witnesses: item by item, by number, or rows of an older try",
    "worker-crashing: decisive without processed.crashing": "what ends without a word may have been killed by what no log names",
}
"""Conditions that no scenario needs, and why they stay."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_each_condition_of_each_cause_is_needed_by_some_scenario(cases: list[Answered]) -> None:
    idle = {
        f"{cause.code}: {what}"
        for cause in CATALOGUE
        for what, less in without_one(cause)
        if not any(needs(one, cause, less) for one in cases)
    }
    more, gone = sorted(idle - DELIBERATE.keys()), sorted(DELIBERATE.keys() - idle)
    assert not more, "no scenario needs these conditions:\n" + "\n".join(more)
    assert not gone, "these are needed by now, or are there no more:\n" + "\n".join(gone)
