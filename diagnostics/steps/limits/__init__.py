"""Do the limits in time fit into one another? Application < server < Cloud Run's request timeout ≤ ack deadline; then the retry.

Configuration alone; no traffic is needed. The first two are in no API: the profile states them (`item_timeout_s`,
`server_timeout_s`), and what it does not state is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.model import (
    Leg,
    Revisions,
    RevisionSettings,
    ServiceConfig,
    ServiceSettings,
    Stage,
    SubscriptionConfig,
    SubscriptionSettings,
    Unseen,
)
from diagnostics.pipeline.profile import PipelineProfile, ServiceProfile
from diagnostics.shell.commands import command
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Status, Telling
from diagnostics.steps.tells import Mended, Tells
from diagnostics.steps.words import short, span


class ItemOverServer(Tells, frozen=True, kw_only=True):
    item_s: float
    """Seconds that the application gives an item."""
    outer_s: float
    """Seconds after which the server ends it, or Cloud Run."""


class ServerOverRun(Tells, frozen=True, kw_only=True):
    server_s: float
    """Seconds that the server waits."""
    run_s: float
    """Cloud Run's request timeout in seconds."""


class RunOverDeadline(Tells, frozen=True, kw_only=True):
    run_s: float
    """Cloud Run's request timeout in seconds."""
    deadline_s: float
    """The ack deadline in seconds."""
    mend: str | None = None
    """The command that raises the deadline, if it can be raised so far."""


class Deadline(Tells, frozen=True, kw_only=True):
    deadline_s: float
    """The ack deadline in seconds."""


IN_ORDER = Code("limits.in_order", Stage.DELIVERED, "the limits in time fit into one another")
ITEM_OVER_SERVER = Telling(
    "limits.item_over_server",
    Stage.PROCESSED,
    "an item may take longer than the server lets it",
    tells=ItemOverServer,
)
SERVER_OVER_RUN = Telling(
    "limits.server_over_run", Stage.PROCESSED, "the server waits longer than Cloud Run does", tells=ServerOverRun
)
RUN_OVER_DEADLINE = Telling(
    "limits.run_over_deadline",
    Stage.DELIVERED,
    "Cloud Run waits longer than the ack deadline",
    tells=RunOverDeadline,
)
COLD_DEADLINE = Telling(
    "limits.cold_deadline", Stage.DELIVERED, "the ack deadline is no longer than the wait for a start", tells=Deadline
)
RETRY_AT_ONCE = Telling(
    "limits.retry_at_once", Stage.DELIVERED, "no retry policy: what fails comes back at once", tells=Mended
)

_PENDING_S = 10.0
"""A request waits at least this long for an instance to start: max(3.5 × start-up, 10 s) (Cloud Run container contract)."""


def limits(
    leg: Leg,
    profile: PipelineProfile,
    subscription: SubscriptionConfig,
    service: ServiceConfig,
    revisions: Revisions | Unseen,
) -> Iterator[Finding]:
    """Compares each limit with the one that has to hold it."""
    settings, target = subscription.settings, service.settings
    if settings is None or target is None or not settings.push_endpoint:
        return
    runs = serving(target, revisions)
    stated = profile.worker if leg is Leg.REQUEST else profile.coordinator
    found = [*_ladder(leg, settings, target, runs, stated), *_cold(leg, settings, target, runs)]
    yield from found
    if not found:
        about = subjects.service(target.name)
        yield IN_ORDER.says(Status.OK, _order(settings, runs, stated), leg=leg, subject=about, rests_on=_RESTS)


def retrying(leg: Leg, subscription: SubscriptionConfig) -> Iterator[Finding]:
    """Whether what fails waits before it comes back (Pub/Sub: subscription retry policy)."""
    settings = subscription.settings
    if settings is None or not settings.push_endpoint or settings.retry is not None:
        return
    burnt = (
        f", and {settings.dead_letter.max_attempts} attempts are soon used up: a short outage dead-letters good messages"
        if settings.dead_letter
        else ""
    )
    yield RETRY_AT_ONCE.says(
        Status.ADVICE,
        f"{short(settings.name)} has no retry policy, so what fails comes back as soon as possible{burnt}",
        leg=leg,
        rests_on=("SubscriptionConfig",),
        subject=subjects.subscription(settings.name),
        tells=Mended(mend=update(settings.name, "--min-retry-delay=10s", "--max-retry-delay=600s")),
    )


