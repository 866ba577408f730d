"""The diagnosis: what every output writes and what the JSON API promises."""

from __future__ import annotations

from datetime import date, datetime
from enum import IntEnum, StrEnum

from msgspec import Struct

from diagnostics.causes.model import Confidence, Role
from diagnostics.conclude.gauges import Gauges
from diagnostics.conclude.levels import Level
from diagnostics.conclude.models import ModelRow
from diagnostics.evidence.model import Leg, Stage, Unseen
from diagnostics.shell.commands import is_harmless
from diagnostics.steps.finding import Finding, Row, Status

SCHEMA_VERSION = 1
PAST = "past"
"""What a cause does that held the batch, or messages of others, and is over."""


class State(StrEnum):
    """State of the batch."""

    RUNNING = "running"
    DONE = "done"
    STALLED = "stalled"
    FAILED = "failed"
    """No batch came of the start attempt."""
    UNKNOWN = "unknown"


class Exit(IntEnum):
    """Exit codes, frozen; compatible with Nagios plugins."""

    OK = 0
    WARNING = 1
    FAULT = 2
    UNKNOWN = 3
    INTERRUPTED = 130


class Named(Struct, frozen=True, kw_only=True):
    """A cause that is live, on its leg."""

    code: str
    title: str
    leg: Leg | None
    stage: Stage
    role: Role
    confidence: Confidence
    since: datetime | None
    until: datetime | None = None
    """When it was last seen, if it is over."""
    says: str
    because: tuple[str, ...] = ()
    """What it rests on, and what else is its doing."""
    hence: tuple[str, ...] = ()
    """What follows from that by itself."""
    against: tuple[str, ...] = ()
    """What was looked for and not found, or could not be seen."""
    one_of: tuple[str, ...] = ()
    """Other causes that account for the same just as well: it is this one or one of them."""
    active: bool = False
    """Of a latent one: messages of the subscription meet it now, and the batch cannot be seen. Whether its items are among them, nothing
    tells."""
    runbook: str = ""
    next: tuple[str, ...] = ()
    over: bool = False
    """It is mended by now, and what it held stays behind."""
    fix: str = ""
    """The one command that mends it, as its page has it; it changes the pipeline. Empty: no single one does, it is mended by now, or it is
    not sure that it blocks."""

    @property
    def does(self) -> str:
        """Its role in a word; of what holds nothing and is over, that it is past."""
        past = self.until is not None and self.role is Role.LATENT
        return "active" if self.active else PAST if past else self.role.value


class RuledOut(Struct, frozen=True, kw_only=True):
    """What it is not, and why."""

    code: str
    """Code of a cause, or name of a step."""
    leg: Leg | None
    because: str


class Missing(Struct, frozen=True, kw_only=True):
    """What could not be seen."""

    what: str
    leg: Leg | None
    why: str
    says: str
    permission: str = ""
    mend: str = ""
    matters: bool = True
    """False: something else proved the stage, so the gap is moot."""
    would_say: str = ""
    """What it would tell."""

    @classmethod
    def of(cls, unseen: Unseen, matters: bool, would_say: str = "") -> Missing:
        return cls(
            what=unseen.what,
            leg=unseen.leg,
            why=unseen.why.value,
            says=unseen.says,
            permission=unseen.permission,
            mend=unseen.mend if is_harmless(unseen.mend) else "",  # what redaction has cut may be anything
            matters=matters,
            would_say=would_say,
        )


class Suppressed(Struct, frozen=True, kw_only=True):
    """A finding or cause that the profile accepts: it is known, and does not count."""

    code: str
    leg: Leg | None
    status: Status
    """How it would stand."""
    says: str
    until: date
    """Last day (UTC) of the acceptance."""
    reason: str
    over: bool = False
    """True: that day is past, so it counts again and is found among the others, too."""


class Item(Struct, frozen=True, kw_only=True):
    """One item of the batch: how far it got and where it is."""

    name: str
    stage: Stage
    """The furthest stage it passed."""
    where: str = ""
    """Where it waits, by `Where`; empty once it is recorded."""
    attempts: int = 0
    last: datetime | None = None
    reason: str = ""
    many: int = 1
    """So many items of which the same is known: where a batch has too many to list each, one stands for all of them."""

    @property
    def label(self) -> str:
        """Its name, and how many others it stands for."""
        return self.name if self.many == 1 else f"{self.name} and {self.many - 1:,} like it"


class Batch(Struct, frozen=True, kw_only=True):
    """The batch, or the start attempt that made none (id empty)."""

    id: str
    started: datetime | None = None
    expected: int | None = None
    done: int | None = None
    closed: bool | None = None
    last_progress: datetime | None = None
    last_good: str = ""
    """Id of the last batch before it that finished; empty: none known."""
    last_good_at: datetime | None = None


