"""Words are checked: what a cause says or compares by name has to be provided by a finding it rests on, not left blank at night."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import string
from collections.abc import Iterator

import pytest

import diagnostics.steps
from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.causes.model import AllOf, AnyOf, Cause, NoneOf, Over, Predicate
from diagnostics.steps.finding import Code


def _provided() -> dict[str, set[str]]:
    """Code to the names of numbers and words that its module ever gives a finding."""
    names: dict[str, set[str]] = {}
    for info in pkgutil.iter_modules(diagnostics.steps.__path__):
        module = importlib.import_module(f"diagnostics.steps.{info.name}")
        given = set(_keys(ast.parse(inspect.getsource(module))))
        for value in vars(module).values():
            if isinstance(value, Code):
                names.setdefault(value.name, set()).update(given)
    return names


def _keys(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str))


PROVIDED = _provided()


def _parts(predicate: Predicate | None) -> Iterator[Predicate]:
    if predicate is None:
        return
    yield predicate
    if isinstance(predicate, AllOf | AnyOf | NoneOf):
        for part in predicate.parts:
            yield from _parts(part)


def _rests_on(cause: Cause) -> set[str]:
    return {code for part in (cause.requires, cause.decisive) if part for code in part.codes()}


@pytest.mark.parametrize("cause", CATALOGUE, ids=lambda c: c.code)
def test_what_a_cause_says_by_name_some_finding_of_its_own_provides(cause: Cause) -> None:
    asked = {name for _, name, _, _ in string.Formatter().parse(cause.says) if name}
    assert asked <= set[str]().union(*(PROVIDED.get(code, set()) for code in _rests_on(cause)))


@pytest.mark.parametrize("cause", CATALOGUE, ids=lambda c: c.code)
def test_a_number_that_is_compared_is_provided(cause: Cause) -> None:
    compared = [
        p for part in (cause.requires, cause.decisive, cause.refutes) for p in _parts(part) if isinstance(p, Over)
    ]
    for over in compared:
        assert over.number in PROVIDED[over.code.name], f"{over.code.name} never gives {over.number}"
