"""Pub/Sub's REST API before the lab's own handlers, for gcloud, which speaks nothing else. Paths are those of Google's client library."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from google.protobuf import json_format
from google.pubsub_v1.services.publisher.transports import rest_base as publisher
from google.pubsub_v1.services.subscriber.transports import rest_base as subscriber

from diagnostics.lab.lab import Lab
from diagnostics.lab.servers.cloud import Cloud, Method, Quota
from diagnostics.lab.servers.errors import RpcError
from diagnostics.lab.servers.pubsub import METHODS
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.lab.tokens import Tokens

HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
}
IAM = ("GetIamPolicy", "SetIamPolicy", "TestIamPermissions")


class Route(NamedTuple):
    """One way to call a method: `uri` as google.api.http writes it."""

    verb: str
    pattern: re.Pattern[str]
    field: str
    """What the name in the path is in the request: `subscription.name`."""
    body: str
    """Field that the body is; "*": the request itself; empty: there is none."""
    method: Method


def _routes() -> list[Route]:
    served = {method.name: method for method in METHODS}
    found = []
    for service, base in (
        ("Publisher", publisher._BasePublisherRestTransport),
        ("Subscriber", subscriber._BaseSubscriberRestTransport),
    ):
        for name, inner in vars(base).items():
            if not name.startswith("_Base"):
                continue
            rpc = name.removeprefix("_Base")
            method = served.get(f"google.iam.v1.IAMPolicy/{rpc}" if rpc in IAM else f"google.pubsub.v1.{service}/{rpc}")
            if method is not None and hasattr(inner, "_get_http_options"):
                found += [_route(option, method) for option in inner._get_http_options()]
    return found


def _route(option: dict[str, str], method: Method) -> Route:
    match = re.fullmatch(r"/v1/\{([a-z_.]+)=([^}]+)\}(.*)", option["uri"])
    assert match is not None, option
    field, name, rest = match.groups()
    pattern = re.compile(f"/v1/({name.replace('*', '[^/:]+')}){re.escape(rest)}")
    return Route(option["method"].upper(), pattern, field, option.get("body", ""), method)


ROUTES = _routes()


class Rest:
    """Answers REST calls on a lab as somebody who may do everything. `calls` keeps the methods that were called."""

    def __init__(self, lab: Lab) -> None:
        assert isinstance(lab.recorder, Telemetry)
        caller = lab.cast.account("person")
        self._cloud = Cloud(lab, lab.recorder, Tokens(), Quota(1000), caller, frozenset())
        self.calls: list[str] = []
        self.address = ""

    def answer(self, verb: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        url = urlsplit(target)
        path = unquote(url.path)
        for route in ROUTES:
            if route.verb == verb and (match := route.pattern.fullmatch(path)):
                return self._called(route, match[1], dict(parse_qsl(url.query)), body)
        return 404, _error("NOT_FOUND", f"no {verb} {path} here")

    def _called(self, route: Route, name: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        told: dict[str, Any] = {}
        given = json.loads(body) if body else {}
        if route.body:
            told = given if route.body == "*" else {route.body: given}
        for path, value in [*((p, v) for p, v in query.items() if p != "alt"), (route.field, name)]:
            _set(told, path.split("."), value)
        request = route.method.request()
        lab = self._cloud.lab
        try:
            json_format.ParseDict(told, request)
            with lab.lock:
                lab.now()
                answered = route.method.handle(self._cloud, request)
        except json_format.ParseError as error:
            return 400, _error("INVALID_ARGUMENT", str(error))
        except RpcError as error:
            return HTTP_STATUS.get(error.code, 500), _error(error.code, error.message)
        self.calls.append(route.method.name.rpartition("/")[2])
        return 200, json_format.MessageToDict(answered)


def _set(told: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        told = told.setdefault(part, {})
    told[path[-1]] = value


def _error(status: str, message: str) -> dict[str, Any]:
    return {"error": {"code": HTTP_STATUS.get(status, 500), "message": message, "status": status}}


@contextlib.contextmanager
def serving(lab: Lab) -> Iterator[Rest]:
    """The API on a port of loopback."""
    rest = Rest(lab)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, told = rest.answer(self.command, self.path, body)
            sent = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    rest.address = f"127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield rest
    finally:
        server.shutdown()
        server.server_close()
