"""Every RPC with every fault under every command: `make faults`, or `python -m tests.faults.sweep [--jobs N] [--share S] [--only TEXT]`.

Three scenarios, one of them healthy, and one with a model's file and its registry for the commands that read them. Each command runs first
without a fault: what it asks then is what is struck, one RPC at a time and all together. A fault that the caller waits out is met with a
short --timeout, so that time goes by without work, and several commands are under way at once. Who is late is asked again by itself: only
who is late each time is late.

It takes an hour or two, so each run is kept as it ends, and what the same program said in a sweep that was ended is not asked again.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import msgspec
from tabulate import tabulate

from diagnostics.lab.servers import bigquery, storage
from diagnostics.lab.servers.faults import HTTP
from diagnostics.lab.servers.front import METHODS
from diagnostics.scoring.world import find
from tests.faults.commands import COMMANDS, Command
from tests.faults.faults import EVERYTHING, KINDS, Kind, apart, struck
from tests.faults.judge import Flaw, answer, flaws
from tests.faults.running import ROOT, Ran, Slot, slots
from tests.matrices import tables

SCENARIOS = ("typical-batch", "push-invoker-missing", "2026-02-08-backfill-stall")
MODELS = "registry-behind-the-manifest"
"""Its pipeline names a model's file, manifest and registry, which `OF_MODELS` read beside the rest."""
OF_MODELS = ("model drift", "health", "outcome", "batch")
WHOLE_S, QUICK_S, WAITING_S = 60.0, 10.0, 3.0
"""--timeout without a fault, with one that is answered, and with one that is waited out."""
AT_ONCE = 3
"""Commands under way at once in one job: most of their time they wait."""
TRIES = 3
ALL_RPCS = (*(method.name for method in METHODS), *bigquery.SERVED, *storage.SERVED, HTTP)


