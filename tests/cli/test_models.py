"""`model drift`, `list`, `sync` and `doc` as typed, against the lab: exit codes, what is printed, and what alone is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnostics.cli import main
from diagnostics.lab.query.sql import Merge
from diagnostics.readings.model_block import BEGIN, END
from diagnostics.scoring.world import World, find, opened

NINE = "catboost_v9_33features_20260201_011018"


@pytest.fixture(scope="module")
def behind() -> Iterator[World]:
    with opened(find("registry-behind-the-manifest"), seed=1, log_reads_per_minute=10_000) as world:
        yield world


def run(
    behind: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *line: str
) -> tuple[int, str, str]:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", behind.running.endpoint)
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)
    code = main.run(["model", *line])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_what_differs_is_brought_into_line_and_then_nothing_does(
    behind: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def typed(*line: str) -> tuple[int, str, str]:
        return run(behind, monkeypatch, capsys, *line)

    code, listed, _ = typed("list", "-q", "-o", "json")
    first: dict[str, Any] = json.loads(listed)[0]
    assert (code, first["name"], first["production"], len(first["serves"])) == (0, NINE, True, 1)
    assert (first["trained_to"], first["version"]) == ("2026-01-08", "v9_20260201_011018")

    document = tmp_path / "MODELS.md"
    code, block, _ = typed("doc", "-q")
    assert code == 0 and block.startswith(BEGIN) and block.endswith(f"{END}\n") and "2026-01-31" in block
    document.write_text(f"# Ours\n\n{block}\nMore.\n")

    code, said, _ = typed("drift", "--doc", str(document))
    assert code == 1
    assert "model_drift.registry_differs" in said and "model_drift.document_differs" in said
    code, statement, _ = typed("sync", "-q", "--doc", str(document))
    assert code == 1
    assert "MERGE `nba-props-platform.nba_predictions.model_registry`" in statement
    assert f"-| {NINE} | yes | 2025-11-02 to 2026-01-31" in statement
    assert "2026-01-31" in document.read_text().split("More.")[0], "it wrote nothing"

    code, said, _ = typed("sync", "-q", "--write-doc", str(document))
    text = document.read_text()
    assert code == 1 and "@@" not in said, "the registry is still behind"
    assert (
        text.startswith("# Ours\n\n")
        and text.endswith("\nMore.\n")
        and f"{NINE} | yes | 2025-11-02 to 2026-01-08" in text
    )
    assert [p.name for p in tmp_path.iterdir()] == ["MODELS.md"]

    tables = behind.lab.world.tables
    assert Merge(said, tables, "nba-props-platform", "us-west2").run() == 1
    assert typed("sync", "-q", "--doc", str(document))[:2] == (
        0,
        "registry and documentation agree with the manifest\n",
    )
    assert Merge(said, tables, "nba-props-platform", "us-west2").run() == 0
    code, said, _ = typed("drift", "-q", "--doc", str(document), "-o", "short")
    assert (code, said.splitlines()[0][:2]) == (0, "OK")


def test_a_document_without_marks_is_not_written(
    behind: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    document = tmp_path / "MODELS.md"
    document.write_text("# Ours\n")
    code, _, _ = run(behind, monkeypatch, capsys, "sync", "-q", "--write-doc", str(document))
    assert code == 3
    assert document.read_text() == "# Ours\n"
