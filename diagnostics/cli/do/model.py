"""What `pubsub-diag model` does."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from diagnostics.cli.do.investigation import on_threshold
from diagnostics.cli.frame import keeping, opening, output, replaying, times
from diagnostics.cli.frame.options import Asked, FailOn, Format
from diagnostics.cli.frame.question import Question
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.conclude.model_sync import Sync
from diagnostics.conclude.model_sync import sync as lined_up
from diagnostics.evidence.model import Evidence, ModelManifest, ModelRegistry, Unseen, Why, seen
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask, NewModel
from diagnostics.readings import model_block
from diagnostics.readings.model_files import base, parse
from diagnostics.report import formats, markdown, models
from diagnostics.report.escape import clean_all
from diagnostics.run.investigate import Case, investigate
from diagnostics.run.look import see
from diagnostics.run.models import DRIFT, new_model
from diagnostics.shell.commands import command
from diagnostics.shell.files import read_text
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


# --- the models that there are -------------------------------------------------------------------------------------------


def drift(asked: Asked, document: Path | None) -> int:
    """Look, compare, print, and give the exit code."""
    found, run = diagnosed(asked, document)
    found = on_threshold(found, asked.fail_on)
    layout = output.page(to_file=asked.out is not None)
    output.answer(formats.render(asked.output.value, [found], layout, verbose=asked.verbose, run=run), asked.out)
    if asked.output is Format.GITHUB:
        output.summarise(markdown.render_summary([found]), asked.quiet)
    return int(found.exit_code)


def listed(asked: Asked) -> int:
    """The models as a table. Unknown where neither manifest nor registry was seen."""
    found, _ = diagnosed(asked, None)
    if not found.models:
        gaps = "; ".join(f.says for f in found.findings if f.hidden.why) or "no place knows a model"
        raise Trouble(f"no model could be listed: {gaps}", "pubsub-diag model drift")
    if asked.output is Format.JSON:
        said = msgspec.json.format(msgspec.json.encode(found.models)).decode() + "\n"
    else:
        said = models.render(clean_all(found).models, output.page(to_file=asked.out is not None), found.as_of) + "\n"
    output.answer(said, asked.out)
    told = {place for model in found.models for place in model.told_by}
    return int(Exit.OK if told & {"manifest", "registry"} else Exit.UNKNOWN)


def sync(asked: Asked, document: Path | None, write: Path | None) -> int:
    """The statements and the diff; with `write`, the block of that file is written."""
    if asked.bundle:
        raise Trouble("what is to be brought into line has to be looked at: a bundle may be old", "leave --from out")
    case = _seen(asked, write or document)
    manifest = case.evidence.get(ModelManifest)
    if isinstance(manifest, Unseen):
        raise Trouble(f"the manifest was not seen: {manifest.says}", manifest.mend)
    differs = any(f.code == "model_drift.registry_differs" for f in investigate(case).findings)
    found = lined_up(
        case.profile, case.evidence, manifest, str(write or document or _named(case.profile)), differs=differs
    )
    if write is not None and found.block and found.diff:
        _write_block(write, found.block)
        found = msgspec.structs.replace(found, diff=())
        output.tell(f"wrote the block of {write}", asked.quiet)
    if asked.output is Format.JSON:
        said = msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"
    else:
        said = _said(found, write)
    output.answer(said, asked.out)
    if found.unknown:
        return int(Exit.UNKNOWN)
    return int(Exit.OK if found.idle or asked.fail_on is FailOn.FAULT else Exit.WARNING)


def doc(asked: Asked) -> int:
    """The marked block, of the registry."""
    case = _seen(asked, None, (ModelRegistry, ModelManifest))
    registry = case.evidence.get(ModelRegistry)
    if isinstance(registry, Unseen):
        raise Trouble(f"the registry was not seen: {registry.says}", registry.mend)
    block = model_block.write(registry.models, registry.production)
    manifest = seen(case.evidence.get(ModelManifest))
    if manifest is not None and block != model_block.write(manifest.models, manifest.production):
        output.tell("the manifest says otherwise than the registry: pubsub-diag model sync", asked.quiet)
    if asked.output is Format.JSON:
        said = msgspec.json.format(msgspec.json.encode({"block": block})).decode() + "\n"
    else:
        said = f"{model_block.BEGIN}\n{block}{model_block.END}\n"
    output.answer(said, asked.out)
    return int(Exit.OK)


def diagnosed(asked: Asked, document: Path | None) -> tuple[Diagnosis, str]:
    """The diagnosis, and the name under which the run was kept."""
    if asked.bundle:
        return replaying.diagnosis(Question(DRIFT), asked), ""
    case = _seen(asked, document)
    diagnosis = investigate(case)
    return diagnosis, keeping.keep(case, diagnosis, asked.quiet)


def _seen(asked: Asked, document: Path | None, kinds: tuple[type[Evidence], ...] = ()) -> Case:
    """What the places say."""
    until = times.parse(asked.until, "--until") if asked.until else None
    since = times.parse(asked.since, "--since") if asked.since else None
    session, profile = opening.opened(asked)
    if profile.model is None:
        raise Trouble(
            f"the profile {profile.name} names no place that describes models", "add [model] to the profile (README)"
        )
    begin, end = times.window(since, until, session.now)
    output.tell(f"reading {profile.project}, at most {asked.timeout:g} s", asked.quiet)
    ask = Ask(since=begin, until=end, document=str(document or ""))
    return see(session, profile, DRIFT, ask, kinds=kinds)


def _named(profile: PipelineProfile) -> str:
    return profile.model.document if profile.model else ""


def _write_block(path: Path, block: str) -> None:
    """Put the block between the marks of the file; all else stays as it is."""
    try:
        output.answer(model_block.put(read_text(path), block), path)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise Trouble(f"{path}: {getattr(error, 'strerror', None) or error}", "pubsub-diag model doc") from error


def _said(found: Sync, written: Path | None) -> str:
    parts = []
    if found.merge:
        told = "".join(f"-- {line}\n" for line in _notes(found))
        parts.append(told + found.merge)
    if found.diff:
        rewrites = command("pubsub-diag model sync --write-doc {document}", document=found.document)
        hint = f"# rewrites it: {rewrites}\n" if written is None else ""
        parts.append(hint + "".join(f"{line}\n" for line in found.diff))
    parts += [f"by hand: {line}\n" for line in found.by_hand]
    parts += [f"not seen: {line}\n" for line in found.unknown]
    return "\n".join(parts) if parts else "registry and documentation agree with the manifest\n"


def _notes(found: Sync) -> list[str]:
    notes = ["Run it with: bq query --nouse_legacy_sql < FILE. It changes nothing where the registry agrees already."]
    if found.needs:
        notes.append(f"New rows need {', '.join(found.needs)}, too, of which the manifest says nothing: add them.")
    return notes
