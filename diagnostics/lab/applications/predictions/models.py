"""What describes the pipeline's models: the manifest beside their files in Cloud Storage, the registry table, and what a worker loads.

Which model a build loads is its own affair: the file that the variable names, one that is in the image, or its default.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from diagnostics.lab.applications import traits as t
from diagnostics.lab.model import Revision, Table

FOLDER = "nba-props-platform-models/catboost/v9"
MANIFEST = f"{FOLDER}/manifest.json"
REGISTRY = "nba_predictions.model_registry"
VARIABLE = "CATBOOST_V9_MODEL_PATH"
CONSTANT = "v9_current_season"
PRODUCTION, RETRAINED, IN_IMAGE = (
    "catboost_v9_33features_20260201_011018",
    "catboost_v9_feb_02_retrain",
    "catboost_v9_36features_20260202_154500",
)
"""The one in production; the one that a build loads that is told none; the one that lies in its image."""
_BEGINS = {PRODUCTION: "5b3a187b1b6d", RETRAINED: "5ecf7ba3", IN_IMAGE: "9f7cea27"}
COLUMNS = {
    "model_id": "STRING",
    "model_version": "STRING",
    "gcs_path": "STRING",
    "feature_count": "INTEGER",
    "training_start_date": "DATE",
    "training_end_date": "DATE",
    "production_start_date": "DATE",
    "status": "STRING",
    "is_production": "BOOLEAN",
    "sha256_hash": "STRING",
    "created_at": "TIMESTAMP",
}
REQUIRED = frozenset({"model_id", "feature_count", "training_start_date", "training_end_date"})


class Loaded(NamedTuple):
    """The model that a revision works with."""

    file: str
    says: str
    """What the program prints of where it is from."""

    @property
    def version(self) -> str:
        """v9_20260201_011018 of …_20260201_011018.cbm; without a time in its name, that."""
        stem = self.file.rpartition(".")[0]
        day, _, time = stem[-15:].partition("_")
        return f"v9_{day}_{time}" if day.isdigit() and time.isdigit() else stem


def loaded(revision: Revision) -> Loaded:
    if t.has(revision, t.LOCAL_MODEL_FIRST):
        return Loaded(f"{IN_IMAGE}.cbm", f"local: models/{IN_IMAGE}.cbm")
    if path := revision.env.get(VARIABLE, ""):
        return Loaded(path.rpartition("/")[2], f"env var {VARIABLE}: {path}")
    return Loaded(f"{RETRAINED}.cbm", f"default: gs://{FOLDER}/{RETRAINED}.cbm")


def stated_version(revision: Revision) -> str:
    """What the program calls the version of its model."""
    return CONSTANT if t.has(revision, t.CONSTANT_VERSION) else loaded(revision).version


def lines(revision: Revision) -> tuple[str, str]:
    """What the program prints when it loads its model."""
    found = loaded(revision)
    digest = sha256(found.file.rpartition(".")[0])[:12]
    return (
        f"Loading CatBoost V9 from {found.says}",
        f"CatBoost V9 loaded: file={found.file} version={stated_version(revision)} sha256={digest}",
    )


def sha256(name: str) -> str:
    """Of the file of this model."""
    begin = _BEGINS.get(name, "")
    return begin + hashlib.sha256(name.encode()).hexdigest()[len(begin) :]


def described() -> dict[str, dict[str, Any]]:
    """The models as the manifest describes them while all is well."""
    return {
        PRODUCTION: _model(PRODUCTION, "production", 33, ("2025-11-02", "2026-01-08"), "2026-02-01"),
        RETRAINED: _model(RETRAINED, "deprecated", 37, ("2025-11-02", "2026-01-31"), None),
        IN_IMAGE: _model(IN_IMAGE, "shadow", 36, ("2025-11-02", "2026-01-24"), None),
    }


def _model(name: str, status: str, features: int, trained: tuple[str, str], since: str | None) -> dict[str, Any]:
    found = {
        "gcs_path": f"gs://{FOLDER}/{name}.cbm",
        "status": status,
        "sha256": sha256(name),
        "feature_count": features,
        "model_type": "catboost",
        "training_start": trained[0],
        "training_end": trained[1],
    }
    return found | ({"production_since": since} if since else {})


def manifest(models: dict[str, dict[str, Any]], production: str = PRODUCTION) -> str:
    return json.dumps({"production_model": production, "models": models}, indent=2) + "\n"


def registry(models: dict[str, dict[str, Any]], now: float) -> Table:
    """The table, as the last sync left it."""
    rows = [
        {
            "model_id": name,
            "model_version": Loaded(f"{name}.cbm", "").version,
            "gcs_path": told["gcs_path"],
            "feature_count": told["feature_count"],
            "training_start_date": told["training_start"],
            "training_end_date": told["training_end"],
            "production_start_date": told.get("production_since"),
            "status": told["status"],
            "is_production": told["status"] == "production",
            "sha256_hash": told["sha256"],
            "created_at": now,
        }
        for name, told in models.items()
    ]
    return Table(REGISTRY, COLUMNS, rows=rows, required=REQUIRED)
