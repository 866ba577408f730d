"""Google's gRPC APIs: each call is checked for its token, passed on to the lab, and changed where a test says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from tests.contract.front.messages import messages

UNAUTHENTICATED = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
NO_QUOTA_PROJECT = (
    "Your application is authenticating by using local Application Default Credentials. This API requires a quota project, "
    "which is not set by default."
)
CLOUD_SDK_PROJECT = "projects/764086051850"
LONGEST_S = 60.0


class Refusal(Exception):
    """An error as Google sends one: status name, sentence, and the details that ride along."""

    def __init__(
        self,
        code: str,
        message: str,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        domain: str = "googleapis.com",
        details: Sequence[Any] = (),
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        info = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata or {})
        self.details = [info] * bool(reason) + list(details)


class Call(NamedTuple):
    """One RPC as the program made it."""

    rpc: str
    """service/Method."""
    request: Any
    metadata: Mapping[str, str]


@dataclass
class Change:
    """What a test makes of the calls of one RPC. See `Google.change`."""

    rpc: str
    when: Callable[[Any], bool] = lambda _: True
    ask: Callable[[Any], None] | None = None
    reply: Callable[[Any, Any], Any] | None = None
    instead: Callable[[Any], Any] | None = None
    refuse: Refusal | None = None
    delay_s: float = 0.0
    times: int | None = None
    met: int = 0
    """Calls that it has changed."""

    def hits(self, rpc: str, request: Any) -> bool:
        named = rpc == self.rpc or rpc.endswith((f"/{self.rpc}", f".{self.rpc}"))
        return named and (self.times is None or self.met < self.times) and self.when(request)


@dataclass
class Apis:
    """The gRPC server. `lab` is the address that answers; `known` tells whether a bearer token is one of ours."""

    lab: str
    known: Callable[[str], bool]
    own: Callable[[str, Any], Any] = lambda _rpc, _request: None
    """What the front answers by itself: a message, or None to pass the call on."""
    person: Callable[[str], bool] = lambda _token: False
    """Whether a bearer token is a person's."""
    billed: tuple[str, ...] = ()
    """Services (or the beginning of their names) that refuse a person whose call names no quota project."""
    changes: list[Change] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._channel = grpc.insecure_channel(self.lab, options=[("grpc.enable_http_proxy", 0), *_UNLIMITED])
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=64, thread_name_prefix="front-rpc"),
            handlers=[_Any(self)],
            options=[("grpc.so_reuseport", 0), *_UNLIMITED],
        )
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def close(self) -> None:
        self._server.stop(grace=0).wait(1)
        self._channel.close()

    def serve(self, rpc: str, body: bytes, context: Any) -> bytes:
        kinds = messages().get(rpc)
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        try:
            if kinds is None:
                raise Refusal("UNIMPLEMENTED", f"no client of the program has {rpc}")
            request = kinds.request.FromString(body)
            self.calls.append(Call(rpc, kinds.request.FromString(body), metadata))
            if not self.known(metadata.get("authorization", "").removeprefix("Bearer ")):
                raise Refusal("UNAUTHENTICATED", UNAUTHENTICATED, "ACCESS_TOKEN_TYPE_UNSUPPORTED")
            self._bill(rpc, metadata)
            return bytes(self._answer(rpc, request, context).SerializeToString())
        except Refusal as refusal:
            _abort(context, refusal)
            raise  # not reached: abort raises

    def _bill(self, rpc: str, metadata: Mapping[str, str]) -> None:
        person = self.person(metadata.get("authorization", "").removeprefix("Bearer "))
        if person and rpc.startswith(self.billed) and not metadata.get("x-goog-user-project"):
            raise Refusal("PERMISSION_DENIED", NO_QUOTA_PROJECT, "SERVICE_DISABLED", {"consumer": CLOUD_SDK_PROJECT})

    def _answer(self, rpc: str, request: Any, context: Any) -> Any:
        change = self._due(rpc, request) or Change(rpc)
        if change.delay_s:
            _wait(context, change.delay_s)
        if change.refuse:
            raise change.refuse
        if change.ask:
            change.ask(request)
        if change.instead:
            return change.instead(request)
        answer = self.own(rpc, request) or self._passed_on(rpc, request)
        return (change.reply(request, answer) or answer) if change.reply else answer

    def _due(self, rpc: str, request: Any) -> Change | None:
        """The newest change that hits."""
        with self._lock:
            for change in reversed(self.changes):
                if change.hits(rpc, request):
                    change.met += 1
                    return change
        return None

    def _passed_on(self, rpc: str, request: Any) -> Any:
        ask = self._channel.unary_unary(
            f"/{rpc}", lambda message: message.SerializeToString(), messages()[rpc].reply.FromString
        )
        try:
            return ask(request, timeout=LONGEST_S)
        except grpc.RpcError as error:
            status = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            details = [_unpacked(detail) for detail in status_pb2.Status.FromString(status).details]
            raise Refusal(error.code().name, error.details() or "", details=details) from error


_UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class _Any(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Takes every RPC there is, as bytes."""

    def __init__(self, apis: Apis) -> None:
        self._apis = apis

    def service(self, handler_call_details: Any) -> Any:
        rpc = handler_call_details.method.lstrip("/")
        return grpc.unary_unary_rpc_method_handler(lambda body, context: self._apis.serve(rpc, body, context))


def _wait(context: Any, seconds: float) -> None:
    """Wait, unless the caller goes away."""
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait(seconds)
    else:
        time.sleep(0)


def _abort(context: Any, refusal: Refusal) -> None:
    code = grpc.StatusCode[refusal.code]
    status = status_pb2.Status(code=code.value[0], message=refusal.message)
    for detail in refusal.details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    if refusal.details:
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, refusal.message)


def _unpacked(detail: Any) -> Any:
    info = error_details_pb2.ErrorInfo()
    detail.Unpack(info)
    return info