def serving(target: ServiceSettings, revisions: Revisions | Unseen) -> RevisionSettings:
    """The revision that most requests get; the template where revisions were not seen."""
    named = None if isinstance(revisions, Unseen) else revisions.named(target.serving)
    return named or target.template


def update(subscription: str, *flags: str) -> str:
    """The gcloud line that changes a subscription, given by its full name, with these flags of ours."""
    _, project, _, name = subscription.split("/")
    line = "gcloud pubsub subscriptions update {name} --project={project}"
    return command(" ".join((line, *flags)), name=name, project=project)


_RESTS = ("SubscriptionConfig", "ServiceConfig")
_LONGEST_DEADLINE_S = 600.0
"""Pub/Sub takes no longer ack deadline (google.pubsub.v1.Subscription)."""


def _ladder(
    leg: Leg,
    settings: SubscriptionSettings,
    target: ServiceSettings,
    runs: RevisionSettings,
    stated: ServiceProfile,
) -> Iterator[Finding]:
    item, server = stated.item_timeout_s, stated.server_timeout_s
    outer = server if server is not None else runs.timeout_s
    if item is not None and item >= outer:
        holder = "its server" if server is not None else "Cloud Run"
        yield ITEM_OVER_SERVER.says(
            Status.WARNING,
            f"the application gives an item {span(item)} and {holder} ends it after {span(outer)}, without a word to the program",
            leg=leg,
            rests_on=_RESTS,
            subject=subjects.service(target.name),
            tells=ItemOverServer(item_s=item, outer_s=outer),
        )
    if server is not None and server >= runs.timeout_s:
        yield SERVER_OVER_RUN.says(
            Status.WARNING,
            f"the server of {stated.service} waits {span(server)} and Cloud Run answers 504 after {span(runs.timeout_s)}, "
            "while the work goes on",
            leg=leg,
            rests_on=_RESTS,
            subject=subjects.service(target.name),
            tells=ServerOverRun(server_s=server, run_s=runs.timeout_s),
        )
    if runs.timeout_s > settings.ack_deadline_s and not stated.start_path:
        yield RUN_OVER_DEADLINE.says(
            # A service that is known by nothing but its URL may have other requests, which need the longer timeout.
            Status.WARNING if stated.service else Status.ADVICE,
            f"Cloud Run lets a request take {span(runs.timeout_s)}, the ack deadline of {short(settings.name)} is "
            f"{span(settings.ack_deadline_s)}: what takes longer is pushed again while it is still worked on",
            leg=leg,
            rests_on=_RESTS,
            subject=subjects.subscription(settings.name),
            tells=RunOverDeadline(
                run_s=runs.timeout_s, deadline_s=settings.ack_deadline_s, mend=_raised(settings, runs)
            ),
        )


def _raised(settings: SubscriptionSettings, runs: RevisionSettings) -> str | None:
    """How to raise the ack deadline, if it can be raised so far."""
    if runs.timeout_s > _LONGEST_DEADLINE_S:
        return None
    return update(settings.name, f"--ack-deadline={runs.timeout_s:.0f}")


def _cold(
    leg: Leg, settings: SubscriptionSettings, target: ServiceSettings, runs: RevisionSettings
) -> Iterator[Finding]:
    warm = runs.min_instances or target.min_instances or target.manual_instances
    if settings.ack_deadline_s <= _PENDING_S and not warm:
        yield COLD_DEADLINE.says(
            Status.ADVICE,
            f"the ack deadline of {short(settings.name)} is {span(settings.ack_deadline_s)}, {target.name} keeps no instance warm, "
            f"and a push may wait {span(_PENDING_S)} and more for one to start",
            leg=leg,
            rests_on=_RESTS,
            subject=subjects.subscription(settings.name),
            tells=Deadline(deadline_s=settings.ack_deadline_s),
        )


def _order(settings: SubscriptionSettings, runs: RevisionSettings, stated: ServiceProfile) -> str:
    known = [
        f"{what} {span(seconds)}"
        for what, seconds in (("item", stated.item_timeout_s), ("server", stated.server_timeout_s))
        if seconds is not None
    ]
    if stated.start_path:
        ladder = [*known, f"Cloud Run {span(runs.timeout_s)} (its start calls need that)"]
        return f"{' < '.join(ladder)}; ack deadline {span(settings.ack_deadline_s)}"
    return (
        f"{' < '.join([*known, f'Cloud Run {span(runs.timeout_s)}'])} ≤ ack deadline {span(settings.ack_deadline_s)}"
        + ("" if len(known) == 2 else "; the profile states no further limit of application or server")
    )
