"""Pages of a listing, and their tokens."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from diagnostics.lab.servers.errors import invalid

T = TypeVar("T")


@dataclass(frozen=True)
class Cursor:
    """Where a listing goes on."""

    page: int = 0
    """Which page this is, from 0."""
    place: Any = None
    """What the listing itself needs to go on; None at the beginning."""


def read_cursor(token: str, *same: str) -> Cursor:
    """The cursor of a page token. Raises RpcError if it is none, or of a call with other parameters than `same`."""
    if not token:
        return Cursor()
    try:
        page, digest, place = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error):
        raise invalid("Invalid page token.") from None
    if digest != _digest(same):
        raise invalid("page_token doesn't match arguments from the request")
    return Cursor(page, place)


def next_token(cursor: Cursor, place: Any, *same: str) -> str:
    text = json.dumps([cursor.page + 1, _digest(same), place])
    return base64.urlsafe_b64encode(text.encode()).decode()


def page_of(token: str) -> int:
    """Which page a token asks for; 0 for none or a broken one."""
    try:
        return int(json.loads(base64.urlsafe_b64decode(token.encode()))[0]) if token else 0
    except (ValueError, TypeError, IndexError, binascii.Error):
        return 0


def slice_page(items: Sequence[T], size: int, token: str, *same: str, most: int = 1000) -> tuple[Sequence[T], str]:
    """One page of items and the token of the next; size 0 means the most."""
    if size < 0:
        raise invalid("page_size must not be negative.")
    cursor = read_cursor(token, *same)
    start = int(cursor.place or 0)
    end = start + min(size or most, most)
    return items[start:end], next_token(cursor, end, *same) if end < len(items) else ""


def _digest(same: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(same).encode()).hexdigest()[:12]
