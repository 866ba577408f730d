"""A model that is to be trained: its name, whether there is one like it, and the days that it is judged on; by the command line, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from diagnostics.cli import main

GOOD = "catboost_v9_33f_train20251102-20260108_20260208_170526.cbm"
MANIFEST: dict[str, Any] = {
    "production_model": "v9-a",
    "models": {
        "v9-a": {
            "gcs_path": "gs://m/catboost_v9_33features_20260201_011018.cbm",
            "status": "production",
            "feature_count": 33,
            "training_start": "2025-11-02",
            "training_end": "2026-01-08",
        },
        "v9-b": {"gcs_path": "gs://m/catboost_v9_36f_train20251102-20260115_20260202_011018.cbm", "status": "shadow"},
    },
}


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, str], dict[str, str]]:
    """Exit code, and by code what was found: status and sentence."""
    code = main.run(["model", "check-new", *words, "-o", "json"])
    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == code
    found = {f["code"].partition(".")[2]: f for f in said["findings"]}
    return code, {k: f["status"] for k, f in found.items()}, {k: f["says"] for k, f in found.items()}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(MANIFEST))
    return file


def test_a_name_by_the_convention_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, GOOD)[:2] == (0, {"name": "ok"})


def test_without_a_name_it_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--family=catboost_v9", "--features=33", "--train-start=2025-11-02", "--train-end=2026-01-08")
    code, found, says = asked(capsys, *words)
    assert (code, found) == (0, {"name": "ok"})
    assert says["name"].startswith("its name would be catboost_v9_33f_train20251102-20260108_20")


def test_without_enough_for_a_name_it_says_what_lacks(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--train-start=2025-11-03", "--train-end=2026-01-08")
    code, found, says = asked(capsys, *words)
    assert (code, found) == (3, {"name": "unknown"})
    assert says["name"] == "which name it would have cannot be told: --family and --features would tell"
    code, found, says = asked(capsys, *words, "--features=33", f"--manifest={manifest}")
    assert (code, found) == (0, {"name": "advice", "exists": "ok"})
    assert says["name"].endswith("told: --family would tell")
    _, found, says = asked(capsys, *words, "--features=33", "--family=a b")
    assert found == {"name": "unknown"} and "expected a family like catboost_v9" in says["name"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("catboost_v9_33features_20260201_011018.cbm", "--train-start=2025-11-02", "--train-end=2026-01-08"), 1,
         "by the convention: catboost_v9_33f_train20251102-20260108_20260201_011018.cbm"),
        (("latest.cbm", "--train-start=2025-11-02", "--train-end=2026-01-08"), 1, "follows no convention"),
        ((GOOD, "--train-start=2025-11-02", "--train-end=2026-01-31"), 2, "is to be 2025-11-02 to 2026-01-31"),
        ((GOOD, "--features=36"), 2, "says 33 features, and it is to have 36"),
        (("catboost_v9_33f_train20260108-20251102_20260208_170526.cbm",), 2, "before it begins"),
    ],
)  # fmt: skip
def test_a_name_that_does_not_tell_is_a_warning_and_one_that_tells_wrongly_a_fault(
    words: tuple[str, ...], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(capsys, *words)
    assert found[0] == code
    assert says in found[2]["name"]


@pytest.mark.parametrize(
    ("range_", "features", "status"),
    [
        ("20251102-20260108", 33, "fault"),  # the manifest says so, the name of its file does not
        ("20251102-20260108", 36, "ok"),  # other features
        ("20251102-20260115", 36, "fault"),  # the name of its file says so, the manifest does not
        ("20251102-20260109", 33, "ok"),
    ],
)
def test_a_model_that_is_there_already(
    range_: str, features: int, status: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = f"catboost_v9_{features}f_train{range_}_20260208_170526.cbm"
    _, found, _ = asked(capsys, file, f"--manifest={manifest}")
    assert found["exists"] == status


def test_a_model_that_says_no_range_may_be_the_same(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest.write_text(json.dumps({"models": {"old": {"gcs_path": "gs://m/latest.cbm"}}}))
    code, found, says = asked(capsys, GOOD, f"--manifest={manifest}")
    assert (code, found["exists"]) == (0, "advice")
    assert "old say no range" in says["exists"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "expected JSON"),
        ("[]", 'expected {"models"'),
        ('{"models": {"a": {}, "a": {}}}', "the key 'a' twice"),
        ('{"models": {"a": {"training_end": "Jan 8"}}}', "models.a.training_end: expected a date"),
        ('{"models": {"a": 1}}', "models.a: expected an object"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_unknown(
    text: str, says: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.write_text(text)
    code, found, told = asked(capsys, GOOD, f"--manifest={manifest}")
    assert (code, found["exists_hidden"]) == (3, "unknown")
    assert says in told["exists_hidden"]


def test_a_manifest_that_is_not_there_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, GOOD, f"--manifest={tmp_path / 'none.json'}")[0] == 3


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        ("2026-01-08", "2026-01-31", "fault"),
        ("2026-01-09", "2026-01-31", "ok"),
        ("2025-10-01", "2025-11-01", "warning"),
        ("2025-10-01", "2026-03-01", "fault"),
    ],
)
def test_the_days_that_it_is_judged_on(first: str, last: str, status: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, found, _ = asked(capsys, GOOD, f"--eval-start={first}", f"--eval-end={last}")
    assert found["evaluation"] == status


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("latest.cbm",),
        ("--train-start=2025-11-02",),
        (GOOD, "--eval-end=2026-02-01"),
        (GOOD, "--eval-start=2026-02-02", "--eval-end=2026-02-01"),
        (GOOD, "--eval-start=yesterday", "--eval-end=2026-02-01"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["model", "check-new", *words]) == 3
    assert capsys.readouterr().out == ""
