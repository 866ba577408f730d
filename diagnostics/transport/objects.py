"""Cloud Storage, as the one way to call Google wants a client (see `tables`). The library comes with the extras `outcome` and `store`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from diagnostics.transport.tables import as_google_says, rest_client

LIBRARY = "google.cloud.storage"
LARGEST = 4 * 2**20
"""Bytes of an object that are read at most, unless more is asked for: a manifest has a few thousand."""
MAY_NOT_REPLACE = "storage.objects.delete"
"""The permission without which nothing may be replaced: who lacks it is told so of an object that is there already."""


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


class Names(Struct, frozen=True, kw_only=True):
    """One page of the names in a bucket."""

    names: tuple[str, ...]
    token: str
    """Where the list goes on; empty: this was its end."""


class Written(Struct, frozen=True, kw_only=True):
    """What came of writing an object."""

    new: bool
    """False: there was one of this name already, and it is as it was."""


class Objects:
    """Cloud Storage for one run. Safe to use from many threads."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get_object(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> Content:
        """`request`: bucket, name; most, in bytes, if that is not LARGEST."""
        blob = self._client.bucket(request["bucket"]).blob(request["name"])
        most = request.get("most", LARGEST)
        with as_google_says(), _nothing_is_empty():
            data = blob.download_as_bytes(client=self._client, end=most, timeout=timeout, retry=retry, checksum=None)
            return Content(data=data[:most], whole=len(data) <= most)
        return Content(data=b"", whole=True)

    def test_iam_permissions(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> Held:
        """`request`: resource, projects/_/buckets/NAME; permissions. Asking needs none."""
        bucket = self._client.bucket(request["resource"].removeprefix(BUCKETS))
        with as_google_says():
            found = bucket.test_iam_permissions(
                list(request["permissions"]), client=self._client, timeout=timeout, retry=retry
            )
        return Held(permissions=tuple(found))

    def list_objects(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> Names:
        """One page. `request`: bucket, prefix, page_token."""
        with as_google_says():
            found = self._client.list_blobs(
                request["bucket"],
                prefix=request["prefix"] or None,
                page_token=request["page_token"] or None,
                fields="items(name),nextPageToken",
                timeout=timeout,
                retry=retry,
            )
            page = tuple(blob.name for blob in next(found.pages, ()))
        return Names(names=page, token=found.next_page_token or "")

    def put_object(self, *, request: Mapping[str, Any], timeout: float, retry: None) -> Written:
        """A new object, whole or not at all, never over another one. `request`: bucket, name, data, type."""
        from google.api_core import exceptions

        blob = self._client.bucket(request["bucket"]).blob(request["name"])
        try:
            with as_google_says():
                blob.upload_from_string(
                    request["data"],
                    content_type=request["type"],
                    client=self._client,
                    if_generation_match=0,
                    checksum="md5",
                    timeout=timeout,
                    retry=retry,
                )
        except exceptions.PreconditionFailed:
            return Written(new=False)
        except exceptions.Forbidden as error:
            if MAY_NOT_REPLACE not in error.message:
                raise
            return Written(new=False)
        return Written(new=True)


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
