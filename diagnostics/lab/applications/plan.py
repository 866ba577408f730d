"""What a batch will be, told to the coordinator before it is started, and which message is of which kind.

None of this is visible from outside: a plan stands for the data that the pipeline would find in its own tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PAYLOADS = (
    "good",
    "slow",
    "malformed",
    "undecodable",
    "transient",
    "injured_out",
    "flaky",
    "permanent_skip",
    "rate_limited",
    "write_fails",
    "crash",
    "out_of_memory",
    "silent",
    "lost_id",
    "oversized",
)
"""Payload classes; `cases.py` says what each does to a worker."""


@dataclass(frozen=True)
class Scripted:
    """What a worker answers for an item, in so many words."""

    status: int
    reason: str = ""
    first: int = 0
    """Only for so many tries; 0: for each."""
    publishes: bool = False
    results: int | None = None
    """How much it brings; None: some."""
    says: str = ""
    """A line of plain text before."""
    first_takes_s: float | None = None
    """How long the first try works, after which it is done as usual if anybody still listens; None: no longer than others."""

    @property
    def done(self) -> bool:
        return self.status < 300

    @property
    def hopeless(self) -> bool:
        return not self.done and not self.first


@dataclass
class BatchPlan:
    """What the coordinator will find when it is asked to start."""

    items: int
    """How many items there are to do."""
    gated: dict[str, int] = field(default_factory=dict)
    """How many of them the gate keeps back, by reason: existing, low_quality."""
    payloads: dict[str, int] = field(default_factory=dict)
    """How many of the published ones are of a class other than good."""
    scripted: tuple[tuple[int, Scripted], ...] = ()
    """For how many others what is answered, in so many words."""
    unsent: int = 0
    """How many of those that pass the gate are never published."""
    refusal: str = ""
    """no_work | no_items | incomplete_data: what ends the start before a batch exists."""
    loading_s: float | None = None
    """How long loading takes; None: what is normal for the pipeline."""
    same_items: bool = False
    """The items of an earlier batch of that date come again."""
    batch_id: str = ""
    """A batch id to use instead of the pipeline's own numbering."""
    names: list[str] = field(default_factory=list)
    """Its items, once a start has loaded them: a second call for the same work finds the same."""

    def __post_init__(self) -> None:
        if unknown := set(self.payloads) - set(PAYLOADS):
            raise ValueError(f"unknown payload class {sorted(unknown)[0]!r}; known: {', '.join(PAYLOADS)}")
        if sum(self.gated.values()) > self.items:
            raise ValueError(f"{sum(self.gated.values())} gated items in a batch of {self.items}")
        if sum(self.payloads.values()) + sum(n for n, _ in self.scripted) > self.items - sum(self.gated.values()):
            raise ValueError("more special payloads than published items")
        if self.unsent > self.items - sum(self.gated.values()):
            raise ValueError("more unsent items than pass the gate")


@dataclass
class Attempt:
    """What became of one planned start."""

    plan: BatchPlan
    batch_id: str = ""
    """Empty: no batch was created."""
    received: float | None = None
    """When the program took the call; None: it never did."""
    status: int = 0
    """HTTP status that the program answered; 0: not yet, or killed."""
    published: int = 0
    selected: list[str] | None = None
    """Items that passed the gate; None: it has not been asked."""


@dataclass
class BatchState:
    """A batch as the coordinator's store keeps it; survives restarts."""

    id: str
    date: str
    started: float
    expected: int
    correlation: str = ""
    completed: dict[str, int] = field(default_factory=dict)
    """Item to the number of results it brought."""
    closed: bool = False
    closed_at: float | None = None
    forced: str = ""
    """Why it was closed with work missing."""
    updated: float = 0.0
    """When an item of it was last counted, or it was closed."""
    corrected: float = 0.0
    """When the expected count was last changed."""
    stored: bool = True
    """False: it lives in an instance's memory alone."""
    deadline: float | None = None
    mode: str = ""
    """Run mode that its start named."""

    def close(self, at: float, forced: str = "") -> None:
        self.closed, self.closed_at, self.forced, self.updated = True, at, forced, at


@dataclass
class Casebook:
    """Which message is of which payload class, by (batch id, item), and how often it was tried."""

    classes: dict[tuple[str, str], str] = field(default_factory=dict)
    scripts: dict[tuple[str, str], Scripted] = field(default_factory=dict)
    tries: dict[tuple[str, str], int] = field(default_factory=dict)

    def of(self, batch: str, item: str) -> str:
        return self.classes.get((batch, item), "good")

    def script(self, batch: str, item: str) -> Scripted | None:
        """What is to be answered for this try, which it counts; None: what the item's class says."""
        script = self.scripts.get((batch, item))
        if script is None or not (script.first or script.first_takes_s):
            return script
        return script if self.tried(batch, item) <= script.first or not script.first else None

    def first_takes_s(self, batch: str, item: str) -> float | None:
        """How long the try that was counted last works, where it is a first one that a script makes long."""
        script = self.scripts.get((batch, item))
        return script.first_takes_s if script and self.tries.get((batch, item)) == 1 else None

    def tried(self, batch: str, item: str) -> int:
        """Count one more try and say the how-manieth it is, from 1."""
        count = self.tries[batch, item] = self.tries.get((batch, item), 0) + 1
        return count
