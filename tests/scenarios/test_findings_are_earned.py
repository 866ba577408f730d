"""Every finding about results and models is told somewhere, and not told elsewhere: of each a scenario that expects it, and a look-alike,
which has the same look and another cause, in which it must not be found. That both come out so is what `test_accuracy.py` plays.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from diagnostics.lab.scenario import load
from diagnostics.pipeline import places
from diagnostics.scoring.expect import Expected, wanted
from diagnostics.scoring.world import files
from diagnostics.steps.finding import Status
from diagnostics.steps.rooms import codes

FAMILIES = ("outcome", "model_drift", "model_new")

EARNED = {
    "outcome.rows": ("empty-and-nothing-is-missing", "may-not-query"),
    "outcome.missing": ("closed-by-hand-and-never-merged", "empty-and-nothing-is-missing"),
    "outcome.older": ("all-of-an-earlier-batch", "done-again-and-the-first-is-asked-about"),
    "outcome.short": ("orders-lost-without-a-word", "given-up-and-so-not-there"),
    "outcome.not_stored": ("written-after-it-was-reported", "given-up-and-so-not-there"),
    "outcome.untold": ("fewer-rows-than-a-batch-of-before-counted", "given-up-and-so-not-there"),
    "outcome.written": ("given-up-and-so-not-there", "closed-by-hand-and-never-merged"),
    "outcome.complete": ("given-up-and-so-not-there", "written-after-it-was-reported"),
    "outcome.redone": ("orders-done-again-by-a-later-batch", "all-of-an-earlier-batch"),
    "outcome.pending": ("open-and-so-not-judged", "given-up-and-so-not-there"),
    "outcome.uncounted": ("rows-that-no-line-tells-of", "rows-that-lines-tell-of"),
    "outcome.unread": ("done-and-its-table-hidden", "open-and-its-table-hidden"),
    "outcome.superseded_active": ("both-left-in-force", "done-again-in-part"),
    "outcome.none_active": ("withdrawn-beside-others", "done-again-in-part"),
    "outcome.named_model": ("dynamic-version", "february-by-date"),
    "outcome.unnamed_model": ("february-by-date", "dynamic-version"),
    "outcome.trained_on": ("trained-on-what-it-predicts", "trained-on-what-came-before"),
    "outcome.one_value": ("nearly-all-of-one-confidence", "many-of-one-confidence"),
    "outcome.downstream": ("february-by-date", "nothing-made-of-it-yet"),
    "outcome.downstream_hidden": ("what-is-made-of-it-hidden", "nothing-made-of-it-yet"),
    "model_drift.manifest": ("two-models-in-production", "name-of-the-file-says-otherwise"),
    "model_drift.contradicts": ("name-of-the-file-says-otherwise", "promoted-and-nothing-made-since"),
    "model_drift.registry": ("registry-with-a-short-digest", "registry-behind-the-manifest"),
    "model_drift.registry_differs": ("registry-behind-the-manifest", "registry-with-a-short-digest"),
    "model_drift.document": ("documentation-that-agrees", "documentation-behind-the-manifest"),
    "model_drift.document_differs": ("documentation-behind-the-manifest", "documentation-that-agrees"),
    "model_drift.variable": ("told-right-and-loaded-another", "variable-lost-and-default-loaded"),
    "model_drift.variable_differs": ("variable-lost-and-default-loaded", "told-right-and-loaded-another"),
    "model_drift.loaded": ("deployed-long-ago-and-started-since", "told-right-and-loaded-another"),
    "model_drift.loaded_another": ("variable-lost-and-default-loaded", "rows-of-the-model-before"),
    "model_drift.variable_ignored": ("told-right-and-loaded-another", "variable-lost-and-default-loaded"),
    "model_drift.loaded_untold": ("loaded-longer-ago-than-logs-are-kept", "deployed-long-ago-and-started-since"),
    "model_drift.rows": ("no-games-today", "rows-of-the-model-before"),
    "model_drift.rows_old": ("promoted-and-nothing-made-since", "rows-of-the-model-before"),
    "model_drift.rows_none": ("no-results-lately", "no-games-today"),
    "model_drift.rows_untold": ("version-that-nobody-explains", "ninth-without-the-version"),
    "model_drift.rows_of_another": ("rows-of-the-model-before", "promoted-and-nothing-made-since"),
    "model_drift.rows_unnamed": ("ninth-without-the-version", "version-that-nobody-explains"),
    "model_drift.hidden": ("manifest-that-may-not-be-read", "places-that-agree"),
}
"""Finding, the scenario that expects it, and its look-alike."""

ELSEWHERE = {
    "model_new": "`model check-new` asks nothing of Google, and no scenario plays it; tests/steps/test_model_new.py has each with its "
    "look-alike",
}
"""Steps whose findings no scenario has, and why."""


@cache
def scenarios() -> dict[str, Path]:
    return {path.stem: path for path in files([places.scenarios()])}


@cache
def expected(name: str) -> Expected:
    path = scenarios()[name]
    return wanted(load(path, 1), path).expect


def told_as(name: str, code: str) -> set[Status]:
    """In which ways the scenario expects to be told it; how wrong it is where it is wrong, no expectation says."""
    wrong = {Status.WARNING} if code in expected(name).findings else set()
    return wrong | ({expected(name).told[code]} if code in expected(name).told else set())


def test_each_finding_has_a_scenario_and_a_look_alike_or_is_had_elsewhere() -> None:
    all_of_them = {code for code in codes() if code.partition(".")[0] in FAMILIES}
    assert all_of_them - EARNED.keys() == {code for code in all_of_them if code.partition(".")[0] in ELSEWHERE}
    assert EARNED.keys() <= all_of_them


@pytest.mark.parametrize("code", EARNED)
def test_it_is_told_in_the_one_and_not_in_the_other(code: str) -> None:
    here, there = EARNED[code]
    assert here != there
    assert told_as(here, code), f"{here} does not expect {code}"
    never = code in (*expected(there).not_findings, *expected(there).not_told)
    otherwise = told_as(there, code) and not told_as(there, code) & told_as(here, code)
    assert never or otherwise, f"{there} does not say that {code} must not be found"
