"""How long an answer takes, as ratios measured in one run. Nothing here passes or fails by the clock: read the table.

`make bench` prints it. Every ratio compares two things that ran on the same machine within the same minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from diagnostics.causes.model import Cause, Has
from diagnostics.causes.verdict import decide
from diagnostics.evidence.model import Leg, Stage
from diagnostics.evidence.redact import redact
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import Fault, load
from diagnostics.lab.servers.front import Rpc
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.scoring.world import find
from diagnostics.steps.finding import Bears, Code, Kind, Status
from diagnostics.transport.log_reads import BUDGET
from tests.contract.test_log_reads import READING
from tests.evidence.corpus.planted import planted
from tests.evidence.corpus.stays import stays

ROUNDS = 5
RPC_DELAY_S = 0.05
PLAIN = 12
"""Log reads of one command where every answer is whole: a fifth of a minute's. However short they come: BUDGET."""
SHORT = {"whole pages": None, "first pages empty": 1, "empty without end": 0}
"""So many pages of every search are empty and have a token; 0: all of them, None: none."""
PUBSUB_DIAG = str(Path(sys.executable).with_name("pubsub-diag"))
SMALLEST = "import typer; app = typer.Typer(); app.command()(lambda: None); app()"
CLIENTS = (
    "import google.cloud.pubsub_v1, google.cloud.monitoring_v3, google.cloud.logging_v2, google.cloud.run_v2, "
    "google.cloud.iam_admin_v1, google.cloud.resourcemanager_v3"
)


def best(command: Sequence[str], env: dict[str, str] | None = None) -> float:
    """Shortest wall time of some rounds, in seconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.monotonic() - began)
    return min(times)


def test_help_against_the_smallest_typer_program(capsys: pytest.CaptureFixture[str]) -> None:
    ours, smallest = best([PUBSUB_DIAG, "--help"]), best([sys.executable, "-c", SMALLEST, "--help"])
    with capsys.disabled():
        print(
            f"\n--help: {ours * 1000:.0f} ms, smallest Typer program {smallest * 1000:.0f} ms: {ours / smallest:.2f} × (aim: 1.5)"
        )


def test_a_verdict_on_a_hundred_causes_and_twenty_findings(capsys: pytest.CaptureFixture[str]) -> None:
    codes = [Code(f"bench.e{n}", Stage.DELIVERED, f"effect {n}", Kind.EFFECT) for n in range(20)]
    catalogue = [
        Cause(
            code=f"c{n}",
            family="bench",
            title="bench",
            says="bench",
            stage=Stage.DELIVERED,
            requires=Has(codes[n % 20]),
            effects=(codes[(n + 3) % 20], codes[(n + 7) % 20]),
        )
        for n in range(100)
    ]
    findings = [c.says(Status.FAULT, c.title, leg=Leg.REQUEST, bears=Bears.HOLDS, held=5) for c in codes]

    def took(causes: Sequence[Cause]) -> float:
        began = time.perf_counter()
        for _ in range(ROUNDS):
            decide(causes, findings, (Leg.REQUEST,))
        return (time.perf_counter() - began) / ROUNDS

    all_, ten = took(catalogue), took(catalogue[:10])
    with capsys.disabled():
        print(
            f"\nverdict: {all_ * 1000:.1f} ms for 100 causes and 20 findings (aim: 50), {all_ / ten:.1f} × that for 10 causes"
        )


def test_a_hundred_thousand_lines_are_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {"that must stay": [text for _, text in stays(1)], "with a secret": [one.text for one in planted(1)]}
    for of, texts in kinds.items():
        began = time.process_time()
        for text in texts:
            redact(text)
        took = time.process_time() - began
        with capsys.disabled():
            print(f"\nredaction: {took / len(texts) * 100_000:.1f} s of processor time for 100,000 lines {of}")


@pytest.mark.slow
def test_a_passive_batch_run_with_fifty_milliseconds_on_every_rpc(capsys: pytest.CaptureFixture[str]) -> None:
    lab = Lab(load(find("2026-02-08-backfill-stall"), 1), 1, Telemetry())
    with start(lab, rpc_delay_s=RPC_DELAY_S, log_reads_per_minute=100_000) as running:
        env = {**os.environ, "PUBSUB_DIAG_ENDPOINT": running.endpoint}
        batch = best([PUBSUB_DIAG, "batch", "-q"], env)
        calls = running.rpcs[-len(running.rpcs) // ROUNDS :]
    imports = best([sys.executable, "-c", CLIENTS])
    chain, one_by_one = longest_chain(calls), sum(c.ended - c.started for c in calls)
    floor = imports + chain
    bare = best([sys.executable, "-c", "pass"])
    with capsys.disabled():
        print(f"\nbatch: {batch:.2f} s with {len(calls)} calls of {RPC_DELAY_S * 1000:.0f} ms")
        print(f"  process start and client imports {imports:.2f} s, longest dependent chain {chain:.2f} s")
        print(f"  {batch / floor:.2f} × of both together (aim: 1.5)")
        print(f"  {batch / (bare + one_by_one):.2f} × of the same calls one after another (aim: 0.33)")
    assert calls


def log_reads(lines: Sequence[Sequence[str]], short: int | None) -> list[int]:
    """Log reads of each command on the night; `short`: as in SHORT."""
    scenario = load(find("2026-02-08-backfill-stall"), 1)
    faults = () if short is None else (Fault(rpc="ListLogEntries", kind="short", seconds=0.001, pages=short),)
    night = msgspec.structs.replace(scenario, faults=faults, draw={**scenario.draw, "short_log_pages": 0.0})
    counts = [0]
    with start(Lab(night, 1, Telemetry()), log_reads_per_minute=100_000) as running:
        env = {**os.environ, "PUBSUB_DIAG_ENDPOINT": running.endpoint}
        for line in lines:
            subprocess.run([PUBSUB_DIAG, *line, "-q"], env=env, capture_output=True, check=False)
            counts.append(sum(call.name.endswith("ListLogEntries") for call in running.rpcs))
    return [after - before for before, after in pairwise(counts)]


@pytest.mark.slow
@pytest.mark.timeout(900)  # every command three times, in a process of its own
def test_log_reads_stay_within_their_budget(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the 60 that Google allows a minute and project."""
    counts = [log_reads(READING, short) for short in SHORT.values()]
    with capsys.disabled():
        print(
            f"\n{'log reads of a command':<40}{''.join(f'{name:>20}' for name in SHORT)}   (budget: {PLAIN}, {BUDGET})"
        )
        for line, *ours in zip(READING, *counts, strict=True):
            print(f"  {' '.join(line):<38}{''.join(f'{n:>20}' for n in ours)}")
    assert max(counts[0]) <= PLAIN
    assert max(max(ours) for ours in counts[1:]) <= BUDGET


def longest_chain(calls: Sequence[Rpc]) -> float:
    """Seconds of the longest chain of calls that need each other's answers, from the lab's record.

    The collector's graph is two deep: the coordinator's marker lines tell when the batch began, and with it the window that
    minute-resolution metrics and item lines are read for; configuration that names a further resource is no deeper.
    """
    first = min(c.started for c in calls)
    opening = [c for c in calls if c.started - first < RPC_DELAY_S / 2]
    later = [c for c in calls if c not in opening]
    return max(c.ended - c.started for c in opening) + max((c.ended - c.started for c in later), default=0.0)
