"""The marked block of a Markdown file that describes the models: how it is written, found, read and put in the place of another.

Everything outside its two marks belongs to whoever wrote the file and is never touched.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from diagnostics.evidence.model import KnownModel

BEGIN, END = "<!-- pubsub-diag models: begin -->", "<!-- pubsub-diag models: end -->"
_HEAD = ("model", "in production", "trained on", "features", "SHA-256", "file", "status")
_DIGEST = 12
"""Characters of a digest that are written: enough to tell models apart."""


class Read(NamedTuple):
    models: tuple[KnownModel, ...]
    production: tuple[str, ...]


def write(models: Iterable[KnownModel], production: Iterable[str]) -> str:
    """What stands between the marks: a table, the one in production first."""
    named = set(production)
    listed = sorted(models, key=lambda m: (m.name not in named, m.name))
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(_cells(m, m.name in named) for m in listed)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(model: KnownModel, production: bool) -> tuple[str, ...]:
    span = f"{model.trained_from} to {model.trained_to}" if model.trained_from and model.trained_to else ""
    features = "" if model.features is None else str(model.features)
    cells = ("yes" if production else "", span, features, model.sha256[:_DIGEST], model.file, model.status)
    return tuple(_cell(text) for text in (model.name, *cells))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def inside(text: str) -> str:
    """What stands between the marks. Raises ValueError where they are not there once each, in order."""
    begin, end = _marks(text)
    return text[begin:end]


def put(text: str, block: str) -> str:
    """The text with another block between its marks. Raises ValueError likewise."""
    begin, end = _marks(text)
    newline = "\r\n" if "\r\n" in text[:begin] else "\n"
    return text[:begin] + block.replace("\n", newline) + text[end:]


def _marks(text: str) -> tuple[int, int]:
    """Where the line after the first mark begins, and where the line of the second does."""
    for mark in (BEGIN, END):
        if (found := text.count(mark)) != 1:
            times = "is not there" if found == 0 else f"is there {found} times"
            raise ValueError(f"the mark {mark} {times}; expected {BEGIN} and {END} once each, on lines of their own")
    at, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    begin = text.find("\n", at) + 1
    start = text.rfind("\n", 0, end) + 1
    if not begin or begin > start or text[at:begin].strip() or text[start:end].strip():
        raise ValueError(f"expected {BEGIN} before {END}, each on a line of its own")
    return begin, start


def read(block: str) -> Read:
    """The models that a block describes. Raises ValueError where it is none of ours."""
    lines = [line.strip() for line in block.splitlines() if line.strip()]
    if not lines:
        return Read((), ())
    if _split(lines[0]) != _HEAD:
        raise ValueError(f"expected a table with the columns {', '.join(_HEAD)} between the marks")
    models, production = [], []
    for line in lines[2:]:
        cells = _split(line)
        if len(cells) != len(_HEAD):
            raise ValueError(f"expected {len(_HEAD)} columns: {line[:80]}")
        name, named, span, features, digest, file, status = cells
        first, _, last = span.partition(" to ")
        models.append(
            KnownModel(
                name=name,
                file=file,
                features=int(features) if features.isdecimal() else None,
                trained_from=_day(first),
                trained_to=_day(last),
                sha256=digest,
                status=status,
            )
        )
        production += [name] if named == "yes" else []
    return Read(tuple(models), tuple(production))


def _split(line: str) -> tuple[str, ...]:
    text = line.removeprefix("|").removesuffix("|").replace("\\|", "\0")
    return tuple(cell.strip().replace("\0", "|") for cell in text.split("|"))


def _day(text: str) -> date | None:
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"expected a date like 2026-01-08, got {text!r}") from error


def difference(before: str, after: str, name: str) -> Sequence[str]:
    """A unified diff of the two, line by line; empty: there is none."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), name, name, "as it is", "as it should be", lineterm=""
    )
    return list(lines)
