"""Steps of Python that a piece of work takes, by function: the same on every machine, however loaded."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import diagnostics

OURS = (str(Path(diagnostics.__file__).parent), str(Path(__file__).parent))
LINEAR, QUADRATIC = 4.0, 16.0
"""What four times as much costs where it costs as much for each, and where each is compared with each."""
MOST = 9.0
"""More is neither the first nor that with a logarithm."""
FEW = 10
"""Steps for each further entry that are no matter, whatever they come from."""


class Steep(NamedTuple):
    """A function that takes more than its share the more there is."""

    where: str
    steps: tuple[int, ...]
    """At each of the three sizes."""


def steps(work: Callable[[], object]) -> Counter[str]:
    """Lines and turns of loops that were run, by function of ours. What C does in one call is one step."""
    counts: Counter[CodeType] = Counter()

    def entered(frame: FrameType, event: str, _: Any) -> Any:
        del event
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        counts[frame.f_code] += 1
        return stepped

    def stepped(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            counts[frame.f_code] += 1
        return stepped

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        work()
    finally:
        sys.settrace(before)
    told: Counter[str] = Counter()
    for code, n in counts.items():
        told[f"{Path(code.co_filename).name}: {code.co_qualname} (line {code.co_firstlineno})"] += n
    return told


def steep(make: Callable[[int], Callable[[], object]], n: int) -> list[Steep]:
    """Functions whose steps grow faster than what they work on: at n, 4n and 16n, by what was added, so that what is always there
    counts for nothing."""
    sizes = [steps(make(size)) for size in (n, 4 * n, 16 * n)]
    found = []
    for where in sizes[-1]:
        few, some, many = (size[where] for size in sizes)
        if many - some > FEW * 12 * n and many - some > MOST * max(some - few, 3 * n):
            found.append(Steep(where, (few, some, many)))
    return sorted(found, key=lambda one: -one.steps[-1])
