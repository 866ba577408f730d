"""Cloud Storage's JSON API, as far as its Python client is used: the content of an object.

Shapes and errors: JSON API reference (objects.get with alt=media), and its page of HTTP status codes. An error of a download is plain text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from diagnostics.lab.servers.cloud import Cloud
from diagnostics.lab.servers.errors import RpcError

GET = "storage.v1/GetObject"
SERVED = (GET,)
_PATH = re.compile(r"/download/storage/v1/b/([^/]+)/o/([^/]+)")
_ASKED = frozenset({"alt", "prettyPrint"})
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Call(NamedTuple):
    rpc: str
    parts: tuple[str, ...]


class Refused(Exception):
    """An error as a download answers it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Content(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def route(method: str, path: str) -> Call | None:
    """Which method of the API a request is; None: none that the lab serves."""
    found = _PATH.fullmatch(path)
    return Call(GET, tuple(unquote(part) for part in found.groups())) if found and method == "GET" else None


def answer(cloud: Cloud, call: Call, asked: Mapping[str, str], headers: Mapping[str, str]) -> Content:
    """Raises Refused."""
    bucket, name = call.parts
    if unknown := sorted(set(asked) - _ASKED):
        raise Refused(400, f"Invalid argument: {unknown[0]}")
    if asked.get("alt") != "media":
        raise Refused(400, "The lab gives the content of objects only: alt=media.")
    if "storage.objects.get" not in cloud.held:
        raise Refused(
            403,
            f"{cloud.caller} does not have storage.objects.get access to the Google Cloud Storage object. Permission "
            "'storage.objects.get' denied on resource (or it may not exist).",
        )
    if not any(key.startswith(f"{bucket}/") for key in cloud.world.objects):
        raise Refused(404, "The specified bucket does not exist.")
    found = cloud.world.objects.get(f"{bucket}/{name}")
    if found is None:
        raise Refused(404, f"No such object: {bucket}/{name}")
    told = {"Content-Type": "application/json", "X-Goog-Generation": "1"}
    span = next((_RANGE.fullmatch(v) for k, v in headers.items() if k.lower() == "range"), None)
    if span is None:
        return Content(200, told, found.content)
    size = len(found.content)
    first, last = int(span[1]), min(int(span[2] or size), size - 1)
    if first >= size:
        raise Refused(416, "The requested range cannot be satisfied.")
    return Content(206, told | {"Content-Range": f"bytes {first}-{last}/{size}"}, found.content[first : last + 1])


def of_rpc(error: RpcError) -> Refused:
    """A fault of the scenario, as this API says it."""
    status = {"UNAVAILABLE": 503, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "UNAUTHENTICATED": 401}
    message = error.message
    if error.code == "PERMISSION_DENIED":
        message = "Permission 'storage.objects.get' denied on resource (or it may not exist)."
    return Refused(status.get(error.code, 500), message)
