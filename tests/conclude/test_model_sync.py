"""The MERGE that `model sync` prints, run on the lab's engine: it brings the registry into line, and a second time it changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot
from msgspec.structs import replace

from diagnostics.conclude.model_sync import literal, merge
from diagnostics.evidence.model import KnownModel, ModelManifest
from diagnostics.lab.model import Table
from diagnostics.lab.query.sql import BadQuery, Merge, NoTable
from diagnostics.pipeline.models import RegistryProfile
from tests.readings.test_models import NINE, OTHER, manifest

PROFILE = RegistryProfile(
    table="d.registry", name="id", file="path", features="n", trained_from="first", trained_to="last", sha256="digest",
    status="status", production="serves",
)  # fmt: skip
COLUMNS = {
    "id": "STRING", "path": "STRING", "n": "INTEGER", "first": "DATE", "last": "DATE", "digest": "STRING", "status": "STRING",
    "serves": "BOOLEAN", "note": "STRING",
}  # fmt: skip


def row(model: KnownModel, **changed: Any) -> dict[str, Any]:
    found = {
        "id": model.name,
        "path": model.file,
        "n": model.features,
        "first": str(model.trained_from),
        "last": str(model.trained_to),
        "digest": model.sha256,
        "status": model.status,
        "serves": model.status == "production",
        "note": "by hand",
    }
    return found | changed


def run(found: ModelManifest, rows: list[dict[str, Any]], profile: RegistryProfile = PROFILE) -> tuple[int, list[Any]]:
    table = Table("d.registry", COLUMNS, rows=rows, required=frozenset({"id"}))
    text = merge("p.d.registry", profile, found)
    changed = Merge(text, {"d.registry": table}, "p", "us").run()
    assert Merge(text, {"d.registry": table}, "p", "us").run() == 0, "the second time it changes nothing"
    return changed, sorted(table.rows, key=lambda r: str(r["id"]))


DIFFER: tuple[dict[str, Any], ...] = (
    {"last": "2026-01-31"},
    {"last": None},
    {"n": 36},
    {"path": "gs://b/old.cbm"},
    {"digest": "0" * 64},
    {"digest": None},
    {"status": "shadow"},
    {"serves": True},
)


def test_rows_that_differ_are_set_right_and_the_rest_of_them_stays() -> None:
    models = [replace(OTHER, name=f"m{n}") for n in range(len(DIFFER))]
    rows = [row(model, **changed) for model, changed in zip(models, DIFFER, strict=True)]
    found = manifest(NINE, *models)
    assert run(found, [row(NINE), *rows]) == (len(DIFFER), [row(NINE), *(row(m) for m in models)])


def test_a_model_that_is_missing_is_added() -> None:
    changed, rows = run(manifest(NINE, OTHER), [row(NINE)])
    assert (changed, rows) == (1, [row(NINE), row(OTHER, note=None)])


def test_a_registry_that_agrees_is_not_touched() -> None:
    assert run(manifest(NINE, OTHER), [row(NINE, digest=NINE.sha256[:12]), row(OTHER)])[0] == 0


def test_the_begin_of_a_digest_does_not_take_the_place_of_the_whole() -> None:
    short = replace(NINE, sha256=NINE.sha256[:12])
    assert run(manifest(short, OTHER), [row(NINE), row(OTHER)]) == (0, [row(NINE), row(OTHER)])


def test_what_the_manifest_does_not_say_stays() -> None:
    silent = replace(NINE, features=None, sha256="", status="", trained_from=None)
    assert run(manifest(silent, OTHER), [row(NINE, last="2026-01-31"), row(OTHER)])[1][0] == row(NINE)


def test_a_model_that_only_the_registry_has_stays_and_is_not_in_production_any_more() -> None:
    old = row(OTHER, id="old", serves=True)
    changed, rows = run(manifest(NINE, OTHER), [row(NINE), row(OTHER), old])
    assert (changed, rows) == (1, [row(NINE), row(OTHER, id="old"), row(OTHER)])


def test_what_a_name_holds_cannot_end_its_literal() -> None:
    odd = replace(NINE, name="a'; DROP TABLE x; --\\", status="b\n\t\x00\N{LINE SEPARATOR}c")
    text = merge("p.d.registry", PROFILE, manifest(odd, production=(odd.name,)))
    assert len(sqlglot.parse(text, read="bigquery")) == 1
    assert literal("a'b\\c\n") == "'a\\'b\\\\c\\n'"
    assert run(manifest(replace(odd, status="x"), production=(odd.name,)), [])[1][0]["id"] == odd.name


def test_only_the_columns_that_the_profile_names_are_set() -> None:
    few = RegistryProfile(table="d.registry", name="id", trained_to="last")
    changed, rows = run(manifest(NINE), [row(NINE, last="2026-01-31", n=1)], few)
    assert (changed, rows) == (1, [row(NINE, n=1)])


def test_the_lab_merges_only_what_it_is_told_and_where_it_may() -> None:
    table = Table("d.registry", COLUMNS, required=frozenset({"id", "note"}))
    text = merge("p.d.registry", PROFILE, manifest(NINE))
    with pytest.raises(BadQuery, match="cannot be null"):
        Merge(text, {"d.registry": table}, "p", "us").run()
    assert table.rows == []
    with pytest.raises(NoTable):
        Merge(text, {}, "p", "us")
    with pytest.raises(BadQuery, match="one MERGE"):
        Merge("DELETE FROM d.registry WHERE TRUE", {"d.registry": table}, "p", "us")
    with pytest.raises(BadQuery, match="Unrecognized name"):
        Merge(text.replace("registry.`n`", "registry.`gone`"), {"d.registry": table}, "p", "us")
