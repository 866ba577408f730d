"""The gRPC front: every call is recorded, checked against the caller's permissions and the scenario's faults, then answered."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from diagnostics.lab.servers import alert_policies, firestore, iam, log_writes, logging, monitoring, pubsub, run
from diagnostics.lab.servers.cloud import Cloud, Method
from diagnostics.lab.servers.errors import RpcError, denied
from diagnostics.lab.servers.faults import PAGE, Faults, SomebodyElse, Wait
from diagnostics.lab.servers.pages import page_of

METHODS: tuple[Method, ...] = (
    *pubsub.METHODS,
    *run.METHODS,
    *iam.METHODS,
    *monitoring.METHODS,
    *logging.METHODS,
    *log_writes.METHODS,
    *alert_policies.METHODS,
    *firestore.METHODS,
)
"""Every RPC that the lab serves. Any other is UNIMPLEMENTED."""

THREADS = 64
"""Calls that may be under way at once; hanging ones hold a thread."""


@dataclass(frozen=True)
class Rpc:
    """One call as it was served. Times are seconds of the monotonic clock."""

    name: str
    resource: str
    started: float
    ended: float
    status: str
    """gRPC status name, or the HTTP status of a call to a service URL."""
    size: int = 0
    """Bytes of the answer, without what carries it; 0: there was none."""


class Record:
    """Every call, in the order in which they ended."""

    def __init__(self) -> None:
        self._calls: list[Rpc] = []
        self._lock = threading.Lock()

    def add(self, name: str, resource: str, started: float, status: str, size: int) -> None:
        with self._lock:
            self._calls.append(Rpc(name, resource, started, time.monotonic(), status, size))

    def calls(self) -> tuple[Rpc, ...]:
        with self._lock:
            return tuple(self._calls)

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(call) for call in self.calls()]


class Front:
    """The gRPC server."""

    def __init__(self, cloud: Cloud, faults: Faults, record: Record, rpc_delay_s: float) -> None:
        self._cloud = cloud
        self._faults = faults
        self._record = record
        self._delay_s = rpc_delay_s
        self._server = grpc.server(
            ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="lab-rpc"),
            options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)],
        )
        for service in dict.fromkeys(m.service for m in METHODS):
            mine = {m.name.partition("/")[2]: self._handler(m) for m in METHODS if m.service == service}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, mine),))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """Cancel what is under way, so that nothing hangs on, and stop."""
        self._server.stop(grace=0).wait(1)

    def _handler(self, method: Method) -> Any:
        def serve(request: Any, context: Any) -> Any:
            started = time.monotonic()
            status, size = "UNKNOWN", 0
            try:
                answer = self._answer(method, request, _wait_in(context))
                response = answer if isinstance(answer, bytes) else answer.SerializeToString()
                status, size = "OK", len(response)
                return response
            except RpcError as error:
                status = error.code
                _abort(context, error)
            finally:
                self._record.add(method.name, method.resource(request), started, status, size)

        return grpc.unary_unary_rpc_method_handler(
            serve, request_deserializer=method.request.FromString, response_serializer=bytes
        )

    def _answer(self, method: Method, request: Any, wait: Wait) -> Any:
        if self._delay_s:
            wait(self._delay_s)
        try:
            met = self._faults.meet(method.name, page_of(getattr(request, "page_token", "")), wait)
        except SomebodyElse as other:
            return _of_somebody_else(other.kind, wait)
        for permission in method.permissions_for(request):
            if permission and permission not in self._cloud.held_in(method.asked_in(request)):
                raise denied(method.service, permission, method.resource(request))
        with self._cloud.lab.lock:
            self._cloud.lab.now()  # a lab that keeps pace catches up
            answer = method.handle(replace(self._cloud, searches_s=met.searches_s), request)
        met.lose()
        return answer


def _of_somebody_else(kind: str, wait: Wait) -> bytes:
    """What gRPC makes of an answer that is not the API's: bytes that are no message, or an error of its own. Raises RpcError."""
    if kind == "garbage":
        return PAGE
    if kind == "trickle":
        wait(None)
        raise RpcError("CANCELLED", "The caller gave up.")
    raise RpcError("UNAVAILABLE", "Received http2 header with status: 502")


def _wait_in(context: Any) -> Wait:
    """Waiting that ends early when the caller goes away or the server stops."""

    def wait(seconds: float | None) -> None:
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait(seconds)

    return wait


def _abort(context: Any, error: RpcError) -> None:
    """End the call with an error, its details in the trailer where Google's clients look for them."""
    code = grpc.StatusCode[error.code]
    if error.reason:
        status = status_pb2.Status(code=code.value[0], message=error.message)
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ErrorInfo(reason=error.reason, domain=error.domain, metadata=error.metadata))
        status.details.append(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, error.message)
