"""Every mode, leg, call, moment and fault: `make kill-matrix`, or `python -m tests.probe.kill_matrix [--jobs N] [--every N]`.

A point is before or after one of the calls that a probe makes. There the process gets a signal; or its machine fails it, somebody else
changes what it works on, a probe of another machine comes in; or the call itself fails, hangs, is cut, or takes effect without an
answer. Each combination runs once, on a lab of its own, and is judged by what the lab knows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace

from tests.probe.killing import (
    ANSWERS,
    BACKLOGS,
    CLOCKS,
    KILLED,
    MACHINE,
    RIVALS,
    SIGNALS,
    SOMEBODY,
    WAYS,
    Combination,
    Killer,
    Result,
)

MODES, LEGS = ("snapshot", "switch"), ("request", "completion")
FEW = 3
"""Of the pulls, and of the looks before them, which are many and alike, the first so many."""
ROUTINE = ("logging.list_log_entries", "sources.collect")
"""Calls that are repeated until something shows: how often depends on the machine, so only the first ones are points."""
LEAVES = ("SIGKILL", "both")
"""The endings that leave most to others: tried in every circumstance."""


def combinations(killer: Killer) -> list[Combination]:
    """All of them, without repeats."""
    found: list[Combination] = []
    for mode in MODES:
        for leg in LEGS:
            calls = points(killer.calls(mode, leg))
            for call in calls:
                found += _endings(mode, leg, call)
            if leg == "request":
                for call in calls:
                    found += _others(mode, leg, call)
    assert len(found) == len(set(found))
    return found


def _endings(mode: str, leg: str, call: str) -> Iterator[Combination]:
    """What ends it, or its call."""
    for when in ("before", "after"):
        yield from (Combination(mode, leg, call, when, fault) for fault in SIGNALS)
    if not call.startswith("sources."):
        yield from (Combination(mode, leg, call, "during", fault) for fault in ANSWERS)


def _others(mode: str, leg: str, call: str) -> Iterator[Combination]:
    """What its machine does to it, what others do, and the endings in other circumstances."""
    for when in ("before", "after"):
        yield from (Combination(mode, leg, call, when, fault) for fault in MACHINE)
    before = Combination(mode, leg, call, "before", "")
    for what in ("state lost", "watchdog stopped"):
        yield replace(before, fault=what + KILLED)
    for doing in SOMEBODY:
        if mode == "snapshot" or not doing.startswith(("temporary", "snapshot")):
            yield replace(before, fault=doing)
            yield replace(before, fault=doing + KILLED)
    for rival in RIVALS:
        yield from (replace(before, fault=f"another {rival}, {way}") for way in WAYS)
    for fault in LEAVES:
        yield from (replace(before, fault=fault, circumstance=clock) for clock in CLOCKS)
        yield from (replace(before, fault=fault, backlog=backlog) for backlog in BACKLOGS if backlog != "few")


def points(calls: Iterable[str]) -> list[str]:
    return [call for call in calls if _often(call) <= _most(call)]


def _most(call: str) -> int:
    if "pull" in call or ":still" in call:
        return FEW
    return 2 if call.startswith(ROUTINE) else 99


def _often(call: str) -> int:
    return int(call.partition("#")[2])


def sample(everything: Sequence[Combination], faults: Iterable[str]) -> list[Combination]:
    """One of each of these faults, each at another call."""
    chosen = []
    for number, fault in enumerate(faults):
        of_kind = [c for c in everything if c.fault == fault]
        chosen.append(of_kind[(7 + 31 * number) % len(of_kind)])
    return chosen


def table(results: Sequence[Result]) -> str:
    """A line for each point, a column for each ending. ok: nothing lost, nothing left; w: the watchdog did it; r: `probe restore` did.
    Then a line for each thing that others do, and each circumstance."""
    plain = [r for r in results if _plain(r.combination)]
    faults = [*SIGNALS, *ANSWERS]
    rows: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for r in plain:
        c = r.combination
        key = (c.mode, c.leg, c.call, "" if c.when == "during" else c.when)
        rows.setdefault(key, {})[c.fault] = _cell(r)
    head = f"{'mode':9}{'leg':11}{'call':38}{'when':7}" + "".join(f"{f[:9]:10}" for f in faults)
    lines = [head, "-" * len(head)]
    for (mode, leg, call, when), row in rows.items():
        lines.append(f"{mode:9}{leg:11}{call:38}{when:7}" + "".join(f"{row.get(f, ''):10}" for f in faults).rstrip())
    kinds: dict[tuple[str, str, str], Counter[str]] = {}
    for r in results:
        c = r.combination
        if not _plain(c):
            rest = c.circumstance or ("" if c.backlog == "few" else f"backlog: {c.backlog}")
            kinds.setdefault((c.mode, c.fault, rest), Counter())[_cell(r)] += 1
    cells = ("ok", "ok, w", "ok, r", "unmet", "WRONG")
    head = f"{'mode':9}{'at every call':32}{'in which':20}" + "".join(f"{cell:>7}" for cell in cells)
    lines += ["", head, "-" * len(head)]
    for (mode, fault, rest), counted in kinds.items():
        lines.append(f"{mode:9}{fault:32}{rest:20}" + "".join(f"{counted[cell] or '':>7}" for cell in cells).rstrip())
    return "\n".join(lines)


def _plain(c: Combination) -> bool:
    return (c.fault in SIGNALS or c.fault in ANSWERS) and not c.circumstance and c.backlog == "few"


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
        f"{len(results)} distinct combinations in {seconds:.0f} s: {len(met)} met their fault, {sum(r.by_watchdog for r in met)} were put "
        f"back by the watchdog, {sum(bool(r.left) for r in met)} by probe restore, {len(wrong)} went wrong; {sum(r.lost for r in results)} "
        f"lost, {sum(r.acked for r in results)} acked, {sum(r.switched for r in results)} left switched once restored"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="End a probe at every point, in every way.")
    parser.add_argument(
        "--jobs", type=int, default=0, help="processes; 0: two a processor, since most of it is waiting"
    )
    parser.add_argument("--every", type=int, default=1, help="only each n-th combination")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin none after so long; 0: run all of them")
    parser.add_argument("--only", default="", help="only combinations whose line holds this")
    parser.add_argument("--count", action="store_true", help="say how many there are, and run none")
    asked = parser.parse_args()
    with Killer() as killer:
        wanted = [c for c in combinations(killer)[:: asked.every] if asked.only in str(c)]
    if asked.count:
        print(f"{len(wanted)} distinct combinations")
        return 0
    began = time.monotonic()
    order = random.Random(1).sample(range(len(wanted)), len(wanted))  # what was run in part is a sample of all
    found: dict[int, Result] = {}
    # Spawned, never forked: the labs of each worker speak gRPC.
    jobs = asked.jobs or 2 * multiprocessing.cpu_count()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _own_killer) as pool:
        pending = {pool.submit(_run, wanted[number]): number for number in order}
        for done in as_completed(pending):
            result = found[pending[done]] = done.result()
            if result.wrong:
                print(f"WRONG {result.combination}: {'; '.join(result.wrong)}\n{result.log[-2000:]}", flush=True)
            if len(found) % 100 == 0:
                print(totals(list(found.values()), time.monotonic() - began), file=sys.stderr, flush=True)
            if asked.seconds and time.monotonic() - began > asked.seconds:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    results = [found[number] for number in sorted(found)]
    print(table(results))
    print(totals(results, time.monotonic() - began))
    if len(results) < len(wanted):
        print(f"{len(wanted) - len(results)} more were not run: the {asked.seconds:g} s were over")
    return 1 if any(r.wrong for r in results) else 0


_OWN: list[Killer] = []
"""The killer of this worker process."""


def _own_killer() -> None:
    _OWN.append(Killer())


def _run(what: Combination) -> Result:
    """Once; and once more where the machine was too busy for the probe to come to its point, or to be answered in time."""
    result = _OWN[0].run(what)
    again = result.too_busy if result.wrong else not result.struck
    return _OWN[0].run(what) if again else result


if __name__ == "__main__":
    sys.exit(main())
