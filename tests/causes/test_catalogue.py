"""The catalogue is data; these tests ask it questions."""

from __future__ import annotations

import pytest

from diagnostics.causes.catalogue import CATALOGUE, find, is_kind_of
from diagnostics.causes.consequences import AFTER, CLASSES
from diagnostics.causes.model import Cause, Predicate
from diagnostics.steps.finding import Kind
from diagnostics.steps.rooms import codes


def used() -> set[str]:
    return {name for cause in CATALOGUE for name in _of(cause.requires, cause.decisive, cause.refutes)} | {
        code.name for cause in CATALOGUE for code in (*cause.effects, *cause.elsewhere)
    }


def _of(*predicates: Predicate | None) -> set[str]:
    return {name for p in predicates if p for name in p.codes()}


def test_what_a_cause_speaks_of_is_a_code_of_some_step() -> None:
    assert used() <= set(codes())


def test_what_follows_stands_in_one_table_and_in_no_cause() -> None:
    consequences = {name for name, code in codes().items() if code.kind is Kind.CONSEQUENCE}
    assert consequences == set(AFTER)
    assert not {c.name for cause in CATALOGUE for c in (*cause.effects, *cause.elsewhere)} & consequences


def test_what_a_cause_does_is_a_mechanism_or_an_effect() -> None:
    known = codes()
    kinds = {known[c.name].kind for cause in CATALOGUE for c in (*cause.effects, *cause.elsewhere)}
    assert kinds <= {Kind.MECHANISM, Kind.EFFECT}


def test_of_all_that_pushes_can_meet_it_stands_how_they_are_answered() -> None:
    """What has no row would be taken to answer them in every way, and so hide what is wrong."""
    on_the_way = AFTER["delivered.failing"]
    met = {c.name for c in codes().values() if c.kind in (Kind.MECHANISM, Kind.EFFECT) and c.stage in on_the_way}
    assert met == set(CLASSES)
    assert not CLASSES["dead_letter.grants"]


def test_cause_codes_are_unique_and_their_wording_is_a_clause() -> None:
    names = [c.code for c in CATALOGUE]
    assert len(names) == len(set(names))
    assert all(not c.says.endswith(".") for c in CATALOGUE)


def test_a_benign_cause_explains_no_fault_away() -> None:
    assert all(not c.effects for c in CATALOGUE if c.benign)


@pytest.mark.parametrize("cause", [cause for cause in CATALOGUE if cause.refines], ids=lambda cause: cause.code)
def test_a_special_case_is_one_of_a_cause_at_the_same_place(cause: Cause) -> None:
    general = find(cause.refines)
    assert general is not None and not general.refines
    assert (cause.stage, set(cause.legs) <= set(general.legs)) == (general.stage, True)
    assert is_kind_of(cause.code, general.code) and is_kind_of(cause.code, cause.code)
    assert not is_kind_of(general.code, cause.code)
