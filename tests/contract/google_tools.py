"""Google's own tools, as tests use them: the official Pub/Sub emulator, gcloud against it, and gcloud's linter.

They come with the Google Cloud SDK and with no package registry. Where they are absent the tests that need them are skipped with
the reason; with PUBSUB_DIAG_REQUIRE_GOOGLE_TOOLS=1 they fail.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

REQUIRE = "PUBSUB_DIAG_REQUIRE_GOOGLE_TOOLS"
JAR = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"
FIRESTORE_JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
FIRESTORE_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
PATIENCE_S = 240
"""How long gcloud may take: a second or two, and a hundred times that on a busy machine."""
READY = "Server started, listening on"
FIRESTORE_READY = "Dev App Server is now running"
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java's options for a program that ends before it pays to compile it well."""


class Absent(Exception):
    """A tool of Google's is not on this machine; says which, and where it comes from."""


@dataclass(frozen=True)
class Gcloud:
    """gcloud with a configuration of its own: nobody's account, nobody's project, no questions, nothing reported."""

    command: str
    home: Path
    """A folder for its configuration."""

    @classmethod
    def find(cls, home: Path) -> Gcloud:
        """Raises Absent."""
        command = shutil.which("gcloud")
        if command is None:
            raise Absent("gcloud is not installed (it comes with the Google Cloud SDK)")
        (home / "token").write_text("no-token\n")
        return cls(command, home)

    def environment(self, project: str, pubsub: str = "") -> dict[str, str]:
        """`pubsub`: host and port of the emulator that Pub/Sub commands go to."""
        own = {
            "CLOUDSDK_CONFIG": str(self.home),
            "CLOUDSDK_CORE_PROJECT": project,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(self.home / "token"),
            "NO_PROXY": "127.0.0.1",
        }
        if pubsub:
            own["CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB"] = f"http://{pubsub}/"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CLOUDSDK_")}
        return inherited | own

    def run(self, words: list[str], project: str, pubsub: str = "") -> subprocess.CompletedProcess[str]:
        environment = self.environment(project, pubsub)
        return subprocess.run(
            [self.command, *words], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )

    def shell(self, line: str, project: str, pubsub: str) -> subprocess.CompletedProcess[str]:
        """Run a line as somebody would who copies it from a runbook."""
        environment = self.environment(project, pubsub)
        return subprocess.run(
            ["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )

    def lint(self, lines: Iterable[str]) -> dict[str, str]:
        """What Google's linter holds against each line; empty: nothing. Offline; all lines in one go."""
        asked = self.home / "lint.json"
        asked.write_text(json.dumps([{"command_string": line} for line in sorted(set(lines))]))
        done = self.run(["meta", "lint-gcloud-commands", f"--commands-file={asked}"], "my-project")
        assert done.returncode == 0, done.stderr
        verdicts = json.loads(done.stdout)
        return {v["command_string"]: "" if v["success"] else v["error_message"] or "refused" for v in verdicts}

    def sdk(self) -> Path:
        return Path(self.run(["info", "--format=value(installation.sdk_root)"], "my-project").stdout.strip())


class Emulator:
    """The official Pub/Sub emulator, one process on loopback. It keeps projects apart, so each test takes a project of its own."""

    component = "pubsub-emulator"
    jar = JAR
    ready = READY

    def __init__(self, sdk: Path, log: Path) -> None:
        """Raises Absent, or TimeoutError when it does not come up."""
        java = shutil.which("java")
        jars = sorted(sdk.glob(self.jar))
        if java is None or not jars:
            what = "java" if java is None else f"the {self.component}"
            raise Absent(f"{what} is not installed (gcloud component {self.component})")
        self.address = f"127.0.0.1:{_free_port()}"
        port = self.address.partition(":")[2]
        with log.open("w") as out:
            self._process = subprocess.Popen(
                [java, *SHORT_LIVED, *self.program(jars[-1]), "--host=127.0.0.1", f"--port={port}"],
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._wait(log)

    def program(self, jar: Path) -> list[str]:
        """What java is to run."""
        return ["-jar", str(jar)]

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + 60
        while self.ready not in log.read_text():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.close()
                raise TimeoutError(f"the emulator did not start: {log.read_text()[-500:]}")
            time.sleep(0.05)

    def channel(self) -> Any:
        """A gRPC channel to it, for the real clients' transports."""
        import grpc

        return grpc.insecure_channel(self.address, options=[("grpc.enable_http_proxy", 0)])

    def client(self, kind: Any) -> Any:
        """A real client that talks to it."""
        return kind(transport=kind.get_transport_class("grpc")(channel=self.channel()))

    def close(self) -> None:
        """End the process that was started, and no other."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class FirestoreEmulator(Emulator):
    """The official Firestore emulator, likewise. It looks at no permission."""

    component = "cloud-firestore-emulator"
    jar = FIRESTORE_JAR
    ready = FIRESTORE_READY

    def program(self, jar: Path) -> list[str]:
        return ["-cp", str(jar), FIRESTORE_MAIN]


def required(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether an absent tool is a failure."""
    return environ.get(REQUIRE) == "1"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
