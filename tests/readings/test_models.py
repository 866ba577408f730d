"""What places say of one model, compared; and what a manifest contradicts itself in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import KnownModel, ModelLoad, ModelLoads, ModelManifest, Provenance
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

WHOLE = "5b3a187b1b6d" + "0" * 52
NOW = datetime(2026, 2, 9, tzinfo=UTC)
SOURCE = Provenance(source="test", query="", fetched_at=NOW, as_of=NOW)
NINE = KnownModel(
    name="catboost_v9_33features_20260201_011018",
    file="gs://b/v9/catboost_v9_33features_20260201_011018.cbm",
    features=33,
    trained_from=date(2025, 11, 2),
    trained_to=date(2026, 1, 8),
    sha256=WHOLE,
    status="production",
)
OTHER = replace(NINE, name="other", file="gs://b/v9/other.cbm", status="deprecated", sha256="9f7cea27" + "1" * 56)


def manifest(*models: KnownModel, production: tuple[str, ...] = (NINE.name,)) -> ModelManifest:
    return ModelManifest(source=SOURCE, models=models, production=production)


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        (WHOLE, WHOLE.upper(), Match.EQUAL),
        (WHOLE, f"sha256:{WHOLE}", Match.EQUAL),
        (WHOLE, "5b3a187b1b6d", Match.CONSISTENT),
        ("5b3a187b1b6d", "5b3a187b1b6d", Match.CONSISTENT),
        (WHOLE, "5b3a187b1b6e", Match.DIFFERENT),
        ("5b3a187b1b6d", "5b3a187b1b6e", Match.DIFFERENT),
        (WHOLE, "5b3a187", Match.UNTOLD),
        (WHOLE, "", Match.UNTOLD),
        (WHOLE, "not a digest", Match.UNTOLD),
    ],
)
def test_the_begin_of_a_digest_is_consistent_and_not_equal(one: str, other: str, how: Match) -> None:
    assert digests(one, other) is how
    assert digests(other, one) is how


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"trained_to": date(2026, 1, 31)}, ["training to"]),
        ({"features": 36}, ["features"]),
        ({"sha256": "5b3a187b1b6e"}, ["SHA-256"]),
        ({"sha256": "5b3a187b1b6d"}, []),
        ({"file": "gs://elsewhere/catboost_v9_33features_20260201_011018.cbm"}, ["file"]),
        ({"file": "catboost_v9_33features_20260201_011018.cbm"}, []),
        ({"status": "active"}, ["status"]),
        ({"trained_to": None, "features": None, "sha256": "", "file": "", "status": ""}, []),
    ],
)
def test_a_place_differs_where_both_say_something_and_not_the_same(changed: dict[str, Any], what: list[str]) -> None:
    assert [d.what for d in differences(replace(NINE, **changed), NINE)] == what


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (manifest(NINE, OTHER), []),
        (manifest(NINE, OTHER, production=(NINE.name, "other")), ["it calls 2 models the one in production"]),
        (manifest(OTHER, production=("gone",)), ["it calls gone the one in production and does not describe it"]),
        (manifest(OTHER, production=("other",)), ["its status is deprecated"]),
        (manifest(replace(NINE, trained_to=date(2025, 1, 1))), ["before it begins on"]),
        (manifest(replace(NINE, features=36)), ["has 36 features, by its file's name 33"]),
        (manifest(NINE, replace(OTHER, file=NINE.file)), ["are said to be the same file"]),
        (
            manifest(replace(NINE, file="gs://b/a_33f_train20251102-20260131_20260201_011018.cbm")),
            ["was trained on 2025-11-02 to 2026-01-08, by its file's name on 2025-11-02 to 2026-01-31"],
        ),
        (
            manifest(replace(NINE, file="gs://b/a_33f_train20251102-20260301_20260201_011018.cbm")),
            ["it was made on 2026-02-01, before its training data ends", "by its file's name on"],
        ),
    ],
)
def test_what_a_manifest_contradicts_itself_in(found: ModelManifest, says: list[str]) -> None:
    told = list(amiss(found))
    assert len(told) == len(says), told
    assert all(one in other for one, other in zip(says, told, strict=True)), told


def test_one_model_is_in_production_or_none() -> None:
    assert in_production(manifest(NINE, OTHER)) == NINE
    assert in_production(manifest(NINE, OTHER, production=(NINE.name, "other"))) is None
    assert in_production(manifest(OTHER)) is None


def test_a_model_is_told_by_the_name_of_its_file() -> None:
    assert version_of(NINE) == "v9_20260201_011018"
    assert is_file_of(NINE, "/app/models/catboost_v9_33features_20260201_011018.cbm")
    assert is_file_of(NINE, "catboost_v9_33features_20260201_011018")
    assert not is_file_of(NINE, "gs://b/v9/other.cbm")
    assert version_of(OTHER) == ""


def load(file: str, sha256: str = "", revision: str = "w-2", minute: int = 0) -> ModelLoad:
    return ModelLoad(at=NOW.replace(minute=minute), revision=revision, file=file, sha256=sha256)


@pytest.mark.parametrize(
    ("loaded", "says"),
    [
        (load("catboost_v9_33features_20260201_011018.cbm", "5b3a187b1b6d"), ""),
        (load("models/v9.cbm", "5b3a187b1b6d"), ""),
        (load("catboost_v9_33features_20260201_011018.cbm", "9f7cea27aaaa"), "its SHA-256 begins with 9f7cea27aaaa"),
        (load("other.cbm"), "its file is other.cbm"),
    ],
)
def test_the_digest_says_more_than_the_name(loaded: ModelLoad, says: str) -> None:
    told = loaded_another(loaded, NINE)
    assert told.startswith(says) and bool(told) == bool(says)


def test_of_each_revision_that_serves_the_newest_line_counts() -> None:
    lines = (load("a.cbm", minute=1), load("b.cbm", minute=2), load("c.cbm", revision="w-1", minute=3))
    found = ModelLoads(source=SOURCE, revisions=("w-2", "w-3"), loads=lines, since=NOW)
    assert [x.file for x in newest_loads(found)] == ["b.cbm"]
