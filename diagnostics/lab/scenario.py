"""A scenario: a pipeline, what happened to it and when. Read from YAML; a typo is an error with its file, path and line.

The answer that the scenario must get (`ask`, `expect`) is carried along unread: the lab cannot know it.
"""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from diagnostics.lab.document import Document, ScenarioError
from diagnostics.lab.events import (
    Count,
    Denied,
    Event,
    Grant,
    NewBalancer,
    NewSubscription,
    NewTopic,
    RevisionChanges,
    RoleChanges,
    ServiceChanges,
    StartBatch,
    SubscriptionChanges,
    TimelineEntry,
)
from diagnostics.shell.files import read_text

__all__ = ["Fault", "Scenario", "ScenarioError", "load", "parse", "scenario_schema"]


class LegSpec(Event, frozen=True, kw_only=True):
    """One leg's differences from the healthy default."""

    subscription: SubscriptionChanges = field(default_factory=SubscriptionChanges)
    filter: str | UnsetType = UNSET
    """Filter of the subscription; it cannot change later."""
    missing: bool = False
    """The subscription never existed."""


class ServiceSpec(Event, frozen=True, kw_only=True):
    """One service's differences from the healthy default."""

    revision: RevisionChanges = field(default_factory=RevisionChanges)
    service: ServiceChanges = field(default_factory=ServiceChanges)


class TableSpec(Event, frozen=True, kw_only=True):
    """One table's differences from what the programs write to."""

    missing: bool = False
    """It does not exist: what is written to it is lost."""
    lacks: tuple[str, ...] = ()
    """Columns that it has not."""


class ModelsSpec(Event, frozen=True, kw_only=True):
    """What the places that describe the models say otherwise than while all is well (predictions)."""

    manifest: dict[str, dict[str, Any] | None] = {}
    """Model to fields of its entry; null: the manifest has none of it."""
    production_model: str | UnsetType = UNSET
    """Which model the manifest calls the one in production."""
    manifest_text: str = ""
    """The manifest word for word."""
    no_manifest: bool = False
    registry: dict[str, dict[str, Any] | None] = {}
    """Model to columns of its row; null: the registry has no row of it."""
    twice: tuple[str, ...] = ()
    """Models of which the registry has two rows."""


class NeighbourSpec(Event, frozen=True, kw_only=True):
    """Another project, in which parts of the pipeline are. What the pipeline needs across projects is granted."""

    project: str
    number: str
    has: tuple[str, ...]
    """What is there: topic:NAME, subscription:NAME or service:NAME, aliases too."""
    lacks: tuple[str, ...] = ()
    """Permissions that the caller does not hold there, beside those that it holds nowhere; "all": it holds none."""


class PipelineSpec(Event, frozen=True, kw_only=True):
    """The pipeline: a dialect, and differences from its healthy default that hold from the beginning."""

    dialect: Literal["predictions", "orders", "statements", "thumbnails", "tiles", "scans"] = "predictions"
    request: LegSpec = field(default_factory=LegSpec)
    completion: LegSpec = field(default_factory=LegSpec)
    coordinator: ServiceSpec = field(default_factory=ServiceSpec)
    worker: ServiceSpec = field(default_factory=ServiceSpec)
    topics: tuple[NewTopic, ...] = ()
    """Further topics."""
    subscriptions: tuple[NewSubscription, ...] = ()
    """Further subscriptions."""
    above: tuple[str, ...] = ()
    """What the project is in, the nearest first: folders/F, organizations/O."""
    denied: tuple[Denied, ...] = ()
    """Deny policies."""
    tags: dict[str, str] = {}
    """Tags of the project, by key with its owner ("77/env"): deny policies ask for them."""
    models: ModelsSpec = field(default_factory=ModelsSpec)
    """What describes the models."""
    tables: dict[str, TableSpec] = {}
    """Tables by DATASET.TABLE."""
    log_dataset: str = ""
    """A dataset that is linked to the log bucket, which then is upgraded to Log Analytics."""
    buckets: tuple[str, ...] = ()
    """Further buckets of Cloud Storage, with nothing in them."""
    balancers: tuple[NewBalancer, ...] = ()
    """Load balancers before services."""
    groups: dict[str, tuple[str, ...]] = {}
    """Members of groups, by the group's e-mail."""
    roles: tuple[RoleChanges, ...] = ()
    """Custom roles."""
    neighbours: tuple[NeighbourSpec, ...] = ()
    """Other projects that parts of the pipeline are in."""
    grants: tuple[Grant, ...] = ()
    """Further bindings."""
    without: tuple[Grant, ...] = ()
    """Bindings of the healthy default that are not there."""


