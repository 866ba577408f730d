"""Which messages each RPC of Google's takes and gives, told by Google's own clients."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import grpc
from google.iam.v1 import iam_policy_pb2

from diagnostics.transport.clients import CLIENTS, load


class Messages(NamedTuple):
    """The protobuf classes of one RPC."""

    request: Any
    reply: Any


def installed() -> list[tuple[str, str]]:
    """Module and class of every client that is here; some belong to extras."""
    return [(module, name) for module, name in CLIENTS.values() if _is_here(module)]


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@cache
def messages() -> dict[str, Messages]:
    """By full name, service/Method, of every client that the program has."""
    noted = _Noting()
    for module, name in installed():
        client = getattr(load(module), name)
        transport = client.get_transport_class("grpc")(channel=noted)
        transport._logged_channel, transport._stubs = noted, {}  # it asks the channel only at a call otherwise
        for method in dir(type(transport)):
            if isinstance(getattr(type(transport), method), property):
                getattr(transport, method)
    return noted.known


class _Noting(grpc.Channel):  # type: ignore[misc]
    """A channel that connects to nothing and notes how each RPC is written and read."""

    def __init__(self) -> None:
        self.known: dict[str, Messages] = {}

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Callable[..., Any]:
        request = getattr(iam_policy_pb2, f"{method.rpartition('/')[2]}Request", None) or _class_of(request_serializer)
        self.known[method.lstrip("/")] = Messages(request, _class_of(response_deserializer))
        return lambda *_, **__: None

    unary_stream = stream_unary = stream_stream = unary_unary

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None: ...

    def unsubscribe(self, callback: Any) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> _Noting:
        return self

    def __exit__(self, *_: object) -> None: ...


def _class_of(way: Any) -> Any:
    """The raw protobuf class behind `SerializeToString`, `FromString` or their proto-plus counterparts."""
    owner: Any = getattr(way, "__self__", None) or getattr(way, "__objclass__", None)
    return owner.pb() if hasattr(owner, "pb") else owner