class Case(NamedTuple):
    scenario: str
    command: Command
    kind: Kind
    rpc: str
    """Full name, HTTP or EVERYTHING."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.scenario, self.command.name, self.kind.name, self.rpc

    @property
    def name(self) -> str:
        return f"{self.scenario}: {self.command.name}: {self.kind.name}: {self.rpc.rpartition('/')[2]}"

    @property
    def timeout_s(self) -> float:
        return WAITING_S if self.kind.waits else QUICK_S

    @property
    def drawn(self) -> float:
        """Where in [0, 1) chance puts it, the same each time."""
        return int(hashlib.sha256(self.name.encode()).hexdigest()[:8], 16) / 2**32


class Result(NamedTuple):
    scenario: str
    command: str
    kind: str
    rpc: str
    code: int
    over_s: float
    """Seconds over its time; of several tries the least."""
    flaws: tuple[Flaw, ...]
    said: str

    @property
    def of(self) -> tuple[str, str, str, str]:
        return self.scenario, self.command, self.kind, self.rpc


def commands(scenario: str) -> tuple[Command, ...]:
    """What is run on a scenario."""
    return tuple(command for command in COMMANDS if scenario != MODELS or command.name in OF_MODELS)


def cases(scenario: str, command: Command, rpcs: Sequence[str]) -> Iterator[Case]:
    """What is tried on a command that asks these RPCs."""
    for kind in KINDS:
        hit = apart(tuple(rpcs)) if kind.name == "trickle" else rpcs
        for rpc in (*hit, *((EVERYTHING,) if rpcs else ())):
            yield Case(scenario, command, kind, rpc)


def tried(slot: Slot, case: Case, whole: Ran, tries: int = TRIES) -> Result:
    """Run it; who is late is asked again, and what says more than without the fault is held against a fresh run without it."""
    rpcs = ALL_RPCS if case.rpc == EVERYTHING else (case.rpc,)
    over, found, met = float("inf"), [], whole
    for _ in range(tries):
        met = slot.run(case.command.line, case.timeout_s, struck(case.kind, rpcs))
        over = min(over, met.seconds - case.command.ends(case.timeout_s))
        found = list(flaws(case.command, case.kind, case.rpc, whole, met, case.timeout_s))
        if found and not _late(found):  # the lab's clock runs on: what it shows without the fault may have changed
            fresh = slot.run(case.command.line, WHOLE_S)
            found = list(flaws(case.command, case.kind, case.rpc, fresh, met, case.timeout_s))
        if not _late(found):
            break
    told = str(answer(met).get("headline", "")) if case.command.json else met.out[-400:]
    said = " | ".join(line for line in f"{told}\n{met.err[-400:]}".splitlines() if line.strip())
    return Result(
        case.scenario, case.command.name, case.kind.name, case.rpc, met.code, over, tuple(found), said if found else ""
    )


def _late(found: Sequence[Flaw]) -> bool:
    return any(flaw.rule == "late" for flaw in found)


def keep() -> Path:
    """Where the runs of this program are kept: of what it is, what it is asked of and how it is judged."""
    read = [file for folder in ("diagnostics", "tests/faults") for file in (ROOT / folder).rglob("*.py")]
    read += [find(scenario) for scenario in (*SCENARIOS, MODELS)]
    sums = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in sorted(read))
    return tables.HOME / "faults" / f"{hashlib.sha256(sums).hexdigest()[:12]}.jsonl"


def kept(file: Path) -> Mapping[tuple[str, str, str, str], Result]:
    """What sweeps before this one came to; a last line may be cut off."""
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    results = [msgspec.json.decode(line, type=Result) for line in lines if line.endswith(b"\n")]
    return {result.of: result for result in results}


def part(scenario: str, number: int, of: int, share: float, only: str, file: Path) -> list[Result]:
    """The cases of every so manyth command of a scenario; each result is added to the file as it comes."""
    before = kept(file)
    results: list[Result] = []
    free: SimpleQueue[Slot] = SimpleQueue()
    lock = threading.Lock()

    def one(case: Case, whole: Ran) -> None:
        slot = free.get()
        try:
            result = tried(slot, case, whole)
        finally:
            free.put(slot)
        with lock, file.open("ab") as out:
            results.append(result)
            out.write(msgspec.json.encode(result) + b"\n")

    with slots(scenario, AT_ONCE) as made, ThreadPoolExecutor(AT_ONCE) as pool:
        for slot in made:
            free.put(slot)
        wholes = {command: made[0].run(command.line, WHOLE_S) for command in commands(scenario)[number::of]}
        wanted = [
            case
            for command, whole in wholes.items()
            for case in cases(scenario, command, whole.rpcs)
            if case.drawn < share and only in case.name
        ]
        results += [before[case.key] for case in wanted if case.key in before]
        new = [case for case in wanted if case.key not in before]
        # waiting and working ones mixed, so that neither all wait nor all work at once
        running = [pool.submit(one, case, wholes[case.command]) for case in sorted(new, key=lambda c: c.drawn)]
        for done in as_completed(running):
            done.result()
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=0, help="processes at once; 0: two")
    parser.add_argument("--share", type=float, default=1.0, help="this share of the cases, the same each time")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this text")
    options = parser.parse_args(arguments)
    jobs, began = options.jobs or 2, time.monotonic()
    results: list[Result] = []
    file = keep()
    file.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        asked = [
            pool.submit(part, scenario, number, 2 * jobs, options.share, options.only, file)
            for scenario in (*SCENARIOS, MODELS)
            for number in range(2 * jobs)
        ]
        for done in as_completed(asked):
            results += done.result()
            print(f"{len(results)} runs, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return told(results, time.monotonic() - began)


def told(results: Sequence[Result], seconds: float) -> int:
    """Print all flaws and what came of each kind of fault. 1 where there are flaws."""
    rows = [
        (r.scenario, r.command, r.kind, r.rpc.rpartition("/")[2], flaw.rule, flaw.what, r.said)
        for r in sorted(results)
        for flaw in r.flaws
    ]
    tables.write("faults", ("scenario", "command", "fault", "of", "rule", "what", "said"), rows)
    rules: dict[str, Counter[str]] = defaultdict(Counter)
    for r in results:
        rules[r.kind].update(flaw.rule for flaw in r.flaws)
    names = sorted({rule for counted in rules.values() for rule in counted} | {"late", "crash", "all-clear"})
    lines = [
        [
            kind.name,
            len(of := [r for r in results if r.kind == kind.name]),
            f"{max((r.over_s for r in of), default=0.0):.1f}",
            *(rules[kind.name][name] for name in names),
        ]
        for kind in KINDS
    ]
    print(tabulate(lines, headers=["fault", "runs", "most s over", *names], tablefmt="simple"))
    print(f"\n{len(results)} runs, {len(rows)} flaws, in {seconds:.0f} s")
    return 1 if rows else 0


if __name__ == "__main__":
    sys.exit(main())
