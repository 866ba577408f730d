"""What a postmortem says: plain data, in the order in which it is read. Times are UTC. Every string in it is safe on one line."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Moment(Struct, frozen=True, kw_only=True):
    """A moment that durations are counted from or to, and what it rests on."""

    name: str
    at: datetime | None = None
    """None: it was not seen; `says` tells why."""
    not_before: datetime | None = None
    """It lies between this and `at`; None: `at` is exact."""
    means: str
    """How it is defined."""
    says: str
    """What it rests on, or why it is not known."""


class Duration(Struct, frozen=True, kw_only=True):
    """A span between two moments."""

    name: str
    seconds: float | None = None
    """None: one of the two moments was not seen."""
    at_least: bool = False
    """True: the second moment had not come when it was last looked."""
    means: str


class Number(Struct, frozen=True, kw_only=True):
    """One figure of the impact."""

    name: str
    value: str
    says: str = ""
    """Where it comes from, or what it leaves open."""


class Trigger(Struct, frozen=True, kw_only=True):
    """What may have set it off. Order in time is no proof, and the words say so."""

    says: str
    before: tuple[str, ...] = ()
    """What happened last before it, newest first."""


class Cause(Struct, frozen=True, kw_only=True):
    code: str
    title: str
    leg: str
    role: str
    confidence: str
    since: datetime | None
    says: str
    because: tuple[str, ...]
    against: tuple[str, ...]
    looks: str
    """In how many of the looks it was named."""


class Hypothesis(Struct, frozen=True, kw_only=True):
    """What was considered, and what speaks against it."""

    name: str
    refuted_by: str


class Gap(Struct, frozen=True, kw_only=True):
    """What could not be seen."""

    what: str
    why: str
    would_say: str = ""
    mend: str = ""
    matters: bool = True


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the timeline."""

    at: datetime
    kind: str
    """metric, log, audit, deploy, batch, state, probe, note, look, gap or mark."""
    says: str
    mark: str = ""
    """START OF IMPACT and its like."""


class Line(Struct, frozen=True, kw_only=True):
    """One curve: a value for each of the chart's times. None: nothing was seen there, which is not zero."""

    name: str
    values: tuple[float | None, ...]
    adds: bool = False
    """Counts: two neighbouring values add up; of others the larger one stands for both."""


class Chart(Struct, frozen=True, kw_only=True):
    """Numbers over time, to be drawn and to be read as a table."""

    id: str
    title: str
    unit: str
    """Name of the vertical axis, with its unit."""
    says: str
    """What there is to see, for whoever cannot see it."""
    times: tuple[datetime, ...] = ()
    step_s: int = 60
    lines: tuple[Line, ...] = ()
    limit: float | None = None
    limit_name: str = ""
    marks: tuple[tuple[datetime, str], ...] = ()
    missing: str = ""
    """Why there is nothing to draw."""

    def rows(self) -> list[tuple[datetime, tuple[float | None, ...]]]:
        """Each time with the value of each line."""
        return [(at, tuple(line.values[column] for line in self.lines)) for column, at in enumerate(self.times)]


class Action(Struct, frozen=True, kw_only=True):
    """What is proposed, for somebody to own."""

    kind: str
    """prevent, detect or repair."""
    says: str
    source: str
    """Cause or gap that it comes from."""
    priority: str
    """high, medium or low, as proposed."""


class Standing(Struct, frozen=True, kw_only=True):
    """What stands at the head: how it is, how bad it was measured to be, and what only people can say."""

    status: str
    rests_on: str
    """What the status rests on."""
    measured: str
    """What tells how severe it was, in figures."""
    severity: str = ""
    """On the scale of whoever writes it; empty: nobody said."""
    authors: tuple[str, ...] = ()


class Resolution(Struct, frozen=True, kw_only=True):
    """How it ended, and what was done until then. Order in time is no proof that it helped."""

    says: str
    done: tuple[str, ...] = ()
    """What people noted that they did, or that it was over, and changes of configuration from the begin of the impact on, in order."""


class Link(Struct, frozen=True, kw_only=True):
    """A page of the Cloud Console."""

    name: str
    url: str


class Query(Struct, frozen=True, kw_only=True):
    """How one kind of evidence was fetched, and how to fetch it by hand."""

    what: str
    source: str
    as_of: datetime
    note: str = ""
    """What is missing of it, or how it was taken back to then."""
    query: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    too_long: bool = False
    """What was asked is known, and too long to be given: both others are empty."""


class Look(Struct, frozen=True, kw_only=True):
    """One run that the postmortem rests on."""

    at: datetime
    command: str
    version: str
    concluded: str
    then: str = ""
    """What the version that made it had concluded, where this one concludes something else."""


class Postmortem(Struct, frozen=True, kw_only=True):
    title: str
    pipeline: str
    project: str
    lab: bool
    made_by: str
    """Version of pubsub-diag that wrote it."""
    standing: Standing
    summary: tuple[str, ...]
    """In sentences, for whoever reads nothing else."""
    batch: str
    moments: tuple[Moment, ...]
    durations: tuple[Duration, ...]
    impact: tuple[Number, ...]
    trigger: Trigger
    detection: tuple[str, ...]
    resolution: Resolution
    causes: tuple[Cause, ...]
    hypotheses: tuple[Hypothesis, ...]
    unexplained: tuple[str, ...]
    """What no cause accounts for."""
    unseen: tuple[Gap, ...]
    key: tuple[Entry, ...]
    """Of the timeline what a reader of the first page needs."""
    timeline: tuple[Entry, ...]
    left_out: int
    """Lines of the timeline that were too many."""
    charts: tuple[Chart, ...]
    residue: tuple[str, ...]
    recurrence: tuple[str, ...]
    went_well: tuple[str, ...]
    went_badly: tuple[str, ...]
    lucky: tuple[str, ...]
    actions: tuple[Action, ...]
    looks: tuple[Look, ...]
    redactions: str
    queries: tuple[Query, ...]
    links: tuple[Link, ...] = ()
    no_links: str = ""
    """Why there are none."""
