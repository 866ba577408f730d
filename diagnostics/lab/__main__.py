"""`python -m diagnostics.lab SCENARIO [SEED]`: run a scenario and say what became of it, for whoever writes one."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator

from diagnostics.lab.lab import Lab
from diagnostics.lab.message import rfc3339
from diagnostics.lab.scenario import ScenarioError, load
from diagnostics.lab.telemetry.store import Telemetry

PUSHES = "pubsub.googleapis.com/subscription/push_request_count"


def main() -> int:
    """Print the summary; 3 if the scenario cannot be used."""
    path, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began = time.perf_counter()
    telemetry = Telemetry()
    try:
        lab = Lab(load(path, seed), seed, telemetry, judged=False)
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return 3
    print(f"{lab.scenario.name}, seed {seed}, now {rfc3339(lab.now())}, run in {time.perf_counter() - began:.2f} s")
    print(lab.unverified)
    print(*summary(lab, telemetry), sep="\n")
    return 0


def summary(lab: Lab, telemetry: Telemetry) -> Iterator[str]:
    """Starts, pushes by subscription and class, and what is still held, a line each."""
    for record in lab.batches.values():
        state = lab.coordinator.batches.get(record.id)
        became = (
            f"{len(state.completed)}/{state.expected} {'closed' if state.closed else 'open'}" if state else "no batch"
        )
        yield f"{record.name}: {rfc3339(record.started_at)} answered {record.status}, {record.id or '-'}, {became}"
    pushes: Counter[str] = Counter()
    for series in telemetry.metrics.get(PUSHES, {}).values():
        total = sum(getattr(series, "bins", {}).values())
        pushes[f"{series.resource['subscription_id']} {series.labels['response_class']}"] += int(total)
    yield from (f"pushes of {name}: {count}" for name, count in sorted(pushes.items()))
    for name in lab.world.subscriptions:
        if held := lab.broker.backlog(name):
            yield f"{name} holds {len(held)}, the oldest since {rfc3339(held[0].message.published)}"


if __name__ == "__main__":
    sys.exit(main())
