"""What describes the models that a pipeline runs with."""

from __future__ import annotations

from datetime import date, datetime

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
    since: date | None = None
    """Since when it is in production."""


class ModelManifest(Evidence, frozen=True, kw_only=True):
    """The manifest: what is to be taken for true where places differ."""

    models: tuple[KnownModel, ...]
    production: tuple[str, ...] = ()
    """Names of those that it calls the one in production: by a key of its own, and by their status."""


class ModelRegistry(Evidence, frozen=True, kw_only=True):
    """The registry table, row by row: a model may have two."""

    table: str
    """PROJECT.DATASET.TABLE"""
    models: tuple[KnownModel, ...]
    production: tuple[str, ...] = ()
    """Names of those that it calls the one in production."""
    needs: tuple[str, ...] = ()
    """Columns that take no NULL and that the profile does not name: a row cannot be added without them."""
    read_bytes: int = 0


class ModelDocument(Evidence, frozen=True, kw_only=True):
    """The marked block of a Markdown file that describes the models."""

    path: str
    block: str
    """What stands between its marks, as it stands there."""
    models: tuple[KnownModel, ...]
    production: tuple[str, ...] = ()


class ModelLoad(Struct, frozen=True, kw_only=True):
    """What an instance said that it had loaded. What its line does not say is empty."""

    at: datetime
    revision: str
    file: str
    version: str = ""
    sha256: str = ""


class ModelLoads(Evidence, frozen=True, kw_only=True):
    """What the revisions that serve said that they had loaded, oldest first."""

    revisions: tuple[str, ...]
    """Those that serve."""
    loads: tuple[ModelLoad, ...]
    since: datetime
    """From here on lines were looked for."""
