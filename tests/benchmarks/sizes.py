"""What a larger batch costs: `make sizes`, or `python -m tests.benchmarks.sizes [ITEMS …] [--dialect NAME]`.

Each size is one batch of a lab of its own, in a process of its own. It is asked about in three ways: by iterating the pages of the same
log lines with Google's own client and doing nothing with them, which is the least that any reading of all pages costs; by `batch`, page
by page; and by `batch` with a linked dataset, by SQL. For each the table has wall time and processor time of that process alone, its
memory at the most, its calls and the bytes of their answers, and what came out. Nothing here passes or fails by the clock: ratios are
between processes of the same run, and the lab's own work for its answers is in the wall time of all three.

This process stays small and imports nothing of the toolkit: the system counts the memory of who starts a process as that process's own.
The lab's clock stands, and its quota of log reads has no end: the time that Google's 60 reads a minute take is not measured, but told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

SIZES = (1_000, 5_000, 20_000)
TIMEOUT_S = 600
"""The longest that a run may be given: what is measured is what all of it takes."""
DATASET = "linked_logs"
LAB = "PUBSUB_DIAG_ENDPOINT"
PIPELINES = Path(__file__).parents[2] / "diagnostics" / "pipeline"
PROFILES = {"predictions": "nba-predictions", "orders": "orders-export", "tiles": "tile-rendering"}
SCENE = """
name: a-size
story: One batch of a size, begun so long ago that Log Analytics has its lines; the log bucket is upgraded, and a dataset is linked to it.
draw: {{short_log_pages: 0}}
pipeline: {{log_dataset: {dataset}, dialect: {dialect}}}
timeline:
  - {{at: -{minutes}m, start_batch: {{name: tonight, items: {items}}}}}
"""
ITEMS_PER_MINUTE = 150
"""Fewer than the pipeline of the lab works off: the batch is over, or nearly, when it is asked about. A start request publishes some 90,000
messages before it is cut off; only of `tiles`, which a script publishes, can there be more."""
NO_END = 10**9
OURSELVES = (sys.executable, "-m", "tests.benchmarks.sizes")
READS_PER_MINUTE = 60
"""That Google allows a project: told beside the calls, since the lab does not wait for it here."""


class Took(NamedTuple):
    """What one way took at one size."""

    wall_s: float
    processor_s: float
    memory_mib: float
    calls: int
    """Log pages and queries among them."""
    pages: int
    """Of the log: the calls that the quota counts."""
    answered_mib: float
    says: dict[str, Any]
    """Its answer; empty: it gave none."""
    engine: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("items", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--dialect", choices=PROFILES, default="predictions")
    parser.add_argument("--only", choices=("serve", "raw"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        return _serve(asked.items[0], asked.dialect) if asked.only == "serve" else _iterate(asked.dialect)
    print(
        f"{'items':>9} {'way':<9}{'wall s':>9}{'CPU s':>9}{'× raw':>7}{'MiB':>7}{'calls':>7}{'pages':>7}{'answers MiB':>13}  outcome"
    )
    for items in asked.items:
        for line in _lines(items, asked.dialect):
            print(line, flush=True)
    print(
        f"pages: of the log; Google allows {READS_PER_MINUTE} a minute and project. × raw: processor time beside that of raw iteration"
    )
    return 0


def _lines(items: int, dialect: str) -> Iterator[str]:
    """The rows of one size."""
    with _lab(items, dialect) as endpoint, tempfile.TemporaryDirectory() as folder:
        raw = _took(endpoint, folder, [*OURSELVES, "--dialect", dialect, "--only", "raw"])
        yield _row(items, "raw", raw, raw, str(raw.says.get("headline", "no answer")))
        paged = _batch(endpoint, folder, dialect, dataset="")
        yield _row(items, "paging", paged, raw, _outcome(paged))
        by_sql = _batch(endpoint, folder, dialect, dataset=DATASET)
        same = "the same" if _verdict(by_sql) == _verdict(paged) else f"DIFFERS: {_outcome(by_sql)}"
        yield _row(items, "SQL", by_sql, raw, f"{same}; {by_sql.engine or 'SQL was not asked'}")


def _row(items: int, way: str, took: Took, raw: Took, outcome: str) -> str:
    ratio = took.processor_s / raw.processor_s if raw.processor_s else 0.0
    return (
        f"{items:>9,} {way:<9}{took.wall_s:>9.1f}{took.processor_s:>9.1f}{ratio:>7.1f}{took.memory_mib:>7.0f}{took.calls:>7}{took.pages:>7}"
        f"{took.answered_mib:>13.1f}  {outcome}"
    )


def _verdict(took: Took) -> object:
    """What two ways have to agree on."""
    said = took.says
    causes = [(c.get("code"), c.get("confidence")) for c in said.get("causes", ())]
    return said.get("status"), said.get("headline"), said.get("state"), causes, said.get("items")


def _outcome(took: Took) -> str:
    return f"{took.says.get('status', 'no answer')}: {took.says.get('headline', '')}"


# --- what is measured -----------------------------------------------------------------------------------------------------


def _batch(endpoint: str, folder: str, dialect: str, dataset: str) -> Took:
    """`pubsub-diag batch` in a process of its own."""
    profile = Path(folder) / f"{dialect}{dataset}.toml"
    stated = PIPELINES / "profiles" / f"{PROFILES[dialect]}.toml"
    named = f'log_dataset = "{dataset}"\n' if dataset else ""
    profile.write_text(named + stated.read_text())
    words = ["batch", "-q", "-o", "json", "--timeout", str(TIMEOUT_S), "--profile", str(profile)]
    return _took(endpoint, folder, [sys.executable, "-m", "diagnostics", *words])


def _took(endpoint: str, folder: str, words: Sequence[str]) -> Took:
    """Run it, and read what it took from the system and from the lab's record of calls."""
    environment = {**os.environ, LAB: endpoint, "PUBSUB_DIAG_STATE_DIR": str(Path(folder) / "state")}
    before, began = len(_calls(endpoint)), time.monotonic()
    with (
        tempfile.TemporaryFile() as out,
        subprocess.Popen(words, env=environment, stdout=out, stderr=subprocess.DEVNULL) as child,
    ):
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        says = json.loads(out.read() or b"{}")
    calls = _calls(endpoint)[before:]
    return Took(
        wall_s=wall,
        processor_s=used.ru_utime + used.ru_stime,
        memory_mib=used.ru_maxrss / 1024,
        calls=len(calls),
        pages=sum(call["name"].endswith("ListLogEntries") for call in calls),
        answered_mib=sum(call["size"] for call in calls) / 2**20,
        says=says,
        engine=says.get("pipeline", {}).get("item_lines", ""),
    )


