"""Cloud Storage, as the one way to call Google wants a client (see `tables`). The library comes with the extra `outcome`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from diagnostics.transport.tables import as_google_says, rest_client

LIBRARY = "google.cloud.storage"
LARGEST = 4 * 2**20
"""Bytes of an object that are read at most: a manifest has a few thousand."""


class Content(Struct, frozen=True, kw_only=True):
    """What an object holds."""

    data: bytes
    whole: bool
    """False: there is more."""


class Held(Struct, frozen=True, kw_only=True):
    """Which of the permissions that were asked about the caller has, wherever they were granted."""

    permissions: tuple[str, ...]


BUCKETS = "projects/_/buckets/"
"""What IAM puts before the name of a bucket, whose project is not part of it."""


class Objects:
    """Cloud Storage for one run. Safe to use from many threads."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get_object(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> Content:
        """`request`: bucket, name."""
        blob = self._client.bucket(request["bucket"]).blob(request["name"])
        with as_google_says(), _nothing_is_empty():
            data = blob.download_as_bytes(client=self._client, end=LARGEST, timeout=timeout, retry=retry, checksum=None)
            return Content(data=data[:LARGEST], whole=len(data) <= LARGEST)
        return Content(data=b"", whole=True)

    def test_iam_permissions(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> Held:
        """`request`: resource, projects/_/buckets/NAME; permissions. Asking needs none."""
        bucket = self._client.bucket(request["resource"].removeprefix(BUCKETS))
        with as_google_says():
            found = bucket.test_iam_permissions(
                list(request["permissions"]), client=self._client, timeout=timeout, retry=retry
            )
        return Held(permissions=tuple(found))


@contextmanager
def _nothing_is_empty() -> Iterator[None]:
    """Of an object without content no range can be read."""
    from google.api_core.exceptions import RequestRangeNotSatisfiable

    try:
        yield
    except RequestRangeNotSatisfiable:
        return


def connect(load: Any, credentials: Any, lab_http: str) -> Objects:
    """`load` imports a module, one thread at a time. Raises ImportError where the library is not installed."""
    return Objects(rest_client(load, load(LIBRARY), credentials, lab_http))
