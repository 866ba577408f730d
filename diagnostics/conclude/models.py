"""The models that the places know, as a table: which serves, since when, and what was told of each."""

from __future__ import annotations

from datetime import date, datetime

from msgspec import Struct

from diagnostics.evidence.model import (
    EvidenceSet,
    KnownModel,
    ModelLoads,
    ModelManifest,
    ModelRegistry,
    seen,
)
from diagnostics.readings.models import Match, digests, is_file_of, newest_loads, version_of


class ModelRow(Struct, frozen=True, kw_only=True):
    """One model. What nothing tells is empty or null."""

    name: str
    version: str = ""
    """What results carry that it made, where the name of its file tells that."""
    trained_from: date | None = None
    trained_to: date | None = None
    features: int | None = None
    sha256: str = ""
    file: str = ""
    status: str = ""
    production: bool = False
    """Whether the manifest, or where that was not seen the registry, calls it the one in production."""
    since: date | None = None
    """Since when, by the manifest."""
    serves: tuple[str, ...] = ()
    """Revisions with traffic that said that they had loaded it."""
    loaded: datetime | None = None
    """When the newest of them said so."""
    told_by: tuple[str, ...] = ()
    """Places that know it: manifest, registry, log."""


def models_of(evidence: EvidenceSet) -> tuple[ModelRow, ...]:
    """Those in production first, then by their name."""
    manifest, registry = seen(evidence.get(ModelManifest)), seen(evidence.get(ModelRegistry))
    known: dict[str, KnownModel] = {}
    by: dict[str, list[str]] = {}
    for place, found in (("manifest", manifest), ("registry", registry)):
        for model in found.models if found else ():
            known.setdefault(model.name, model)
            if place not in by.setdefault(model.name, []):
                by[model.name].append(place)
    said = manifest or registry
    production = said.production if said else ()
    loads = seen(evidence.get(ModelLoads))
    newest = newest_loads(loads) if loads else ()
    rows = []
    taken: set[str] = set()
    for model in known.values():
        own = [
            x for x in newest if is_file_of(model, x.file) and digests(x.sha256, model.sha256) is not Match.DIFFERENT
        ]
        taken |= {x.revision for x in own}
        rows.append(
            ModelRow(
                name=model.name,
                version=version_of(model),
                trained_from=model.trained_from,
                trained_to=model.trained_to,
                features=model.features,
                sha256=model.sha256,
                file=model.file,
                status=model.status,
                production=model.name in production,
                since=model.since,
                serves=tuple(x.revision for x in own),
                loaded=max((x.at for x in own), default=None),
                told_by=(*by[model.name], *(["log"] if own else [])),
            )
        )
    for load in (x for x in newest if x.revision not in taken):
        rows.append(
            ModelRow(
                name=load.file,
                version=load.version,
                sha256=load.sha256,
                file=load.file,
                serves=(load.revision,),
                loaded=load.at,
                told_by=("log",),
            )
        )
    return tuple(sorted(rows, key=lambda r: (not r.production, not r.serves, r.name)))
