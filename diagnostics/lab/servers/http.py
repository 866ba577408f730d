"""The HTTP port: control under /lab, and the services themselves.

A request whose Host header is not loopback is a call to that service URL: `curl -H "Host: SERVICE-HASH-wl.a.run.app"
http://127.0.0.1:PORT/health`. Simulated time does not pass for the caller; what the answer would have taken is in the header
X-Lab-Latency-S.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from diagnostics.lab.http import Token
from diagnostics.lab.rights import INVOKE
from diagnostics.lab.scenario import Fault
from diagnostics.lab.servers import bigquery, storage
from diagnostics.lab.servers.cloud import Cloud
from diagnostics.lab.servers.errors import RpcError
from diagnostics.lab.servers.faults import ERRORS, HTTP, PAGE, Faults, SomebodyElse
from diagnostics.lab.servers.front import Record
from diagnostics.lab.servers.truth import truth
from diagnostics.lab.tokens import Claims

LOOPBACK = {"127.0.0.1", "localhost", ""}
LATENCY = "X-Lab-Latency-S"
TRICKLES = "X-Lab-Trickles"
"""On an answer whose body comes a byte at a time, and never to its end."""
BYTE_S = 0.2
ENDLESS = 1_000_000
"""Bytes that an answer is said to have that comes to no end."""
NO_CLAIMS = Token(email="", audience="", expires=0)
"""What a bearer token that we did not sign amounts to: it is there, and it proves nothing."""

NOBODY = "nobody@example.com"
"""Whom the caller amounts to when the scenario takes the permission to invoke away, whatever the policies say."""

CALLER_SUBJECT = "100000000000000000001"
ERROR_STATUS = {"UNAVAILABLE": 503, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "UNAUTHENTICATED": 401}


class Web:
    """The HTTP server and its thread."""

    def __init__(
        self, cloud: Cloud, faults: Faults, record: Record, grpc_port: int, pace: float, port: int = 0
    ) -> None:
        self._cloud = cloud
        self._faults = faults
        self._record = record
        self._grpc_port = grpc_port
        self._pace = pace
        self._closing = threading.Event()
        self._bigquery = bigquery.BigQuery(cloud)
        self._storage = storage.Storage(cloud)
        self._server = Server(("127.0.0.1", port), _handler(self))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="lab-http", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def control(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """Answer a request to /lab…: status and JSON."""
        url = urlsplit(target)
        if (method, url.path) == ("GET", "/lab"):
            return 200, self._about()
        if (method, url.path) == ("GET", "/lab/rpcs"):
            return 200, self._record.as_json()
        if (method, url.path) == ("GET", "/lab/certs"):
            return 200, self._cloud.tokens.certificates
        if (method, url.path) == ("GET", "/lab/token"):
            return self._own_token(parse_qs(url.query).get("audience", [""])[0])
        if (method, url.path) == ("POST", "/lab/advance"):
            return self._advance(body)
        if (method, url.path) == ("POST", "/lab/faults"):
            return self._replace_faults(body)
        if (method, url.path) == ("GET", "/lab/truth"):
            with self._cloud.lab.lock:
                self._cloud.lab.now()
                return 200, truth(self._cloud)
        return 404, {"error": f"no {method} {url.path} here; GET /lab says what there is"}

    def api(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        """Answer a request to one of Google's REST APIs; None: it is none that the lab serves. Status 0: no answer."""
        url = urlsplit(target)
        if stored := storage.route(method, url.path):
            return self._stored(stored, parse_qs(url.query), headers, body)
        asked = bigquery.route(method, url.path)
        return None if asked is None else self._queried(asked, _query(url.query), body)

    def _stored(
        self, asked: storage.Call, query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """A call to Cloud Storage."""
        started, status, size = time.monotonic(), 0, 0
        try:
            lose = self._faults.meet(asked.rpc, 0, self._closing_wait).lose
            with self._cloud.lab.lock:
                self._cloud.lab.now()
                found = self._storage.answer(asked, query, headers, body)
            lose()
            status, size = found.status, len(found.body)
            return found
        except RpcError as error:
            if error.code == "CANCELLED" or error.message == ERRORS["cut"][1]:
                return 0, {}, b""
            refused = storage.of_rpc(error, asked)
            status = refused.status
            return storage.refusal(asked, refused)
        except storage.Refused as refused:
            status = refused.status
            return storage.refusal(asked, refused)
        except SomebodyElse as other:
            page = _page_of(other)
            status = page[0]
            return page
        finally:
            said = "OK" if status in (200, 206) else str(status)
            self._record.add(asked.rpc, "/".join(asked.parts), started, said, size)

    def _queried(self, asked: bigquery.Call, query: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """A call to BigQuery."""
        started, size = time.monotonic(), 0
        status, headers = 0, {"Content-Type": "application/json; charset=UTF-8"}
        try:
            lose = self._faults.meet(asked.rpc, 0, self._closing_wait).lose
            with self._cloud.lab.lock:
                self._cloud.lab.now()
                answer = self._bigquery.answer(asked, query, body)
            lose()
            content = json.dumps(answer).encode()
            status, size = 200, len(content)
            return status, headers, content
        except RpcError as error:
            if error.code == "CANCELLED" or error.message == ERRORS["cut"][1]:
                return 0, {}, b""
            refused = bigquery.of_rpc(error)
            status = refused.status
            return status, headers, refused.body
        except bigquery.RestError as error:
            status = error.status
            return status, headers, error.body
        except SomebodyElse as other:
            page = _page_of(other)
            status = page[0]
            return page
        finally:
            self._record.add(asked.rpc, "/".join(asked.parts), started, "OK" if status == 200 else str(status), size)

    def call(
        self, host: str, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Pass a request on to a service. Status 0: no answer."""
        started, status, size = time.monotonic(), 0, 0
        try:
            lose = self._faults.meet(HTTP, 0, self._closing_wait).lose
            with self._cloud.lab.lock:
                token = self._bearer(headers)
                answer = self._cloud.lab.http(host, method, target, headers, body, token)
            lose()
            status, size = answer.status, len(answer.body)
            return status, {**answer.headers, LATENCY: f"{answer.latency_s:.3f}"}, answer.body
        except RpcError as error:
            status = ERROR_STATUS.get(error.code, 0)
            return status, {}, error.message.encode()
        except SomebodyElse as other:
            page = _page_of(other)
            status = page[0]
            return page
        finally:
            self._record.add(HTTP, f"{method} {host}{urlsplit(target).path}", started, str(status), size)

    def _about(self) -> dict[str, Any]:
        lab, world = self._cloud.lab, self._cloud.world
        with lab.lock:
            now = datetime.fromtimestamp(lab.now(), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {
            "grpc": f"127.0.0.1:{self._grpc_port}",
            "now": now,
            "clock": "pace" if self._pace else "stands",
            "pace": self._pace,
            "log_reads_per_minute": self._cloud.log_reads.per_minute,
            "name": lab.scenario.name,
            "project": world.project,
            "caller": self._cloud.caller,
            "services": {name: list(world.urls(s)) for name, s in sorted(world.services.items())},
            "use": {
                "service URLs": "send the request here with the service's own Host header",
                "latency": f"simulated seconds of a service call are in the answer's header {LATENCY}",
                "POST /lab/advance": '{"seconds": n} runs the simulation on',
                "POST /lab/faults": "a list of faults as a scenario has them: from now on these, counted anew",
                "GET /lab/rpcs": "every call so far",
                "GET /lab/truth": "for tests: what became of every message",
                "GET /lab/certs": "certificates of the tokens",
                "GET /lab/token?audience=A": "an identity token of the caller",
            },
        }

    def _advance(self, body: bytes) -> tuple[int, Any]:
        try:
            seconds = float(json.loads(body)["seconds"])
            now = self._cloud.lab.advance(seconds)
        except (ValueError, KeyError, TypeError) as error:
            return 400, {"error": f'expected {{"seconds": n}}, n not negative: {error}'}
        return 200, {"now": datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")}

    def _replace_faults(self, body: bytes) -> tuple[int, Any]:
        try:
            faults = msgspec.json.decode(body, type=tuple[Fault, ...])
            self._faults.replace(faults)
        except (ValueError, msgspec.MsgspecError) as error:
            return 400, {"error": str(error)}
        return 200, {"faults": len(faults)}

    def _own_token(self, audience: str) -> tuple[int, Any]:
        if not audience:
            return 400, {"error": "the audience is missing"}
        with self._cloud.lab.lock:
            claims = Claims(self._cloud.caller, CALLER_SUBJECT, audience)
            return 200, {"token": self._cloud.tokens.mint(claims, self._cloud.lab.now())}

    def _bearer(self, headers: dict[str, str]) -> Token | None:
        given = next((v for k, v in headers.items() if k.lower() == "authorization"), "")
        kind, _, token = given.partition(" ")
        if kind.lower() != "bearer":
            return None
        claims = self._cloud.tokens.read(token.strip(), self._cloud.lab.now()) or NO_CLAIMS
        if claims.email == self._cloud.caller and INVOKE not in self._cloud.held:
            return replace(claims, email=NOBODY)
        return claims

    def trickle(self, write: Callable[[bytes], object]) -> None:
        """A byte now and then, until the caller leaves or the lab closes."""
        with suppress(OSError):
            while not self._closing.wait(BYTE_S):
                write(b" ")

    def _closing_wait(self, seconds: float | None) -> None:
        self._closing.wait(seconds)


def _query(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def _page_of(other: SomebodyElse) -> tuple[int, dict[str, str], bytes]:
    """What somebody else answers in the place of who was asked."""
    status = 502 if other.kind == "bad_gateway" else 200
    return status, {"Content-Type": "text/html"} | ({TRICKLES: "1"} if other.kind == "trickle" else {}), PAGE


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers may hang up when they like; what else goes wrong is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            if len(body) < size:  # the caller died over it
                self.close_connection = True
                return
            host = (self.headers.get("Host") or "").partition(":")[0].lower()
            if host in LOOPBACK and (given := web.api(self.command, self.path, dict(self.headers.items()), body)):
                self._give(*given)
                return
            if host in LOOPBACK:
                status, content = web.control(self.command, self.path, body)
                self._send(status, {"Content-Type": "application/json"}, json.dumps(content).encode())
                return
            self._give(*web.call(host, self.command, self.path, dict(self.headers.items()), body))

        def _give(self, status: int, headers: dict[str, str], content: bytes) -> None:
            if status == 0:
                self.close_connection = True
            else:
                self._send(status, headers, content)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if TRICKLES not in headers else ENDLESS))
            self.end_headers()
            if TRICKLES in headers:
                web.trickle(self.wfile.write)
                self.close_connection = True
                return
            if self.command != "HEAD" and status not in (204, 304):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the record of calls says it all."""

    return Handler
