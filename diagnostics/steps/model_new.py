"""May this model be trained: is its name one that tells, is there such a model already, is it judged on dates it has not seen?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from diagnostics.evidence.model import KnownModel, ModelManifest, Stage, Unseen, Why
from diagnostics.question.ask import Ask, NewModel
from diagnostics.readings.model_files import Days, ModelFile, base, make, parse
from diagnostics.steps.finding import Code, Finding, Status, Telling
from diagnostics.steps.tells import Hidden

NAME = Code("model_new.name", Stage.PROCESSED, "the name of the new model")
EXISTS = Code("model_new.exists", Stage.PROCESSED, "models that are there already")
EXISTS_HIDDEN = Telling("model_new.exists_hidden", Stage.PROCESSED, "models that are there were not seen", tells=Hidden)
EVALUATION = Code("model_new.evaluation", Stage.PROCESSED, "the dates that it is judged on")


def model_new(manifest: ModelManifest | Unseen, ask: Ask, now: datetime) -> Iterator[Finding]:
    new = ask.model
    if new is None:
        return
    named = parse(new.file) if new.file else None
    trained = _trained(new, named)
    features = new.features if new.features is not None else named.features if named else None
    rest = [*_exists(manifest, trained, features), *_evaluation(new, trained)] if trained is not None else []
    yield from _name(new, named, trained, features, now, alone=not rest)
    yield from rest


def _trained(new: NewModel, named: ModelFile | None) -> Days | None:
    """Its training range, as it was said; else by its name."""
    if new.trained is not None:
        return Days(*new.trained)
    return named.trained if named else None


def _name(
    new: NewModel, named: ModelFile | None, trained: Days | None, features: int | None, now: datetime, alone: bool
) -> Iterator[Finding]:
    """Whether the name tells, and tells the same; else which would. `alone`: nothing else is looked at."""
    would, why = _would_be(new, named, trained, features, now)
    if not new.file and would:
        yield NAME.says(Status.OK, f"its name would be {would}")
    elif not new.file:
        yield NAME.says(Status.UNKNOWN if alone else Status.ADVICE, f"which name it would have cannot be told: {why}")
    if not new.file:
        return
    shown = base(new.file)
    if named is None or named.trained is None:
        what = (
            "does not say on which days it was trained"
            if named
            else "follows no convention, so that nothing can be told by it"
        )
        yield NAME.says(Status.WARNING, f"{shown} {what}" + (f"; by the convention: {would}" if would else ""))
    elif named.amiss:
        yield NAME.says(Status.FAULT, f"{shown} cannot be right: {named.amiss}")
    elif trained is not None and named.trained != trained:
        yield NAME.says(Status.FAULT, f"{shown} says that it is trained on {named.trained}, and it is to be {trained}")
    elif features is not None and named.features != features:
        yield NAME.says(Status.FAULT, f"{shown} says {named.features} features, and it is to have {features}")
    else:
        yield NAME.says(Status.OK, f"{shown} is named by the convention: {features} features, trained on {trained}")


def _would_be(
    new: NewModel, named: ModelFile | None, trained: Days | None, features: int | None, now: datetime
) -> tuple[str, str]:
    """The name by the convention, or why there is none."""
    family = new.family or (named.family if named else "")
    if trained is None or features is None or not family:
        given = {"--family": family, "--features": features, "--train-start, --train-end": trained}
        return "", f"{' and '.join(option for option, said in given.items() if not said)} would tell"
    try:
        return make(family, features, trained, named.made if named else now).name, ""
    except ValueError as error:
        return "", str(error)


def _exists(manifest: ModelManifest | Unseen, trained: Days, features: int | None) -> Iterator[Finding]:
    if isinstance(manifest, Unseen):
        if manifest.why is not Why.NOT_ASKED:
            yield EXISTS_HIDDEN.says(
                Status.UNKNOWN,
                f"whether there is such a model already was not seen: {manifest.says}",
                rests_on=("ModelManifest",),
                tells=Hidden.of(manifest),
            )
        return
    alike = [m for m in manifest.models if _range(m) == trained]
    same = [m for m in alike if features is None or _features(m) in (None, features)]
    if same:
        listed = ", ".join(f"{m.name}{f' ({m.status})' if m.status else ''}" for m in same)
        yield EXISTS.says(Status.FAULT, f"trained on {trained} there is already: {listed}", rests_on=("ModelManifest",))
        return
    untold = [m.name for m in manifest.models if _range(m) is None]
    others = f"; with other features: {', '.join(m.name for m in alike)}" if alike else ""
    silent = f"; {', '.join(untold[:3])} say no range" if untold else ""
    yield EXISTS.says(
        Status.ADVICE if untold else Status.OK,
        f"none of {len(manifest.models)} known models was trained on {trained}{others}{silent}",
        rests_on=("ModelManifest",),
    )


def _range(model: KnownModel) -> Days | None:
    """The training range, by the place itself; else by the name of the file."""
    if model.trained_from and model.trained_to:
        return Days(model.trained_from, model.trained_to)
    named = parse(model.file or model.name)
    return named.trained if named else None


def _features(model: KnownModel) -> int | None:
    named = parse(model.file or model.name)
    return model.features if model.features is not None else named.features if named else None


def _evaluation(new: NewModel, trained: Days) -> Iterator[Finding]:
    if new.evaluated is None:
        return
    evaluated = Days(*new.evaluated)
    if trained.overlaps(evaluated):
        shared = Days(max(trained.first, evaluated.first), min(trained.last, evaluated.last))
        yield EVALUATION.says(
            Status.FAULT,
            f"it is to be judged on {evaluated} and is trained on {shared} of that: it has seen how those days ended",
        )
    elif evaluated.last < trained.first:
        yield EVALUATION.says(
            Status.WARNING,
            f"it is to be judged on {evaluated}, before its training begins on {trained.first}: it will run later",
        )
    else:
        yield EVALUATION.says(Status.OK, f"it is judged on {evaluated}, none of which it was trained on")