class Caller(Event, frozen=True, kw_only=True):
    """Who runs the diagnosis: by default somebody who may read everything and mint tokens."""

    lacks: tuple[str, ...] = ()
    """Permissions that the caller does not hold, e.g. pubsub.subscriptions.getIamPolicy."""
    holds: tuple[str, ...] = ()
    """Permissions that the caller holds beside reading, e.g. pubsub.subscriptions.consume."""
    in_bucket: tuple[str, ...] = ()
    """Permissions that the caller holds in the bucket with the manifest, whatever it lacks in the project."""


class Fault(Event, frozen=True, kw_only=True):
    """A fault of the lab's own APIs, enforced by its servers."""

    rpc: str
    """Full RPC name or its end: ListTimeSeries, Subscriber/GetSubscription."""
    kind: Literal[
        "unavailable",
        "permission_denied",
        "resource_exhausted",
        "unauthenticated",
        "hang",
        "slow",
        "cut",
        "lost",
        "lost_hang",
        "short",
        "garbage",
        "bad_gateway",
        "trickle",
    ]
    """`cut`: the connection breaks before the call has an effect; `lost`: after it; `lost_hang`: the answer never comes. `short`, of log
    entries: the search had no time for all, so the page has fewer than were asked for, or none, and a token to go on with. `garbage`:
    something else answers, as a portal does; `bad_gateway`: a proxy's page, with 502; `trickle`: the answer comes a byte at a time, without
    end (of an RPC: never)."""
    seconds: float = 0.0
    """How late a slow answer comes; how many seconds of the log a short one has searched (0: a part of what was left)."""
    message: str = ""
    after_calls: Count = 0
    """So many calls go well first."""
    calls: Count = 0
    """So many calls are hit; 0: all from then on."""
    after_pages: Count = 0
    """Of a listing, so many pages go well first."""
    pages: Count = 0
    """Of a listing, so many of its pages from then on are hit; 0: all."""


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole scenario, as read from YAML."""

    name: str
    story: str
    tags: tuple[str, ...] = ()
    pipeline: PipelineSpec = field(default_factory=PipelineSpec)
    caller: Caller = field(default_factory=Caller)
    faults: tuple[Fault, ...] = ()
    vary: dict[str, tuple[int, int]] = {}
    """Numbers drawn from the seed; "$name" or "$name - 15" stands for them wherever a number is expected. A wide range, [7, 5000], says
    that the scenario does not hang on the number: most seeds draw a small one, and a few a large one."""
    timeline: tuple[TimelineEntry, ...] = ()
    draw: dict[str, bool | int | float | str] = {}
    """Pins of unverified facts (fields of lab.unverified.Unverified), only where the story is about one."""
    now: str = ""
    """RFC 3339; default: a moment of 2026 drawn from the seed."""
    ask: Any = None
    """For scoring; the lab does not read it."""
    expect: Any = None
    """For scoring; the lab does not read it."""


def load(path: Path | str, seed: int = 0) -> Scenario:
    """Read a scenario file, its varied numbers drawn from the seed. Raises ScenarioError naming file, path and line."""
    path = Path(path)
    try:
        text = read_text(path)
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: it is not UTF-8 text") from error
    return parse(text, str(path), seed)


def parse(text: str, where: str = "scenario", seed: int = 0) -> Scenario:
    """Read a scenario from YAML text."""
    document = Document(text, where)
    raw = document.value
    try:
        values = _draw(document, seed)
        scenario = msgspec.convert(_substitute(raw, values, document, ()), Scenario)
    except msgspec.ValidationError as error:
        raise document.error(error) from error
    except RecursionError as error:  # a part that holds itself
        raise ScenarioError(f"{where}: it is nested too deeply") from error
    _check(scenario, document)
    return scenario


def of_size(scenario: Scenario, items: int) -> Scenario:
    """The same, but each batch that it starts has so many items. Raises ScenarioError where none can have."""
    batches = [entry.start_batch for entry in scenario.timeline if entry.start_batch]
    if not batches:
        raise ScenarioError(f"{scenario.name} starts no batch, so there is no number of items to change")
    least = max(_least(batch) for batch in batches)
    if items < least:
        raise ScenarioError(
            f"{scenario.name} needs at least {least} items in a batch: so many are gated or special in its story"
        )
    timeline = tuple(
        replace(entry, start_batch=replace(entry.start_batch, items=items)) if entry.start_batch else entry
        for entry in scenario.timeline
    )
    return replace(scenario, timeline=timeline)


def _least(batch: StartBatch) -> int:
    """The fewest items that leave room for those that its story has something to say of."""
    gated = batch.gated.existing + batch.gated.low_quality
    return gated + max(batch.unsent, sum(batch.payloads.values()) + sum(one.items for one in batch.outcomes))


def scenario_schema() -> dict[str, Any]:
    """JSON Schema of a scenario file."""
    schema: dict[str, Any] = allow_variables(msgspec.json.schema(Scenario))
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def allow_variables(schema: Any) -> Any:
    """Wherever the types want a number, an expression of varied numbers will do; but not in `vary` itself."""
    if isinstance(schema, list | tuple):
        return [allow_variables(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("integer", "number"):
        return {"anyOf": [schema, {"type": "string", "pattern": f"^{_VARIABLE.pattern}$"}]}
    return {key: part if key == "vary" else allow_variables(part) for key, part in schema.items()}


WIDE = 20
"""A range whose end is more than so many times its begin is of a number on which the scenario does not hang."""
MANY, SMALL = 0.1, 150
"""In so many of the draws of such a range any number comes, in the others one up to this."""
_VARIABLE = re.compile(r"\$[a-z_]+(?:\s*[-+]\s*(?:\d+|\$[a-z_]+))*")


def _draw(document: Document, seed: int) -> dict[str, int]:
    ranges = document.value.get("vary", {}) if isinstance(document.value, dict) else {}
    try:
        checked = msgspec.convert(ranges, dict[str, tuple[int, int]])
    except msgspec.ValidationError as error:
        raise document.error(error, ("vary",)) from error
    rng = random.Random(f"vary/{seed}")
    for name, (low, high) in checked.items():
        if low > high:
            raise document.at(("vary", name), f"expected [lowest, highest], got [{low}, {high}]")
    drawn = {name: rng.randint(low, high) for name, (low, high) in sorted(checked.items())}
    own = random.Random(f"size/{document.value.get('name', '')}/{seed}")
    return drawn | {n: _of_any_size(low, high, own) for n, (low, high) in checked.items() if high > WIDE * max(low, 1)}


def _of_any_size(low: int, high: int, rng: random.Random) -> int:
    """Each size as likely as one ten times as large; but for one scenario in ten, by its name and the seed, a small one."""
    top = high if rng.random() < MANY else min(high, SMALL)
    return round(math.exp(rng.uniform(math.log(max(low, 1)), math.log(top))))


def _substitute(raw: Any, values: dict[str, int], document: Document, path: tuple[str | int, ...]) -> Any:
    """The document with each "$name" expression replaced by its number."""
    if isinstance(raw, dict):
        return {key: _substitute(value, values, document, (*path, key)) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_substitute(value, values, document, (*path, i)) for i, value in enumerate(raw)]
    if not isinstance(raw, str) or not _VARIABLE.fullmatch(raw):
        return raw
    total, sign = 0, 1
    for part in re.findall(r"\$[a-z_]+|\d+|[-+]", raw):
        if part in "+-":
            sign = -1 if part == "-" else 1
        elif part.startswith("$"):
            if part[1:] not in values:
                raise document.at(path, f'"{part}" is not in vary')
            total += sign * values[part[1:]]
        else:
            total += sign * int(part)
    return total


def _check(scenario: Scenario, document: Document) -> None:
    """Refuse what types cannot."""
    for i, entry in enumerate(scenario.timeline):
        if len(entry.events) != 1:
            found = ", ".join(entry.events) or "none"
            raise document.at(("timeline", i), f"expected exactly one event, got {found}")
        if bool(entry.every) != bool(entry.until):
            raise document.at(("timeline", i), "every and until go together")
