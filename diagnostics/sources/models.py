"""The places that describe the models: manifest, registry table, marked block of a document, and what the serving revisions said that
they had loaded. What the worker's variable names comes with its configuration, what results carry with the results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from diagnostics.evidence.model import (
    KnownModel,
    Leg,
    ModelDocument,
    ModelLoad,
    ModelLoads,
    ModelManifest,
    ModelRegistry,
    Provenance,
    Revisions,
    ServiceConfig,
    Why,
)
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.models import ModelProfile, RegistryProfile
from diagnostics.pipeline.names import OBJECT
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.readings import model_block
from diagnostics.shell.commands import command
from diagnostics.shell.files import read_text
from diagnostics.sources import manifest
from diagnostics.sources.entries import KEPT, STDERR, STDOUT, Lines, both, field, in_field, moment, of_lines, one_of
from diagnostics.sources.results.query import EXTRA
from diagnostics.sources.results.rows import answer_of, shape_of
from diagnostics.sources.results.sql import Statement
from diagnostics.sources.route import Services, log_places
from diagnostics.sources.search import log_provenance, search, still_kept
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.log_reads import Leaves
from diagnostics.transport.objects import LARGEST, Content
from diagnostics.transport.provenance import provenance
from diagnostics.transport.rpcs import GET_OBJECT
from diagnostics.transport.session import Session
from diagnostics.transport.tables import TableShape

LOADS = 100
"""Lines of loaded models that are read, newest first."""
BEFORE = timedelta(minutes=5)
"""A revision is said to be made a little after its first container starts."""
UNTOLD = "the profile describes no place of models like that"


def model_manifest(session: Session, pipeline: PipelineProfile) -> ModelManifest:
    """The source of truth. Raises NotSeen."""
    where = _model(pipeline).manifest
    if not where:
        raise NotSeen(Why.NOT_CONFIGURED, UNTOLD, mend="add [model] to the profile")
    if not where.startswith("gs:"):
        return manifest.of_file(Path(where), session.now)
    named = OBJECT.fullmatch(where)
    if named is None:
        raise NotSeen(Why.NOT_CONFIGURED, f"{where}: expected gs://BUCKET/PATH")
    try:
        found: Content = call(session, GET_OBJECT, {"bucket": named["bucket"], "name": named["name"]})
    except ImportError as error:
        says = "reading a manifest in Cloud Storage needs google-cloud-storage, which is not installed"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend=EXTRA) from error
    except NotThere as error:
        says = f"there is no {where}, or this login may not know of it: {error}"
        raise NotSeen(Why.NOT_CONFIGURED, says, mend="correct manifest under [model] in the profile") from error
    if not found.whole:
        raise NotSeen(Why.FAILED, f"{where} is longer than {LARGEST // 2**20} MiB: a manifest is not")
    source = provenance(session, "Cloud Storage", where, command("gcloud storage cat {where}", where=where))
    try:
        return manifest.parse(found.data.decode("utf-8-sig"), where, source)
    except UnicodeDecodeError as error:
        raise NotSeen(Why.FAILED, f"{where}: it is not UTF-8 text") from error


def model_registry(session: Session, pipeline: PipelineProfile, ask: Ask) -> ModelRegistry:
    """The registry, row by row. Raises NotSeen."""
    registry = _model(pipeline).registry
    if registry is None:
        raise NotSeen(Why.NOT_CONFIGURED, UNTOLD, mend="add [model.registry] to the profile")
    name, shape = shape_of(session, pipeline, registry, "model.registry")
    statement = _of_registry(name, registry, shape)
    answer = answer_of(session, pipeline, ask, name, shape, statement, "model.registry")
    models = tuple(_row(registry, row) for row in answer.rows)
    by_status = [m.name for m in models if m.status == manifest.PRODUCTION]
    named = [_said(row["name"]) for row in answer.rows if _said(row.get("production")).lower() == "true"]
    return ModelRegistry(
        source=answer.source,
        table=name,
        models=models,
        production=tuple(dict.fromkeys(named if registry.production else by_status)),
        needs=tuple(c for c, kind in shape.columns.items() if kind.required and c not in registry.columns),
        read_bytes=answer.read_bytes,
    )


_KEYS = ("name", "file", "features", "trained_from", "trained_to", "sha256", "status", "production")
_KINDS = {
    "features": ("INTEGER", "INT64"),
    "trained_from": ("DATE",),
    "trained_to": ("DATE",),
    "production": ("BOOLEAN", "BOOL"),
}
"""What else than text a column has to be, so that the MERGE that `model sync` prints fits it."""


def _of_registry(name: str, registry: RegistryProfile, shape: TableShape) -> Statement:
    """All of it, as text: a registry has some dozens of rows. Raises NotSeen for a column that it has not."""
    if missing := [c for c in registry.columns if c not in shape.columns]:
        has = ", ".join(sorted(shape.columns)[:12])
        says = f"{registry.table} has no column {', '.join(missing)}, which the profile names; it has {has}"
        raise NotSeen(Why.NOT_CONFIGURED, says)
    if listed := [c for c in registry.columns if shape.columns[c].repeated]:
        says = f"column {listed[0]} of {registry.table} is repeated: one value a row is expected"
        raise NotSeen(Why.NOT_CONFIGURED, says)
    for key, column in ((k, getattr(registry, k)) for k in _KEYS):
        wanted = _KINDS.get(key, ("STRING",))
        if column and (kind := shape.columns[column].type) not in wanted:
            says = f"column {column} of {registry.table} is {kind}, and {wanted[0]} is expected of what it is named for"
            raise NotSeen(Why.NOT_CONFIGURED, says)
    if shape.filter_required:
        says = f"{registry.table} wants its partitions named, and a registry is read whole"
        raise NotSeen(Why.NOT_CONFIGURED, says)
    columns = {key: getattr(registry, key) for key in _KEYS}
    read = ",\n  ".join(f"CAST(`{column}` AS STRING) AS {key}" for key, column in columns.items() if column)
    return Statement(f"SELECT\n  {read}\nFROM `{name}`\nORDER BY name", {})


def _row(registry: RegistryProfile, row: Mapping[str, Any]) -> KnownModel:
    features = _said(row.get("features"))
    return KnownModel(
        name=_said(row["name"]),
        file=_said(row.get("file")),
        features=int(features) if re.fullmatch(r"[0-9]{1,9}", features) else None,
        trained_from=_day(registry, _said(row.get("trained_from"))),
        trained_to=_day(registry, _said(row.get("trained_to"))),
        sha256=_said(row.get("sha256")),
        status=_said(row.get("status")),
    )


def _said(value: Any) -> str:
    return redact(value, 300) if isinstance(value, str) else ""


def _day(registry: RegistryProfile, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        says = f"{registry.table} has {text!r} where the profile names a date like 2026-01-08"
        raise NotSeen(Why.FAILED, says) from error


def model_document(session: Session, pipeline: PipelineProfile, ask: Ask) -> ModelDocument:
    """The marked block of the Markdown file. Raises NotSeen."""
    where = ask.document or _model(pipeline).document
    if not where:
        raise NotSeen(
            Why.NOT_ASKED, "no document is named", mend="name it: --doc FILE, or document under [model] in the profile"
        )
    try:
        text = read_text(Path(where))
        block = model_block.inside(text)
        read = model_block.read(block)
    except OSError as error:
        raise NotSeen(Why.NOT_CONFIGURED, f"{where}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise NotSeen(Why.FAILED, f"{where}: it is not UTF-8 text") from error
    except ValueError as error:
        raise NotSeen(Why.NOT_CONFIGURED, f"{where}: {error}", mend="pubsub-diag model doc") from error
    source = Provenance(source=f"document {Path(where).name}", query=where, fetched_at=session.now, as_of=session.now)
    return ModelDocument(source=source, path=where, block=block, models=read.models, production=read.production)


def model_loads(
    session: Session,
    pipeline: PipelineProfile,
    ask: Ask,
    services: Services,
    service: Annotated[ServiceConfig, Leg.REQUEST],
    revisions: Annotated[Revisions, Leg.REQUEST],
) -> ModelLoads:
    """What the revisions that have traffic said, since they were made: an instance may have loaded its model long ago. Raises NotSeen."""
    asked = _model(pipeline).loaded
    if asked is None:
        raise NotSeen(Why.NOT_CONFIGURED, UNTOLD, mend="add [model.loaded] to the profile")
    if services.worker is None or service.settings is None:
        raise NotSeen(Why.DEPENDS, services.why or f"the service {service.name} does not exist")
    settings, until = service.settings, ask.end(session.now)
    names = tuple(dict.fromkeys(t.revision or settings.latest_ready for t in settings.traffic if t.percent))
    names = names or (settings.serving,)
    made = [r.created for r in revisions.revisions if r.name in names]
    since = max(min(made, default=until - KEPT) - BEFORE, until - KEPT)
    of_logs = (asked.log,) if asked.log else (STDOUT, STDERR)
    line = Lines(services.worker, of_logs, in_field(asked.field, asked.contains), through_api=bool(asked.log))
    clause = both(of_lines([line]), one_of("resource.labels.revision_name", names))
    places = log_places(pipeline, services.worker)
    read = search(session, places, clause, since, until, most=LOADS, reads=2, leaves=Leaves.WHY)
    found = still_kept(session, since, until, read)
    pattern = re.compile(asked.pattern)
    read_lines = (_load(entry, pattern, field(entry, asked.field)) for entry in found.items)
    loads = sorted((load for load in read_lines if load), key=lambda load: load.at)
    if {load.revision for load in loads} >= set(names):  # the newest line of each is what counts
        found = found._replace(complete=True, note="")
    return ModelLoads(
        source=log_provenance(session, "worker log", places, clause, (since, until), found),
        revisions=names,
        loads=tuple(loads),
        since=since,
    )


def _load(entry: Any, pattern: re.Pattern[str], text: str) -> ModelLoad | None:
    match = pattern.search(text)
    if match is None:
        return None
    said = {name: redact(value, 300) for name, value in match.groupdict().items() if value}
    at: datetime = moment(entry.timestamp)
    return ModelLoad(
        at=at,
        revision=entry.resource.labels.get("revision_name", ""),
        file=said.get("file", ""),
        version=said.get("version", ""),
        sha256=said.get("sha256", ""),
    )


def _model(pipeline: PipelineProfile) -> ModelProfile:
    if pipeline.model is None:
        raise NotSeen(Why.NOT_CONFIGURED, "the profile describes no place of models", mend="add [model] to the profile")
    return pipeline.model
