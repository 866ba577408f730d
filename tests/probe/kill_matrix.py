"""Every mode, leg, call, moment and fault: `make kill-matrix`, or `python -m tests.probe.kill_matrix [--jobs N] [--every N]`.

A point is before or after one of the calls that a probe makes, and there the process gets a signal; or the call itself fails, hangs,
is cut, or takes effect without an answer. Each combination runs once, on a lab of its own, and is judged by what the lab knows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.probe.killing import ANSWERS, SIGNALS, Combination, Killer, Result

MODES, LEGS = ("snapshot", "switch"), ("request", "completion")
PULLS = 3
"""Of the pulls, which are many and alike, the first so many."""
ROUTINE = ("logging.list_log_entries", "sources.collect")
"""Calls that are repeated until something shows: how often depends on the machine, so only the first ones are points."""


def combinations(killer: Killer) -> list[Combination]:
    """All of them, without repeats."""
    found = []
    for mode in MODES:
        for leg in LEGS:
            for call in points(killer.calls(mode, leg)):
                found += [
                    Combination(mode, leg, call, when, fault) for when in ("before", "after") for fault in SIGNALS
                ]
                if not call.startswith("sources."):
                    found += [Combination(mode, leg, call, "during", fault) for fault in ANSWERS]
    assert len(found) == len(set(found))
    return found


def points(calls: Iterable[str]) -> list[str]:
    return [
        call for call in calls if _often(call) <= (PULLS if "pull" in call else 2 if call.startswith(ROUTINE) else 99)
    ]


def _often(call: str) -> int:
    return int(call.partition("#")[2])


def sample(everything: Sequence[Combination], count: int) -> list[Combination]:
    """So many, spread over all; the stride shares no factor with the number of faults, so all kinds occur."""
    stride = max(len(everything) // count, 1)
    while stride % 2 == 0 or stride % 19 == 0:
        stride += 1
    return list(everything[::stride])


def table(results: Sequence[Result]) -> str:
    """A line for each point, a column for each fault. ok: nothing lost, nothing left; w: the watchdog did it; r: `probe restore` did."""
    faults = [*SIGNALS, *ANSWERS]
    rows: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for r in results:
        c = r.combination
        key = (c.mode, c.leg, c.call, "" if c.when == "during" else c.when)
        rows.setdefault(key, {})[c.fault] = _cell(r)
    head = f"{'mode':9}{'leg':11}{'call':38}{'when':7}" + "".join(f"{f[:9]:10}" for f in faults)
    lines = [head, "-" * len(head)]
    for (mode, leg, call, when), cells in rows.items():
        lines.append(f"{mode:9}{leg:11}{call:38}{when:7}" + "".join(f"{cells.get(f, ''):10}" for f in faults).rstrip())
    return "\n".join(lines)


def _cell(result: Result) -> str:
    if result.wrong:
        return "WRONG"
    if not result.struck:
        return "unmet"
    return "ok, w" if result.by_watchdog else "ok, r" if result.left else "ok"


def totals(results: Sequence[Result], seconds: float) -> str:
    met = [r for r in results if r.struck]
    wrong = [r for r in results if r.wrong]
    return (
        f"{len(results)} combinations in {seconds:.0f} s: {len(met)} met their fault, {sum(r.by_watchdog for r in met)} were put back by "
        f"the watchdog, {sum(bool(r.left) for r in met)} by probe restore, {len(wrong)} went wrong"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="End a probe at every point, in every way.")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--every", type=int, default=1, help="only each n-th combination")
    parser.add_argument("--only", default="", help="only combinations whose line holds this")
    asked = parser.parse_args()
    with Killer() as killer:
        wanted = [c for c in combinations(killer)[:: asked.every] if asked.only in str(c)]
    began = time.monotonic()
    results = []
    # Spawned, never forked: the labs of each worker speak gRPC.
    with ProcessPoolExecutor(asked.jobs, multiprocessing.get_context("spawn"), _own_killer) as pool:
        for number, result in enumerate(pool.map(_run, wanted, chunksize=4), 1):
            results.append(result)
            if result.wrong:
                print(f"WRONG {result.combination}: {'; '.join(result.wrong)}\n{result.log[-2000:]}", flush=True)
            if number % 100 == 0:
                print(totals(results, time.monotonic() - began), file=sys.stderr, flush=True)
    print(table(results))
    print(totals(results, time.monotonic() - began))
    return 1 if any(r.wrong for r in results) else 0


_OWN: list[Killer] = []
"""The killer of this worker process."""


def _own_killer() -> None:
    _OWN.append(Killer())


def _run(what: Combination) -> Result:
    return _OWN[0].run(what)


if __name__ == "__main__":
    sys.exit(main())
