"""A process that has imported everything once and forks a child for each task, so that a combination costs no imports.

It never opens a channel itself: gRPC does not survive a fork once it has one. Tasks come as JSON lines on stdin; the answer to each is
a JSON line: exit status of the child, negative for the signal that ended it.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import socket
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
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
from diagnostics.transport.session import LAB, LabError, Options, Session
from tests.children import exit_code

__all__ = ["WAITS", "main"]

WAITS = Waits(
    rpc_s=2.0,
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
UNHURRIED = msgspec.structs.replace(WAITS, rpc_s=10.0, readback_s=10.0)
"""For a probe that nothing is done to: it has to come through, however busy the machine."""
LONGEST_S = 60.0
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
    if "host" in task:
        socket.gethostname = lambda: str(task["host"])
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
    """A probe that meets its fault at its point. Every call it makes is noted in the folder's `calls`, and the moments of its pulls from
    the subscription itself in `pulled`."""
    folder = Path(task["folder"])
    known: dict[str, int] = {}
    session, profile, journal = _opened(task)

    def at(when: str, name: str) -> None:
        if when == "before":
            known[name] = known.get(name, 0) + 1
            with (folder / "calls").open("a") as calls:
                calls.write(f"{name}\n")
            if task["mode"] == "switch" and name == "subscriber.pull":
                with (folder / "pulled").open("a") as pulled:
                    pulled.write(f"{time.monotonic()}\n")
        if [when, name, known[name]] == task.get("point"):
            _write(folder / "struck", str(os.getpid()))
            _strike(task, folder)

    def start_watchdog(entry: Any, state: Path, seconds: float, *more: Any) -> Watchdog:
        watchdog = Watchdog(entry, state, task.get("watchdog_s", seconds), *more)
        _write(folder / "watchdog", str(watchdog.pid))
        return watchdog

    reach = _reach(session, task, at, WAITS if "point" in task else UNHURRIED)
    order = Order(
        mode=Mode(task["mode"]), leg=Leg(task["leg"]), peek=task.get("peek", 10), force=task.get("force", False)
    )
    try:
        made, source = plan(reach, profile, order, journal)
    except NoPlan as failed:
        print(failed.says)
        return REFUSED
    if made.forbidden:
        print(made.forbidden)
        return REFUSED
    if task.get("gate"):
        (folder / "planned").touch()
        if not _came(Path(task["gate"])):
            return REFUSED
    try:
        probed, outcome = carry_out(reach, profile, made, source, journal, print, watchdog=start_watchdog)
    except Failed as failed:
        print(failed.says, failed.outcome)
        return FAILED if failed.outcome.over else NOT_RESTORED
    (folder / "probed").write_bytes(msgspec.json.encode(probed))
    return 0 if outcome.over else NOT_RESTORED


def _strike(task: dict[str, Any], folder: Path) -> None:
    what, _, then = task["fault"].partition(", ")
    if what in STRIKES:
        STRIKES[what](task, folder)
    elif what == "group":
        os.killpg(os.getpgid(0), signal.SIGKILL)
    else:
        os.kill(os.getpid(), getattr(signal, what))
    if then or what == "both":
        os.kill(os.getpid(), signal.SIGKILL)


def _answer(task: dict[str, Any], _folder: Path) -> None:
    """The next call of its kind meets this."""
    request = urllib.request.Request(
        f"http://{task['endpoint']}/lab/faults", json.dumps(task["answer"]).encode(), method="POST"
    )
    urllib.request.urlopen(request, timeout=10).close()


def _others(_task: dict[str, Any], folder: Path) -> None:
    """Somebody else does something: they say when it goes on."""
    _came(folder / "go")


def _to_watchdog(number: signal.Signals) -> Callable[[dict[str, Any], Path], None]:
    def send(_task: dict[str, Any], folder: Path) -> None:
        if (folder / "watchdog").exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int((folder / "watchdog").read_text()), number)

    return send


def _disk_full(task: dict[str, Any], _folder: Path) -> None:
    """A part of what is written is taken, the rest refused; taking away goes."""
    real = os.write

    def write(descriptor: int, text: Any) -> int:
        if not str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(task["state"]):
            return real(descriptor, text)
        if len(text) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, text[:100])

    os.write = write


def _disk_read_only(task: dict[str, Any], _folder: Path) -> None:
    def guarded(real: Callable[..., Any], writes: Callable[..., bool]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **named: Any) -> Any:
            if str(path).startswith(task["state"]) and writes(*arguments, **named):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            return real(path, *arguments, **named)

        return call

    for name in ("unlink", "replace", "rename", "rmdir"):
        setattr(os, name, guarded(getattr(os, name), lambda *_, **__: True))
    os.mkdir = guarded(os.mkdir, lambda *_, **__: not Path(task["state"]).is_dir())
    os.open = guarded(os.open, lambda flags, *_, **__: bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)))
    io.open = guarded(io.open, lambda mode="r", *_, **__: set(mode) & set("wax+") != set())


def _state_lost(task: dict[str, Any], _folder: Path) -> None:
    shutil.rmtree(task["state"], ignore_errors=True)


STRIKES: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "answer": _answer,
    "others": _others,
    "both": _to_watchdog(signal.SIGKILL),
    "watchdog killed": _to_watchdog(signal.SIGKILL),
    "watchdog stopped": _to_watchdog(signal.SIGSTOP),
    "stopped": lambda _task, _folder: os.kill(os.getpid(), signal.SIGSTOP),
    "disk full": _disk_full,
    "disk read-only": _disk_read_only,
    "state lost": _state_lost,
}
"""What is more than a signal to itself."""


def _recover(task: dict[str, Any]) -> int:
    """`probe status`, `probe restore`, `probe status`; what they say goes to `recovered` in the folder."""
    session, profile, journal = _opened(task)
    reach, world = Reach(session, UNHURRIED), task["endpoint"]
    before = traces.traces(reach, journal, profile.project, world)
    forget = task.get("forget", False)
    outcomes, _ = recover.recover(reach, journal, profile.project, world, force=task["force"], forget=forget)
    after = traces.traces(reach, journal, profile.project, world)
    said = {"before": before, "outcomes": outcomes, "after": after}
    (Path(task["folder"]) / "recovered").write_bytes(msgspec.json.encode(said))
    return 0


def _reach(session: Session, task: dict[str, Any], at: Callable[[str, str], None], waits: Waits) -> Reach:
    skew = timedelta(seconds=task.get("skew_s", 0.0))

    class Skewed(Reach):
        def now(self) -> datetime:
            return super().now() + skew

    return Skewed(session, waits, at) if skew else Reach(session, waits, at)


def _came(path: Path) -> bool:
    """Whether that file came within the time."""
    end = time.monotonic() + LONGEST_S / 2
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.005)
    return path.exists()


def _write(path: Path, text: str) -> None:
    """Whole or not at all: somebody waits for it."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)


def _session() -> Session:
    """On a machine that is busy with something else, a lab may take long to be asked."""
    for _ in range(5):
        with contextlib.suppress(LabError):
            return Session.open(Options(timeout_s=60))
    return Session.open(Options(timeout_s=60))


def _opened(task: dict[str, Any]) -> tuple[Session, PipelineProfile, Journal]:
    session = _session()
    profile = lab_profile(session.project)
    assert profile is not None
    return session, profile, Journal(Path(task["state"]))


if __name__ == "__main__":
    main()
