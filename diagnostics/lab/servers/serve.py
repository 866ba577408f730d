"""Start the servers on a lab: `start(lab)`.

As a process of its own: `python -m diagnostics.lab.servers.serve SCENARIO [--seed N] [--pace [N]] [--port N]`. The first line on
stdout, PUBSUB_DIAG_ENDPOINT=127.0.0.1:PORT, says that it is ready; Ctrl-C or SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import TracebackType

from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import Caller, NeighbourSpec, load
from diagnostics.lab.servers import bigquery, storage
from diagnostics.lab.servers.cloud import Cloud, LabView, Quota
from diagnostics.lab.servers.faults import Faults
from diagnostics.lab.servers.front import METHODS, Front, Record, Rpc
from diagnostics.lab.servers.http import Web
from diagnostics.lab.servers.permissions import caller_of, held_by_caller
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.lab.tokens import Tokens

LOG_READS_PER_MINUTE = 60
"""entries.list quota of a project."""


@dataclass(frozen=True)
class RunningLab:
    """A lab whose ports are open. Also a context manager."""

    grpc_port: int
    http_port: int
    _front: Front
    _web: Web
    _record: Record

    @property
    def endpoint(self) -> str:
        """What PUBSUB_DIAG_ENDPOINT has to say."""
        return f"127.0.0.1:{self.http_port}"

    @property
    def rpcs(self) -> tuple[Rpc, ...]:
        """Every call so far."""
        return self._record.calls()

    def close(self) -> None:
        """Stop both servers, whatever is still under way. Takes less than a second."""
        self._web.stop()
        self._front.stop()

    def __enter__(self) -> RunningLab:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def start(
    lab: LabView,
    *,
    pace: float = 0.0,
    http_port: int = 0,
    rpc_delay_s: float = 0.0,
    log_reads_per_minute: int = LOG_READS_PER_MINUTE,
    quota_clock: Callable[[], float] = time.monotonic,
) -> RunningLab:
    """Open the ports of a lab, on loopback. `pace` simulated seconds pass in one of the wall clock; with 0 its time stands.

    `rpc_delay_s` is added to every RPC, for benchmarks. Raises ValueError for a fault on an RPC, or a lacking
    permission, that does not exist.
    """
    telemetry = lab.recorder
    if not isinstance(telemetry, Telemetry):
        raise TypeError("the servers show what lab.telemetry.store.Telemetry has recorded")
    if pace:
        lab.clock.keep_pace(pace)
    caller = lab.scenario.caller
    cloud = Cloud(
        lab=lab,
        telemetry=telemetry,
        tokens=_tokens(),
        log_reads=Quota(log_reads_per_minute, quota_clock),
        caller=caller_of(lab.world),
        held=held_by_caller(caller.lacks, caller.holds),
        held_beside={n.project: _held_there(caller, n) for n in lab.scenario.pipeline.neighbours},
    )
    faults, record = (
        Faults(lab.scenario.faults, [*(m.name for m in METHODS), *bigquery.SERVED, *storage.SERVED]),
        Record(),
    )
    front = Front(cloud, faults, record, rpc_delay_s)
    web = Web(cloud, faults, record, front.port, pace, http_port)
    front.start()
    web.start()
    return RunningLab(front.port, web.port, front, web, record)


def _held_there(caller: Caller, neighbour: NeighbourSpec) -> frozenset[str]:
    if neighbour.lacks == ("all",):
        return frozenset()
    return held_by_caller((*caller.lacks, *neighbour.lacks), caller.holds)


@cache
def _tokens() -> Tokens:
    """One signing key for all labs of a process: to make it takes as long as to play a short scenario."""
    return Tokens()


def main() -> None:
    """Serve a scenario until Ctrl-C or SIGTERM, and print where."""
    parser = argparse.ArgumentParser(description="Serve a scenario on loopback.")
    parser.add_argument("scenario")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pace", type=float, nargs="?", const=1.0, default=0.0, help="simulated seconds in a second")
    parser.add_argument("--port", type=int, default=0, help="HTTP port; 0: any that is free")
    asked = parser.parse_args()
    lab = Lab(load(asked.scenario, asked.seed), asked.seed, Telemetry(), judged=False)
    over = threading.Event()
    for ends in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ends, lambda *_: over.set())
    with start(lab, pace=asked.pace, http_port=asked.port) as running:
        print(f"PUBSUB_DIAG_ENDPOINT={running.endpoint}", flush=True)
        over.wait()


if __name__ == "__main__":
    main()
