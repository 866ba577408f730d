"""What would bring registry and documentation into line with the manifest: the statements, ready to be run, and the block as it should
be. Nothing is written here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from msgspec import Struct

from diagnostics.evidence.model import EvidenceSet, KnownModel, ModelDocument, ModelManifest, ModelRegistry, seen
from diagnostics.pipeline.models import RegistryProfile
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.pipeline.results import full_name
from diagnostics.readings import model_block
from diagnostics.readings.models import in_production

Value = str | int | bool | date | None


class Sync(Struct, frozen=True, kw_only=True):
    """What has to be done, and what could not be told."""

    merge: str = ""
    """GoogleSQL; empty: the registry agrees."""
    needs: tuple[str, ...] = ()
    """Columns without which the registry takes no new row."""
    document: str = ""
    """The file whose block is meant; empty: none was named."""
    block: str = ""
    """What should stand between its marks."""
    diff: tuple[str, ...] = ()
    """Lines of a unified diff; empty: the block agrees."""
    by_hand: tuple[str, ...] = ()
    """What no statement of this brings into line, in words."""
    unknown: tuple[str, ...] = ()
    """What could not be told."""

    @property
    def idle(self) -> bool:
        return not (self.merge or self.diff or self.by_hand)


def sync(
    profile: PipelineProfile, evidence: EvidenceSet, manifest: ModelManifest, document: str, *, differs: bool
) -> Sync:
    """`differs`: whether the registry was found to differ."""
    registry, block = seen(evidence.get(ModelRegistry)), seen(evidence.get(ModelDocument))
    named = profile.model.registry if profile.model else None
    unknown = [] if in_production(manifest) else ["which model is in production: the manifest does not name one alone"]
    found = evidence.get(ModelRegistry)
    if named is not None and registry is None and not isinstance(found, ModelRegistry):
        unknown.append(f"what the registry says: {found.says}")
    hidden = evidence.get(ModelDocument)
    if document and not isinstance(hidden, ModelDocument):
        unknown.append(f"what {document} says: {hidden.says}")
    if unknown and in_production(manifest) is None:
        return Sync(unknown=tuple(unknown), document=document)
    should = model_block.write(manifest.models, manifest.production)
    diff = model_block.difference(block.block, should, block.path) if block else ()
    statement = ""
    if named is not None and (registry is None or differs):
        statement = merge(full_name(profile.project, named.table), named, manifest)
    return Sync(
        merge=statement,
        needs=registry.needs if registry and statement and _adds(registry, manifest) else (),
        document=document,
        block=should,
        diff=tuple(diff),
        by_hand=tuple(_by_hand(registry, full_name(profile.project, named.table), named)) if registry and named else (),
        unknown=tuple(unknown),
    )


def _adds(registry: ModelRegistry, manifest: ModelManifest) -> bool:
    return bool({m.name for m in manifest.models} - {m.name for m in registry.models})


def _by_hand(registry: ModelRegistry, table: str, named: RegistryProfile) -> Iterator[str]:
    rows = [m.name for m in registry.models]
    for name in sorted({name for name in rows if rows.count(name) > 1}):
        where = f"`{named.name}` = {literal(name)}"
        select = f"SELECT * FROM `{table}` WHERE {where}"  # noqa: S608
        yield f"{rows.count(name)} rows of one model, of which one has to stay alone: {select}"


class _Field(NamedTuple):
    column: str
    type: str
    of: str
    """Attribute of the model."""


def _fields(registry: RegistryProfile) -> list[_Field]:
    """What the manifest tells of the columns that the profile names; the name first."""
    listed = [
        _Field(registry.name, "STRING", "name"),
        _Field(registry.file, "STRING", "file"),
        _Field(registry.features, "INT64", "features"),
        _Field(registry.trained_from, "DATE", "trained_from"),
        _Field(registry.trained_to, "DATE", "trained_to"),
        _Field(registry.sha256, "STRING", "sha256"),
        _Field(registry.status, "STRING", "status"),
        _Field(registry.production, "BOOL", "production"),
    ]
    return [field for field in listed if field.column]


def merge(table: str, registry: RegistryProfile, manifest: ModelManifest) -> str:
    """A statement after which the registry says what the manifest says, and which changes nothing where it does already. What the
    manifest does not say stays; rows of models that it does not have stay, too, but are not called the one in production."""
    fields = _fields(registry)
    rows = [_row(fields, model, model.name in manifest.production) for model in manifest.models]
    source = "\n  UNION ALL\n".join(f"  SELECT {row}" for row in rows)
    differs = " OR\n    ".join(_differs(f) for f in fields[1:])
    sets = ",\n    ".join(f"`{f.column}` = COALESCE(manifest.`{f.column}`, registry.`{f.column}`)" for f in fields[1:])
    columns = ", ".join(f"`{f.column}`" for f in fields)
    values = ", ".join(f"manifest.`{f.column}`" for f in fields)
    lines = [f"MERGE `{table}` AS registry", f"USING (\n{source}\n) AS manifest"]
    lines.append(f"ON registry.`{registry.name}` = manifest.`{registry.name}`")
    if differs:
        lines.append(f"WHEN MATCHED AND (\n    {differs}\n  ) THEN UPDATE SET\n    {sets}")
    lines.append(f"WHEN NOT MATCHED BY TARGET THEN INSERT ({columns})\n  VALUES ({values})")  # noqa: S608
    if registry.production:
        flag = f"`{registry.production}`"
        lines.append(f"WHEN NOT MATCHED BY SOURCE AND registry.{flag} THEN UPDATE SET\n    {flag} = FALSE")
    return "\n".join(lines) + ";\n"


def _row(fields: Iterable[_Field], model: KnownModel, production: bool) -> str:
    return ",\n    ".join(f"{_cell(f, model, production)} AS `{f.column}`" for f in fields)


def _cell(field: _Field, model: KnownModel, production: bool) -> str:
    value: Value = production if field.of == "production" else getattr(model, field.of)
    return f"CAST(NULL AS {field.type})" if value in (None, "") else literal(value)


def _differs(field: _Field) -> str:
    old, new = f"registry.`{field.column}`", f"manifest.`{field.column}`"
    if field.of == "sha256":  # the begin of a digest is consistent with it, and stays
        same = f"(STARTS_WITH({old}, {new}) OR STARTS_WITH({new}, {old}))"
        return f"({new} IS NOT NULL AND ({old} IS NULL OR NOT {same}))"
    return f"({new} IS NOT NULL AND {old} IS DISTINCT FROM {new})"


_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(value: str | int | bool | date) -> str:
    """A value as GoogleSQL writes it (lexical structure: string literals), so that nothing in it can end the literal."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            told = (_ESCAPES.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in value)
            return f"'{''.join(told)}'"
