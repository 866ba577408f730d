"""Derive a profile from one or two push subscriptions: what `pubsub-diag init` writes."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from diagnostics.evidence.model import Leg, ServiceConfig, SubscriptionConfig, Unseen, Why
from diagnostics.evidence.redact import hashed
from diagnostics.evidence.whole_text import whole
from diagnostics.pipeline.load import profile_of
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ProfileError, ServiceProfile
from diagnostics.question.ask import Ask
from diagnostics.shell.commands import noted
from diagnostics.sources.collect import collect
from diagnostics.sources.project import by_id

if TYPE_CHECKING:
    from diagnostics.transport.session import Session


class Discovery(Struct, frozen=True, kw_only=True):
    """A derived profile, and what only a person can add."""

    profile: PipelineProfile
    missing: tuple[str, ...] = ()
    """One sentence each: what is not known, and what cannot be told without it."""


def discover(
    session: Session, subscription: str, *, completion: str = "", project: str = "", region: str = ""
) -> Discovery:
    """Derive topics, services, region, path and account of the pushes.

    Raises ProfileError when the request subscription does not exist, is not a push subscription, or cannot be read.
    """
    home = by_id(session, project or session.project, subscription)
    smallest = profile_of(subscription, project=home, region=region, completion=completion)
    evidence = collect(session, smallest, {SubscriptionConfig, ServiceConfig}, Ask())
    missing: list[str] = []
    legs: dict[Leg, LegProfile] = {}
    services: dict[Leg, ServiceConfig] = {}
    for leg in Leg:
        named = smallest.leg(leg)
        if named is None:
            continue
        config = evidence.get(SubscriptionConfig, leg)
        if isinstance(config, Unseen) or config.settings is None or not config.settings.push_endpoint:
            if leg is Leg.REQUEST:
                raise ProfileError(_why_not(named.subscription, config), _mend(config))
            missing.append(f"{_why_not(named.subscription, config)}; its leg stays as it is named")
            legs[leg] = named
            continue
        legs[leg] = _leg(named, config, smallest.project)
        service = evidence.get(ServiceConfig, leg)
        if isinstance(service, Unseen) or service.settings is None:
            missing.append(f"the {_role(leg)} could not be read: {_why_unread(service)}")
        else:
            services[leg] = service
    profile = PipelineProfile(
        name=smallest.name,
        project=smallest.project,
        region=_region(services) or region,
        request=_with_env(legs[Leg.REQUEST], services.get(Leg.COMPLETION)),
        completion=_with_env(legs[Leg.COMPLETION], services.get(Leg.REQUEST)) if Leg.COMPLETION in legs else None,
        coordinator=_service(services.get(Leg.COMPLETION), smallest.project),
        worker=_service(services.get(Leg.REQUEST), smallest.project),
    )
    return Discovery(profile=profile, missing=(*missing, *_unknowable(profile, services.get(Leg.COMPLETION))))


def to_toml(found: Discovery, markers: str = "") -> str:
    """The profile as a TOML file, with what is missing as comments; `markers` are tables that were proposed, in the place of examples."""
    profile = found.profile
    lines = [
        f"# Derived from {_shown(profile.request.subscription)}.",
        "# What only you can add, and what stays unknown without it:",
    ]
    lines += [f"#   * {_shown(sentence)}" for sentence in found.missing]
    lines += ["", _pair("name", profile.name), _pair("project", profile.project)]
    lines += [_pair("region", profile.region)] if profile.region else []
    lines += ['item = "item" # what one item is called: order, player, …']
    if profile.completion is None:
        lines += ["# one_way = true # nothing comes back: what the worker's lines say is done is done"]
    for name, table in (
        ("request", profile.request),
        ("completion", profile.completion),
        ("coordinator", profile.coordinator),
        ("worker", profile.worker),
    ):
        if table is not None:
            lines += ["", f"[{name}]", *_table(table, start=name == "coordinator")]
    return "\n".join([*lines, "", TEMPLATE.replace(MARKERS, markers) if markers else TEMPLATE])


MARKERS = """\
# One table for each kind of log line that tells something; `pubsub-diag profile test` shows whether they match:
# [[markers]]
# means = "created"
# contains = "Batch created" # a literal that every such line contains
# pattern = 'Batch created: (?P<batch>\\S+) \\((?P<expected>\\d+) items\\)'
# [[markers]]
# means = "started_item"
# service = "worker"
# field = "jsonPayload.event" # a log that is structured
# contains = "item_started"
# captures = { batch = "jsonPayload.batch", item = "jsonPayload.item" }
"""
_PLACES = """\
# Where the coordinator keeps the state of a batch. Several are asked in order until one knows it; without any, log lines alone tell.
# [[batch_state]]
# path = "/status?batch_id={batch}" # of the coordinator, or of url = "https://HOST"
# auth = "id_token" # with audience behind IAP; or "header" with header and header_env, its value; or "none"
# expected = "expected" # dotted paths into what it answers
# completed = "completed" # a number, a list of item names, or a table by item
# closed = "status"
# closed_when = "complete"
# [[batch_state]]
# kind = "firestore" # needs pip install 'pubsub-diag[firestore]'
# document = "batches/{batch}"
# closed = "is_complete"
# closed_at = "completed_at" # times let --until tell what the state was then
# [[batch_state]]
# kind = "command" # prints one JSON object, or null for a batch that it does not know; no shell reads it
# command = ["./batch-state", "{batch}"]

# When the coordinator closes a batch:
# [closing]
# share = 1.0 # of the expected items
# after_s = 1800 # or at this age, whatever is missing

