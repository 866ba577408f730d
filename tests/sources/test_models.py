"""The places that describe the models, through Google's own clients from the lab; and one clear line for each thing that is not there."""

from __future__ import annotations

import builtins
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import (
    Evidence,
    Leg,
    ModelDocument,
    ModelLoads,
    ModelManifest,
    ModelRegistry,
    Revisions,
    Unseen,
    Why,
)
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.readings.model_block import BEGIN, END, write
from diagnostics.sources.collect import collect
from diagnostics.transport.session import Options, Session

EXAMPLE = load_profile("nba-predictions")
NINE = "catboost_v9_33features_20260201_011018"
EMPTY = """
name: models
story: A pipeline at rest.
now: "2026-02-09T12:00:00Z"
draw: {short_log_pages: 0}
"""


def look(*kinds: type[Evidence], profile: PipelineProfile = EXAMPLE, **ask: Any) -> list[Any]:
    seen = collect(Session.open(Options(timeout_s=60)), profile, kinds, Ask(**ask))
    return [seen.get(kind, Leg.REQUEST if kind.per_leg else None) for kind in kinds]


def changed(**changes: Any) -> PipelineProfile:
    assert EXAMPLE.model is not None
    return replace(EXAMPLE, model=replace(EXAMPLE.model, **changes))


def registry(**changes: Any) -> PipelineProfile:
    assert EXAMPLE.model is not None and EXAMPLE.model.registry is not None
    return changed(registry=replace(EXAMPLE.model.registry, **changes))


def test_each_place_says_what_it_says(lab: Any) -> None:
    with lab(EMPTY) as running:
        manifest, rows, loads, revisions = look(ModelManifest, ModelRegistry, ModelLoads, Revisions)
        asked = [r.name.rpartition("/")[2] for r in running.rpcs if r.name.startswith(("bigquery", "storage"))]
    assert isinstance(manifest, ModelManifest) and isinstance(rows, ModelRegistry) and isinstance(loads, ModelLoads)
    assert manifest.production == rows.production == (NINE,)
    model = next(m for m in manifest.models if m.name == NINE)
    assert (model.features, model.trained_from, model.trained_to) == (33, date(2025, 11, 2), date(2026, 1, 8))
    assert model.sha256.startswith("5b3a187b1b6d") and len(model.sha256) == 64
    assert replace(model, since=None) in rows.models
    assert manifest.source.by_hand == "gcloud storage cat gs://nba-props-platform-models/catboost/v9/manifest.json"
    assert {x.file for x in loads.loads} == {f"{NINE}.cbm"}
    assert {x.version for x in loads.loads} == {"v9_20260201_011018"}
    assert loads.source.complete
    (serving,) = [r for r in revisions.revisions if r.name == loads.revisions[0]]
    assert serving.model == f"gs://nba-props-platform-models/catboost/v9/{NINE}.cbm"
    assert sorted(asked) == ["GetObject", "GetTable", "InsertJob", "Query"]


def test_no_other_value_of_the_environment_is_shown(lab: Any) -> None:
    with lab(EMPTY):
        (revisions,) = look(Revisions)
        (bare,) = look(Revisions, profile=replace(EXAMPLE, model=None))
    assert all(len(value) == 12 for r in revisions.revisions for value in r.env.values())
    assert {r.model for r in bare.revisions} == {None}


