"""Charts as static SVG, drawn by Altair and vl-convert; both come with the extra `report`. Nothing is fetched and no script is left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from diagnostics.report.postmortem.model import Chart

INSTALL = "pip install 'pubsub-diag[report]'"
WIDTH, HEIGHT = 640, 190

_TEXT, _GRID, _LIMIT, _MARK = "#0000f0", "#0000f1", "#0000f2", "#0000f3"
_LINES = ("#0000e0", "#0000e1", "#0000e2", "#0000e3", "#0000e4", "#0000e5")
_VARIABLES = {
    _TEXT: "--text",
    _GRID: "--grid",
    _LIMIT: "--limit",
    _MARK: "--mark",
    **{colour: f"--line-{at}" for at, colour in enumerate(_LINES)},
}
"""Stand-ins that the page's style sheet gives a colour, one for light and one for dark."""
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 4])
"""Curves differ in more than their colour."""
_LONGEST_NAME = 40
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')


class NeedsLibraryError(Exception):
    """Charts cannot be drawn without Altair and vl-convert; `INSTALL` brings them."""


def require() -> None:
    """Raises NeedsLibraryError. To be asked before anything is read."""
    missing = [name for name in ("altair", "vl_convert") if find_spec(name) is None]
    if missing:
        needed = " and ".join(name.replace("_", "-") for name in missing)
        raise NeedsLibraryError(f"-o html draws charts and needs {needed}, which is not installed")


def svg(chart: Chart) -> str:
    """One `<svg>` element to stand in a page, with its title and description; empty when there is nothing to draw."""
    if not chart.lines:
        return ""
    require()
    vl_convert: Any = import_module("vl_convert")
    drawn: str = vl_convert.vegalite_to_svg(_specification(chart), allowed_base_urls=[])
    return _for_a_page(drawn, chart)


def _specification(chart: Chart) -> dict[str, Any]:
    alt: Any = import_module("altair")  # its classes are made while it is imported: no type checker follows them

    names = _names(chart)
    rows = [
        {"at": at.isoformat(), "line": name, "value": line.values[column]}
        for name, line in zip(names, chart.lines, strict=True)
        for column, at in enumerate(chart.times)
    ]
    span = [chart.times[0].isoformat(), chart.times[-1].isoformat()]
    days = (chart.times[-1] - chart.times[0]).days
    axis = alt.Axis(labelOverlap=True, format="%m-%d %H:%M" if days else "%H:%M")
    x = alt.X("at:T", title="time (UTC)", scale=alt.Scale(type="utc", domain=span), axis=axis)
    y = alt.Y("value:Q", title=chart.unit, scale=alt.Scale(zero=True, nice=True))
    colours = alt.Scale(domain=names, range=list(_LINES[: len(names)]))
    dashes = alt.Scale(domain=names, range=list(_DASHES[: len(names)]))
    colour = alt.Color("line:N", title=None, sort=names, scale=colours)
    curves = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=1.8, invalid="break-paths-show-domains")
    dots = alt.Chart(alt.Data(values=_alone(rows, len(chart.times)))).mark_point(size=14, filled=True, opacity=1)
    layers: list[Any] = [
        curves.encode(
            x=x, y=y, color=colour, strokeDash=alt.StrokeDash("line:N", title=None, sort=names, scale=dashes)
        ),
        dots.encode(x=x, y=y, color=colour),
    ]
    if chart.limit is not None:
        layers += _limit(alt, chart)
    for number, (at, _) in enumerate(chart.marks, 1):  # the number stands for the name; the page tells what each is
        layers += _mark(alt, at.isoformat(), number)
    whole = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    return dict(whole.configure(**_style()).to_dict(validate=False))


def _alone(rows: Sequence[dict[str, Any]], length: int) -> list[dict[str, Any]]:
    """Values with nothing on either side, which a line does not show."""
    found = []
    for at, row in enumerate(rows):
        before = rows[at - 1]["value"] if at % length else None
        after = rows[at + 1]["value"] if (at + 1) % length else None
        if row["value"] is not None and before is None and after is None:
            found.append(row)
    return found


def _limit(alt: Any, chart: Chart) -> list[Any]:
    line = alt.Chart(alt.Data(values=[{"limit": chart.limit, "says": chart.limit_name}]))
    rule = line.mark_rule(color=_LIMIT, strokeWidth=1.5, strokeDash=[5, 3]).encode(y="limit:Q")
    text = line.mark_text(color=_LIMIT, align="left", baseline="top", dx=4, dy=4, fontSize=11).encode(
        y="limit:Q", x=alt.value(0), text="says:N"
    )
    return [rule, text]


def _mark(alt: Any, at: str, number: int) -> list[Any]:
    mark = alt.Chart(alt.Data(values=[{"mark": at, "says": str(number)}]))
    above = -3 if number % 2 else -15  # so that neighbours do not cover each other
    rule = mark.mark_rule(color=_MARK, strokeWidth=1.2, strokeDash=[3, 3]).encode(x=alt.X("mark:T"))
    text = mark.mark_text(color=_MARK, baseline="bottom", dy=above, fontSize=11, fontWeight="bold").encode(
        x=alt.X("mark:T"), y=alt.value(0), text="says:N"
    )
    return [rule, text]


def _style() -> dict[str, Any]:
    text = {
        "labelColor": _TEXT,
        "titleColor": _TEXT,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    return {
        "background": "transparent",
        "aria": False,
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": {**text, "gridColor": _GRID, "domainColor": _TEXT, "tickColor": _TEXT},
        "legend": {
            **text,
            "orient": "bottom",
            "symbolType": "stroke",
            "symbolStrokeWidth": 2,
            "symbolSize": 300,
            "labelLimit": 300,
            "columnPadding": 20,
        },
    }


def _names(chart: Chart) -> list[str]:
    """What the curves are called in the drawing: short, and no two alike."""
    names: list[str] = []
    for line in chart.lines:
        name = line.name if len(line.name) <= _LONGEST_NAME else line.name[: _LONGEST_NAME - 1] + "…"
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return names


def _for_a_page(drawn: str, chart: Chart) -> str:
    """The drawing as part of a page: colours from its style sheet, sized by it, named for who cannot see it."""
    for colour, variable in _VARIABLES.items():
        drawn = drawn.replace(colour, f"var({variable})")
    inner = re.sub(r"^.*?<svg\b[^>]*>", "", drawn, count=1, flags=re.S)
    inner = re.sub(
        r"<[^<>]*>", lambda tag: _ROLES.sub("", tag[0]), inner
    )  # the picture as a whole is named, not its parts
    box = re.search(r'viewBox="([-\d. ]+)"', drawn)
    view = box[1] if box else f"0 0 {WIDTH} {HEIGHT}"
    label = escape(f"{chart.title}. {chart.says}")
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" viewBox="{view}">{inner}'
