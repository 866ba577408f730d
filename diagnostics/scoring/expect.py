"""What a scenario asks and the answer that it must get: the `ask` and `expect` of its file, typed. A typo is an error with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from diagnostics.causes.model import Confidence
from diagnostics.conclude.diagnosis import State
from diagnostics.evidence.model import Leg
from diagnostics.lab.document import Document
from diagnostics.lab.scenario import Scenario, scenario_schema
from diagnostics.steps.finding import Status

LATEST = "latest"


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The command line of the scenario."""

    command: str = "batch"
    batch: str = LATEST
    """Name of a `start_batch` of the timeline; "latest": the latest start attempt, by no id."""
    leg: Leg | None = None
    expect: int | None = None
    since: str = ""
    until: str = ""
    live: bool = False
    since_deploy: bool = False
    """health: judge what came of the newest deploy."""
    require: tuple[str, ...] = ("config", "path")
    """health: levels whose unknowns count."""
    subscription_alone: bool = False
    """Ask with no profile but the name of the request subscription."""


Amount = bool | int | tuple[int, int] | None
"""A number of items, [at least, at most], yes or no for routed and closed, null for "not known"."""


class Expected(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The diagnosis that the scenario must get. What is left out is not compared, but no cause may be named that is not listed."""

    status: Status
    exit_code: int | None = None
    state: State | None = None
    blocks: tuple[str, ...] = ()
    """Causes that must be named with this role; any other cause that blocks fails the scenario. "code@completion" says the leg."""
    worsens: tuple[str, ...] = ()
    latent: tuple[str, ...] = ()
    benign: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    """Causes that may be named as worsening, latent or benign, and need not be."""
    never: tuple[str, ...] = field(default=(), name="not")
    """Causes that must not be named, in whatever role."""
    confidence: dict[str, Confidence] = {}
    ladder: dict[str, Amount] = {}
    """Stage, or completion.stage, to what its row must say."""
    here: str | UnsetType | None = UNSET
    """Stage, or completion.stage, at which the batch stopped; null: nowhere."""
    finishes_alone: bool | UnsetType | None = UNSET
    undetermined: bool = False
    """True: no cause may be called confirmed to block, however well it fits."""
    findings: tuple[str, ...] = ()
    """Codes that must be found abnormal, or be stated as advice."""
    not_findings: tuple[str, ...] = ()
    """Codes that must not be."""
    unexplained: tuple[str, ...] | None = None
    """Codes of all findings that must be left unexplained; []: none may be."""
    suspect: str | UnsetType | None = UNSET
    """Method and resource of the change that fits best, e.g. "SetIamPolicy services/prediction-worker"; null: none may be named."""


class Wanted(Struct, frozen=True, kw_only=True):
    """The two keys of a scenario that the lab does not read."""

    expect: Expected
    ask: Asked = Asked()


def wanted(scenario: Scenario, path: Path) -> Wanted:
    """What the scenario file asks and expects. Raises ScenarioError naming file, line and key."""
    said = {key: value for key, value in (("ask", scenario.ask), ("expect", scenario.expect)) if value is not None}
    try:
        return msgspec.convert(said, Wanted)
    except msgspec.ValidationError as error:
        raise Document(path.read_text(encoding="utf-8"), str(path)).error(error) from error


def schema() -> dict[str, Any]:
    """JSON Schema of a whole scenario file, `ask` and `expect` included."""
    whole = scenario_schema()
    _, definitions = msgspec.json.schema_components([Asked, Expected])
    whole["$defs"] = {**definitions, **whole["$defs"]}
    properties = whole["$defs"]["Scenario"]["properties"]
    properties["ask"] = {"$ref": "#/$defs/Asked"}
    properties["expect"] = {"$ref": "#/$defs/Expected"}
    return whole
