"""One combination of the kill matrix: a fresh lab, a probe that meets its fault, and what the lab knows to be true afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import Fault, load
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from tests.children import TIMED_OUT
from tests.interruptible import interruptible

HERE = Path(__file__).parent
PACE = 60.0
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "group", "both", "both, machine lost")
"""SIGKILL of it, of its process group, of it and its watchdog; and that with its disk."""
CATCHABLE = SIGNALS[:3]
ANSWERS = {
    "fails": "permission_denied",
    "unavailable": "unavailable",
    "hangs": "hang",
    "is cut": "cut",
    "is lost": "lost_hang",
}
"""What the lab does to a call; "is lost" takes effect and is never answered."""
SOURCES = ("prediction-request-prod", "prediction-ready-prod-sub")


@dataclass(frozen=True)
class Combination:
    """Where what happens."""

    mode: str
    leg: str
    call: str
    """Name and number of the call: subscriber.pull#2."""
    when: str
    """"before", "after", or "during" for what happens to the call itself."""
    fault: str

    def __str__(self) -> str:
        return f"{self.mode:8} {self.leg:10} {self.when:6} {self.call:36} {self.fault}"


@dataclass
class Result:
    """What became of it."""

    combination: Combination
    struck: bool
    """Whether the point was reached."""
    status: int
    """Exit status of the probe."""
    seconds: float
    by_watchdog: bool = False
    """The watchdog had put everything back before anybody asked for it."""
    left: tuple[str, ...] = ()
    """What was left before `probe restore`."""
    wrong: tuple[str, ...] = ()
    """What must not be."""
    log: str = field(default="", repr=False)


