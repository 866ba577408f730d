"""The answer as one page to attach to a ticket: no script, no request. Its policy says so to the browser."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from diagnostics import __version__
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.report import ladder, results, text, words
from diagnostics.report.escape import clean_all
from diagnostics.report.layout import clock
from diagnostics.shell.commands import is_command

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(diagnoses: Sequence[Diagnosis]) -> str:
    """One page for all of them."""
    return _template().render(answers=[_of(one) for one in diagnoses], version=__version__, policy=POLICY) + "\n"


def _of(diagnosis: Diagnosis) -> dict[str, Any]:
    """What the page says of one, in the words of the text."""
    said, now = clean_all(diagnosis), diagnosis.as_of
    items = said.batch.expected if said.batch else None
    here = ladder.stopped(said)
    return {
        "said": said,
        "head": said.pipeline,
        "now": f"{now:%Y-%m-%d} {clock(now, now, seconds=True)}",
        "finishes": text.finishes(said),
        "of": f"of {items}" if items is not None else "items",
        "rows": [
            (ladder.label(row), ladder.seen(row, items), ladder.rest(row), row is here, ladder.says_so(row))
            for row in ladder.in_order(said)
        ],
        "causes": [(cause, text.lasted(cause, now)) for cause in said.causes],
        "levels": [(level.name.value, level.status.value, level.says) for level in said.levels],
        "bars": results.bars(said.results),
        "before": len(said.results) - len(results.bars(said.results)),
        "suspects": [text.suspicion(one, now) for one in said.suspects],
        "unseen": [gap for gap in said.unknown if gap.matters],
        "accepted": [text.acceptance(one) for one in said.suppressed],
        "undone": [item for item in said.items if item.where],
        "next": [(step, is_command(step)) for step in said.next],
        "fixes": text.fixes(said),
        "words": list(words.explained(said)),
    }


@cache
def _template() -> Template:
    """Everything that is put into the page is escaped."""
    environment = Environment(
        loader=PackageLoader("diagnostics.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("answer.html.j2")
