"""The postmortem as one page that needs nothing else: no script, no request, drawings in place. Its policy says so to the browser."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from diagnostics.report.postmortem import charts, words
from diagnostics.report.postmortem.curves import number, thinned
from diagnostics.report.postmortem.links import CONSOLE
from diagnostics.report.postmortem.model import Chart, Postmortem

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
MOST_ROWS = 60
"""Rows of the table below a chart."""


def render(said: Postmortem) -> str:
    """The page, under 500 KB. Raises charts.NeedsLibraryError when what draws the charts is not installed."""
    drawn = {chart.id: charts.svg(chart) for chart in said.charts}
    return _template().render(pm=said, drawn=drawn, policy=POLICY) + "\n"


@cache
def _template() -> Template:
    """Everything that is put into the page is escaped; only the drawings come as markup, and what draws them escapes its texts."""
    environment = Environment(
        loader=PackageLoader("diagnostics.report", "postmortem"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        words=words,
        number=number,
        table_of=_table_of,
        BLAMELESS=words.BLAMELESS,
        BLANK=words.BLANK,
        TO_FILL_IN=words.TO_FILL_IN,
        CONSOLE=CONSOLE,
    )
    return environment.get_template("page.html.j2")


def _table_of(chart: Chart) -> Chart:
    return thinned(chart, MOST_ROWS)
