"""A step has one name: its module or package, its function, the begin of its codes and its runbook."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

from diagnostics.pipeline import places
from diagnostics.run.investigate import COMMANDS
from diagnostics.steps.finding import AnyCode
from diagnostics.steps.rooms import modules


def stated(module: ModuleType) -> Iterator[AnyCode]:
    """Codes that stand in this module, without those that it imports."""
    for line in ast.parse(inspect.getsource(module)).body:
        if isinstance(line, ast.Assign):
            values = (getattr(module, target.id) for target in line.targets if isinstance(target, ast.Name))
            yield from (value for value in values if isinstance(value, AnyCode))


STATED = [(room, code) for room, module in modules() for code in stated(module)]
ROOMS = sorted({room for room, _ in STATED})


def test_codes_are_found() -> None:
    assert len(STATED) > 100
    assert {"published", "limits", "changes"} <= set(ROOMS), "steps of several parts"


@pytest.mark.parametrize(("room", "code"), STATED, ids=lambda x: x.name if isinstance(x, AnyCode) else x)
def test_a_code_begins_with_the_name_of_its_step(room: str, code: AnyCode) -> None:
    assert code.name.partition(".")[0] == room


def test_no_code_is_stated_twice() -> None:
    names = [code.name for _, code in STATED]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("room", ROOMS)
def test_a_step_is_a_function_of_its_name_that_a_command_runs(room: str) -> None:
    steps = {(step.__module__, step.__name__) for steps in COMMANDS.values() for step in steps}
    assert (f"diagnostics.steps.{room}", room) in steps


def test_every_step_has_its_runbook_and_no_runbook_is_without_one() -> None:
    assert sorted(path.stem for path in (places.runbooks() / "steps").glob("*.md")) == ROOMS
