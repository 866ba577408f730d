"""Long series of tests of one kind: on a developer's machine a share of each, which is what `make test` has the time for; all where CI
is set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def a_share(series: Iterable[T], of: int = 3, always: Callable[[T], bool] = lambda _: False) -> list[T]:
    """Every third, or every `of`th, and what is `always` to be among them; all where CI is set."""
    return [one for number, one in enumerate(series) if "CI" in os.environ or not number % of or always(one)]


def examples(most: int) -> int:
    """How many a property is tried with: a quarter of them, all where CI is set."""
    return most if "CI" in os.environ else max(most // 4, 5)
