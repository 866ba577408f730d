"""One run's access to Google Cloud, or to the lab: who we are, what time it is, how long we may take, and the clients."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from diagnostics.evidence.redact import principal
from diagnostics.transport.clients import Clients, endpoints
from diagnostics.transport.log_reads import PER_MINUTE, Budget, LogReads
from diagnostics.transport.sign_in import SignIn, SignInError, prepare, sign_in
from diagnostics.transport.witness import Witness

__all__ = ["CallRecord", "LabError", "LabSeam", "Options", "Session", "SignInError"]

T = TypeVar("T")

LAB = "PUBSUB_DIAG_ENDPOINT"
PROJECT = ("PUBSUB_DIAG_PROJECT", "GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")

EMULATOR = "_EMULATOR_HOST"
"""How the variables end that make Google's libraries ask a local emulator, without a word: PUBSUB_EMULATOR_HOST and its like."""


class Options(Struct, frozen=True, kw_only=True):
    """What the command line says about access."""

    project: str = ""
    timeout_s: float = 20.0
    """For the whole run."""
    impersonate: str = ""
    """E-mail of a service account to act as."""
    payer: str = ""
    """The project to count calls against where Google wants one named and neither the login nor `project` names one."""
    state: Path | None = None
    """Folder in which this machine's log reads are counted; None: each run knows only of its own."""
    log_reads: int = PER_MINUTE
    """Log reads a minute that the project allows."""


class LabError(Exception):
    """The lab seam is set and there is no lab behind it, or it is not on loopback."""


class LabSeam(Struct, frozen=True, kw_only=True):
    """Where the lab is, when PUBSUB_DIAG_ENDPOINT names one."""

    http: str
    """Host and port of its HTTP port."""
    grpc: str
    """Host and port of its gRPC port."""
    now: datetime
    project: str = ""
    name: str = ""
    caller: str = ""
    """Who we are there: "user:person-1f0c"."""
    pace: float = 0.0
    """Simulated seconds that pass in one of the wall clock; 0: its time stands."""
    log_reads: int = PER_MINUTE
    """Log reads a minute that its project allows."""


class CallRecord(Struct, frozen=True, kw_only=True):
    """One call that the run made."""

    name: str
    seconds: float
    ok: bool
    note: str = ""


class Session:
    """One run's access. Threads share it; it is closed by the end of the process."""

    def __init__(
        self,
        *,
        now: datetime,
        timeout_s: float,
        signed_in: SignIn,
        project: str,
        lab: LabSeam | None,
        clients: Clients | None = None,
        ignored: tuple[str, ...] = (),
        witness: Witness | None = None,
        began: float | None = None,
        log_reads: LogReads | None = None,
    ) -> None:
        """`began`: when the run began, of the monotonic clock; None: now."""
        self.now = now
        """The moment of the run, taken once: the lab's in the lab, else the wall clock's."""
        self.timeout_s = timeout_s
        self.reads_as_s = timeout_s
        """As much of a log is read as in a run of so long: less than `timeout_s` only for who shows, on a slow machine, what others see."""
        self.signed_in = signed_in
        self.project = project
        """What --project, the environment, the lab or the credentials name; empty: none does. A profile names its own."""
        self.lab = lab
        self.ignored = ignored
        """Variables of the environment that would have led Google's libraries to an emulator, and do not."""
        self.clients = clients or Clients(
            signed_in.credentials, lab.grpc if lab else "", lab_http=lab.http if lab else ""
        )
        self.witness = witness or Witness()
        """Who sees every call."""
        self.log_reads = log_reads or LogReads(lab.log_reads if lab else PER_MINUTE)
        """What a minute still allows."""
        self.log_budget = Budget(timeout_s)
        """What this look may still read of logs."""
        self.tell: Callable[[str], None] = lambda _: None
        """Where a person is told what is waited for."""
        self._started = time.monotonic() if began is None else began
        self._calls: list[CallRecord] = []
        self._lock = threading.Lock()

    @classmethod
    def open(cls, options: Options, environ: Mapping[str, str] | None = None) -> Session:
        """Sign in, once and up front.

        Variables that name an emulator are taken out of this process's environment: the tool asks Google or the lab, nothing
        else. Signing in takes of the run's time. Raises SignInError (nobody signed in, or not let in) or LabError.
        """
        began = time.monotonic()
        prepare(os.environ)
        environ = os.environ if environ is None else environ
        named = options.project or next((environ[name] for name in PROJECT if environ.get(name)), "")
        if environ.get(LAB):
            lab = find_lab(environ[LAB], min(5.0, options.timeout_s))
            who = SignIn(credentials=None, how="lab", project=lab.project, principal=lab.caller)
            return cls(
                now=lab.now,
                timeout_s=options.timeout_s,
                signed_in=who,
                project=named or lab.project,
                lab=lab,
                began=began,
                log_reads=LogReads(lab.log_reads, options.state, f"lab {lab.http} {lab.grpc}"),
            )
        ignored, asked = _without_emulators(), _endpoints(environ)
        payer = named or options.payer
        who = sign_in(environ, options.impersonate, payer, options.timeout_s)
        return cls(
            now=datetime.now(UTC),
            timeout_s=options.timeout_s,
            signed_in=who,
            project=named or who.project,
            lab=None,
            clients=Clients(who.credentials, "", (payer or who.project) if who.login.lacks_payer else "", asked),
            ignored=ignored,
            began=began,
            log_reads=LogReads(options.log_reads, options.state),
        )

    def again(self, timeout_s: float, now: datetime | None = None) -> Session:
        """The same access and clients with a deadline of its own, for work that must have its time however slow the rest was."""
        fresh = Session(
            now=now or self.now,
            timeout_s=timeout_s,
            signed_in=self.signed_in,
            project=self.project,
            lab=self.lab,
            clients=self.clients,
            ignored=self.ignored,
            witness=self.witness,
            log_reads=self.log_reads,
        )
        fresh.tell = self.tell
        fresh._calls, fresh._lock = self._calls, self._lock
        return fresh

    def later(self, timeout_s: float) -> Session:
        """The same access at the present moment, with calls and a deadline of its own: for commands that look again and again.

        Raises LabError when the lab is gone.
        """
        now = find_lab(self.lab.http, min(5.0, timeout_s)).now if self.lab else datetime.now(UTC)
        fresh = self.again(timeout_s, now)
        fresh._calls, fresh._lock = [], threading.Lock()
        return fresh

    @property
    def asked_at(self) -> tuple[str, ...]:
        """Hosts of Google's that are asked instead of the usual ones, because the environment says so."""
        return tuple(sorted(set(self.clients.endpoints.values())))

    @property
    def principal(self) -> str:
        """Who asks: "serviceAccount:…", "user:person-1f0c", or empty when the credentials do not tell."""
        return self.signed_in.principal

    def remaining(self) -> float:
        """Seconds left of the run."""
        return self.timeout_s - (time.monotonic() - self._started)

    @property
    def allowance_s(self) -> float:
        """Seconds that one call may take: two fifths of the run, so that a hanging source leaves time for what comes after it."""
        return 0.4 * self.timeout_s

    def allowance(self) -> float:
        """Seconds that a call that begins now may take."""
        return max(min(self.allowance_s, self.remaining()), 0.001)

    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def record(self, name: str, seconds: float, ok: bool, note: str = "") -> None:
        with self._lock:
            self._calls.append(CallRecord(name=name, seconds=round(seconds, 4), ok=ok, note=note))

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """Every call so far, in the order in which they ended."""
        with self._lock:
            return tuple(self._calls)


