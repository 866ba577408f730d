"""Ask, look, say, and give the exit code: what `batch` and its parts have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import Enum, auto

import msgspec

from diagnostics import __version__
from diagnostics.cli.do import probe as probing
from diagnostics.cli.frame import keeping, opening, output, replaying, times
from diagnostics.cli.frame.options import PLAIN, Asked, FailOn, Format
from diagnostics.cli.frame.question import Question
from diagnostics.conclude.diagnosis import Diagnosis, Exit, Recovery
from diagnostics.evidence.model import Leg, Probed
from diagnostics.question.ask import Ask
from diagnostics.report import formats, json, markdown, text
from diagnostics.run.investigate import Case, investigate
from diagnostics.run.look import see
from diagnostics.runbook import incident


class Form(Enum):
    """What of the diagnosis is wanted."""

    ANSWER = auto()
    ITEMS = auto()
    MISSING = auto()


def answer(question: Question, asked: Asked, form: Form = Form.ANSWER) -> int:
    """Diagnose, print, and give the exit code."""
    if asked.bundle:
        case, replayed = replaying.answered(question, asked)
        return _answer(incident.with_fixes(replayed, case), asked, form)
    times_of(asked)  # what is mistyped is said before anything is looked at
    probed = probing.beside(asked, question.yes) if question.probe else None
    case = look(question, asked)
    if probed is not None:
        case = dataclasses.replace(case, evidence=case.evidence.with_(Probed, Leg.REQUEST, probed))
    diagnosis = investigate(case)
    run = keeping.keep(case, diagnosis, asked.quiet)
    return _answer(incident.with_fixes(diagnosis, case), asked, form, run)


def times_of(asked: Asked) -> tuple[datetime | timedelta | None, datetime | timedelta | None]:
    """Both ends of the window, as they were said."""
    since = times.parse(asked.since, "--since") if asked.since else None
    return since, times.parse(asked.until, "--until") if asked.until else None


def look(question: Question, asked: Asked) -> Case:
    """What the command of the question sees of Google Cloud."""
    since, until = times_of(asked)
    session, profile = opening.opened(asked)  # after the probe, so that its time is not that of the reading
    begin, end = times.window(since, until, session.now)
    output.tell(f"reading {profile.project}, at most {asked.timeout:g} s", asked.quiet)
    ask = Ask(
        batch=question.batch or "",
        since=begin,
        until=end,
        expect=question.expect,
        live=question.live,
        days=question.days(session.now) if question.days else None,
        max_bytes=question.max_bytes,
    )
    if question.live and not ask.past(session.now):
        output.tell(f"calling the services' health paths as pubsub-diag/{__version__}", asked.quiet)
    legs = (Leg(question.leg),) if question.leg else None
    return see(session, profile, question.command, ask, legs)


def _answer(diagnosis: Diagnosis, asked: Asked, form: Form, run: str = "") -> int:
    diagnosis = on_threshold(diagnosis, asked.fail_on)
    output.answer(said(diagnosis, asked, form, run), asked.out)
    if form is Form.MISSING and asked.output is Format.JSON:
        for says in not_listed(diagnosis.recovery):
            output.tell(says)
    if asked.output is Format.GITHUB:
        output.summarise(markdown.render_summary([diagnosis]), asked.quiet)
    return int(diagnosis.exit_code)


def not_listed(recovery: Recovery) -> Iterator[str]:
    """Items that have to be sent again and are not in the list."""
    if recovery.alike:
        yield (
            f"{recovery.alike:,} more have to be sent again that are told alike with one that is listed: there were too many lines to read "
            "each, and the log has their names"
        )
    if (nameless := recovery.resubmit_count - len(recovery.resubmit) - recovery.alike) > 0:
        yield f"{nameless} more have to be sent again, known by count only: no log line or state names them"


def said(diagnosis: Diagnosis, asked: Asked, form: Form, run: str = "") -> str:
    """The diagnosis in the form and format that were asked for; `run` is the name under which it was kept."""
    if asked.output is Format.JSON and form is Form.MISSING:
        return json.render_resubmit(diagnosis) + "\n"
    layout = output.page(to_file=asked.out is not None)
    if form is Form.ANSWER or asked.output is Format.JSON:
        return formats.render(asked.output.value, [diagnosis], layout, verbose=asked.verbose, run=run)
    output.check_form(asked.output.value, [plain.value for plain in PLAIN])
    return text.render_items(diagnosis, layout, missing_only=form is Form.MISSING)


def on_threshold(diagnosis: Diagnosis, fail_on: FailOn) -> Diagnosis:
    """With --fail-on fault a warning exits 0. Nothing turns a fault or an unknown into 0."""
    if fail_on is FailOn.FAULT and diagnosis.exit_code == Exit.WARNING:
        return msgspec.structs.replace(diagnosis, exit_code=int(Exit.OK))
    return diagnosis
