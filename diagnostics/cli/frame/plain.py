"""Help in plain words: usage lines without a library's brackets, types and formulas, and no name divided at its hyphen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

HYPHEN, KEPT = "-", "\u2011"
"""A line may end at the first and may not at the second, which is put back before anything is printed."""


_Library: Any = typer.Context.formatter_class
"""The class of Click's that this version of Typer uses."""


class Formatter(_Library):  # type: ignore[misc]
    """Writes help as the library does, but for the words."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, usage(args), prefix)

    def write_text(self, text: str) -> None:
        super().write_text(_whole(text))

    def write_dl(self, rows: Sequence[tuple[str, str]], *spacing: Any, **named: Any) -> None:
        super().write_dl([(takes(first), _whole(plain(second))) for first, second in rows], *spacing, **named)

    def getvalue(self) -> str:
        return str(super().getvalue()).replace(KEPT, HYPHEN)


class Context(typer.Context):
    formatter_class = Formatter


class Command(typer.core.TyperCommand):
    context_class = Context


class Group(typer.core.TyperGroup):
    context_class = Context


def usage(args: str) -> str:
    """What follows a command's name: `[BATCH_ID]` may be left out, `CODE` may not, of `…` there may be several."""
    args = args.replace("COMMAND [ARGS]...", "COMMAND")
    return re.sub(r"\[([^\[\]]*)\]\.\.\.", r"[\1 …]", re.sub(r"\{([^{}]*)\}", r"\1", args))


def takes(first: str) -> str:
    """An argument or option with what it takes: alternatives without angles, and no type where it is named already."""
    return re.sub(r" <[^<>]*>", "", re.sub(r"<([^<>|]+(?:\|[^<>|]+)+)>", r"\1", first))


def plain(second: str) -> str:
    """What an argument or option means, its bounds in words."""
    number = r"(-?\d+(?:\.\d+)?)"
    second = re.sub(rf"{number}<=x<={number}", r"\1 to \2", second)
    second = re.sub(rf"x>={number}", r"at least \1", second)
    second = re.sub(rf"x<={number}", r"at most \1", second)
    return re.sub(r"default: \((\w+)\)", r"default: \1", second)


def _whole(text: str) -> str:
    return re.sub(rf"(?<=\w){HYPHEN}(?=\w)", KEPT, text)
