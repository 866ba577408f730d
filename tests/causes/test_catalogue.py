"""The catalogue is data; these tests ask it questions."""

from __future__ import annotations

import importlib
import pkgutil

import diagnostics.steps
from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import Predicate
from diagnostics.steps.finding import Code


def codes() -> dict[str, Code]:
    found: dict[str, Code] = {}
    for module in pkgutil.iter_modules(diagnostics.steps.__path__):
        for value in vars(importlib.import_module(f"diagnostics.steps.{module.name}")).values():
            if isinstance(value, Code):
                assert found.setdefault(value.name, value) == value, f"{value.name} is used twice"
    return found


def used() -> set[str]:
    return {name for cause in CATALOGUE for name in _of(cause.requires, cause.decisive, cause.refutes)} | {
        code.name for cause in CATALOGUE for code in cause.explains
    }


def _of(*predicates: Predicate | None) -> set[str]:
    return {name for p in predicates if p for name in p.codes()}


def test_every_code_is_used_by_a_cause_or_marked_informational() -> None:
    unused = {name for name, code in codes().items() if not code.informational} - used()
    assert not unused


def test_a_code_is_named_after_its_step() -> None:
    for module in pkgutil.iter_modules(diagnostics.steps.__path__):
        for value in vars(importlib.import_module(f"diagnostics.steps.{module.name}")).values():
            if isinstance(value, Code):
                assert "." in value.name


def test_cause_codes_are_unique_and_their_wording_is_a_clause() -> None:
    names = [c.code for c in CATALOGUE]
    assert len(names) == len(set(names))
    assert all(not c.says.endswith(".") for c in CATALOGUE)


def test_a_benign_cause_explains_no_fault_away() -> None:
    assert all(not c.explains for c in CATALOGUE if c.benign)
