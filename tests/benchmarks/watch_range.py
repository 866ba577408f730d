"""How often a batch ends within the range that `watch` gave for it: every look at it in the lab, held against what the lab then did.

    python -m tests.benchmarks.watch_range [SEEDS]

Prints, for each kind of batch: looks that gave a range, how many of these held the true end, how many had a latest moment at all, and how
wide the range was beside what was left. The looks of one batch lean on each other; the batches do not.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from diagnostics.conclude.diagnosis import State
from diagnostics.question.ask import Ask
from diagnostics.run.investigate import investigate
from diagnostics.run.look import lab_profile, see
from diagnostics.run.watch import Glance, Sample, glance
from diagnostics.scoring.world import World, opened
from diagnostics.transport.session import LAB, Options, Session

STEP_S = 20.0
"""From look to look, as watch does with two log reads a look."""
LONGEST = timedelta(hours=2)
BATCHES = {
    "large, many containers": """
pipeline: {worker: {revision: {min_instances: 40}}}
timeline:
  - {at: -1d, jitter: 20m, start_batch: {name: last-night, items: 60}}
  - {at: -70s, downstream: {for: 1h, slowdown: 12}}
  - {at: -60s, jitter: 10s, start_batch: {name: tonight, items: 155, loading: 30s}}
""",
    "small, cold": """
timeline:
  - {at: -1d, jitter: 20m, start_batch: {name: last-night, items: 60}}
  - {at: -60s, jitter: 10s, start_batch: {name: tonight, items: 24, loading: 30s}}
""",
    "large, few containers": """
pipeline: {worker: {revision: {max_instances: 2}}}
timeline:
  - {at: -1d, jitter: 20m, start_batch: {name: last-night, items: 60}}
  - {at: -70s, downstream: {for: 3h, slowdown: 4}}
  - {at: -60s, jitter: 10s, start_batch: {name: tonight, items: 180, loading: 30s}}
""",
    "slower after a while": """
pipeline: {worker: {revision: {min_instances: 10}}}
timeline:
  - {at: -1d, jitter: 20m, start_batch: {name: last-night, items: 60}}
  - {at: -60s, jitter: 10s, start_batch: {name: tonight, items: 155, loading: 30s}}
  - {at: -5s, downstream: {for: 1h, slowdown: 3}}
""",
}


class Tally(NamedTuple):
    ranges: int = 0
    held: int = 0
    bounded: int = 0
    width: float = 0.0
    """Of the bounded ones together, as parts of what was left to the end."""

    def plus(self, other: Tally) -> Tally:
        return Tally(
            self.ranges + other.ranges, self.held + other.held, self.bounded + other.bounded, self.width + other.width
        )

    def with_look(self, seen: Glance, end: datetime) -> Tally:
        assert seen.done_by is not None
        first, last = seen.done_by.earliest, seen.done_by.latest
        left = max((end - seen.at).total_seconds(), 1.0)
        width = (last - first).total_seconds() / left if last else 0.0
        held = first <= end and (last is None or end <= last)
        return Tally(self.ranges + 1, self.held + held, self.bounded + (last is not None), self.width + width)


def main(seeds: int) -> None:
    print(f"{'batch':26}{'ranges':>8}{'held':>7}{'with an end':>13}{'width : what was left':>24}")
    whole = Tally()
    for name, text in BATCHES.items():
        tally = Tally()
        for seed in range(1, seeds + 1):
            tally = tally.plus(_one(f"name: watched\nstory: {name}.{text}", seed))
        print(_row(name, tally), flush=True)
        whole = whole.plus(tally)
    print(_row(f"all, {seeds} seeds", whole))


def _row(name: str, tally: Tally) -> str:
    held = 100 * tally.held / max(tally.ranges, 1)
    bounded = 100 * tally.bounded / max(tally.ranges, 1)
    return f"{name:26}{tally.ranges:>8}{held:>6.0f}%{bounded:>12.0f}%{tally.width / max(tally.bounded, 1):>24.1f}"


def _one(text: str, seed: int) -> Tally:
    """All looks at one batch that gave a range, held against its end."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "watched.yaml"
        path.write_text(text)
        with opened(path, seed=seed, log_reads_per_minute=100_000) as world:
            seen = list(_looks(world))
    ended = seen[-1]
    if ended.state is not State.DONE or ended.newest_progress is None:
        return Tally()
    tally = Tally()
    for look in seen:
        if look.done_by is not None:
            tally = tally.with_look(look, ended.newest_progress)
    return tally


def _looks(world: World) -> Iterator[Glance]:
    session = Session.open(Options(timeout_s=20, log_reads=1_000_000), {LAB: world.running.endpoint})
    profile = lab_profile(session.project)
    assert profile is not None
    until, before, ask = session.now + LONGEST, list[Sample](), Ask(batch="")
    while session.now < until:
        case = see(session, profile, "watch", ask)
        found = glance(investigate(case, catalogue=()), case.evidence, before)
        yield found
        if found.state not in (State.RUNNING, State.UNKNOWN, State.STALLED):
            return
        if found.done is not None and found.batch:
            ask = Ask(batch=found.batch)
            before.append(Sample(found.at, found.done))
        world.lab.advance(STEP_S)
        session = session.later(20)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