@pytest.mark.parametrize(
    ("scenario", "profile", "why", "says"),
    [
        ("caller: {lacks: [storage.objects.get]}", EXAMPLE, Why.PERMISSION_DENIED, "storage.objects.get is missing"),
        ("pipeline: {models: {no_manifest: true}}", EXAMPLE, Why.NOT_CONFIGURED, "there is no gs://nba-props-platform-models"),
        ("", changed(manifest="gs://no-such-bucket/manifest.json"), Why.NOT_CONFIGURED, "there is no gs://no-such-bucket"),
        ("pipeline: {models: {manifest_text: '{\"models\": '}}", EXAMPLE, Why.FAILED, "expected JSON"),
        ("pipeline: {models: {manifest_text: '[]'}}", EXAMPLE, Why.FAILED, 'expected {"models": {NAME: …}}'),
        ("pipeline: {models: {manifest_text: '{\"models\": {\"a\": {}, \"a\": {}}}'}}", EXAMPLE, Why.FAILED, "the key 'a' twice"),
        ("faults: [{rpc: storage.v1/GetObject, kind: unavailable}]", EXAMPLE, Why.UNREACHABLE, "cannot be reached"),
        ("faults: [{rpc: storage.v1/GetObject, kind: cut}]", EXAMPLE, Why.UNREACHABLE, "cannot be reached"),
        ("faults: [{rpc: storage.v1/GetObject, kind: resource_exhausted}]", EXAMPLE, Why.FAILED, "a quota of storage.googleapis.com"),
        ("faults: [{rpc: storage.v1/GetObject, kind: garbage}]", EXAMPLE, Why.FAILED, "expected JSON"),
        ("", replace(EXAMPLE, model=None), Why.NOT_CONFIGURED, "describes no place of models"),
        ("", changed(manifest="/no/such/file.json"), Why.NOT_CONFIGURED, "No such file"),
    ],
)  # fmt: skip
def test_what_keeps_the_manifest_from_being_seen_is_said_in_one_line(
    lab: Any, scenario: str, profile: PipelineProfile, why: Why, says: str
) -> None:
    with lab(EMPTY + scenario + "\n"):
        (found,) = look(ModelManifest, profile=profile)
    assert isinstance(found, Unseen)
    assert found.why is why, found.says
    assert says in found.says
    assert "\n" not in found.says and "https://" not in found.says


@pytest.mark.parametrize(
    ("scenario", "profile", "says"),
    [
        ("caller: {lacks: [bigquery.tables.get]}", EXAMPLE, "bigquery.tables.get is missing"),
        ("pipeline: {tables: {nba_predictions.model_registry: {missing: true}}}", EXAMPLE, "there is no table"),
        ("pipeline: {tables: {nba_predictions.model_registry: {lacks: [sha256_hash]}}}", EXAMPLE, "has no column sha256_hash"),
        ("", registry(features="status"), "is STRING, and INTEGER is expected"),
        ("", registry(production="status"), "is STRING, and BOOLEAN is expected"),
        ("", changed(registry=None), "describes no place of models like that"),
    ],
)  # fmt: skip
def test_what_keeps_the_registry_from_being_seen_is_said_in_one_line(
    lab: Any, scenario: str, profile: PipelineProfile, says: str
) -> None:
    with lab(EMPTY + scenario + "\n"):
        (found,) = look(ModelRegistry, profile=profile)
    assert isinstance(found, Unseen) and says in found.says, found


def test_two_rows_of_one_model_are_two(lab: Any) -> None:
    with lab(EMPTY + f"pipeline: {{models: {{twice: [{NINE}]}}}}\n"):
        (found,) = look(ModelRegistry)
    assert [m.name for m in found.models].count(NINE) == 2
    assert found.needs == ()


def test_the_marked_block_of_a_document(lab: Any, tmp_path: Path) -> None:
    file = tmp_path / "DOC.md"
    with lab(EMPTY):
        (manifest,) = look(ModelManifest)
        file.write_text(f"# Models\n{BEGIN}\n{write(manifest.models, manifest.production)}{END}\n")
        (found,) = look(ModelDocument, document=str(file))
        file.write_text("# Models\n")
        (without,) = look(ModelDocument, document=str(file))
    assert found.production == (NINE,) and len(found.models) == len(manifest.models)
    assert isinstance(without, Unseen) and "is not there" in without.says and without.mend == "pubsub-diag model doc"


def test_without_the_library_it_says_what_to_install(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def gone(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("google.cloud.storage"):
            raise ImportError(name)
        return usual(name, *args, **more)

    monkeypatch.setattr("diagnostics.transport.objects.LIBRARY", "google.cloud.storage_gone")
    monkeypatch.setattr(builtins, "__import__", gone)
    with lab(EMPTY):
        (found,) = look(ModelManifest)
    assert (found.why, found.mend) == (Why.NOT_CONFIGURED, "pip install 'pubsub-diag[outcome]'")
