"""Do the places that describe the model agree: what is right by the manifest, what differs, and what nothing can tell."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    Evidence,
    EvidenceSet,
    Leg,
    Made,
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
    ServiceSettings,
    Traffic,
    Unseen,
    Why,
)
from diagnostics.pipeline.models import LoadedProfile, ModelProfile, RegistryProfile
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.pipeline.results import ResultsProfile
from diagnostics.readings.ledger import Ledger
from diagnostics.steps import model_drift
from diagnostics.steps.finding import AnyCode, Finding, Status
from diagnostics.steps.run import run
from tests.readings.test_models import NINE, OTHER, SOURCE, WHOLE, load, manifest

NOW = datetime(2026, 2, 9, 12, tzinfo=UTC)
PLACES = ModelProfile(
    manifest="gs://bucket/manifest.json",
    registry=RegistryProfile(table="d.r", name="id", status="status"),
    document="DOC.md",
    variable="MODEL",
    loaded=LoadedProfile(contains="loaded", pattern="(?P<file>.*)"),
)
PROFILE = PipelineProfile(
    name="p",
    project="p",
    request=LegProfile(subscription="s"),
    model=PLACES,
    results=ResultsProfile(table="d.t", date="day", version="v", file="f", names_model=r"v9_\d{8}_\d{6}"),
)
MADE = RevisionSettings(name="w-2", created=NOW - timedelta(days=3), model=NINE.file)
SETTINGS = ServiceSettings(
    name="w",
    region="r",
    uri="",
    urls=(),
    latest_ready="w-2",
    traffic=(Traffic(revision="w-2", percent=100),),
    template=MADE,
)
SERVICE = ServiceConfig(source=SOURCE, name="w", settings=SETTINGS)
REGISTRY = ModelRegistry(source=SOURCE, table="p.d.r", models=(NINE, OTHER), production=(NINE.name,))
DOCUMENT = ModelDocument(source=SOURCE, path="DOC.md", block="", models=(NINE, OTHER), production=(NINE.name,))
FILE = NINE.file.rpartition("/")[2]


def loads(*lines: ModelLoad, revisions: tuple[str, ...] = ("w-2",)) -> ModelLoads:
    return ModelLoads(source=SOURCE, revisions=revisions, loads=lines, since=NOW - timedelta(days=3))


def rows(*made: Made, last: datetime | None = NOW - timedelta(hours=2)) -> ResultRows:
    day = ResultDay(day=date(2026, 2, 9), rows=9, active=sum(m.active for m in made), made=made, last=last)
    empty = ResultDay(day=date(2026, 2, 10), rows=0, active=0)
    return ResultRows(
        source=SOURCE, table="p.d.t", since=date(2026, 2, 2), until=date(2026, 2, 10), days=(day, empty), read_bytes=1
    )


def of(version: str = "v9_20260201_011018", file: str = FILE) -> Made:
    return Made(version=version, file=file, rows=9, active=9)


ALL: tuple[Evidence | Unseen, ...] = (
    manifest(NINE, OTHER), REGISTRY, DOCUMENT, SERVICE, Revisions(source=SOURCE, revisions=(MADE,)),
    loads(load(FILE, WHOLE[:12])), rows(of()),
)  # fmt: skip


def drift(
    *changed: Evidence | Unseen, without: Iterable[type[Evidence]] = (), profile: PipelineProfile = PROFILE
) -> list[Finding]:
    """What it says where all places agree but for what is handed in."""
    named = {found.what if isinstance(found, Unseen) else type(found).__name__: found for found in (*ALL, *changed)}
    gone = {kind.__name__ for kind in without}
    of_leg = {"ServiceConfig", "Revisions"}
    seen = {(n, Leg.REQUEST if n in of_leg else None): found for n, found in named.items() if n not in gone}
    evidence = EvidenceSet(seen, now=NOW, lookback=timedelta(days=7), since=NOW)
    return list(run((model_drift.model_drift,), evidence, Ledger(), profile, [Leg.REQUEST]).findings)


def told(findings: Iterable[Finding], code: AnyCode) -> Finding:
    return next(f for f in findings if f.code == code.name)


def loud(findings: Iterable[Finding]) -> list[str]:
    return [f.code for f in findings if f.status not in (Status.OK, Status.IDLE)]


def test_places_that_agree_are_said_to() -> None:
    found = drift()
    assert loud(found) == []
    assert {f.code for f in found} == {
        code.name
        for code in (
            model_drift.MANIFEST,
            model_drift.REGISTRY,
            model_drift.DOCUMENT,
            model_drift.VARIABLE,
            model_drift.LOADED,
            model_drift.ROWS,
        )
    }
    assert "consistent and no proof" in told(found, model_drift.LOADED).says
    assert "with the manifest's SHA-256" in told(drift(loads(load(FILE, WHOLE))), model_drift.LOADED).says


@pytest.mark.parametrize(
    ("registry", "says"),
    [
        (replace(REGISTRY, models=(replace(NINE, trained_to=date(2026, 1, 31)), OTHER)), "training to 2026-01-31, the manifest 2026-01-08"),
        (replace(REGISTRY, models=(NINE,)), "it does not have other"),
        (replace(REGISTRY, models=(NINE, NINE, OTHER)), "2 times"),
        (replace(REGISTRY, production=("other",)), "it calls other the one in production, the manifest catboost"),
        (replace(REGISTRY, production=()), "it calls none the one in production"),
    ],
)  # fmt: skip
def test_a_registry_that_says_otherwise(registry: ModelRegistry, says: str) -> None:
    found = drift(registry)
    assert loud(found) == [model_drift.REGISTRY_DIFFERS.name]
    assert says in told(found, model_drift.REGISTRY_DIFFERS).says


def test_a_registry_may_know_more_models_and_have_the_begin_of_a_digest() -> None:
    more = replace(
        REGISTRY, models=(replace(NINE, sha256=WHOLE[:12]), OTHER, replace(OTHER, name="older", file="x.cbm"))
    )
    assert loud(drift(more)) == []


def test_documentation_that_says_otherwise() -> None:
    found = drift(replace(DOCUMENT, models=(replace(NINE, features=36), OTHER)))
    assert loud(found) == [model_drift.DOCUMENT_DIFFERS.name]


def revision(model: str | None) -> tuple[ServiceConfig, Revisions]:
    made = replace(MADE, model=model)
    settings = replace(SETTINGS, template=made)
    return replace(SERVICE, settings=settings), Revisions(source=SOURCE, revisions=(made,))


def test_a_variable_that_is_right_proves_nothing() -> None:
    found = drift(loads(load("other.cbm")))
    assert loud(found) == [model_drift.IGNORED.name]
    assert told(found, model_drift.VARIABLE).status is Status.OK
    assert "was not followed" in told(found, model_drift.IGNORED).says


@pytest.mark.parametrize("variable", [OTHER.file, None, ""])
def test_a_variable_that_names_another_model(variable: str | None) -> None:
    found = drift(*revision(variable), loads(load("other.cbm")))
    assert loud(found) == [model_drift.VARIABLE_DIFFERS.name, model_drift.LOADED_ANOTHER.name]
    assert loud(drift(*revision(variable))) == [model_drift.VARIABLE_DIFFERS.name], (
        "it loaded the right one all the same"
    )


def test_a_variable_whose_value_was_not_seen_accuses_nobody() -> None:
    """Secret Manager keeps it, or the run was kept before the profile named it."""
    config, listed = revision(None)
    hidden = replace(listed.revisions[0], env={"MODEL": "a-hash"})
    found = drift(config, replace(listed, revisions=(hidden, *listed.revisions[1:])))
    assert told(found, model_drift.HIDDEN).status is Status.UNKNOWN
    assert loud(found) == [model_drift.HIDDEN.name]


def test_another_file_under_the_same_name_is_not_for_want_of_heed() -> None:
    found = drift(loads(load(FILE, "9f7cea27aaaa")))
    assert loud(found) == [model_drift.LOADED_ANOTHER.name]
    assert "its SHA-256 begins with 9f7cea27aaaa" in told(found, model_drift.LOADED_ANOTHER).says


def test_a_revision_that_says_nothing_is_unknown_whatever_its_variable_says() -> None:
    found = drift(loads(load(FILE, revision="w-1")))
    assert told(found, model_drift.LOADED_UNTOLD).status is Status.UNKNOWN
    assert not [f for f in found if f.code == model_drift.LOADED.name]


def test_each_revision_with_traffic_is_looked_at() -> None:
    found = drift(loads(load(FILE), load("other.cbm", revision="w-1"), revisions=("w-2", "w-1")))
    assert loud(found) == [model_drift.LOADED_ANOTHER.name]


@pytest.mark.parametrize(
    ("made", "code"),
    [
        ([of(file="other.cbm")], model_drift.ROWS_OF_ANOTHER),
        ([of("v9_20260202_000000", "")], model_drift.ROWS_OF_ANOTHER),
        ([of("v9_current_season")], model_drift.ROWS_UNNAMED),
        ([of("v9_current_season", "")], model_drift.ROWS_UNNAMED),
        ([of("", "")], model_drift.ROWS_UNNAMED),
    ],
)
def test_what_the_newest_results_carry(made: list[Made], code: AnyCode) -> None:
    assert loud(drift(rows(*made))) == [code.name]


def test_a_version_is_told_from_another_only_where_the_profile_says_what_one_looks_like() -> None:
    assert PROFILE.results is not None
    bare = replace(PROFILE, results=replace(PROFILE.results, names_model=""))
    for version in ("v9_20260202_000000", "anything", ""):
        found = drift(rows(of(version, "")), profile=bare)
        assert loud(found) == [model_drift.ROWS_UNTOLD.name], version
        assert not [f for f in found if f.code == model_drift.ROWS.name]
    assert loud(drift(rows(of(file="")), profile=bare)) == [], "it carries the very version of that model"


def test_without_any_result_nothing_is_said_of_what_they_carry() -> None:
    found = drift(rows(of(), last=None), replace(rows(), days=()))
    assert told(found, model_drift.ROWS_NONE).status is Status.IDLE
    assert not [f for f in found if f.code == model_drift.ROWS.name]


def test_a_registry_that_cannot_say_which_is_in_production_differs_in_nothing_by_that() -> None:
    places = replace(PLACES, registry=RegistryProfile(table="d.r", name="id", sha256="sha"))
    found = drift(replace(REGISTRY, production=()), profile=replace(PROFILE, model=places))
    assert told(found, model_drift.REGISTRY).status is Status.OK


def test_a_serving_revision_that_was_not_seen_leaves_open_what_it_is_told() -> None:
    older = replace(SETTINGS, traffic=(Traffic(revision="w-1", percent=100),))
    hidden = Unseen(
        what="Revisions", leg=Leg.REQUEST, why=Why.PERMISSION_DENIED, says="no", permission="run.revisions.list"
    )
    for listed in (hidden, Revisions(source=SOURCE, revisions=(MADE,))):
        found = drift(replace(SERVICE, settings=older), listed, loads(load(FILE, WHOLE), revisions=("w-2",)))
        assert told(found, model_drift.HIDDEN).says.startswith("MODEL of w-1 was not seen")
        assert loud(found) == [model_drift.HIDDEN.name]
    gone = drift(replace(SERVICE, settings=None))
    assert "the service w does not exist" in told(gone, model_drift.HIDDEN).says


def test_results_of_before_the_promotion_say_nothing_of_it() -> None:
    promoted = manifest(replace(NINE, since=date(2026, 2, 9)), OTHER)
    early = rows(of(file="other.cbm"), last=datetime(2026, 2, 8, 23, tzinfo=UTC))
    assert told(drift(promoted, early), model_drift.ROWS_OLD).status is Status.IDLE
    late = rows(of(file="other.cbm"), last=datetime(2026, 2, 9, 1, tzinfo=UTC))
    assert loud(drift(promoted, late)) == [model_drift.ROWS_OF_ANOTHER.name]


def test_without_a_day_of_promotion_results_of_an_older_revision_say_nothing() -> None:
    early = rows(of(file="other.cbm"), last=MADE.created - timedelta(hours=1))
    assert loud(drift(early)) == []
    assert loud(drift(rows(of(file="other.cbm"), last=None))) == [model_drift.ROWS_OF_ANOTHER.name], "when is not known"


@pytest.mark.parametrize("production", [(), (NINE.name, "other"), ("gone",)])
def test_which_model_should_serve_is_unknown_where_the_manifest_does_not_tell(production: tuple[str, ...]) -> None:
    found = drift(manifest(NINE, OTHER, production=production), replace(REGISTRY, production=("other",)))
    assert told(found, model_drift.MANIFEST).status is Status.UNKNOWN
    contradicts = [model_drift.CONTRADICTS.name] if production else []
    assert loud(found) == [*contradicts, model_drift.MANIFEST.name], "and nothing is measured by it"


@pytest.mark.parametrize("kind", [ModelManifest, ModelRegistry, ModelDocument, ServiceConfig, ModelLoads, ResultRows])
def test_a_place_that_could_not_be_seen_is_said_and_accuses_nobody(kind: type[Evidence]) -> None:
    leg = Leg.REQUEST if kind is ServiceConfig else None
    hidden = Unseen(what=kind.__name__, leg=leg, why=Why.PERMISSION_DENIED, says="x is missing", permission="x")
    found = drift(hidden)
    assert loud(found) == [model_drift.HIDDEN.name]
    assert told(found, model_drift.HIDDEN).hidden.permission == "x"


def test_what_the_profile_does_not_name_or_the_command_does_not_look_at_is_not_missed() -> None:
    bare = replace(PROFILE, model=ModelProfile(manifest="m.json"), results=None)
    unnamed = [
        Unseen(what=kind.__name__, leg=None, why=Why.NOT_CONFIGURED, says="no such place")
        for kind in (ModelRegistry, ModelDocument, ModelLoads, ResultRows)
    ]
    assert loud(drift(*unnamed, profile=bare)) == []
    assert drift(profile=replace(PROFILE, model=None)) == []
    assert loud(drift(without=[ModelRegistry, ModelDocument, ModelLoads, ResultRows])) == []
