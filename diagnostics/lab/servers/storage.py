"""Cloud Storage's JSON API, as far as its Python client is used: the content of an object, the names in a bucket, a new object, and what
the caller may do in a bucket.

Shapes and errors: JSON API reference (objects.get with alt=media, objects.list, objects.insert, buckets.testIamPermissions), its pages
of HTTP status codes, of uploads and of request preconditions, and IAM permissions for JSON methods. An error of a download is plain
text, others are JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from diagnostics.lab.model import StoredObject
from diagnostics.lab.servers.cloud import Cloud
from diagnostics.lab.servers.errors import RpcError
from diagnostics.lab.servers.faults import ERRORS

GET = "storage.v1/GetObject"
LIST = "storage.v1/ListObjects"
INSERT = "storage.v1/InsertObject"
TEST = "storage.v1/TestIamPermissions"
SERVED = (GET, LIST, INSERT, TEST)
_ROUTES = (
    (GET, "GET", re.compile(r"/download/storage/v1/b/([^/]+)/o/([^/]+)")),
    (LIST, "GET", re.compile(r"/storage/v1/b/([^/]+)/o")),
    (INSERT, "POST", re.compile(r"/upload/storage/v1/b/([^/]+)/o")),
    (INSERT, "PUT", re.compile(r"/upload/storage/v1/b/([^/]+)/o")),
    (TEST, "GET", re.compile(r"/storage/v1/b/([^/]+)/iam/testPermissions")),
)
_ASKED = {
    GET: frozenset({"alt", "prettyPrint"}),
    LIST: frozenset({"prefix", "pageToken", "maxResults", "fields", "projection", "prettyPrint"}),
    INSERT: frozenset({"uploadType", "ifGenerationMatch", "upload_id"}),
    TEST: frozenset({"permissions", "alt", "prettyPrint"}),
}
_OF_PROJECTS = frozenset({"storage.buckets.create", "storage.buckets.list"})
"""Permissions that no bucket has."""
_WANTS = {GET: "storage.objects.get", LIST: "storage.objects.list", INSERT: "storage.objects.create"}
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_SENT = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_METADATA = frozenset({"name", "contentType", "md5Hash"})
_FIELDS = "items(name),nextPageToken"
LARGEST_PAGE = 1000
_JSON = {"Content-Type": "application/json; charset=UTF-8"}
_REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
}


class Call(NamedTuple):
    rpc: str
    parts: tuple[str, ...]
    method: str = "GET"


class Refused(Exception):
    """An error, as it is answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Content(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Sending(NamedTuple):
    """An upload in several requests that has begun."""

    told: dict[str, Any]
    asked: dict[str, str]


def route(method: str, path: str) -> Call | None:
    """Which method of the API a request is; None: none that the lab serves."""
    for rpc, with_method, pattern in _ROUTES:
        if method == with_method and (found := pattern.fullmatch(path)):
            return Call(rpc, tuple(unquote(part) for part in found.groups()), method)
    return None


def refusal(call: Call, refused: Refused) -> Content:
    """The error as this method answers it."""
    if call.rpc == GET:
        return Content(refused.status, {"Content-Type": "text/plain; charset=UTF-8"}, refused.message.encode())
    detail = {"message": refused.message, "domain": "global", "reason": _REASONS.get(refused.status, "backendError")}
    told = {"error": {"code": refused.status, "message": refused.message, "errors": [detail]}}
    return Content(refused.status, _JSON, json.dumps(told).encode())


class Storage:
    """The API of one lab, with the uploads that are under way."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._sending: dict[str, Sending] = {}

    def answer(
        self, call: Call, query: Mapping[str, Sequence[str]], headers: Mapping[str, str], body: bytes
    ) -> Content:
        """Raises Refused."""
        if unknown := sorted(set(query) - _ASKED[call.rpc]):
            raise Refused(400, f"Invalid argument: {unknown[0]}")
        asked = {name: values[0] for name, values in query.items()}
        lowered = {name.lower(): value for name, value in headers.items()}
        answers: dict[str, Callable[[], Content]] = {
            GET: lambda: self._get(call.parts[0], call.parts[1], asked, lowered),
            LIST: lambda: self._list(call.parts[0], asked),
            INSERT: lambda: self._insert(call, asked, lowered, body),
            TEST: lambda: self._tested(call.parts[0], query.get("permissions", ())),
        }
        return answers[call.rpc]()

    def _allowed(self, permission: str, resource: str) -> None:
        if permission not in self._held():
            raise Refused(
                403,
                f"{self._cloud.caller} does not have {permission} access to the Google Cloud Storage {resource}. Permission "
                f"'{permission}' denied on resource (or it may not exist).",
            )

    def _held(self) -> frozenset[str]:
        """What the caller may do in the bucket, by a grant on it or further up."""
        return self._cloud.held | frozenset(self._cloud.lab.scenario.caller.in_bucket)

    def _tested(self, bucket: str, wanted: Sequence[str]) -> Content:
        """It needs no permission."""
        if not wanted:
            raise Refused(400, "Required parameter: permissions")
        if wrong := [p for p in wanted if not p.startswith("storage.") or p in _OF_PROJECTS]:
            raise Refused(400, f"Invalid argument: {wrong[0]}")
        self._bucket(bucket)
        held = [p for p in wanted if p in self._held()]
        said = {"kind": "storage#testIamPermissionsResponse", **({"permissions": held} if held else {})}
        return Content(200, _JSON, json.dumps(said).encode())

    def _bucket(self, bucket: str) -> None:
        world = self._cloud.world
        if bucket not in world.buckets and not any(key.startswith(f"{bucket}/") for key in world.objects):
            raise Refused(404, "The specified bucket does not exist.")

    def _get(self, bucket: str, name: str, asked: Mapping[str, str], headers: Mapping[str, str]) -> Content:
        if asked.get("alt") != "media":
            raise Refused(400, "The lab gives the content of objects only: alt=media.")
        self._allowed(_WANTS[GET], "object")
        self._bucket(bucket)
        found = self._cloud.world.objects.get(f"{bucket}/{name}")
        if found is None:
            raise Refused(404, f"No such object: {bucket}/{name}")
        told = {"Content-Type": "application/json", "X-Goog-Generation": "1"}
        span = _RANGE.fullmatch(headers.get("range", ""))
        if span is None:
            return Content(200, told, found.content)
        size = len(found.content)
        first, last = int(span[1]), min(int(span[2] or size), size - 1)
        if first >= size:
            raise Refused(416, "The requested range cannot be satisfied.")
        return Content(206, told | {"Content-Range": f"bytes {first}-{last}/{size}"}, found.content[first : last + 1])

    def _list(self, bucket: str, asked: Mapping[str, str]) -> Content:
        if asked.get("fields") != _FIELDS or asked.get("projection", "noAcl") != "noAcl":
            raise Refused(400, f"The lab lists names only: fields={_FIELDS}.")
        most = asked.get("maxResults", str(LARGEST_PAGE))
        if not most.isdigit() or not int(most):
            raise Refused(400, f"Invalid value for maxResults: {most}")
        self._allowed(_WANTS[LIST], "bucket")
        self._bucket(bucket)
        try:
            after = base64.urlsafe_b64decode(asked.get("pageToken", "")).decode()
        except ValueError as error:
            raise Refused(400, "Invalid argument: pageToken") from error
        begin = f"{bucket}/{asked.get('prefix', '')}"
        names = sorted(key.partition("/")[2] for key in self._cloud.world.objects if key.startswith(begin))
        names = [name for name in names if name > after]
        page = names[: min(int(most), LARGEST_PAGE)]
        told: dict[str, Any] = {"items": [{"name": name} for name in page]} if page else {}
        if len(page) < len(names):
            told["nextPageToken"] = base64.urlsafe_b64encode(page[-1].encode()).decode()
        return Content(200, _JSON, json.dumps(told).encode())

    def _insert(self, call: Call, asked: dict[str, str], headers: Mapping[str, str], body: bytes) -> Content:
        (bucket,), kind = call.parts, asked.get("uploadType")
        if call.method == "PUT":
            return self._rest(bucket, asked, headers, body)
        self._allowed(_WANTS[INSERT], "object")
        self._bucket(bucket)
        if kind == "multipart":
            told, content = _parts(headers.get("content-type", ""), body)
            return self._made(bucket, told, asked, content)
        if kind != "resumable":
            raise Refused(400, f"Invalid value for uploadType: {kind}")
        told = _described(body)
        self._may_be_made(bucket, told["name"], asked)
        number = secrets.token_hex(16)
        self._sending[number] = Sending(told, asked)
        place = (
            f"http://{headers.get('host', '')}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={number}"
        )
        return Content(200, {"Location": place, "X-GUploader-UploadID": number}, b"")

    def _rest(self, bucket: str, asked: dict[str, str], headers: Mapping[str, str], body: bytes) -> Content:
        """The content of an upload that has begun, all of it in one request."""
        begun = self._sending.pop(asked.get("upload_id", ""), None)
        if begun is None:
            raise Refused(404, "Upload not found")
        sent = _SENT.fullmatch(headers.get("content-range", ""))
        if sent is None or (int(sent[1]), int(sent[2]) + 1, int(sent[3])) != (0, len(body), len(body)):
            raise Refused(400, "The lab takes the content of an upload in one request only.")
        return self._made(bucket, begun.told, begun.asked, body)

    def _may_be_made(self, bucket: str, name: str, asked: Mapping[str, str]) -> None:
        """Conditions come first; without one, what is there is replaced, which wants the permission to delete."""
        there, condition = f"{bucket}/{name}" in self._cloud.world.objects, asked.get("ifGenerationMatch")
        if condition not in (None, "0"):
            raise Refused(400, "The lab knows ifGenerationMatch=0 only.")
        if there and condition == "0":
            raise Refused(412, "At least one of the pre-conditions you specified did not hold.")
        if there:
            self._allowed("storage.objects.delete", "object")

    def _made(self, bucket: str, told: Mapping[str, Any], asked: Mapping[str, str], content: bytes) -> Content:
        self._may_be_made(bucket, told["name"], asked)
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        if told.get("md5Hash", digest) != digest:
            raise Refused(400, f'Provided MD5 hash "{told["md5Hash"]}" doesn\'t match calculated MD5 hash "{digest}".')
        self._cloud.world.objects[f"{bucket}/{told['name']}"] = StoredObject(content, self._cloud.lab.now())
        said = {"kind": "storage#object", "bucket": bucket, "name": told["name"], "generation": "1"}
        return Content(200, _JSON, json.dumps(said | {"size": str(len(content)), "md5Hash": digest}).encode())


def _described(text: bytes) -> dict[str, Any]:
    """What is said of an object that is to be. Raises Refused."""
    try:
        told = json.loads(text)
    except ValueError as error:
        raise Refused(400, "Parse Error") from error
    if not isinstance(told, dict) or not told.get("name"):
        raise Refused(400, "Required")
    if unknown := sorted(set(told) - _METADATA):
        raise Refused(400, f"Invalid JSON payload received. Unknown name {unknown[0]}")
    return told


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """What is said of the object, and its content: multipart/related. Raises Refused."""
    found = re.fullmatch(r'multipart/related; boundary="?([^"]+?)"?', content_type)
    if found is None:
        raise Refused(400, "Malformed multipart body.")
    mark = b"--" + found[1].encode()
    begin, end = f"{mark.decode()}\r\n".encode(), b"\r\n" + mark + b"--"
    if not body.startswith(begin) or not body.rstrip(b"\r\n").endswith(end):
        raise Refused(400, "Malformed multipart body.")
    inner = body[len(begin) : body.rindex(end)]
    told, between, content = inner.partition(b"\r\n" + begin)
    if not between:
        raise Refused(400, "Malformed multipart body.")
    return _described(told.partition(b"\r\n\r\n")[2]), content.partition(b"\r\n\r\n")[2]


def of_rpc(error: RpcError, call: Call) -> Refused:
    """A fault of the scenario, as this API says it."""
    status = {"UNAVAILABLE": 503, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "UNAUTHENTICATED": 401}
    message = error.message
    if message == ERRORS["permission_denied"][1]:
        message = f"Permission '{_WANTS[call.rpc]}' denied on resource (or it may not exist)."
    return Refused(status.get(error.code, 500), message)
