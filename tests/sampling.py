"""Long series of tests of one kind: on a developer's machine a third of each, which is what `make test` has the time for; all where CI
is set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def a_third(series: Iterable[T], always: Callable[[T], bool] = lambda _: False) -> list[T]:
    """Every third, and what is `always` to be among them; all where CI is set."""
    return [one for number, one in enumerate(series) if "CI" in os.environ or not number % 3 or always(one)]
