"""Everything of Google's that is plain HTTP: token endpoints, IAM credentials, the metadata server, and services on run.app."""

from __future__ import annotations

import base64
import email.utils
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

from tests.contract.front.issuer import LIVES_S, Issuer, Refused

METADATA = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
HIDDEN = ("content-length", "transfer-encoding", "connection")


class Asked(NamedTuple):
    """One request as the program made it."""

    method: str
    host: str
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    def data(self) -> dict[str, Any]:
        """Its body, a form or JSON."""
        text = self.body.decode()
        return dict(json.loads(text)) if text.startswith("{") else {k: v[0] for k, v in parse_qs(text).items()}


class Told(NamedTuple):
    """One answer. A mapping is sent as JSON."""

    status: int
    body: Any = ""
    headers: Mapping[str, str] = {}


@dataclass
class WebChange:
    """What a test makes of requests to a host (or the end of one) and path (or the beginning of one)."""

    host: str
    path: str
    instead: Callable[[Asked], Told | None] | Told | None
    delay_s: float = 0.0
    times: int | None = None
    met: int = 0

    def hits(self, asked: Asked) -> bool:
        return (
            asked.host.endswith(self.host)
            and asked.path.startswith(self.path)
            and (self.times is None or self.met < self.times)
        )


@dataclass
class Rest:
    """The HTTP server. `lab` is the address of the lab's HTTP port."""

    lab: str
    issuer: Issuer
    project: str
    number: str
    instance: str = ""
    """E-mail of the service account of the machine that the metadata server is of; empty: there is no metadata server."""
    scopes: tuple[str, ...] = ("https://www.googleapis.com/auth/cloud-platform",)
    """Of that machine."""
    person: str = "front-identity-of-a-person"
    """What `gcloud auth print-identity-token` prints: it names no service, and Cloud Run takes it."""
    changes: list[WebChange] = field(default_factory=list)
    requests: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="front-rest", daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Asked) -> Told:
        with self._lock:
            self.requests.append(asked)
            change = next((c for c in reversed(self.changes) if c.hits(asked)), None)
            if change:
                change.met += 1
        if change and change.delay_s:
            self._over.wait(change.delay_s)
        told = change.instead if change else None
        if told and (answer := told if isinstance(told, Told) else told(asked)):
            return answer
        try:
            return self._answer(asked)
        except Refused as refused:
            return Told(400, refused.body)

    def identity(self, audience: str) -> str:
        """An identity token that the lab's services know."""
        told = self._of_lab("GET", f"/lab/token?audience={quote(audience, safe='')}", {}, b"")
        return str(json.loads(told.body)["token"])

    def _answer(self, asked: Asked) -> Told:
        if asked.host in ("127.0.0.1", "localhost", "169.254.169.254", "metadata.google.internal"):
            return self._metadata(asked)
        if asked.host == "oauth2.googleapis.com" and asked.path == "/token":
            return self._oauth(asked.data())
        if asked.host == "sts.googleapis.com" and asked.path == "/v1/token":
            return self._token("federated", kind="urn:ietf:params:oauth:token-type:access_token")
        if asked.host == "iamcredentials.googleapis.com":
            return self._credentials(asked)
        if asked.host == "cloudresourcemanager.googleapis.com":
            return self._projects(asked)
        if asked.host in ("bigquery.googleapis.com", "storage.googleapis.com"):
            return self._tables(asked)
        if asked.host.endswith(".run.app"):
            return self._service(asked)
        return Told(404, "<html><title>Error 404 (Not Found)!!1</title></html>", {"Content-Type": "text/html"})

    def _oauth(self, form: Mapping[str, str]) -> Told:
        if form.get("grant_type") == "refresh_token":
            who = self.issuer.logins.get(form.get("refresh_token", ""))
            if who is None:
                raise Refused("invalid_grant", "Token has been expired or revoked.")
            return self._token(who, id_token=_unsigned({"email": who}))
        claims = self.issuer.claims(form.get("assertion", ""))
        if audience := claims.get("target_audience"):
            return Told(200, {"id_token": self.identity(audience)})
        return self._token(claims["iss"])

    def _token(self, whose: str, *, kind: str = "", id_token: str = "") -> Told:
        body = {"access_token": self.issuer.token(whose), "expires_in": LIVES_S, "token_type": "Bearer"}
        more = {"issued_token_type": kind, "id_token": id_token}
        return Told(200, body | {name: value for name, value in more.items() if value})

    def _credentials(self, asked: Asked) -> Told:
        if not asked.path.endswith((":generateAccessToken", ":generateIdToken")):
            return _error(404, "NOT_FOUND", "Requested entity was not found.")
        if not self.issuer.known(_bearer(asked)):
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        account = asked.path.rpartition("/")[2].partition(":")[0]
        if asked.path.endswith(":generateIdToken"):
            return Told(200, {"token": self.identity(asked.data()["audience"])})
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.issuer.now() + LIVES_S))
        return Told(200, {"accessToken": self.issuer.token(account), "expireTime": until})

    def _projects(self, asked: Asked) -> Told:
        if not self.issuer.known(_bearer(asked)):
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if asked.path != f"/v1/projects/{self.number}":
            return _error(403, "PERMISSION_DENIED", "The caller does not have permission")
        return Told(200, {"projectId": self.project, "projectNumber": self.number, "lifecycleState": "ACTIVE"})

    def _tables(self, asked: Asked) -> Told:
        """BigQuery and Cloud Storage of the lab, for whoever has signed in here."""
        if not self.issuer.known(_bearer(asked)):
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        headers = {k: v for k, v in asked.headers.items() if k.lower() not in ("authorization", "host")}
        return self._of_lab(asked.method, asked.target, headers, asked.body)

    def _metadata(self, asked: Asked) -> Told:
        """The metadata server of a machine, which a request reaches without the proxy."""
        if not self.instance:
            return Told(404, "nothing here")
        path = asked.path.removeprefix("/computeMetadata/v1/").strip("/")
        account = "instance/service-accounts/"
        if path in ("", "computeMetadata/v1"):
            return Told(200, "", METADATA)
        if path == "project/project-id":
            return Told(200, self.project, METADATA)
        if path == "project/numeric-project-id":
            return Told(200, self.number, METADATA)
        if path == "universe/universe-domain":
            return Told(200, "googleapis.com", METADATA)
        if path.startswith(account) and path.endswith("/token"):
            told = self._token(self.instance)
            return told._replace(headers=METADATA)
        if path.startswith(account) and path.endswith("/identity"):
            return Told(200, self.identity(asked.query["audience"]), METADATA)
        if path.startswith(account) and path.endswith("/email"):
            return Told(200, self.instance, METADATA)
        if path.startswith(account):
            about = {"email": self.instance, "aliases": ["default"], "scopes": list(self.scopes)}
            return Told(200, about, METADATA)
        return Told(404, "", METADATA)

    def _service(self, asked: Asked) -> Told:
        """A service of the lab, under its own URL."""
        headers = dict(asked.headers)
        if _bearer(asked) == self.person:
            headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
            headers["Authorization"] = f"Bearer {self.identity(f'https://{asked.host}')}"
        return self._of_lab(asked.method, asked.target, headers, asked.body)

    def _of_lab(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Told:
        connection = http.client.HTTPConnection(self.lab, timeout=30)
        try:
            connection.request(method, target, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in (*HIDDEN, "date", "server")}
            return Told(answer.status, answer.read(), kept)
        finally:
            connection.close()


def _bearer(asked: Asked) -> str:
    given = next((value for name, value in asked.headers.items() if name.lower() == "authorization"), "")
    return given.removeprefix("Bearer ")


def _unsigned(claims: Mapping[str, str]) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.front"


def _error(status: int, name: str, message: str) -> Told:
    return Told(status, {"error": {"code": status, "message": message, "status": name}})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who goes away while it waits for an answer is no error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _handler(rest: Rest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            host = (self.headers.get("Host") or "").partition(":")[0].lower()
            told = rest.answer(Asked(self.command, host, self.path, dict(self.headers.items()), body))
            if not told.status:
                self.close_connection = True
                return
            sent = told.body if isinstance(told.body, bytes) else _text(told.body).encode()
            self.send_response_only(told.status)
            self.send_header("Date", email.utils.formatdate(rest.issuer.now(), usegmt=True))
            kind = {"Content-Type": "application/json" if isinstance(told.body, Mapping) else "text/plain"}
            for name, value in {**kind, **told.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: `requests` says it all."""

    return Handler


def _text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body)
