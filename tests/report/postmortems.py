"""Runs to write postmortems from: the night as it was captured, changed where a test wants it otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from diagnostics.conclude.diagnosis import Diagnosis, State
from diagnostics.evidence.model import Evidence, EvidenceSet, Unseen
from diagnostics.keep.bundle import Bundle, load, replay
from diagnostics.steps.finding import Status

OLD = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
BATCH = "batch_2026-02-07_1770588120"


@cache
def night() -> Bundle:
    bundle = load(OLD)
    return msgspec.structs.replace(bundle, diagnosis=replay(bundle))


def concluded(bundle: Bundle) -> Diagnosis:
    assert bundle.diagnosis is not None
    return bundle.diagnosis


def with_evidence(bundle: Bundle, change: Callable[[Evidence | Unseen], Evidence | Unseen | None]) -> Bundle:
    """The same run, having seen what `change` makes of each piece of evidence; None: it never looked."""
    old = bundle.case.evidence
    seen = {key: new for key, part in old.items() if (new := change(part)) is not None}
    evidence = EvidenceSet(seen, old.now, old.lookback, old.since, old.looked_at)
    return msgspec.structs.replace(bundle, case=replace(bundle.case, evidence=evidence))


def at(bundle: Bundle, now: datetime, looked_at: datetime | None = None, **said: Any) -> Bundle:
    """The same run at another time, having concluded what `said` says."""
    old = bundle.case.evidence
    evidence = EvidenceSet(dict(old.items()), now, old.lookback, old.since, looked_at or now)
    diagnosis = msgspec.structs.replace(concluded(bundle), as_of=now, **said)
    return msgspec.structs.replace(
        bundle, case=replace(bundle.case, evidence=evidence), diagnosis=diagnosis, made_at=looked_at or now
    )


def mended(bundle: Bundle, after: timedelta) -> Bundle:
    """A later look that saw the batch done, with no cause left."""
    said = concluded(bundle)
    assert said.batch is not None
    done = msgspec.structs.replace(said.batch, done=181, closed=True)
    ladder = tuple(msgspec.structs.replace(row, where={}) for row in said.ladder)
    return at(
        bundle, said.as_of + after, status=Status.OK, state=State.DONE, causes=(), batch=done, headline="done: 181/181",
        ladder=ladder,
    )  # fmt: skip


def everywhere(value: Any, text: str) -> Any:
    """The same with `text` behind every free text in it: log lines, names, labels, queries."""
    if isinstance(value, msgspec.Struct):
        fields = {name: everywhere(getattr(value, name), text) for name in value.__struct_fields__}
        return type(value)(**fields)
    if isinstance(value, tuple):
        return tuple(everywhere(entry, text) for entry in value)
    if isinstance(value, dict):
        return {key: everywhere(entry, text) for key, entry in value.items()}
    return value + text if type(value) is str else value


def hostile(bundle: Bundle, text: str) -> Bundle:
    """A run in which everything that comes from a log, a name, an API or a person ends in `text`."""
    changed = with_evidence(bundle, lambda part: _hostile(part, text))
    return msgspec.structs.replace(
        changed, diagnosis=everywhere(bundle.diagnosis, text), notes=everywhere(bundle.notes, text), version="1" + text
    )


def _hostile(part: Evidence | Unseen, text: str) -> Evidence | Unseen:
    if isinstance(part, Unseen):  # `what` is the name of a class
        return msgspec.structs.replace(
            part, says=part.says + text, mend=part.mend + text, permission=part.permission + text
        )
    changed: Evidence = everywhere(part, text)
    return changed
