"""The three claims of a health check, a row each."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.conclude.levels import Level
from diagnostics.report.layout import Layout
from diagnostics.steps.finding import Status

WIDTH = 10


def render(levels: Sequence[Level], layout: Layout) -> str:
    """A level that is unknown and not required says so: it does not count."""
    return "\n".join(_row(level, layout) for level in levels)


def _row(level: Level, layout: Layout) -> str:
    word = level.status.value
    label = f"{level.name.value:<{WIDTH}}{word:<{WIDTH}}"
    aside = "not required: " if level.status is Status.UNKNOWN and not level.required else ""
    return layout.wrap(label, aside + level.says).replace(word, layout.paint(word), 1)
