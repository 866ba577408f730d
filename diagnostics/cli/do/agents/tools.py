"""What an agent may ask. Every tool reads, none writes, and none calls the services; the probe is not among them.

A tool takes what its command takes on the command line, apart from where to look and as whom: that was said when the server was started.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from diagnostics.cli.do import batches, health, investigation, model, outcome, postmortem, runbook
from diagnostics.cli.do.agents.untrusted import NOTICE
from diagnostics.cli.frame import keeping
from diagnostics.cli.frame.options import Asked
from diagnostics.cli.frame.question import Question
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.cli.health import NEWEST
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Leg
from diagnostics.report import batches as listing
from diagnostics.report import json, text
from diagnostics.report.layout import Layout
from diagnostics.report.postmortem import markdown
from diagnostics.run.investigate import investigate
from diagnostics.runbook import incident

When = Annotated[str, Meta(description="An age such as 90m, 2h or 3d, or RFC 3339.", max_length=40)]
Day = Annotated[str, Meta(description="A date such as 2026-02-08, or an age such as 7d.", max_length=40)]
BatchId = Annotated[str, Meta(description="Which batch; empty: the latest start attempt.", max_length=500)]
LegName = Annotated[
    Leg | None, Meta(description="request: coordinator to worker; completion: worker back. None: both.")
]


class OfBatch(Struct, frozen=True, forbid_unknown_fields=True):
    batch: BatchId = ""
    since: When = ""
    until: When = ""
    expect: Annotated[int, Meta(ge=1, description="Items that the batch has, where nothing tells.")] | None = None


class OfPart(Struct, frozen=True, forbid_unknown_fields=True):
    batch: BatchId = ""
    since: When = ""
    until: When = ""
    leg: LegName = None


class OfWindow(Struct, frozen=True, forbid_unknown_fields=True):
    since: When = ""
    until: When = ""


class OfDates(Struct, frozen=True, forbid_unknown_fields=True):
    batch: BatchId = ""
    since: Day = ""
    until: Day = ""


class OfHealth(Struct, frozen=True, forbid_unknown_fields=True):
    since_deploy: Annotated[bool, Meta(description="Only traffic that is younger than the newest deploy.")] = False


class OfNothing(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class OfPage(Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[str, Meta(description="Code of a cause or name of a step, as an answer names it.", max_length=100)]
    leg: Annotated[Leg, Meta(description="Whose names are filled in.")] = Leg.REQUEST


class OfRecord(Struct, frozen=True, forbid_unknown_fields=True):
    batch: Annotated[str, Meta(description="Which batch; empty: that of the newest kept run.", max_length=500)] = ""


class Page(Struct, frozen=True):
    """A document in Markdown."""

    markdown: str


class Answer(NamedTuple):
    """What a tool found, as data and in words."""

    said: Any
    words: str


class Tool(NamedTuple):
    name: str
    about: str
    takes: type[Struct]
    gives: type[Struct]
    does: Callable[[Any, Asked], Answer]
    asks: bool = True
    """Whether it asks Google Cloud; else it reads what is kept here."""


def takes(tool: Tool) -> dict[str, Any]:
    """The JSON Schema of its arguments."""
    return _schema(tool.takes)


def gives(tool: Tool) -> dict[str, Any]:
    """The JSON Schema of its result."""
    whole = _schema(tool.gives)
    defs = whole.pop("$defs", {})
    return {
        "type": "object",
        "properties": {"notice": {"const": NOTICE}, "result": whole},
        "required": ["notice", "result"],
        "$defs": defs,
    }


def result(said: Any) -> dict[str, Any]:
    """The data of an answer, with what has to be known of them; harmless to whoever prints it."""
    clean = msgspec.json.decode(json.pretty(msgspec.json.encode(said)))
    return {"notice": NOTICE, "result": clean}


def call(tool: Tool, arguments: dict[str, Any], asked: Asked) -> Answer:
    """Raises Trouble, also for arguments that it does not take."""
    try:
        given = msgspec.convert(arguments, tool.takes)
    except msgspec.ValidationError as error:
        raise Trouble(f"{tool.name}: {error}") from error
    return tool.does(given, asked)


def _schema(kind: type[Struct]) -> dict[str, Any]:
    (whole,), defs = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    named = defs.pop(kind.__name__)
    return {**named, **({"$defs": defs} if defs else {})} if whole else named


def _looked(question: Question, given: OfBatch | OfPart | OfWindow, asked: Asked) -> Answer:
    asked = replace(asked, since=given.since or None, until=given.until or None)
    case = investigation.look(question, asked)
    said = investigate(case)
    keeping.keep(case, said, asked.quiet)
    return _said(incident.with_fixes(said, case))


def _said(said: Diagnosis) -> Answer:
    return Answer(said, text.render(said, Layout()))


def _batch(given: OfBatch, asked: Asked) -> Answer:
    return _looked(Question("batch", batch=given.batch or None, expect=given.expect), given, asked)


def _outcome(given: OfDates, asked: Asked) -> Answer:
    question = outcome.of_dates(given.batch or None, given.since or None, given.until or None)
    return _looked(question, OfWindow(), asked)


def _model_drift(given: OfNothing, asked: Asked) -> Answer:
    del given
    said, _ = model.diagnosed(replace(asked, since=None, until=None), None)
    return _said(said)


def _delivery(given: OfPart, asked: Asked) -> Answer:
    leg = given.leg.value if given.leg else None
    return _looked(Question("delivery", batch=given.batch or None, leg=leg), given, asked)


def _lint(given: OfNothing, asked: Asked) -> Answer:
    del given
    return _looked(Question("lint"), OfWindow(), asked)


def _health(given: OfHealth, asked: Asked) -> Answer:
    return _said(health.look(health.Check(deploy=NEWEST if given.since_deploy else None), asked))


def _batches(given: OfWindow, asked: Asked) -> Answer:
    found = batches.look(replace(asked, since=given.since or None, until=given.until or None))
    return Answer(found, listing.render(found, Layout()) if found.batches else "\n".join(found.unseen) or "none")


def _runbook(given: OfPage, asked: Asked) -> Answer:
    said = runbook.page(given.code, asked.profile, given.leg, {})
    return Answer(Page(said), said)


def _postmortem(given: OfRecord, asked: Asked) -> Answer:
    which = [given.batch] if given.batch else []
    said = markdown.render(postmortem.told(which, asked.project or "", asked.profile, quiet=True))
    return Answer(Page(said), said)


TOOLS = (
    Tool("diagnose_batch", "Why is the batch not done, and what to do now.", OfBatch, Diagnosis, _batch),
    Tool("list_batches", "Recent start attempts and open batches, newest first.", OfWindow, listing.Listing, _batches),
    Tool("delivery", "Do pushes arrive, and what are they answered?", OfPart, Diagnosis, _delivery),
    Tool("lint", "Is the pipeline set up as it should be? Needs no traffic.", OfNothing, Diagnosis, _lint),
    Tool(
        "health",
        "Is the pipeline well: configuration, path and traffic, no batch needed.",
        OfHealth,
        Diagnosis,
        _health,
    ),
    Tool(
        "outcome",
        "Did it really work: results by date against what the batches said; of a batch, or of dates.",
        OfDates,
        Diagnosis,
        _outcome,
    ),
    Tool(
        "model_drift",
        "Do manifest, registry, documentation, the worker and its results agree on the model?",
        OfNothing,
        Diagnosis,
        _model_drift,
    ),
    Tool("runbook", "What to do about a cause, step by step, for a person to do.", OfPage, Page, _runbook, asks=False),
    Tool(
        "postmortem",
        "The postmortem of a batch from the runs that were kept of it.",
        OfRecord,
        Page,
        _postmortem,
        asks=False,
    ),
)
