"""What `pubsub-diag model` does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from diagnostics.cli.do.investigation import on_threshold
from diagnostics.cli.frame import output
from diagnostics.cli.frame.options import FailOn, Format
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.evidence.model import ModelManifest, Unseen, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.question.ask import Ask, NewModel
from diagnostics.readings.model_files import base, parse
from diagnostics.report import formats, markdown
from diagnostics.run.investigate import investigate
from diagnostics.run.models import new_model
from diagnostics.sources.manifest import of_file


class New(NamedTuple):
    """What the command line says of a new model."""

    file: str | None
    trained: tuple[str | None, str | None]
    evaluated: tuple[str | None, str | None]
    features: int | None
    family: str | None


def check_new(new: New, manifest: Path | None, form: Format, out: Path | None, fail_on: FailOn) -> int:
    """Judge, print, and give the exit code."""
    output.check_form(form.value, [f.value for f in Format])
    trained = _span(new.trained, "train")
    named = parse(new.file) if new.file else None
    if trained is None and (named is None or named.trained is None):
        raise Trouble(
            f"on which days is it trained? {base(new.file)} does not say it" if new.file else "which model?",
            "pubsub-diag model check-new FILE, or --train-start DATE --train-end DATE",
        )
    asked = NewModel(
        file=new.file or "",
        trained=trained,
        evaluated=_span(new.evaluated, "eval"),
        features=new.features,
        family=new.family or "",
    )
    now = datetime.now(UTC)
    found = on_threshold(investigate(new_model(Ask(model=asked), _known(manifest, now), now)), fail_on)
    output.answer(formats.render(form.value, [found], output.page(to_file=out is not None)), out)
    if form is Format.GITHUB:
        output.summarise(markdown.render_summary([found]))
    return int(found.exit_code)


def _known(manifest: Path | None, now: datetime) -> ModelManifest | Unseen:
    what = ModelManifest.__name__
    if manifest is None:
        return Unseen(what=what, why=Why.NOT_ASKED, says="no --manifest was named")
    try:
        return of_file(manifest, now)
    except NotSeen as error:
        return Unseen(what=what, why=error.why, says=error.says, mend=error.mend)


def _span(said: tuple[str | None, str | None], which: str) -> tuple[date, date] | None:
    """Both ends, or neither."""
    if said == (None, None):
        return None
    first, last = (_day(text, f"--{which}-{end}") for text, end in zip(said, ("start", "end"), strict=True))
    if first > last:
        raise Trouble(f"--{which}-start {first} is after --{which}-end {last}")
    return first, last


def _day(text: str | None, option: str) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError as error:
        raise Trouble(
            f"{option} {text!r}: expected a date like 2026-01-08" if text else f"{option} is missing"
        ) from error
