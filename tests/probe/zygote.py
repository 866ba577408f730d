"""A process that has imported everything once and forks a child for each task, so that a combination costs no imports.

It never opens a channel itself: gRPC does not survive a fork once it has one. Tasks come as JSON lines on stdin; the answer to each is
a JSON line: exit status of the child, negative for the signal that ended it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import google.cloud.logging_v2.services.logging_service_v2
import google.cloud.monitoring_v3.services.metric_service
import google.iam.v1.iam_policy_pb2
import google.pubsub_v1  # noqa: F401
import msgspec

from diagnostics.evidence.model import Leg
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe import recover, traces
from diagnostics.probe.journal import Journal, Mode
from diagnostics.probe.plan import NoPlan, Order, plan
from diagnostics.probe.reach import Reach, Waits
from diagnostics.probe.run import Failed, carry_out
from diagnostics.probe.watchdog import Watchdog
from diagnostics.run.look import lab_profile
from diagnostics.transport.session import LAB, Options, Session
from tests.children import exit_code

__all__ = ["WAITS", "main"]

WAITS = Waits(
    rpc_s=1.0,
    pull_s=1.0,
    between_pulls_s=0.02,
    peek_s=0.5,
    settle_s=0.15,
    readback_s=3.0,
    watch_s=0.25,
    between_looks_s=0.1,
    restore_s=4.0,
)
"""The probe's waits, scaled to a lab whose time runs sixty times as fast."""
LONGEST_S = 40.0
REFUSED, FAILED, NOT_RESTORED, INTERRUPTED, CRASHED = 10, 11, 12, 13, 14
"""Exit codes of a child, beside 0."""


def main() -> None:
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_child(task))
        print(json.dumps({"status": exit_code(child, LONGEST_S)}), flush=True)


def _child(task: dict[str, Any]) -> int:
    os.setpgid(0, 0)
    out = os.open(Path(task["folder"]) / f"{task['do']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    os.environ[LAB] = task["endpoint"]
    try:
        return _probe(task) if task["do"] == "probe" else _recover(task)
    except KeyboardInterrupt as error:
        print(error)
        return INTERRUPTED
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        return CRASHED
    finally:
        sys.stdout.flush()


def _probe(task: dict[str, Any]) -> int:
    """A probe that meets its fault at its point. Every call it makes is noted in the folder's `calls`."""
    folder = Path(task["folder"])
    known: dict[str, int] = {}
    session, profile, journal = _opened(task)

    def at(when: str, name: str) -> None:
        if when == "before":
            known[name] = known.get(name, 0) + 1
            with (folder / "calls").open("a") as calls:
                calls.write(f"{name}\n")
        if [when, name, known[name]] == task.get("point"):
            (folder / "struck").touch()
            _strike(task["fault"], folder)

    def start_watchdog(*arguments: Any) -> Watchdog:
        watchdog = Watchdog(*arguments)
        (folder / "watchdog").write_text(str(watchdog.pid))
        return watchdog

    reach = Reach(session, WAITS, at)
    order = Order(mode=Mode(task["mode"]), leg=Leg(task["leg"]), peek=task.get("peek", 10))
    try:
        made, source = plan(reach, profile, order, journal)
    except NoPlan as failed:
        print(failed.says)
        return REFUSED
    if made.forbidden:
        print(made.forbidden)
        return REFUSED
    try:
        probed, outcome = carry_out(reach, profile, made, source, journal, print, watchdog=start_watchdog)
    except Failed as failed:
        print(failed.says, failed.outcome)
        return FAILED if failed.outcome.over else NOT_RESTORED
    (folder / "probed").write_bytes(msgspec.json.encode(probed))
    return 0 if outcome.over else NOT_RESTORED


def _strike(fault: str, folder: Path) -> None:
    number = getattr(signal, fault, signal.SIGKILL)
    if fault.startswith("both") and (folder / "watchdog").exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int((folder / "watchdog").read_text()), signal.SIGKILL)
    if fault == "group":
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os.kill(os.getpid(), number)


def _recover(task: dict[str, Any]) -> int:
    """`probe status`, `probe restore`, `probe status`; what they say goes to `recovered` in the folder."""
    session, profile, journal = _opened(task)
    reach, world = Reach(session, WAITS), task["endpoint"]
    before = traces.traces(reach, journal, profile.project, world)
    outcomes, _ = recover.recover(reach, journal, profile.project, world, force=task["force"])
    after = traces.traces(reach, journal, profile.project, world)
    said = {"before": before, "outcomes": outcomes, "after": after}
    (Path(task["folder"]) / "recovered").write_bytes(msgspec.json.encode(said))
    return 0


def _opened(task: dict[str, Any]) -> tuple[Session, PipelineProfile, Journal]:
    session = Session.open(Options(timeout_s=60))
    profile = lab_profile(session.project)
    assert profile is not None
    return session, profile, Journal(Path(task["state"]))


if __name__ == "__main__":
    main()
