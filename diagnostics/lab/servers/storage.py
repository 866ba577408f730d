"""Cloud Storage's JSON API, as far as its Python client is used: the content of an object, and what the caller may do in a bucket.

Shapes and errors: JSON API reference (objects.get with alt=media, buckets.testIamPermissions), and its page of HTTP status codes. An
error of a download is plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from diagnostics.lab.servers.cloud import Cloud
from diagnostics.lab.servers.errors import RpcError

GET = "storage.v1/GetObject"
TEST = "storage.v1/TestIamPermissions"
SERVED = (GET, TEST)
_PATH = re.compile(r"/download/storage/v1/b/([^/]+)/o/([^/]+)")
_TEST_PATH = re.compile(r"/storage/v1/b/([^/]+)/iam/testPermissions")
_ASKED = frozenset({"alt", "prettyPrint"})
_OF_PROJECTS = frozenset({"storage.buckets.create", "storage.buckets.list"})
"""Permissions that no bucket has."""
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
    for rpc, pattern in ((GET, _PATH), (TEST, _TEST_PATH)):
        found = pattern.fullmatch(path)
        if found and method == "GET":
            return Call(rpc, tuple(unquote(part) for part in found.groups()))
    return None


def answer(cloud: Cloud, call: Call, asked: Mapping[str, Sequence[str]], headers: Mapping[str, str]) -> Content:
    """Raises Refused."""
    return _tested(cloud, call.parts[0], asked) if call.rpc == TEST else _content(cloud, call, asked, headers)


def _tested(cloud: Cloud, bucket: str, asked: Mapping[str, Sequence[str]]) -> Content:
    """It needs no permission."""
    if unknown := sorted(set(asked) - {"permissions", "alt", "prettyPrint"}):
        raise Refused(400, f"Invalid argument: {unknown[0]}")
    wanted = asked.get("permissions", ())
    if not wanted:
        raise Refused(400, "Required parameter: permissions")
    if wrong := [p for p in wanted if not p.startswith("storage.") or p in _OF_PROJECTS]:
        raise Refused(400, f"Invalid argument: {wrong[0]}")
    if not _is_bucket(cloud, bucket):
        raise Refused(404, "The specified bucket does not exist.")
    held = [p for p in wanted if p in _held(cloud)]
    said = {"kind": "storage#testIamPermissionsResponse", **({"permissions": held} if held else {})}
    return Content(200, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(said).encode())


def _is_bucket(cloud: Cloud, bucket: str) -> bool:
    return any(key.startswith(f"{bucket}/") for key in cloud.world.objects)


def _held(cloud: Cloud) -> frozenset[str]:
    """What the caller may do in the bucket, by a grant on it or further up."""
    return cloud.held | frozenset(cloud.lab.scenario.caller.in_bucket)


def _content(cloud: Cloud, call: Call, asked: Mapping[str, Sequence[str]], headers: Mapping[str, str]) -> Content:
    bucket, name = call.parts
    if unknown := sorted(set(asked) - _ASKED):
        raise Refused(400, f"Invalid argument: {unknown[0]}")
    if asked.get("alt") != ["media"]:
        raise Refused(400, "The lab gives the content of objects only: alt=media.")
    if "storage.objects.get" not in _held(cloud):
        raise Refused(
            403,
            f"{cloud.caller} does not have storage.objects.get access to the Google Cloud Storage object. Permission "
            "'storage.objects.get' denied on resource (or it may not exist).",
        )
    if not _is_bucket(cloud, bucket):
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


def said(call: Call, refused: Refused) -> Content:
    """An error as it is answered: of a download as plain text, else as JSON."""
    if call.rpc == GET:
        return Content(refused.status, {"Content-Type": "text/plain; charset=UTF-8"}, refused.message.encode())
    error = {"code": refused.status, "message": refused.message}
    told = json.dumps({"error": error}).encode()
    return Content(refused.status, {"Content-Type": "application/json; charset=UTF-8"}, told)


def of_rpc(error: RpcError) -> Refused:
    """A fault of the scenario, as this API says it."""
    status = {"UNAVAILABLE": 503, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "UNAUTHENTICATED": 401}
    message = error.message
    if error.code == "PERMISSION_DENIED":
        message = "Permission 'storage.objects.get' denied on resource (or it may not exist)."
    return Refused(status.get(error.code, 500), message)
