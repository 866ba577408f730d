"""What describes the models that a pipeline runs with."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from diagnostics.evidence.model.base import Evidence


class KnownModel(Struct, frozen=True, kw_only=True):
    """One model, as a place describes it. What the place does not say is empty or None."""

    name: str
    file: str = ""
    features: int | None = None
    trained_from: date | None = None
    trained_to: date | None = None
    sha256: str = ""
    """May be the begin of it."""
    status: str = ""


class ModelManifest(Evidence, frozen=True, kw_only=True):
    """The manifest: what is to be taken for true where places differ."""

    models: tuple[KnownModel, ...]
    production: tuple[str, ...] = ()
    """Names of those that it calls the one in production: by a key of its own, and by their status."""
