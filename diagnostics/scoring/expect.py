"""What a scenario asks and the answer that it must get: the `ask` and `expect` of its file, typed. A typo is an error with its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from diagnostics.causes.model import Confidence
from diagnostics.conclude.diagnosis import State
from diagnostics.evidence.model import Leg
from diagnostics.lab.document import Document
from diagnostics.lab.durations import When
from diagnostics.lab.scenario import Scenario, ScenarioError
from diagnostics.pipeline.profile import BatchStateProfile
from diagnostics.pipeline.results import ResultsProfile
from diagnostics.scoring import known
from diagnostics.shell.files import read_text
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
    days: tuple[date, date] | None = None
    """outcome: first and last date."""
    max_bytes: int | None = None
    """outcome: how much a query may read."""
    document: str = ""
    """model drift: text of the Markdown file that describes the models; empty: none is named."""
    subscription_alone: bool = False
    """Ask with no profile but the name of the request subscription."""
    batch_state: tuple[BatchStateProfile, ...] | None = None
    """Where batch state is read, as a profile has it under [[batch_state]], instead of what the built-in profile says; []: nowhere."""
    results: ResultsProfile | None = None
    """Where results are and what their columns mean, as a profile has it under [results], instead of what the built-in profile says."""
    smallest: bool = False
    """Ask with the smallest profile of both legs: the names of the two subscriptions."""


Amount = bool | int | tuple[int, int] | None
"""A number of items, [at least, at most], yes or no for routed and closed, null for "not known"."""


Items = int | tuple[int, int]
"""A number of items, or [at least, at most]."""

Pattern = Annotated[str, Meta(min_length=1, description="a text, or a regular expression between slashes")]


class Recovered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has to be sent again once the cause is mended."""

    resubmit_count: Items | None = None
    """Items that will not come by themselves."""
    replay_dead_letters: Items | None = None
    """Messages that wait on the dead-letter topic."""
    resubmit: Items | None = None
    """How many of the items are named."""


class Expected(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The diagnosis that the scenario must get. What is left out is not compared, but no cause may be named that is not listed."""

    status: Status
    """The word that the answer begins with, in small letters."""
    exit_code: int | None = None
    """Of the command."""
    state: State | tuple[State, ...] | None = None
    """State of the batch; one of several, where what a seed draws decides which."""
    blocks: tuple[str, ...] = ()
    """Causes that must be named with this role; any other cause that blocks fails the scenario. "code@completion" says the leg."""
    worsens: tuple[str, ...] = ()
    """Causes that must be named with this role; any other cause that worsens fails the scenario."""
    latent: tuple[str, ...] = ()
    """Causes that must be named with this role; any other cause that is latent fails the scenario."""
    benign: tuple[str, ...] = ()
    """Causes that must be named with this role; others may be."""
    allow: tuple[str, ...] = ()
    """Causes that may be named as worsening, latent or benign, and need not be."""
    never: tuple[str, ...] = field(default=(), name="not")
    """Causes that must not be named, in whatever role."""
    one_of: tuple[str, ...] = ()
    """Causes of which at least one must be named, and each may be, in whatever role."""
    not_confirmed: tuple[str, ...] = ()
    """Causes that may be named, in whatever role, but not as confirmed."""
    over: tuple[str, ...] = ()
    """Causes and findings that the answer must say are over: the finding has an end; the cause holds nothing, and all that it
    rests on has ended."""
    confidence: dict[str, Confidence] = {}
    """Cause to how sure the answer must be of it, on every leg that it is named for."""
    ladder: dict[str, Amount] = {}
    """Stage, or completion.stage, to what its row must say."""
    where: dict[str, dict[str, Items]] = {}
    """Stage, or completion.stage, to the places where the rest of its items is, and how many. Exact: no other place may be said."""
    here: str | UnsetType | None = UNSET
    """Stage, or completion.stage, at which the batch stopped; null: nowhere."""
    finishes_alone: bool | UnsetType | None = UNSET
    """Whether the batch finishes by itself; null: the answer must say that it could not tell."""
    undetermined: bool = False
    """True: no cause may be called confirmed to block, however well it fits."""
    findings: tuple[str, ...] = ()
    """Codes that must be found abnormal, or be stated as advice."""
    not_findings: tuple[str, ...] = ()
    """Codes that must not be."""
    told: dict[str, Status] = {}
    """Code of a finding to how it must be found, where that is neither wrong nor advice: ok, idle or unknown."""
    not_told: tuple[str, ...] = ()
    """Codes that must not be found, in whatever way."""
    unexplained: tuple[str, ...] | None = None
    """Codes of all findings that must be left unexplained; []: none may be."""
    suspect: str | UnsetType | None = UNSET
    """Method and resource of the change that fits best, e.g. "SetIamPolicy services/prediction-worker"; null: none may be named."""
    suspect_at: When | tuple[When, When] | None = None
    """When that change was made, as a timeline says it (-50m), or [from, to]; three minutes more or less will do."""
    recovery: Recovered = Recovered()
    """Numbers of what has to be sent again."""
    offers: tuple[Pattern, ...] = ()
    """Commands that the answer or a cause that it names must offer: how they begin, or a regular expression between slashes."""
    not_offers: tuple[Pattern, ...] = ()
    """Commands that must not be offered, likewise."""
    says: tuple[Pattern, ...] = ()
    """Texts that the printed answer must hold, wherever its lines break, or regular expressions between slashes."""
    not_says: tuple[Pattern, ...] = ()
    """Texts that it must not hold, likewise."""

    @property
    def states(self) -> tuple[State, ...]:
        """Those that are right; empty: any is."""
        if self.state is None:
            return ()
        return self.state if isinstance(self.state, tuple) else (self.state,)


class Wanted(Struct, frozen=True, kw_only=True):
    """The two keys of a scenario that the lab does not read."""

    expect: Expected
    ask: Asked = Asked()


def wanted(scenario: Scenario, path: Path) -> Wanted:
    """What the scenario file asks and expects. Raises ScenarioError naming file, line and key of each mistake."""
    said = {key: value for key, value in (("ask", scenario.ask), ("expect", scenario.expect)) if value is not None}
    try:
        want = msgspec.convert(said, Wanted)
    except msgspec.ValidationError as error:
        raise _document(path).error(error) from error
    if typos := list(known.typos(want.expect)):
        document = _document(path)
        raise ScenarioError("\n".join(str(document.at(*typo)) for typo in typos))
    return want


def _document(path: Path) -> Document:
    return Document(read_text(path), str(path))
