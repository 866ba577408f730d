"""gcloud reads the policies that `pubsub-diag alerts` prints and sends them as they are."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from diagnostics.cli import main
from tests.contract.google_tools import Gcloud

pytestmark = pytest.mark.google_tools


@pytest.fixture
def monitoring() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """An address on loopback that takes every request for Monitoring's REST API, and what came there: (path, body)."""
    heard: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.path.partition("?")[0], json.loads(body)))
            answer = json.dumps({**heard[-1][1], "name": "projects/p/alertPolicies/1"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", heard
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["no-publish", "completion-gap"])
def test_gcloud_creates_what_is_printed(
    gcloud: Gcloud, monitoring: tuple[str, list[tuple[str, Any]]], tmp_path: Path, name: str
) -> None:
    address, heard = monitoring
    file = tmp_path / "policy.json"
    assert main.run(["alerts", name, "--profile", "nba-predictions", "-q", "--out", str(file)]) == 0
    environment = gcloud.environment("nba-props-platform") | {"CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": address}
    line = [gcloud.command, "alpha", "monitoring", "policies", "create", f"--policy-from-file={file}"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    ((path, sent),) = heard
    assert path == "/v3/projects/nba-props-platform/alertPolicies"
    assert sent == json.loads(file.read_text())
    assert os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING") is None
