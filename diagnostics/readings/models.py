"""What the places that describe models say of one model, compared: by the manifest, which is taken for true."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from diagnostics.evidence.model import KnownModel, ModelLoad, ModelLoads, ModelManifest
from diagnostics.readings.model_files import Days, base, parse

SHORTEST_DIGEST = 8
"""Characters from which on the begin of a digest tells one file from another."""
PRODUCTION = "production"


class Match(Enum):
    """How two digests stand to each other."""

    EQUAL = "equal"
    CONSISTENT = "consistent"
    """One is the begin of the other: nothing speaks against their being the same, and nothing proves it."""
    DIFFERENT = "different"
    UNTOLD = "untold"
    """One of them is missing, too short, or no digest."""


_DIGEST = re.compile(r"[0-9a-f]{8,64}")


def digests(one: str, other: str) -> Match:
    """SHA-256 in hexadecimal, whole or its begin."""
    one, other = (text.strip().lower().removeprefix("sha256:") for text in (one, other))
    if not (_DIGEST.fullmatch(one) and _DIGEST.fullmatch(other)):
        return Match.UNTOLD
    if one == other:
        return Match.EQUAL if len(one) == 64 else Match.CONSISTENT
    short = min(len(one), len(other))
    return Match.CONSISTENT if one[:short] == other[:short] and len(one) != len(other) else Match.DIFFERENT


class Difference(NamedTuple):
    """What a place says otherwise than the manifest."""

    what: str
    says: str
    manifest: str

    def __str__(self) -> str:
        return f"{self.what} {self.says or 'nothing'}, the manifest {self.manifest}"


def differences(model: KnownModel, true: KnownModel) -> Iterator[Difference]:
    """Where both say something, and not the same. A digest that is the begin of the other's is none."""
    for what, says, right in (
        ("training from", model.trained_from, true.trained_from),
        ("training to", model.trained_to, true.trained_to),
        ("features", model.features, true.features),
        ("file", model.file, true.file),
        ("status", model.status, true.status),
    ):
        if says not in (None, "") and right not in (None, "") and not _same(what, says, right):
            yield Difference(what, str(says), str(right))
    if digests(model.sha256, true.sha256) is Match.DIFFERENT:
        yield Difference("SHA-256", model.sha256[:12], true.sha256[:12])


def _same(what: str, one: object, other: object) -> bool:
    """A place may name a file by its path or by its name alone."""
    if what == "file" and "/" not in f"{one}" + f"{other}":
        return one == other
    if what == "file" and ("/" not in str(one) or "/" not in str(other)):
        return base(str(one)) == base(str(other))
    return one == other


def named(models: Iterable[KnownModel], name: str) -> KnownModel | None:
    return next((m for m in models if m.name == name), None)


def stem(path: str) -> str:
    """The file's name without its folder and its extension: how a model is called that nothing else names."""
    return re.sub(r"\.\w{1,8}$", "", base(path), flags=re.A)


def file_of(model: KnownModel) -> str:
    """The name of its file, where it says one."""
    return base(model.file) if model.file else ""


def is_file_of(model: KnownModel, path: str) -> bool:
    """Whether a path names this model's file: by the file's name, since a worker may load it from anywhere."""
    return stem(path) in {stem(model.file) if model.file else "", model.name}


def version_of(model: KnownModel) -> str:
    """The version that rows carry which it made, where the name of its file tells one."""
    found = parse(model.file or f"{model.name}.any")
    return found.version if found else ""


def amiss(manifest: ModelManifest) -> Iterator[str]:
    """What the manifest contradicts itself in, each in one clause."""
    if len(manifest.production) > 1:
        yield f"it calls {len(manifest.production)} models the one in production: {', '.join(manifest.production)}"
    for name in manifest.production:
        model = named(manifest.models, name)
        if model is None:
            yield f"it calls {name} the one in production and does not describe it"
        elif model.status and model.status != PRODUCTION and len(manifest.production) == 1:
            yield f"it calls {name} the one in production, and its status is {model.status}"
    for model in manifest.models:
        yield from _amiss(model)
    yield from _shared(manifest.models)


def _amiss(model: KnownModel) -> Iterator[str]:
    if model.trained_from and model.trained_to and model.trained_from > model.trained_to:
        yield f"{model.name} ends its training on {model.trained_to}, before it begins on {model.trained_from}"
    told = parse(model.file) if model.file else None
    if told is None:
        return
    if told.amiss:
        yield f"the file of {model.name} is called {base(model.file)}: {told.amiss}"
    if model.features is not None and told.features != model.features:
        yield f"{model.name} has {model.features} features, by its file's name {told.features}"
    if told.trained and model.trained_from and model.trained_to:
        days = Days(model.trained_from, model.trained_to)
        if days != told.trained:
            yield f"{model.name} was trained on {days}, by its file's name on {told.trained}"


def _shared(models: Sequence[KnownModel]) -> Iterator[str]:
    """Two models of one file."""
    by: dict[str, str] = {}
    for model in models:
        if model.file and (other := by.setdefault(model.file, model.name)) != model.name:
            yield f"{other} and {model.name} are said to be the same file, {base(model.file)}"


def in_production(manifest: ModelManifest) -> KnownModel | None:
    """The model that serves, by the manifest; None: it does not tell which."""
    return named(manifest.models, manifest.production[0]) if len(manifest.production) == 1 else None


def newest_loads(found: ModelLoads) -> tuple[ModelLoad, ...]:
    """The newest line of each revision that serves."""
    newest = {load.revision: load for load in found.loads if load.revision in found.revisions}
    return tuple(newest[name] for name in found.revisions if name in newest)


def loaded_another(load: ModelLoad, true: KnownModel) -> str:
    """In what the loaded model is another than this one, as a clause; empty: in nothing that is told. The digest says most: a file may
    have been put in the place of another."""
    if load.sha256 and digests(load.sha256, true.sha256) is Match.DIFFERENT:
        return f"its SHA-256 begins with {load.sha256[:12]}, the manifest's with {true.sha256[:12]}"
    same = digests(load.sha256, true.sha256) in (Match.EQUAL, Match.CONSISTENT)
    if load.file and not same and not is_file_of(true, load.file):
        return f"its file is {base(load.file)}, the manifest's {file_of(true) or true.name}"
    return ""