class Forecast(Struct, frozen=True, kw_only=True):
    """When the batch may end by itself, and when to ask again."""

    done_by: datetime | None = None
    ask_again_at: datetime | None = None
    rate_per_min: float | None = None


class Window(Struct, frozen=True, kw_only=True):
    since: datetime
    until: datetime


class Call(Struct, frozen=True, kw_only=True):
    """One call that the run made."""

    name: str
    seconds: float
    ok: bool
    note: str = ""


class Header(Struct, frozen=True, kw_only=True):
    """Who asked what, where, as of when."""

    pipeline: str
    project: str
    region: str
    principal: str = ""
    lab: bool = False
    command: str = "batch"
    logs_as_of: datetime | None = None
    metrics_as_of: datetime | None = None
    seconds: float = 0.0
    looked_at: datetime | None = None
    """When the run looked at a past window; None: at the moment that it speaks of."""
    item_lines: str = ""
    """How lines about items were read where the profile names a dataset of Log Analytics: "by SQL, 12 MiB read", or why not."""


class Recovery(Struct, frozen=True, kw_only=True):
    """What has to be sent again once the cause is mended."""

    resubmit: tuple[str, ...] = ()
    """Names of items that will not come by themselves; `resubmit_count` counts the nameless, too."""
    resubmit_count: int = 0
    alike: int = 0
    """So many of these are told alike with one that is listed, and were not read each: the log has their names."""
    replay_dead_letters: int = 0


class Suspect(Struct, frozen=True, kw_only=True):
    """A change since the last good batch that fits a cause: of the same resource, and made before the cause began."""

    at: datetime
    method: str
    resource: str
    """kind/name"""
    by: str
    says: str
    cause: str
    """Code of the cause that it fits; of the finding, where no cause of the catalogue has its name."""
    leg: Leg | None = None
    before_s: float | None = None
    """Seconds before the cause began; None: when that was is not known."""


class DayOfResults(Struct, frozen=True, kw_only=True):
    """One date of the results table."""

    day: date
    rows: int
    active: int
    """Rows that are in force."""
    versions: tuple[str, ...] = ()
    """Of the models that made them, the most rows first."""
    files: tuple[str, ...] = ()
    """Likewise their files."""


class Concluded(Struct, frozen=True, kw_only=True):
    """What an earlier version made of the same evidence."""

    version: str
    at: datetime
    status: Status
    headline: str


class Diagnosis(Struct, frozen=True, kw_only=True):
    """All that is said of one run. Its JSON form is API: documented by its schema, versioned by `schema_version`."""

    schema_version: int = SCHEMA_VERSION
    status: Status
    exit_code: int
    headline: str
    """One sentence to paste into a pager, without the status word."""
    pipeline: Header
    batch: Batch | None
    state: State
    finishes_alone: bool | None
    """None: could not tell."""
    unsure: tuple[str, ...] = ()
    """Why that could not be told of a batch that moves, the gravest first."""
    forecast: Forecast = Forecast()
    window: Window
    as_of: datetime
    ladder: tuple[Row, ...] = ()
    here: Stage | None = None
    """The row at which the batch stopped."""
    here_leg: Leg | None = None
    causes: tuple[Named, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    unknown: tuple[Missing, ...] = ()
    findings: tuple[Finding, ...] = ()
    unexplained: tuple[Finding, ...] = ()
    items: tuple[Item, ...] = ()
    unnamed: int = 0
    """Items of the batch that are known by count only."""
    recovery: Recovery = Recovery()
    next: tuple[str, ...] = ()
    """What to do now, in order."""
    calls: tuple[Call, ...] = ()
    sources: dict[str, str] = {}
    """Kind of evidence to the command that shows the same by hand."""
    suppressed: tuple[Suppressed, ...] = ()
    """What the profile accepts. It moves no exit code, unless its time is over."""
    concluded: Concluded | None = None
    """Of a replayed bundle: what the version that made it concluded, if this one is another or finds something else."""
    levels: tuple[Level, ...] = ()
    """Of a health check: its three claims."""
    suspects: tuple[Suspect, ...] = ()
    """Changes that may have brought a cause about, the best fit first."""
    subscriptions: tuple[Gauges, ...] = ()
    """What waits on each subscription and how pushes are answered, as it was looked."""
    results: tuple[DayOfResults, ...] = ()
    """Of `outcome`: the results by date, those without a row, too."""
    models: tuple[ModelRow, ...] = ()
    """Of `model drift` and `model list`: the models that the places know."""
