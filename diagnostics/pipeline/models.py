"""Where a pipeline's models are described, as a profile says: `[model]`, `[model.registry]` and `[model.loaded]`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from diagnostics.pipeline.names import OBJECT, TABLE, WORD


class RegistryProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of BigQuery with a row for each model. Columns are named as the table has them; what is not named is not looked at."""

    table: str
    """DATASET.TABLE, in full PROJECT.DATASET.TABLE."""
    name: str
    """The model's name, as the manifest has it."""
    file: str = ""
    """Its file, gs://BUCKET/PATH."""
    features: str = ""
    """INTEGER"""
    trained_from: str = ""
    """DATE: first day of its training data."""
    trained_to: str = ""
    """DATE: last day of its training data."""
    sha256: str = ""
    """SHA-256 of its file in hexadecimal, whole or its begin."""
    status: str = ""
    """What it is used for: "production" for the one that serves."""
    production: str = ""
    """BOOL: whether it is the one in production; empty: its status says "production"."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        own = (self.name, self.file, self.features, self.trained_from, self.trained_to, self.sha256, self.status)
        return tuple(dict.fromkeys(filter(None, (*own, self.production))))


class LoadedProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The line in which the worker says which model it has loaded."""

    contains: str
    """A literal that the line contains; it is what the log query asks for."""
    field: str = "textPayload"
    """Log entry field that holds the text, as a marker's."""
    log: str = ""
    """Id of the log, as a marker's; empty: stdout and stderr."""
    pattern: str
    """Python regex on the text, with the named groups file, and where the line has them version and sha256."""


class ModelProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The places that describe the model that the worker runs with. What is not named is not looked at."""

    manifest: str = ""
    """The source of truth: gs://BUCKET/PATH, or a file. JSON: {"production_model": NAME, "models": {NAME: {"gcs_path", "status",
    "sha256", "feature_count", "training_start", "training_end"}}}."""
    registry: RegistryProfile | None = None
    """The table with a row for each model."""
    document: str = ""
    """A Markdown file with a marked block, which `model sync` keeps in line."""
    variable: str = ""
    """Environment variable of the worker that names the model's file. Its value is shown; those of all others never are."""
    loaded: LoadedProfile | None = None
    """The line in which the worker says what it loaded: a variable alone proves nothing."""


def wrong(model: ModelProfile) -> Iterator[str]:
    """What of it cannot be meant: the key and what was expected."""
    if model.manifest.startswith("gs:") and not OBJECT.fullmatch(model.manifest):
        yield f'manifest: expected gs://BUCKET/PATH or a file, got "{model.manifest}"'
    if model.variable and not WORD.fullmatch(model.variable):
        yield f'variable: expected the name of an environment variable, got "{model.variable}"'
    if (registry := model.registry) is not None:
        if not TABLE.fullmatch(registry.table):
            yield f'registry.table: expected DATASET.TABLE or PROJECT.DATASET.TABLE, got "{registry.table}"'
        for column in (registry.name, *registry.columns):
            if not WORD.fullmatch(column):
                yield f'registry: expected the name of a column, got "{column}"'
    if (loaded := model.loaded) is not None:
        if not loaded.contains:
            yield "loaded.contains: expected a literal that the line contains, got nothing"
        try:
            if "file" not in re.compile(loaded.pattern).groupindex:
                yield "loaded.pattern: expected a group (?P<file>…), which names the file that was loaded"
        except re.error as error:
            yield f"loaded.pattern: expected a Python regular expression: {error}"
