"""A front that answers as Google does, before a lab: the program runs as it would against Google, and a test changes what it is told.

The program runs in a process of its own: it signs in, signs and refreshes tokens, finds Google's own hosts, speaks TLS through a
proxy. Nothing of the lab's seam is set; what answers is the lab, behind TLS, token endpoints, a metadata server and a fake gcloud.

    with answering("typical-batch") as google:
        with google.change("ListLogEntries", reply=lambda request, reply: reply.ClearField("entries")):
            said = google.run("batch", login=logins.user(google))
        assert said.code == 3

Times are the lab's for the run (`Session.now`), the machine's for tokens.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from diagnostics.lab.scenario import Scenario
from diagnostics.scoring.world import World, find, opened, served
from tests.children import TIMED_OUT
from tests.contract.front import logins
from tests.contract.front.apis import Apis, Call, Change, Refusal
from tests.contract.front.issuer import Issuer
from tests.contract.front.logins import Login
from tests.contract.front.messages import messages
from tests.contract.front.rest import Asked, Rest, Told, WebChange
from tests.contract.front.wire import Trouble, Wire

__all__ = ["Asked", "Call", "Google", "Login", "Refusal", "Said", "Told", "Trouble", "answering", "logins"]

T = TypeVar("T")

ROOT = Path(__file__).parents[3]
PLENTY = 100_000
GENERATE_ID_TOKEN = "google.iam.credentials.v1.IAMCredentials/GenerateIdToken"


class Said(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str
    seconds: float
    """That it took; of a process that is forked, without those in which it had no processor because others had."""

    def json(self) -> dict[str, Any]:
        """The answer, where it was asked for as JSON."""
        return dict(json.loads(self.out))


class Google:
    """The front and the lab behind it. `answering` makes one; a module's tests may share it, since changes end with their block."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.project: str = world.lab.world.project
        self.number: str = world.lab.world.number
        self.now = datetime.fromtimestamp(world.lab.now(), UTC)
        """The moment of every run."""
        self.issuer = Issuer()
        self.rest = Rest(f"127.0.0.1:{world.running.http_port}", self.issuer, self.project, self.number)
        self.apis = Apis(
            f"127.0.0.1:{world.running.grpc_port}",
            self.issuer.known,
            self._own,
            person=lambda token: self.issuer.tokens.get(token) == logins.PERSON,
        )
        self._folder = folder
        self._homes, self._runs = count(1), count(1)
        self.wire = Wire(folder, self.apis.port, self.rest.port)
        self._zygote: subprocess.Popen[str] | None = None
        self._one_at_a_time = threading.Lock()

    @property
    def calls(self) -> list[Call]:
        """Every RPC so far. Clear it where a test counts."""
        return self.apis.calls

    @property
    def requests(self) -> list[Asked]:
        """Every HTTP request so far, tokens included."""
        return self.rest.requests

    def run(
        self,
        *arguments: str,
        login: Login | None = None,
        environ: Mapping[str, str] | None = None,
        profile: bool = True,
        timeout_s: float = 90,
        alone: bool = False,
    ) -> Said:
        """Run a command line, as a user with a service account's key unless said otherwise, with their home as the folder.

        `profile`: with --profile of the pipeline that the lab plays, unless the arguments name one. `alone`: in a process that
        begins with nothing imported, which takes a second or two more; as is done where `environ` has something of gRPC's.
        """
        login = login or logins.key(self)
        named = not profile or {"--profile", "--subscription"} & set(arguments)
        line = [*arguments, *login.arguments, *(() if named else ("--profile", self._profile()))]
        environment = self.environ(login) | dict(environ or {})
        if alone or any(name.startswith("GRPC_") for name in environ or {}):
            return self._run_alone(line, login, environment, timeout_s)
        number = next(self._runs)
        out, err = self._folder / f"{number}.out", self._folder / f"{number}.err"
        task = {
            "now": self.now.isoformat(),
            "arguments": line,
            "environ": environment,
            "folder": str(login.home),
            "out": str(out),
            "err": str(err),
            "timeout_s": timeout_s,
        }
        ended = self._ask(task)
        assert ended["code"] != TIMED_OUT, f"{line} took more than {timeout_s} s: {err.read_text()}"
        return Said(ended["code"], out.read_text(), err.read_text(), ended["seconds"] - ended["queued"])

    def _ask(self, task: dict[str, Any]) -> dict[str, Any]:
        """Have the process run a line that has everything imported; the first line starts it."""
        with self._one_at_a_time:
            if self._zygote is None:
                self._zygote = subprocess.Popen(
                    [sys.executable, "-m", "tests.contract.front.program"],
                    env=self.environ(logins.nobody(self)),
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            assert self._zygote.stdin and self._zygote.stdout
            self._zygote.stdin.write(json.dumps(task) + "\n")
            self._zygote.stdin.flush()
            return dict(json.loads(self._zygote.stdout.readline()))

    def _run_alone(self, line: list[str], login: Login, environ: dict[str, str], timeout_s: float) -> Said:
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "tests.contract.front.program", self.now.isoformat(), *line],
            env=environ,
            cwd=login.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)

    def environ(self, login: Login) -> dict[str, str]:
        """The whole environment of a program that is signed in so; nothing of our own is in it."""
        bundle = str(self.wire.trusted.bundle)
        return {
            "HOME": str(login.home),
            "PATH": str(login.home / "bin"),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "https_proxy": self.wire.proxy,
            "no_proxy": "127.0.0.1,localhost",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "NO_GCE_CHECK": "true",
            "PUBSUB_DIAG_LOG_READS": str(PLENTY),
            **login.environ,
        }

    def change(
        self,
        rpc: str,
        *,
        when: Callable[[Any], bool] = lambda _: True,
        ask: Callable[[Any], None] | None = None,
        reply: Callable[[Any, Any], Any] | None = None,
        instead: Callable[[Any], Any] | None = None,
        refuse: Refusal | None = None,
        delay_s: float = 0.0,
        times: int | None = None,
    ) -> AbstractContextManager[Change]:
        """Within the block, calls of this RPC (its name or the end of it) that `when` finds are treated so.

        Messages are plain protobuf. `ask` changes the request before the lab sees it; `reply` gets request and reply and changes the
        reply, or gives another; `instead` answers by itself (see `message`); `refuse` is an error; each may raise Refusal. `times`:
        only the first so many calls. Of several changes the newest that hits is taken. `met` of what the block gets counts calls.
        """
        return _within(self.apis.changes, Change(rpc, when, ask, reply, instead, refuse, delay_s, times))

    def web(
        self,
        host: str,
        path: str = "",
        instead: Callable[[Asked], Told | None] | Told | None = None,
        *,
        delay_s: float = 0.0,
        times: int | None = None,
    ) -> AbstractContextManager[WebChange]:
        """Within the block, requests to this host (or the end of one; the metadata server is 127.0.0.1) are answered so.

        Hosts beside run.app: oauth2, sts, iamcredentials, cloudresourcemanager, each .googleapis.com. A `Told` with status 0 hangs up; None
        instead of one lets the front answer.
        """
        return _within(self.rest.changes, WebChange(host, path, instead, delay_s, times))

    @contextmanager
    def billing(self, *services: str) -> Iterator[None]:
        """Within the block, these services (google.monitoring.v3.…) want a quota project of a person, as some of Google's do."""
        self.apis.billed = services
        try:
            yield
        finally:
            self.apis.billed = ()

    @contextmanager
    def trouble(self, what: Trouble, host: str = "") -> Iterator[None]:
        """Within the block, this stands between the program and the host (or the end of one; empty: everything)."""
        self.wire.troubles[host] = what
        try:
            yield
        finally:
            del self.wire.troubles[host]

    def message(self, rpc: str) -> Any:
        """The protobuf class of the reply of an RPC (full name), for `instead`."""
        return messages()[rpc].reply

    def new_home(self) -> Path:
        """A folder for a user who has nothing yet."""
        home = self._folder / f"home-{next(self._homes)}"
        home.mkdir()
        return home

    def close(self) -> None:
        if self._zygote:
            self._zygote.kill()
            self._zygote.communicate()
        self.wire.close()
        self.apis.close()
        self.rest.close()

    def _own(self, rpc: str, request: Any) -> Any:
        """Identity tokens of accounts that only the front knows."""
        account = str(getattr(request, "name", "")).rpartition("/")[2]
        if rpc == GENERATE_ID_TOKEN and account not in self.world.lab.world.accounts:
            return self.message(rpc)(token=self.rest.identity(request.audience))
        return None

    def _profile(self) -> str:
        from diagnostics.run.look import lab_profile

        profile = lab_profile(self.project)
        assert profile, f"no built-in profile is of {self.project}: name one"
        return profile.name


@contextmanager
def answering(scenario: str | Scenario, seed: int = 1) -> Iterator[Google]:
    """A front before a lab that plays this scenario, by name or made by machine."""
    world = (
        served(scenario, seed, log_reads_per_minute=PLENTY)
        if isinstance(scenario, Scenario)
        else opened(find(scenario), seed, log_reads_per_minute=PLENTY)
    )
    with tempfile.TemporaryDirectory() as folder, world as opened_world:
        google = Google(opened_world, Path(folder))
        with contextlib.closing(google):
            yield google


@contextmanager
def _within(kept: list[T], one: T) -> Iterator[T]:
    kept.append(one)
    try:
        yield one
    finally:
        kept.remove(one)
