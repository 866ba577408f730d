"""The manifest of models: JSON in a file.

{"production_model": NAME, "models": {NAME: {"gcs_path", "status", "sha256", "feature_count", "training_start", "training_end"}}}.
What it contradicts itself in is kept as it says it; only what cannot be read is refused, in one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from diagnostics.evidence.model import KnownModel, ModelManifest, Provenance, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.shell.files import read_text

PRODUCTION = "production"


def of_file(path: Path, now: datetime) -> ModelManifest:
    """Raises NotSeen."""
    try:
        text = read_text(path)
    except OSError as error:
        raise NotSeen(Why.NOT_CONFIGURED, f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise NotSeen(Why.FAILED, f"{path}: it is not UTF-8 text") from error
    source = Provenance(source=f"manifest {path.name}", query=str(path), fetched_at=now, as_of=now)
    return parse(text, str(path), source)


def parse(text: str, where: str, source: Provenance) -> ModelManifest:
    """Raises NotSeen naming the place and what was expected."""
    try:
        said = json.loads(text, object_pairs_hook=_once)
    except _Twice as error:
        raise NotSeen(
            Why.FAILED, f"{where}: it has the key {error.args[0]!r} twice, so that one of them is lost"
        ) from error
    except (ValueError, RecursionError) as error:
        raise NotSeen(Why.FAILED, f"{where}: expected JSON: {redact(str(error), 100)}") from error
    models = said.get("models") if isinstance(said, Mapping) else None
    if not isinstance(models, Mapping):
        raise NotSeen(Why.FAILED, f'{where}: expected {{"models": {{NAME: …}}}}')
    known = tuple(_model(name, told, where) for name, told in models.items())
    named = said.get("production_model")
    stated = [m.name for m in known if m.status == PRODUCTION]
    return ModelManifest(
        source=source,
        models=known,
        production=tuple(dict.fromkeys(([named] if isinstance(named, str) and named else []) + stated)),
    )


class _Twice(ValueError):
    """A key that stands twice in one object."""


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _model(name: str, told: Any, where: str) -> KnownModel:
    if not isinstance(told, Mapping):
        raise NotSeen(Why.FAILED, f"{where}: models.{name}: expected an object")
    features = told.get("feature_count")
    return KnownModel(
        name=name,
        file=_text(told, "gcs_path"),
        features=features if isinstance(features, int) and not isinstance(features, bool) else None,
        trained_from=_day(told, "training_start", name, where),
        trained_to=_day(told, "training_end", name, where),
        sha256=_text(told, "sha256"),
        status=_text(told, "status"),
        since=_day(told, "production_since", name, where),
    )


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    return redact(value, 300) if isinstance(value, str) else ""


def _day(told: Mapping[str, Any], key: str, name: str, where: str) -> date | None:
    value = told.get(key)
    if value in (None, ""):
        return None
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError as error:
        raise NotSeen(
            Why.FAILED, f"{where}: models.{name}.{key}: expected a date like 2026-01-08, got {value!r}"
        ) from error