def together(*questions: Callable[[], T]) -> list[T]:
    """The answers to independent questions, asked at once. The first error is raised, after all have answered."""
    answers: list[Any] = [None] * len(questions)
    errors: list[BaseException] = []

    def ask(number: int) -> None:
        try:
            answers[number] = questions[number]()
        except KeyboardInterrupt:  # whoever interrupts does not wait for the other answers
            raise
        except BaseException as error:  # handed to the caller below
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(1, len(questions))]
    for thread in threads:
        thread.start()
    ask(0)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return answers


def _endpoints(environ: Mapping[str, str]) -> dict[str, str]:
    try:
        return endpoints(environ)
    except ValueError as error:
        raise SignInError(str(error), ("unset the variable, or name an endpoint of Google's",)) from error


def _without_emulators() -> tuple[str, ...]:
    """Take the variables that name an emulator out of the environment, which Google's libraries read by themselves."""
    found = tuple(sorted(name for name, value in os.environ.items() if name.endswith(EMULATOR) and value))
    for name in found:
        del os.environ[name]
    return found


def find_lab(endpoint: str, timeout_s: float) -> LabSeam:
    """Ask the lab's HTTP port for its gRPC port and its time. Raises LabError."""
    host, _, port = endpoint.removeprefix("http://").rstrip("/").rpartition(":")
    if not loopback(host) or not port.isdigit():
        raise LabError(f"{LAB}={endpoint}: expected a port of this machine, 127.0.0.1:PORT; nothing else is asked")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}:{port}/lab", timeout=timeout_s) as answer:
            said = json.load(answer)
        seam = LabSeam(
            http=f"{host}:{port}",
            grpc=said["grpc"],
            now=datetime.fromisoformat(said["now"]).astimezone(UTC),
            project=said.get("project", ""),
            name=said.get("name", ""),
            caller=f"user:{principal(said['caller'])}" if said.get("caller") else "",
            pace=float(said.get("pace", 0)),
            log_reads=int(said.get("log_reads_per_minute", PER_MINUTE)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{LAB}={endpoint}: no lab answers there ({type(error).__name__}: {error})") from error
    if not loopback(seam.grpc.rpartition(":")[0]):
        raise LabError(f"{LAB}={endpoint}: the lab names a gRPC port that is not on this machine: {seam.grpc}")
    return seam


def loopback(host: str) -> bool:
    return host in ("127.0.0.1", "localhost", "[::1]")
