"""One combination of the kill matrix: a fresh lab, a probe that meets its fault, and what the lab knows to be true afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from diagnostics.lab.lab import Lab
from diagnostics.lab.model import PushConfig
from diagnostics.lab.scenario import Scenario, parse
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
MACHINE = ("disk full", "disk read-only", "state lost", "stopped", "watchdog stopped", "watchdog killed")
"""What happens to its machine, and it lives on. stopped: for longer than its time; the watchdog: until the probe is over."""
SOMEBODY = (
    "config changed",
    "subscription deleted",
    "made anew",
    "topic deleted",
    "temporary deleted",
    "snapshot deleted",
)
"""What somebody else does meanwhile, and it lives on."""
KILLED = ", SIGKILL"
"""Behind one of these: and then it is killed at once."""
RIVALS = ("switch", "snapshot")
WAYS = ("meanwhile", "planned before", "at once")
"""A probe of another machine runs from its plan to its end while this one is held up at its point; it made its plan before this one
began; it begins at the point, and neither waits for the other."""
CLOCKS = {"clock 5 h ahead": 18000.0, "clock 5 h behind": -18000.0}
"""Circumstances: the machine's clock is wrong, and Google's time cannot be asked."""
BACKLOGS = {"none": (0, 0, 0), "few": (3, 2, 4), "many": (130, 20, 4)}
"""Messages that wait: malformed and refused requests, and completions that name no batch."""
SOURCES = {"request": "prediction-request-prod", "completion": "prediction-ready-prod-sub"}
STOPPED_S = 1.5
"""The time of a probe that is stopped for longer than it."""
CRASHED, REFUSED = 14, 10


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
    circumstance: str = ""
    backlog: str = "few"

    def __str__(self) -> str:
        rest = ", ".join(filter(None, [self.circumstance, "" if self.backlog == "few" else f"backlog: {self.backlog}"]))
        return f"{self.mode:8} {self.leg:10} {self.when:6} {self.call:36} {self.fault}{f' ({rest})' if rest else ''}"

    @property
    def doing(self) -> str:
        """What somebody else does; empty: nothing."""
        doing = self.fault.removesuffix(KILLED)
        return doing if doing in SOMEBODY else ""

    @property
    def rival(self) -> tuple[str, str]:
        """(mode of another machine's probe, how it comes in); empty: there is none."""
        mode, _, way = self.fault.removeprefix("another ").partition(", ")
        return (mode, way) if self.fault.startswith("another ") else ("", "")

    @property
    def machine_lost(self) -> bool:
        return "machine" in self.fault

    @property
    def in_the_window(self) -> bool:
        """Whether it strikes between the probe's comparing read and its write, which Pub/Sub cannot join: what somebody else sets right
        there is written over, and nobody can know."""
        return self.when == "before" and self.call.startswith("subscriber.update_subscription")


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
    lost: int = 0
    """Messages that are gone other than by a push, or by what somebody else has deleted."""
    acked: int = 0
    """Messages that a probe has acknowledged."""
    switched: int = 0
    """Subscriptions that are not as they were, or as somebody else has set them, after `probe restore`."""
    log: str = field(default="", repr=False)

    @property
    def too_busy(self) -> bool:
        """A call that nothing was done to was not answered in time: the machine is busy with something else."""
        return "did not answer within" in self.log and self.combination.fault not in ("hangs", "is lost")


class Killer:
    """The forking process, for many combinations; and a second one, where another machine takes part."""

    def __init__(self) -> None:
        self._process = _zygote()
        self._second: subprocess.Popen[str] | None = None

    def do(self, task: dict[str, Any]) -> int:
        return _do(self._process, task)

    def do_elsewhere(self, task: dict[str, Any]) -> int:
        """On another machine: a process, a name and a state directory of its own."""
        assert self._second is not None
        folder = Path(task["folder"]) / "elsewhere"
        folder.mkdir(exist_ok=True)
        moved = {"folder": str(folder), "state": str(folder / "state"), "host": "another-machine"}
        return _do(self._second, task | moved)

    def calls(self, mode: str, leg: str, seed: int = 3) -> list[str]:
        """The calls of a probe that nothing happens to, numbered."""
        with tempfile.TemporaryDirectory() as name, _Site("few", seed) as site:
            status = self.do(_task("probe", Path(name), site.endpoint, mode=mode, leg=leg))
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
        if (what.rival[0] or what.machine_lost) and self._second is None:
            self._second = _zygote()
        with tempfile.TemporaryDirectory() as name, _Site(what.backlog, seed) as site:
            folder = Path(name)
            before = site.truth()
            with _Others(self, site, folder, what):
                status = self.do(_of(what, folder, site.endpoint))
            dropped = bool(_journals(folder))  # what lay there when the probe was gone, before its watchdog woke
            if what.fault == "watchdog stopped":
                _go_on(folder)
            if what.fault != "watchdog stopped" + KILLED:
                _await_watchdog(folder)
            site.post("/lab/faults", [])
            result = Result(what, (folder / "struck").exists(), status, 0.0)
            _Judge(self, site, folder, result, before).judge()
            result.by_watchdog = dropped and not result.left and status < 0
            if dropped and status >= 0 and what.fault not in MACHINE and not what.doing:
                result.wrong += ("it lived to its end and left the putting back to others",)
            result.log = "".join(f.read_text() for f in sorted(folder.rglob("*.log")))
            result.seconds = time.monotonic() - began
            return result

    def close(self) -> None:
        for process in filter(None, (self._process, self._second)):
            assert process.stdin
            process.stdin.close()
            process.wait(120)

    def __enter__(self) -> Killer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Judge:
    """What must be when all is over, by what the lab knows."""

    def __init__(self, killer: Killer, site: _Site, folder: Path, result: Result, before: dict[str, Any]) -> None:
        self._killer, self._site, self._folder, self._result = killer, site, folder, result
        self._before = before
        self._what = result.combination
        self._theirs = _theirs(self._what) if result.struck else {}
        self._wrong: list[str] = []

    def judge(self) -> None:
        left = self._left()
        self._result.left = tuple(left)
        if left:
            self._restore(left)
        if self._what.fault == "watchdog stopped" + KILLED:
            _go_on(self._folder)
            _await_watchdog(self._folder)
        after = self._site.truth()
        still = [
            *leftovers(after, self._before, self._theirs),
            *([] if self._what.machine_lost else _journals(self._folder)),
        ]
        self._wrong += [f"still left after restore: {thing}" for thing in still if not self._excused(thing)]
        self._result.switched = sum(thing.startswith("subscriptions/") for thing in still if not self._excused(thing))
        gone = (
            {SOURCES[self._what.leg]}
            if "deleted" in self._theirs.values() or "anew" in self._theirs.values()
            else set()
        )
        wrong = losses(after, gone)
        self._result.acked = sum(after["subscriptions"].get(n, {}).get("acked_by_pull", 0) for n in SOURCES.values())
        self._result.lost = len(wrong)
        self._wrong += wrong
        self._leases(after)
        self._probe_itself(left)
        self._result.wrong = tuple(self._wrong)

    def _left(self) -> list[str]:
        return leftovers(self._site.truth(), self._before, self._theirs) + _journals(self._folder)

    def _excused(self, thing: str) -> bool:
        """What somebody set in the one moment that nobody can see is written over."""
        return self._what.in_the_window and bool(self._what.doing) and thing.startswith("subscriptions/")

    def _restore(self, left: list[str]) -> None:
        """`probe status` and `probe restore`; where that says that somebody else has changed it, `probe restore --forget`."""
        lost = self._what.machine_lost
        task = _task("recover", self._folder, self._site.endpoint, force=lost)
        code = self._killer.do_elsewhere(task) if lost else self._killer.do(task)
        if code != 0:
            self._wrong.append("probe status or restore crashed")
            return
        said = msgspec.json.decode((self._folder / ("elsewhere" if lost else "") / "recovered").read_bytes())
        listed = {t["name"].rpartition("/")[2] for t in said["before"]["found"]}
        there = [thing for thing in left if not (lost and thing.endswith(".json")) and not self._excused(thing)]
        self._wrong += [f"{thing} is left and not listed" for thing in there if thing.rpartition("/")[2] not in listed]
        if any(outcome["state"] == "changed" for outcome in said["outcomes"]):
            now = self._site.truth()
            if (
                self._what.doing
                and not self._what.in_the_window
                and pushes(now, self._what.leg) != self._theirs_of_leg()
            ):
                self._wrong.append("somebody's change was said to be left alone, and is not there")
            self._killer.do(_task("recover", self._folder, self._site.endpoint, force=False, forget=True))

    def _theirs_of_leg(self) -> Any:
        return {"deleted": None}.get(
            str(self._theirs.get(SOURCES[self._what.leg])), pushes(self._site.truth(), self._what.leg)
        )

    def _leases(self, after: dict[str, Any]) -> None:
        """Each message is leased once at most by each probe, and handed back by whoever lives to do it. One that was stopped between
        its look and its pull may lease again what it had leased before: nobody can tell it."""
        probes = 2 if self._what.rival[0] or self._what.fault == "stopped" else 1
        for name in SOURCES.values():
            now, was = after["subscriptions"].get(name), self._before["subscriptions"][name]
            if now is None or self._theirs.get(name) == "anew":
                continue
            if now["delivered_by_pull"] > probes * was["waiting"]:
                self._wrong.append(
                    f"{name}: {now['delivered_by_pull']} deliveries by pull of {was['waiting']} messages"
                )
            if self._what.fault in CATCHABLE and now["leased"]:
                self._wrong.append(f"{name}: messages were not handed back")

    def _probe_itself(self, left: list[str]) -> None:
        what, status = self._what, self._result.status
        if status in (CRASHED, TIMED_OUT):
            self._wrong.append(f"the probe crashed or hung ({status})")
        if what.fault in CATCHABLE and left:
            self._wrong.append("a signal that can be caught left something")
        watched = (self._folder / "watchdog").exists()
        if what.fault in ("SIGKILL", "group", "state lost" + KILLED) and left and watched:
            self._wrong.append("the watchdog left something")
        if (self._folder / "elsewhere" / "rival").exists():
            rival = int((self._folder / "elsewhere" / "rival").read_text())
            if rival in (CRASHED, TIMED_OUT):
                self._wrong.append(f"the probe of the other machine crashed or hung ({rival})")
            if (what.mode, what.rival[0]) == ("switch", "switch") and _overlap(self._folder):
                self._wrong.append("both probes pulled from the subscription at one time")


def leftovers(truth: dict[str, Any], before: dict[str, Any], theirs: dict[str, str] | None = None) -> list[str]:
    """What is not as it was: subscriptions and snapshots that a probe made, push configs and labels that it changed. `theirs`: what
    somebody else has made of a subscription (`_theirs`), which then has to be so."""
    theirs = theirs or {}
    left = [f"subscriptions/{name}" for name in truth["subscriptions"] if name not in before["subscriptions"]]
    left += [f"snapshots/{name}" for name in truth["snapshots"]]
    for name, was in before["subscriptions"].items():
        now, doing = truth["subscriptions"].get(name), theirs.get(name, "")
        if doing == "deleted":
            wrong = now is not None
        elif doing:
            wrong = now is None or now["push_config"] != THEIR_CONFIG or _marks(now["labels"])
        else:
            wrong = now is None or now["push_config"] != was["push_config"] or now["labels"] != was["labels"]
        if wrong:
            left.append(f"subscriptions/{name}")
    return left


def _marks(labels: dict[str, str]) -> bool:
    return any(label.startswith("pubsub-diag") for label in labels)


def pushes(truth: dict[str, Any], leg: str) -> Any:
    """The push config of a leg's subscription; None: there is none."""
    found = truth["subscriptions"].get(SOURCES[leg])
    return found and found["push_config"]


def _theirs(what: Combination) -> dict[str, str]:
    doings = {"config changed": "changed", "subscription deleted": "deleted", "made anew": "anew"}
    return {SOURCES[what.leg]: doings[what.doing]} if what.doing in doings else {}


def losses(truth: dict[str, Any], gone: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """Messages that were lost, acknowledged or dead-lettered other than by push; and books that do not balance. `gone`: subscriptions
    that somebody else has deleted, with what was in them."""
    wrong = []
    for name in SOURCES.values():
        found = truth["subscriptions"].get(name)
        if found is None or name in gone:
            if name not in gone:
                wrong.append(f"{name} is gone")
            continue
        for fate in ("acked_by_pull", "dead_lettered_by_pull", "dead_lettered_by_push", "dropped", "purged"):
            if found[fate]:
                wrong.append(f"{name}: {found[fate]} {fate}")
        out = sum(found[f] for f in ("acked_by_push", "acked_by_pull", "dropped", "purged"))
        if found["published"] + found["restored"] != out + found["waiting"]:
            wrong.append(f"{name}: {found['published']} published, {out} gone, {found['waiting']} wait")
    return wrong


def _overlap(folder: Path) -> bool:
    """Whether the pulls of both machines' probes from the subscription itself lay in one another's time."""
    spans = []
    for where in (folder, folder / "elsewhere"):
        if not (where / "pulled").exists():
            return False
        times = [float(t) for t in (where / "pulled").read_text().split()]
        spans.append((times[0], times[-1]))
    (a, b), (c, d) = spans
    return a <= d and c <= b


# --- the lab, and what others do to it ------------------------------------------------------------------------------------


THEIR_ENDPOINT = "https://somebody-elses.example.com/do"
THEIR_CONFIG = {"pushEndpoint": THEIR_ENDPOINT, "attributes": {"x-goog-version": "v1"}}


class _Site:
    """A lab of one's own, its time at PACE."""

    def __init__(self, backlog: str, seed: int) -> None:
        self._lab = Lab(_scenario(backlog, seed), seed, Telemetry())
        self._running = start(self._lab, pace=PACE)
        self.endpoint = self._running.endpoint

    def truth(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.endpoint}/lab/truth", timeout=10) as answer:
            return dict(json.load(answer))

    def post(self, path: str, content: Any) -> None:
        request = urllib.request.Request(f"http://{self.endpoint}{path}", json.dumps(content).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def do(self, doing: str, leg: str) -> None:
        """What somebody else does, at once."""
        name, lab = SOURCES[leg], self._lab
        with lab.lock:
            lab.now()
            world, broker = lab.world, lab.broker
            mine = world.subscriptions.get(name)
            if doing in ("subscription deleted", "made anew") and mine is not None:
                broker.remove(name)
                if doing == "made anew":
                    world.subscriptions[name] = replace(
                        mine, push=PushConfig(endpoint=THEIR_ENDPOINT), labels={}, created=lab.now()
                    )
                    broker.attach(name)
            elif doing == "config changed" and mine is not None:
                mine.push = PushConfig(endpoint=THEIR_ENDPOINT)
                broker.changed(name)
            elif doing == "topic deleted" and mine is not None and mine.topic in world.topics:
                broker.remove_topic(mine.topic)
            elif doing == "temporary deleted":
                for made in [n for n in world.subscriptions if n.startswith("pubsub-diag-probe-")]:
                    broker.remove(made)
            elif doing == "snapshot deleted":
                for made in list(world.snapshots):
                    broker.delete_snapshot(made)

    def __enter__(self) -> _Site:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()


@cache
def _scenario(backlog: str, seed: int) -> Scenario:
    malformed, refused, unnamed = BACKLOGS[backlog]
    text = (HERE / "probed.yaml").read_text()
    for was, now in (("malformed: 3", malformed), ("injured_out: 2", refused), ("no_batch_id: 4", unnamed)):
        key = was.partition(":")[0]
        assert was in text
        text = text.replace(was, f"{key}: {now}")
    return parse(text, "probed.yaml", seed)


class _Others:
    """Somebody, or a probe of another machine: waits for the probe to come to its point, does its part, and lets it go on."""

    def __init__(self, killer: Killer, site: _Site, folder: Path, what: Combination) -> None:
        self._killer, self._site, self._folder, self._what = killer, site, folder, what
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> None:
        if not (self._what.doing or self._what.rival[0] or self._what.fault == "stopped"):
            return
        (self._folder / "gated").touch()
        if self._what.rival[1] == "planned before":
            (self._folder / "elsewhere").mkdir()
        self._thread.start()
        if self._what.rival[1] == "planned before":
            _until(lambda: (self._folder / "elsewhere" / "planned").exists() or not self._thread.is_alive(), 20)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(60)

    def _work(self) -> None:
        mode, way = self._what.rival
        if way == "planned before":
            self._rival(mode, gate=str(self._folder / "struck"))
        else:
            _until(lambda: (self._folder / "struck").exists() or self._over.is_set(), 60)
            if not self._over.is_set():
                self._at_the_point(mode, way)
        (self._folder / "go").touch()

    def _at_the_point(self, mode: str, way: str) -> None:
        if self._what.fault == "stopped":
            pid = int((self._folder / "struck").read_text())
            time.sleep(STOPPED_S)
            _await_restored(self._site, self._folder)
            os.kill(pid, signal.SIGCONT)
        elif mode:
            if way == "at once":
                (self._folder / "go").touch()
            self._rival(mode)
        else:
            self._site.do(self._what.doing, self._what.leg)

    def _rival(self, mode: str, gate: str = "") -> None:
        task = _task("probe", self._folder, self._site.endpoint, mode=mode, leg=self._what.leg, gate=gate)
        status = self._killer.do_elsewhere(task)
        (self._folder / "elsewhere" / "rival").write_text(str(status))


def _await_restored(site: _Site, folder: Path) -> None:
    """Until the watchdog has seen that the probe is late; where there is none yet, at once."""
    if not (folder / "watchdog").exists():
        return
    clean = lambda: not any(_marks(s["labels"]) for s in site.truth()["subscriptions"].values())  # noqa: E731
    _until(clean, 6)


def _of(what: Combination, folder: Path, endpoint: str) -> dict[str, Any]:
    """The task of the probe in a combination."""
    call, _, number = what.call.partition("#")
    more: dict[str, Any] = {"point": ["before" if what.when == "during" else what.when, call, int(number)]}
    fault = "answer" if what.when == "during" else "others" if what.doing or what.rival[0] else what.fault
    if fault == "others" and what.fault.endswith(KILLED):
        fault += KILLED
    if what.when == "during":
        rpc = "".join(word.title() for word in call.partition(":")[0].partition(".")[2].split("_"))
        more["answer"] = [{"rpc": rpc, "kind": ANSWERS[what.fault], "calls": 1}]
    if what.circumstance:
        more |= {"skew_s": CLOCKS[what.circumstance], "force": True}
    if what.backlog == "many":
        more |= {"peek": 200, "force": True}
    if what.fault == "stopped":
        more["watchdog_s"] = STOPPED_S
    return _task("probe", folder, endpoint, mode=what.mode, leg=what.leg, fault=fault, **more)


def _task(do: str, folder: Path, endpoint: str, **more: Any) -> dict[str, Any]:
    return {"do": do, "folder": str(folder), "state": str(folder / "state"), "endpoint": endpoint, **more}


def _journals(folder: Path) -> list[str]:
    return [str(f) for f in folder.rglob("state/probes/*.json")]


def _go_on(folder: Path) -> None:
    """A watchdog that was stopped."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((folder / "watchdog").read_text()), signal.SIGCONT)


def _await_watchdog(folder: Path, longest_s: float = 40.0) -> None:
    """Until it has done its work and gone."""
    if (folder / "watchdog").exists():
        pid = int((folder / "watchdog").read_text())
        _until(lambda: not _lives(pid), longest_s)


def _until(true: Any, longest_s: float) -> None:
    end = time.monotonic() + longest_s
    while time.monotonic() < end and not true():
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _zygote() -> subprocess.Popen[str]:
    with interruptible():
        return subprocess.Popen(
            [sys.executable, "-m", "tests.probe.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=HERE.parent.parent,
            text=True,
        )


def _do(process: subprocess.Popen[str], task: dict[str, Any]) -> int:
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps(task) + "\n")
    process.stdin.flush()
    return int(json.loads(process.stdout.readline())["status"])


os.environ.setdefault("NO_PROXY", "127.0.0.1")
