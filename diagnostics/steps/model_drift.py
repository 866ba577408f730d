"""Do the places that describe the model agree: manifest, registry, documentation, the worker's variable, what the serving revisions
loaded, and what results carry? The manifest is taken for true. A variable proves nothing of what was loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated

from diagnostics.evidence.model import (
    Evidence,
    KnownModel,
    Leg,
    ModelDocument,
    ModelLoad,
    ModelLoads,
    ModelManifest,
    ModelRegistry,
    ResultDay,
    ResultRows,
    Revisions,
    RevisionSettings,
    ServiceConfig,
    Stage,
    Unseen,
    Why,
)
from diagnostics.pipeline.models import ModelProfile
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.pipeline.results import ResultsProfile
from diagnostics.readings.model_files import base
from diagnostics.readings.models import (
    Match,
    amiss,
    differences,
    digests,
    in_production,
    is_file_of,
    loaded_another,
    newest_loads,
    version_of,
)
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Kind, Status, Telling
from diagnostics.steps.tells import Hidden, Tells
from diagnostics.steps.words import clock, count, names


class OfPlace(Tells, frozen=True, kw_only=True):
    """What a place says otherwise than the manifest."""

    place: str
    differs: str
    """In what, in words."""


class OfRevision(Tells, frozen=True, kw_only=True):
    model: str
    revision: str
    loaded: str
    """The file that it loaded."""
    variable: str
    """The file that the variable names; empty: it has none, or that could not be seen."""


class OfRows(Tells, frozen=True, kw_only=True):
    model: str
    dates: str
    rows: int
    carries: str


class Contradiction(Tells, frozen=True, kw_only=True):
    """What the manifest contradicts itself in."""

    amiss: str
    more: int
    """Further contradictions."""


MANIFEST = Code("model_drift.manifest", Stage.CLOSED, "the model in production, by the manifest")
CONTRADICTS = Telling(
    "model_drift.contradicts", Stage.CLOSED, "the manifest contradicts itself", Kind.MECHANISM, tells=Contradiction
)
REGISTRY = Code("model_drift.registry", Stage.CLOSED, "the registry agrees with the manifest")
REGISTRY_DIFFERS = Telling(
    "model_drift.registry_differs", Stage.CLOSED, "the registry says otherwise", Kind.MECHANISM, tells=OfPlace
)
DOCUMENT = Code("model_drift.document", Stage.CLOSED, "the documentation agrees with the manifest")
DOCUMENT_DIFFERS = Telling(
    "model_drift.document_differs", Stage.CLOSED, "the documentation says otherwise", Kind.MECHANISM, tells=OfPlace
)
VARIABLE = Telling("model_drift.variable", Stage.CLOSED, "the worker is told the model in production", tells=OfRevision)
VARIABLE_DIFFERS = Telling(
    "model_drift.variable_differs",
    Stage.CLOSED,
    "the worker is told another model",
    Kind.MECHANISM,
    tells=OfRevision,
)
LOADED = Code("model_drift.loaded", Stage.CLOSED, "what serves has loaded the model in production")
LOADED_ANOTHER = Telling(
    "model_drift.loaded_another", Stage.CLOSED, "what serves has loaded another model", Kind.EFFECT, tells=OfRevision
)
IGNORED = Telling(
    "model_drift.variable_ignored",
    Stage.CLOSED,
    "the worker is told the right model and has loaded another",
    Kind.EFFECT,
    tells=OfRevision,
)
LOADED_UNTOLD = Code("model_drift.loaded_untold", Stage.CLOSED, "what serves does not say what it loaded")
ROWS = Code("model_drift.rows", Stage.CLOSED, "the newest results are of the model in production")
ROWS_OLD = Code("model_drift.rows_old", Stage.CLOSED, "nothing was made since the model serves")
ROWS_NONE = Code("model_drift.rows_none", Stage.CLOSED, "there are no newest results to look at")
ROWS_UNTOLD = Code("model_drift.rows_untold", Stage.CLOSED, "of which model the newest results are cannot be told")
ROWS_OF_ANOTHER = Telling(
    "model_drift.rows_of_another", Stage.CLOSED, "the newest results are of another model", Kind.EFFECT, tells=OfRows
)
ROWS_UNNAMED = Telling(
    "model_drift.rows_unnamed", Stage.CLOSED, "the newest results name no model", Kind.EFFECT, tells=OfRows
)
HIDDEN = Telling("model_drift.hidden", Stage.CLOSED, "a place could not be seen", tells=Hidden)

_FEW = 3
"""Differences that are said of one place."""


def model_drift(
    profile: PipelineProfile,
    manifest: ModelManifest | Unseen,
    registry: ModelRegistry | Unseen,
    document: ModelDocument | Unseen,
    service: Annotated[ServiceConfig | Unseen, Leg.REQUEST],
    revisions: Annotated[Revisions | Unseen, Leg.REQUEST],
    loads: ModelLoads | Unseen,
    results: ResultRows | Unseen,
    now: datetime,
) -> Iterator[Finding]:
    places = profile.model
    if places is None:
        return
    yield from _hidden(places, profile, (manifest, registry, document, service, loads, results))
    if isinstance(manifest, Unseen):
        return
    wrong = list(amiss(manifest))
    if wrong:
        yield CONTRADICTS.says(
            Status.WARNING,
            f"the manifest contradicts itself: {'; '.join(wrong[:_FEW])}{_more(wrong)}",
            rests_on=("ModelManifest",),
            tells=Contradiction(amiss=wrong[0], more=len(wrong) - 1),
        )
    true = in_production(manifest)
    if true is None:
        called = "not one model" if manifest.production else "no model"
        yield MANIFEST.says(
            Status.UNKNOWN,
            f"the manifest describes {called} as the one in production: what should serve cannot be told",
            rests_on=("ModelManifest",),
        )
        return
    yield MANIFEST.says(Status.OK, f"by the manifest {described(true)}", rests_on=("ModelManifest",))
    if not isinstance(registry, Unseen):
        yield from _registry(registry, manifest, places)
    if not isinstance(document, Unseen):
        yield from _document(document, manifest)
    here = _serving(service, revisions)
    if places.variable and here:
        yield from _variable(places, here, true)
    elif places.variable and not isinstance(service, Unseen):
        yield _untold(places, service, revisions)
    if not isinstance(loads, Unseen):
        yield from _loaded(places, loads, here, true, now)
    if not isinstance(results, Unseen) and profile.results is not None:
        yield from _rows(results, profile.results, manifest, true, here)


def described(model: KnownModel) -> str:
    """The model in one clause."""
    parts = [
        f"trained on {model.trained_from} to {model.trained_to}" if model.trained_from and model.trained_to else "",
        f"{model.features} features" if model.features is not None else "",
        f"SHA-256 {model.sha256[:12]}" if model.sha256 else "",
        f"since {model.since}" if model.since else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f"{model.name} is in production{f': {said}' if said else ''}"


def _hidden(places: ModelProfile, profile: PipelineProfile, found: Iterable[Evidence | Unseen]) -> Iterator[Finding]:
    """What could not be seen of the places that the profile names. What this command does not look at is not missed."""
    wanted = {
        "ModelManifest": places.manifest,
        "ModelRegistry": places.registry,
        "ModelDocument": places.document,
        "ServiceConfig": places.variable,
        "ModelLoads": places.loaded,
        "ResultRows": profile.results,
    }
    for one in found:
        if isinstance(one, Unseen) and one.why is not Why.NOT_ASKED and (wanted[one.what] or _named(one)):
            yield HIDDEN.says(
                Status.UNKNOWN,
                f"{_SAYS[one.what]} was not seen: {one.says}",
                rests_on=(one.what,),
                tells=Hidden.of(one),
            )


def _named(unseen: Unseen) -> bool:
    """Whether it was asked for all the same: a document is named on the command line."""
    return unseen.what == ModelDocument.__name__ and unseen.why is not Why.NOT_CONFIGURED


_SAYS = {
    "ModelManifest": "the manifest",
    "ModelRegistry": "the registry",
    "ModelDocument": "what the documentation says",
    "ServiceConfig": "what the worker is told",
    "ModelLoads": "what the serving revisions loaded",
    "ResultRows": "what results carry",
}


def _more(said: list[str]) -> str:
    return f"; and {len(said) - _FEW} more" if len(said) > _FEW else ""


def _told(models: Iterable[KnownModel], production: Iterable[str] | None, manifest: ModelManifest) -> Iterator[str]:
    """What a record says otherwise than the manifest, the model in production first. `production` None: it cannot say which that is."""
    models, production = list(models), None if production is None else tuple(production)
    if production is not None and production != manifest.production:
        listed = ", ".join(production) or "none"
        yield f"it calls {listed} the one in production, the manifest {manifest.production[0]}"
    order = sorted(manifest.models, key=lambda m: m.name not in manifest.production)
    for true in order:
        rows = [m for m in models if m.name == true.name]
        if not rows:
            yield f"it does not have {true.name}"
        if len(rows) > 1:
            yield f"it has {true.name} {len(rows)} times"
        for row in dict.fromkeys(rows):
            yield from (f"{true.name}: {found}" for found in differences(row, true))


def _record(code: Telling[OfPlace], right: Code, place: str, said: list[str], evidence: str) -> Finding:
    if not said:
        return right.says(Status.OK, f"{place} agrees with the manifest", rests_on=(evidence, "ModelManifest"))
    return code.says(
        Status.WARNING,
        f"{place} differs from the manifest, which is right: {'; '.join(said[:_FEW])}{_more(said)}",
        rests_on=(evidence, "ModelManifest"),
        tells=OfPlace(place=place, differs=said[0]),
    )


def _registry(registry: ModelRegistry, manifest: ModelManifest, places: ModelProfile) -> Iterator[Finding]:
    tells = places.registry is not None and (places.registry.production or places.registry.status)
    said = list(_told(registry.models, registry.production if tells else None, manifest))
    yield _record(REGISTRY_DIFFERS, REGISTRY, f"the registry {registry.table}", said, "ModelRegistry")


def _document(document: ModelDocument, manifest: ModelManifest) -> Iterator[Finding]:
    said = list(_told(document.models, document.production, manifest))
    yield _record(DOCUMENT_DIFFERS, DOCUMENT, f"the documentation {base(document.path)}", said, "ModelDocument")


def _serving(service: ServiceConfig | Unseen, revisions: Revisions | Unseen) -> RevisionSettings | None:
    """The revision with the largest share of traffic."""
    if isinstance(service, Unseen) or service.settings is None:
        return None
    settings = service.settings
    listed = None if isinstance(revisions, Unseen) else revisions.named(settings.serving)
    return listed or (settings.template if settings.template.name == settings.serving else None)


def _untold(places: ModelProfile, service: ServiceConfig, revisions: Revisions | Unseen) -> Finding:
    """The revision that serves is not among those that were seen."""
    serving = service.settings.serving if service.settings else ""
    why = revisions.says if isinstance(revisions, Unseen) else "it is not among the revisions that were listed"
    return HIDDEN.says(
        Status.UNKNOWN,
        f"{places.variable} of {serving} was not seen: {why}"
        if serving
        else f"{places.variable} was not seen: the service {service.name} does not exist",
        subject=subjects.revision(serving) if serving else None,
        rests_on=("ServiceConfig", "Revisions"),
        tells=Hidden.of(revisions) if isinstance(revisions, Unseen) and serving else Hidden(),
    )


def _variable(places: ModelProfile, here: RevisionSettings, true: KnownModel) -> Iterator[Finding]:
    if here.model is None and places.variable in here.env:
        yield HIDDEN.says(
            Status.UNKNOWN,
            f"{places.variable} of {here.name} is set, and what it names was not seen",
            subject=subjects.revision(here.name),
            rests_on=("ServiceConfig", "Revisions"),
            tells=Hidden(),
        )
        return
    if here.model and is_file_of(true, here.model):
        yield VARIABLE.says(
            Status.OK,
            f"{places.variable} of {here.name} names {base(here.model)}",
            subject=subjects.revision(here.name),
            rests_on=("ServiceConfig", "Revisions", "ModelManifest"),
            tells=OfRevision(model=true.name, revision=here.name, loaded="", variable=base(here.model)),
        )
        return
    what = f"names {base(here.model)}" if here.model else "is not set"
    yield VARIABLE_DIFFERS.says(
        Status.WARNING,
        f"{places.variable} of {here.name} {what}, and {true.name} is in production by the manifest",
        subject=subjects.revision(here.name),
        since=here.created,
        rests_on=("ServiceConfig", "Revisions", "ModelManifest"),
        tells=OfRevision(model=true.name, revision=here.name, loaded="", variable=base(here.model or "")),
    )


def _loaded(
    places: ModelProfile, loads: ModelLoads, here: RevisionSettings | None, true: KnownModel, now: datetime
) -> Iterator[Finding]:
    newest = newest_loads(loads)
    for load in newest:
        about = subjects.revision(load.revision)
        rests = ("ModelLoads", "ModelManifest")
        told = f"{load.revision} said at {clock(load.at, now)} that it had loaded {base(load.file)}"
        if other := loaded_another(load, true):
            variable = here.model or "" if here and here.name == load.revision else ""
            right = bool(variable) and is_file_of(true, variable) and not is_file_of(true, load.file)
            yield (IGNORED if right else LOADED_ANOTHER).says(
                Status.WARNING,
                f"{told}, and {true.name} is in production by the manifest: {other}"
                + (f"; {places.variable} names the right one and was not followed" if right else ""),
                subject=about,
                since=load.at,
                rests_on=rests,
                tells=OfRevision(
                    model=true.name,
                    revision=load.revision,
                    loaded=base(load.file),
                    variable=base(variable) if right else "",
                ),
            )
        else:
            yield LOADED.says(Status.OK, f"{told}{_proof(load, true)}", subject=about, rests_on=rests)
    silent = [name for name in loads.revisions if name not in {load.revision for load in newest}]
    if silent:
        searched = f"since {clock(loads.since, now)}" if loads.source.complete else "in what could be searched"
        yield LOADED_UNTOLD.says(
            Status.UNKNOWN,
            f"no line of {names(silent)} says {searched} which model it loaded: its variable alone proves nothing",
            rests_on=("ModelLoads",),
        )


def _proof(load: ModelLoad, true: KnownModel) -> str:
    match digests(load.sha256, true.sha256):
        case Match.EQUAL:
            return ", with the manifest's SHA-256"
        case Match.CONSISTENT:
            return f"; {load.sha256[:12]} is the begin of the manifest's SHA-256, which is consistent and no proof"
        case _:
            return "; its SHA-256 is not told, so that only the name speaks for it"


def _rows(
    results: ResultRows,
    named_: ResultsProfile,
    manifest: ModelManifest,
    true: KnownModel,
    here: RevisionSettings | None,
) -> Iterator[Finding]:
    """The newest date that has rows in force: older ones may rightly be of older models."""
    day = next((d for d in reversed(results.days) if d.active), None)
    rests = ("ResultRows", "ModelManifest")
    if not (named_.version or named_.file):
        return
    if day is None:
        says = f"{results.table} has no row in force of {results.since} to {results.until}: what results carry cannot be told"
        yield ROWS_NONE.says(Status.IDLE, says, rests_on=rests)
        return
    good, unnamed, others, untold = _by_model(day, named_, true)
    if not good and (since := _before(day, true, here)):
        carried = names([*others, *(version or "no version" for version in (*unnamed, *untold))])
        yield ROWS_OLD.says(
            Status.IDLE, f"the newest results, of {day.day}, carry {carried} and are older than {since}", rests_on=rests
        )
        return
    for carries, rows in others.items():
        yield ROWS_OF_ANOTHER.says(
            Status.WARNING,
            f"{count(rows, 'row')} in force of {day.day} {_of(carries, manifest)}, and {true.name} is in production by the "
            "manifest",
            rests_on=rests,
            tells=OfRows(model=true.name, dates=day.day.isoformat(), rows=rows, carries=carries),
        )
    for carries, rows in unnamed.items():
        what = f"carry {carries}, which names no model" if carries else "carry no version"
        by_file = any(made.version == carries and made.file for made in day.made)
        tail = "only the file that they name tells that it is" if by_file else "whether it is"
        yield ROWS_UNNAMED.says(
            Status.WARNING,
            f"{count(rows, 'row')} in force of {day.day} {what}: {tail} {true.name} {'' if by_file else 'cannot be told by it'}".rstrip(),
            rests_on=rests,
            tells=OfRows(model=true.name, dates=day.day.isoformat(), rows=rows, carries=carries),
        )
    if untold:
        yield ROWS_UNTOLD.says(
            Status.UNKNOWN,
            f"{count(sum(untold.values()), 'row')} in force of {day.day} carry {names(v or 'no version' for v in untold)}: whether "
            f"they are of {true.name} cannot be told (names_model under [results] in the profile says what a version looks like)",
            rests_on=rests,
        )
    if good:
        yield ROWS.says(Status.OK, f"{count(good, 'row')} in force of {day.day} are of {true.name}", rests_on=rests)


def _before(day: ResultDay, true: KnownModel, here: RevisionSettings | None) -> str:
    """What came after a date's rows were written, so that they say nothing of the model in production; empty: nothing did, or it is
    not known when they were written."""
    if day.last is None:
        return ""
    if true.since is not None:
        return f"its being in production, {true.since}" if day.last.date() < true.since else ""
    return f"{here.name}, which serves" if here is not None and day.last < here.created else ""


def _by_model(
    day: ResultDay, named_: ResultsProfile, true: KnownModel
) -> tuple[int, dict[str, int], dict[str, int], dict[str, int]]:
    """Rows in force of the model in production; those that name none, those that name others, and those of which nothing tells, by
    what they carry."""
    good, unnamed, others, untold = 0, dict[str, int](), dict[str, int](), dict[str, int]()
    version = version_of(true)
    tells = re.compile(named_.names_model) if named_.names_model else None
    for made in day.made:
        if not made.active:
            continue
        if made.file and not is_file_of(true, made.file):
            others[base(made.file)] = others.get(base(made.file), 0) + made.active
        elif made.version and tells and tells.fullmatch(made.version) and version and made.version != version:
            others[made.version] = others.get(made.version, 0) + made.active
        elif named_.version and tells and not tells.fullmatch(made.version):
            unnamed[made.version] = unnamed.get(made.version, 0) + made.active
        elif made.file or (made.version and made.version == version):
            good += made.active
        else:
            untold[made.version] = untold.get(made.version, 0) + made.active
    return good, unnamed, others, untold


def _of(carries: str, manifest: ModelManifest) -> str:
    """What rows carry, and which model of the manifest that is."""
    model = next((m for m in manifest.models if version_of(m) == carries or is_file_of(m, carries)), None)
    return f"are of {model.name} ({carries})" if model and model.name not in carries else f"are of {carries}"
