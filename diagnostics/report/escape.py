"""Make text from logs and names safe to print: what would steer a terminal or reorder the line is shown, not obeyed."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

# C0 and C1 controls, line and paragraph separators, zero-width characters, bidirectional marks, embeddings, overrides and
# isolates, the byte order mark, tag characters, lone surrogates, and two characters that XML forbids.
_DANGEROUS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str) -> str:
    """The text on one line, with dangerous characters written as escapes: ESC becomes `\\x1b`, a newline `\\n`."""
    return _DANGEROUS.sub(lambda m: m[0].encode("unicode_escape").decode(), text)


def clean_all(struct: S) -> S:
    """The same struct with every string in it clean, so that what prints it cannot forget to."""
    plain = msgspec.to_builtins(struct)
    return msgspec.convert(_walk(plain), type(struct))


def clean_json(text: str) -> str:
    """JSON text that says the same in characters that no terminal obeys. Line breaks between values stay."""
    return _DANGEROUS.sub(lambda m: m[0] if m[0] == "\n" else _json_escape(m[0]), text)


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _walk(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _walk(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_walk(entry) for entry in value]
    return value
