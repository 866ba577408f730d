"""What the steps are and can state. A step, its module or package, the begin of its codes and its runbook have one name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import diagnostics.steps
from diagnostics.steps.finding import AnyCode


def modules() -> Iterator[tuple[str, ModuleType]]:
    """Every module of this package, with the name of the step that it belongs to: its own, or that of the package around it."""
    inside = f"{diagnostics.steps.__name__}."
    for found in pkgutil.walk_packages(diagnostics.steps.__path__, inside):
        yield found.name.removeprefix(inside).partition(".")[0], importlib.import_module(found.name)


def codes() -> dict[str, AnyCode]:
    """Every code that a step can state, by name."""
    return {
        value.name: value for _, module in modules() for value in vars(module).values() if isinstance(value, AnyCode)
    }
