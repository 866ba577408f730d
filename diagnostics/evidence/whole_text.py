"""Text that every encoder takes: JSON escapes, arguments and names of files may hold half a character, a lone surrogate."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

T = TypeVar("T")
_LONE = re.compile("[\ud800-\udfff]")
UNREADABLE = "\ufffd"
"""Unicode's own sign for what could not be read."""


def whole(text: str) -> str:
    """The text with a replacement character for each lone surrogate, which no file, terminal or JSON can hold."""
    return text if text.isascii() else _LONE.sub(UNREADABLE, text)


def wholly(value: T) -> T:
    """The same structure with every text in it whole."""
    return cast(T, _wholly(value))


def _wholly(value: Any) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, Enum) else whole(value)
    if isinstance(value, Struct):
        return replace(value, **{name: _wholly(getattr(value, name)) for name in value.__struct_fields__})
    if isinstance(value, tuple | list):
        return type(value)(_wholly(inner) for inner in value)
    if isinstance(value, dict):
        return {_wholly(key): _wholly(inner) for key, inner in value.items()}
    return value
