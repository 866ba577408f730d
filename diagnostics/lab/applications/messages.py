"""Push envelopes and published JSON, as the programs read and write them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import msgspec

from diagnostics.lab.http import PublishError, Request

HTTP_OF = {
    "INVALID_ARGUMENT": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 400,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}
RETRIED = ("RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "ABORTED")
"""gRPC codes on which Google's publisher client goes on by itself, so that the caller sees its own time-out."""


OVERSIZED = b" " * 10_200_000
"""More than Pub/Sub takes in one request; without a meaning in JSON."""


_COMPACT = json.JSONEncoder(separators=(",", ":"))


class NoEnvelope(ValueError):
    """The body is no push envelope."""


class Undecodable(ValueError):
    """The message's data is no JSON object."""


def read(request: Request) -> dict[str, Any]:
    """The JSON object in a pushed message. Raises NoEnvelope or Undecodable."""
    try:
        data = _loads(request.body)["message"]["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise NoEnvelope(str(error)) from error
    try:
        content = _loads(base64.b64decode(data, validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise Undecodable(str(error)) from error
    if not isinstance(content, dict):
        raise Undecodable(f"expected an object, got {type(content).__name__}")
    return content


def _loads(text: bytes) -> Any:
    """What it says in JSON. What the quick reader refuses is for the usual one, whose words the programs log."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


def body(request: Request) -> dict[str, Any]:
    """The JSON object in a plain request body; empty if there is none."""
    try:
        content = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def dump(content: dict[str, Any]) -> bytes:
    return _COMPACT.encode(content).encode()


def client_error(error: PublishError) -> str:
    """A failed publish as Google's Python client words it."""
    status = HTTP_OF.get(error.code)
    return f"{status} {error.message}" if status else f"{error.code}: {error.message}"