"""
_REST = """\
# What is known and accepted for a while: a code of a finding or of a cause. It is listed and does not count; what holds a batch
# and what is unknown always does.
# [[accepted]]
# code = "min-instances-lost-in-deploy"
# leg = "request" # or both, without it
# until = 2026-12-31 # the last day
# reason = "cold starts are fine for the nightly batch, ticket 77"

# Defaults of options; `pubsub-diag config show --origin` shows what is in force:
# [settings]
# timeout = 30
"""
TEMPLATE = f"{_PLACES}{MARKERS}\n{_REST}"


def _why_not(subscription: str, config: SubscriptionConfig | Unseen) -> str:
    if isinstance(config, Unseen):
        return f"{subscription} could not be looked at: {config.says}"
    if config.settings is None:
        return f"{subscription}: expected a push subscription, it does not exist"
    return f"{subscription}: expected a push subscription, it has no push endpoint"


def _mend(config: SubscriptionConfig | Unseen) -> str:
    """What to do where no profile can be derived. Whether a subscription is there that could not be looked at is not known."""
    if not isinstance(config, Unseen):
        return noted("gcloud pubsub subscriptions list", "names those there are")
    if config.mend:
        return config.mend
    return "ask again with a longer --timeout" if config.why is Why.TIMED_OUT else "ask again"


def _why_unread(service: ServiceConfig | Unseen) -> str:
    """With what to write, where that is known."""
    if not isinstance(service, Unseen):
        return f"the service {service.name} does not exist"
    says = service.says.removeprefix("not asked because ")
    return f"{says}: {service.mend}" if service.mend else says


def _leg(named: LegProfile, config: SubscriptionConfig, project: str) -> LegProfile:
    settings = config.settings
    assert settings is not None
    return LegProfile(
        subscription=named.subscription,
        topic=settings.topic.removeprefix(f"projects/{project}/topics/")
        if settings.topic.startswith("projects/")
        else "",
        push_path=urlsplit(settings.push_endpoint).path or "/",
        push_account=settings.push_account,
    )


def _with_env(leg: LegProfile, publisher: ServiceConfig | None) -> LegProfile:
    """With the environment name of the leg's publisher whose value is the topic: told by its hash."""
    if publisher is None or publisher.settings is None or not leg.topic:
        return leg
    salt = publisher.source.query
    forms = {hashed(form, salt) for form in (leg.topic, leg.topic.rpartition("/")[2])}
    names = [n for n, value in publisher.settings.template.env.items() if value in forms]
    return LegProfile(
        subscription=leg.subscription,
        topic=leg.topic,
        topic_env=names[0] if len(names) == 1 else "",
        push_path=leg.push_path,
        push_account=leg.push_account,
    )


def _service(config: ServiceConfig | None, project: str) -> ServiceProfile:
    if config is None or config.settings is None:
        return ServiceProfile()
    home = config.source.query.split("/")[1]  # the service's full name
    return ServiceProfile(
        service=config.settings.name, region=config.settings.region, project="" if home == project else home
    )


def _region(services: dict[Leg, ServiceConfig]) -> str:
    return next((s.settings.region for s in services.values() if s.settings), "")


def _unknowable(profile: PipelineProfile, coordinator: ServiceConfig | None) -> list[str]:
    """What no configuration tells."""
    says = []
    if profile.completion is None:
        says.append(
            "completion: the subscription that brings completions back; without it, returned and recorded stay unknown, unless "
            "one_way = true says that nothing comes back and nobody keeps count"
        )
    if not profile.coordinator.service:
        says.append("coordinator.service: who publishes; without it, requested, created and published stay unknown")
    says.append("coordinator.start_path: the path whose calls start a batch; without it, requested stays unknown")
    says.append(
        "batch_state: where a batch's state can be asked for; without it, created and recorded rest on log lines"
        + _shut(coordinator)
    )
    says.append(
        "markers: the log lines that name batches and items; without them, only counts of the whole subscription are known"
    )
    return says


def _shut(coordinator: ServiceConfig | None) -> str:
    """What keeps a status endpoint of the coordinator from being asked."""
    settings = coordinator.settings if coordinator else None
    if settings is None:
        return ""
    if settings.default_uri_disabled or not settings.uri:
        return f" ({settings.name} has no URL of its own: url, Firestore or a command)"
    if settings.ingress != "all":
        return f" ({settings.name} has ingress {settings.ingress}: from outside, Firestore or a command)"
    return ""


def _role(leg: Leg) -> str:
    return "worker" if leg is Leg.REQUEST else "coordinator"


def _table(table: Any, start: bool) -> list[str]:
    defaults = type(table)(subscription="") if isinstance(table, LegProfile) else type(table)()
    written = [n for n in table.__struct_fields__ if getattr(table, n) != getattr(defaults, n)]
    hints = (
        ['# service = "…"', '# region = "…"', '# project = "…" # if it is another than the above']
        if isinstance(table, ServiceProfile) and not table.service
        else []
    )
    hints += ['# start_path = "/start"'] if start and not table.start_path else []
    return [*(_pair(n, getattr(table, n)) for n in written), *hints]


def _pair(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name} = "{_shown(escaped)}"'


def _shown(text: str) -> str:
    """The text in one line, with TOML's escapes for what ends a line, is not seen or turns a line round: names are somebody else's."""
    return "".join(f"\\U{ord(x):08x}" if unicodedata.category(x) in _UNSEEN else x for x in whole(text))


_UNSEEN = ("Cc", "Cf", "Zl", "Zp")
"""Unicode's categories of them."""
