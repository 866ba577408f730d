"""How much longer it takes the more there is: `make scaling`, or `python -m tests.scaling [--most N]`.

Each is done at a size and at four times that, and so on; the ratio of processor times is some 4 where each entry costs the same, and 16
where each is compared with each. Times of a hundredth of a second are too short for a ratio. Exit code 1: one is above the limit.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable

from tests.scaling.counted import MOST
from tests.scaling.grown import OF_EVIDENCE, TOGETHER

SMALLEST = 500
ROUNDS = 3
SHORT_S = 0.05
"""What takes less is measured, and not judged."""


def seconds(make: Callable[[int], Callable[[], object]], n: int) -> float:
    """Processor time of the quickest of some rounds, each with work of its own: what was redacted once is remembered."""
    took = []
    for _ in range(ROUNDS):
        work = make(n)
        gc.collect()
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
        if took[-1] > 1:
            break
    return min(took)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--most", type=int, default=32_000, help="entries at most")
    most, steep = asked.parse_args().most, 0
    print(f"{'':<34}{'entries':>9}{'seconds':>10}{'ratio':>8}")
    for what in (*OF_EVIDENCE, *TOGETHER):
        n, before, added = SMALLEST, 0.0, 0.0
        while n <= most:
            took = seconds(what.make, n)
            more = took - before
            ratio = more / added if n > 4 * SMALLEST and added > SHORT_S else None
            wrong = ratio is not None and ratio > MOST
            steep += wrong
            shown = f"{ratio:8.1f}" if ratio is not None else f"{'':8}"
            print(
                f"{what.name if n == SMALLEST else '':<34}{n:>9,}{took:>10.3f}{shown}{'  TOO STEEP' if wrong else ''}",
                flush=True,
            )
            n, before, added = 4 * n, took, more if n > SMALLEST else 0.0
    print(f"{steep} of them grow faster than what they work on (limit: {MOST:g}; each with each: 16)")
    return int(steep > 0)


if __name__ == "__main__":
    sys.exit(main())