def _calls(endpoint: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"http://{endpoint}/lab/rpcs", timeout=60) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())
    return found


def _iterate(dialect: str) -> int:
    """All pages of the lines about items, by the client that pubsub-diag uses, each entry let go at once."""
    from diagnostics.pipeline.load import load_profile
    from diagnostics.sources.markers import OF_BATCHES, marker_filter
    from diagnostics.sources.route import Receiver, Services
    from diagnostics.sources.search import PAGE_SIZE
    from diagnostics.transport.session import Options, Session

    pipeline = load_profile(PROFILES[dialect])
    coordinator, worker = (
        Receiver(service=of.service, region=pipeline.region) if of.service else None
        for of in (pipeline.coordinator, pipeline.worker)
    )
    services = Services(coordinator=coordinator, worker=worker)
    markers = [marker for marker in pipeline.markers if marker.means not in OF_BATCHES]
    request = {
        "resource_names": [f"projects/{pipeline.project}"],
        "filter": marker_filter(markers, services),
        "order_by": "timestamp asc",
        "page_size": PAGE_SIZE,
    }
    session = Session.open(Options(timeout_s=TIMEOUT_S))
    lines = sum(len(page.entries) for page in session.clients.get("logs").list_log_entries(request=request).pages)
    print(json.dumps({"headline": f"{lines:,} lines"}))
    return 0


# --- the lab --------------------------------------------------------------------------------------------------------------


@contextmanager
def _lab(items: int, dialect: str) -> Iterator[str]:
    """A lab of this size in a process of its own, as the environment names it. Its end is that of its standard input."""
    words = [*OURSELVES, str(items), "--dialect", dialect, "--only", "serve"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        yield child.stdout.readline().strip()


def _serve(items: int, dialect: str) -> int:
    from diagnostics.lab.lab import Lab
    from diagnostics.lab.scenario import parse
    from diagnostics.lab.servers.serve import start
    from diagnostics.lab.telemetry.store import Telemetry
    from diagnostics.scoring.world import seldom_collect

    seldom_collect()
    minutes = 10 + items // ITEMS_PER_MINUTE
    scenario = parse(SCENE.format(dataset=DATASET, dialect=dialect, items=items, minutes=minutes), "a size", 1)
    with start(Lab(scenario, 1, Telemetry(), judged=False), log_reads_per_minute=NO_END) as running:
        print(running.endpoint, flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