class Killer:
    """The forking process, for many combinations."""

    def __init__(self) -> None:
        with interruptible():
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.probe.zygote"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=HERE.parent.parent,
                text=True,
            )

    def do(self, task: dict[str, Any]) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["status"])

    def calls(self, mode: str, leg: str, seed: int = 3) -> list[str]:
        """The calls of a probe that nothing happens to, numbered."""
        with tempfile.TemporaryDirectory() as name, _lab(seed, ()) as endpoint:
            status = self.do(_task("probe", Path(name), endpoint, mode=mode, leg=leg))
            assert status == 0, (status, (Path(name) / "probe.log").read_text())
            known: dict[str, int] = {}
            numbered = []
            for call in (Path(name) / "calls").read_text().split():
                known[call] = known.get(call, 0) + 1
                numbered.append(f"{call}#{known[call]}")
            return numbered

    def run(self, what: Combination, seed: int = 3) -> Result:
        """Do it, on a lab of its own."""
        began = time.monotonic()
        call, _, number = what.call.partition("#")
        faults: tuple[Fault, ...] = ()
        if what.when == "during":
            rpc = "".join(word.title() for word in call.partition(".")[2].split("_"))
            faults = (Fault(rpc=rpc, kind=ANSWERS[what.fault], after_calls=int(number) - 1, calls=1),)  # type: ignore[arg-type]
        with tempfile.TemporaryDirectory() as name, _lab(seed, faults) as endpoint:
            folder = Path(name)
            before = _truth(endpoint)
            task = _task("probe", folder, endpoint, mode=what.mode, leg=what.leg)
            if what.when != "during":
                task |= {"point": [what.when, call, int(number)], "fault": what.fault}
            status = self.do(task)
            dropped = bool(_journals(folder))  # what lay there when the probe was gone, before its watchdog woke
            _await_watchdog(folder)
            _post(endpoint, "/lab/faults", [])
            result = Result(what, what.when == "during" or (folder / "struck").exists(), status, 0.0)
            self._judge(result, folder, endpoint, before)
            result.by_watchdog = dropped and not result.left
            if dropped and status >= 0:
                result.wrong += ("it lived to its end and left the putting back to others",)
            result.log = "".join(f.read_text() for f in sorted(folder.glob("*.log")))
            result.seconds = time.monotonic() - began
            return result

    def _judge(self, result: Result, folder: Path, endpoint: str, before: dict[str, Any]) -> None:
        left = leftovers(_truth(endpoint), before) + _journals(folder)
        result.left = tuple(left)
        killed = result.combination.fault in ("SIGKILL", "group")
        wrong = []
        if left:
            lost = "machine" in result.combination.fault
            task = _task("recover", folder, endpoint, force=lost)
            if lost:
                task["state"] = str(folder / "another-machine")
            if self.do(task) != 0:
                wrong.append("probe status or restore crashed")
            else:
                said = msgspec.json.decode((folder / "recovered").read_bytes())
                listed = {t["name"].rpartition("/")[2] for t in said["before"]["found"]}
                there = [thing for thing in left if not (lost and thing.endswith(".json"))]
                wrong += [
                    f"{thing} is left and not listed" for thing in there if thing.rpartition("/")[2] not in listed
                ]
        after = _truth(endpoint)
        wrong += [f"still left after restore: {thing}" for thing in leftovers(after, before)]
        wrong += losses(after)
        wrong += _leases(result, after, before)
        if result.status in (14, TIMED_OUT):
            wrong.append(f"the probe crashed or hung ({result.status})")
        if result.combination.fault in CATCHABLE and left:
            wrong.append("a signal that can be caught left something")
        if killed and left and (folder / "watchdog").exists():
            wrong.append("the watchdog left something")
        result.wrong = tuple(wrong)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)

    def __enter__(self) -> Killer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def leftovers(truth: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """What is not as it was: subscriptions and snapshots that a probe made, push configs and labels that it changed."""
    left = [f"subscriptions/{name}" for name in truth["subscriptions"] if name not in before["subscriptions"]]
    left += [f"snapshots/{name}" for name in truth["snapshots"]]
    for name, was in before["subscriptions"].items():
        now = truth["subscriptions"][name]
        if now["push_config"] != was["push_config"] or now["labels"] != was["labels"]:
            left.append(f"subscriptions/{name}")
    return left


def losses(truth: dict[str, Any]) -> list[str]:
    """Messages that were lost, acknowledged or dead-lettered other than by push; and books that do not balance."""
    wrong = []
    for name in SOURCES:
        found = truth["subscriptions"][name]
        for fate in ("acked_by_pull", "dead_lettered_by_pull", "dead_lettered_by_push", "dropped", "purged"):
            if found[fate]:
                wrong.append(f"{name}: {found[fate]} {fate}")
        gone = sum(found[f] for f in ("acked_by_push", "acked_by_pull", "dropped", "purged"))
        if found["published"] + found["restored"] != gone + found["waiting"]:
            wrong.append(f"{name}: {found['published']} published, {gone} gone, {found['waiting']} wait")
    return wrong


def _leases(result: Result, after: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Each message is leased once at most, and handed back by whoever lives to do it."""
    wrong = []
    for name in SOURCES:
        pulled, waited = after["subscriptions"][name]["delivered_by_pull"], before["subscriptions"][name]["waiting"]
        if pulled > waited:
            wrong.append(f"{name}: {pulled} deliveries by pull of {waited} messages")
        if result.combination.fault in CATCHABLE and after["subscriptions"][name]["leased"]:
            wrong.append(f"{name}: messages were not handed back")
    return wrong


class _lab:
    """A lab of one's own, its time at PACE."""

    def __init__(self, seed: int, faults: tuple[Fault, ...]) -> None:
        scenario = msgspec.structs.replace(load(HERE / "probed.yaml", seed), faults=faults)
        self._running = start(Lab(scenario, seed, Telemetry()), pace=PACE)

    def __enter__(self) -> str:
        return self._running.endpoint

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()


def _task(do: str, folder: Path, endpoint: str, **more: Any) -> dict[str, Any]:
    return {"do": do, "folder": str(folder), "state": str(folder / "state"), "endpoint": endpoint, **more}


def _journals(folder: Path) -> list[str]:
    return [str(f) for f in (folder / "state" / "probes").glob("*.json")]


def _await_watchdog(folder: Path, longest_s: float = 15.0) -> None:
    """Until it has done its work and gone."""
    if not (folder / "watchdog").exists():
        return
    pid, end = int((folder / "watchdog").read_text()), time.monotonic() + longest_s
    while time.monotonic() < end and _lives(pid):
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _truth(endpoint: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{endpoint}/lab/truth", timeout=10) as answer:
        return dict(json.load(answer))


def _post(endpoint: str, path: str, content: Any) -> None:
    request = urllib.request.Request(f"http://{endpoint}{path}", json.dumps(content).encode(), method="POST")
    urllib.request.urlopen(request, timeout=10).close()


os.environ.setdefault("NO_PROXY", "127.0.0.1")
