"""Configuration as of the end of a past window: today's, if nothing changed since; else taken back as far as the audit logs tell.

`as_of(provider, back)` is a provider that needs the history, too. `back` takes what the provider found today, the history and the
provider's own arguments, and gives what stood then; it raises NotSeen where that cannot be told. What cannot be told is not guessed.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import structs

from diagnostics.evidence.model import (
    Above,
    AncestorPolicies,
    Binding,
    CustomRole,
    CustomRoles,
    DeadLetterTopic,
    Evidence,
    Policy,
    ProjectSubscriptions,
    PushAccount,
    SubscriptionConfig,
    TopicConfig,
    TopicSubscriptions,
    Unseen,
    Why,
)
from diagnostics.evidence.redact import redact
from diagnostics.evidence.unseen import NotSeen
from diagnostics.sources.past.history import History, Recorded
from diagnostics.sources.pubsub import settings_of
from diagnostics.sources.route import full_subscription
from diagnostics.transport.clients import load

E = TypeVar("E", bound=Evidence)
P = TypeVar("P", bound=Policy)
Provider = Callable[..., Any]
Back = Callable[[Any, History, Mapping[str, Any]], Any]

POLICY = "SetIamPolicy"
MADE = frozenset({"CreateSubscription", "CreateTopic", "CreateService", "CreateServiceAccount"})
GONE = frozenset(
    {
        "DeleteSubscription", "InternalExpireInactiveSubscription", "DeleteTopic", "DeleteService", "DeleteServiceAccount",
    }
)  # fmt: skip
FIELDS: dict[str, tuple[str, ...]] = {
    "pushConfig": ("push_endpoint", "push_account", "audience", "no_wrapper"),
    "ackDeadlineSeconds": ("ack_deadline_s",),
    "retryPolicy": ("retry",),
    "deadLetterPolicy": ("dead_letter",),
    "messageRetentionDuration": ("retention_s",),
    "expirationPolicy": ("expiration_s",),
    "enableExactlyOnceDelivery": ("exactly_once",),
    "labels": ("labels",),
}
"""Fields of a subscription that can be updated, to those of its settings."""


def as_of(provider: Provider, back: Back) -> Provider:
    """The provider, and for a past window what it gives taken back to the window's end."""
    hints = typing.get_type_hints(provider, include_extras=True)

    @functools.wraps(provider)
    def then(history: History | Unseen, **arguments: Any) -> Any:
        found = provider(**arguments)
        if isinstance(history, Unseen):
            says = f"how it was then is not known: {history.says}"
            raise NotSeen(Why.DEPENDS, says, history.permission, history.mend)
        if history.at is None:
            return found
        if history.gap:
            raise NotSeen(Why.EXPIRED, f"what changed since then is not all known: {history.gap}")
        return _said(found, back(found, history, arguments), history)

    signature = inspect.signature(provider)
    needs = [*signature.parameters.values()]
    needs.append(inspect.Parameter("history", inspect.Parameter.KEYWORD_ONLY, annotation=History | Unseen))
    then.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[need.replace(kind=inspect.Parameter.KEYWORD_ONLY) for need in needs]
    )
    then.__annotations__ = {**hints, "history": History | Unseen}
    del then.__wrapped__  # the graph reads what is written here
    return then


def _said(today: E, found: E, history: History) -> E:
    """With its provenance: it speaks of the window's end, and says how it knows."""
    changed = found is not today
    note = "taken back to then by the audit logs" if changed else "as it is today; the audit logs show no change since"
    note = "; ".join(filter(None, (today.source.note, note)))
    return structs.replace(found, source=structs.replace(today.source, as_of=history.at, note=note))


# --- Pub/Sub ------------------------------------------------------------------------------------------------------------


def subscription(today: SubscriptionConfig, history: History, arguments: Mapping[str, Any]) -> SubscriptionConfig:
    name = full_subscription(arguments["pipeline"], arguments["leg"])
    changes = _changes(history, name)
    if _lived(changes, name, today.settings is not None) is False:
        return structs.replace(today, settings=None)
    if not changes or today.settings is None:
        return today
    settings: dict[str, Any] = {}
    for change in changes:
        if change.method == "DetachSubscription":
            settings["detached"] = False
            continue
        for field in _fields(change):
            settings |= _earlier(history, field, name)
    return structs.replace(today, settings=structs.replace(today.settings, **settings))


def _earlier(history: History, field: str, name: str) -> dict[str, Any]:
    """What the settings of one field were before: as they were set last. Raises NotSeen when no entry of 400 days tells."""
    for change in history.earlier(_short(name)):
        made = change.method == "CreateSubscription"
        if not made and field not in _fields(change):
            continue
        whole = made or change.method == "ModifyPushConfig"  # whose `subscription` is the name
        said = change.request if whole else change.request.get("subscription", change.request)
        if field not in FIELDS or not isinstance(said, dict):
            break
        message = load("google.pubsub_v1.types").Subscription.pb()()
        stated = {field: said[field]} if field in said else {}
        load("google.protobuf.json_format").ParseDict(stated, message, ignore_unknown_fields=True)
        found = settings_of(message)
        return {attribute: getattr(found, attribute) for attribute in FIELDS[field]}
    raise unknown(f"{field} of {name} was changed since, and no audit entry tells what it was")


def _fields(change: Recorded) -> list[str]:
    """What an update or a ModifyPushConfig set."""
    if change.method == "ModifyPushConfig":
        return ["pushConfig"]
    mask = change.request.get("updateMask", "")
    paths = mask.split(",") if isinstance(mask, str) else list(mask.get("paths", ()))
    names = sorted({_camel(path.split(".")[0]) for path in paths if path})
    if change.method != "UpdateSubscription" or not names:
        raise unknown(f"{change.method} of {change.resource} since does not tell what it changed")
    return names


def topic(today: TopicConfig, history: History, arguments: Mapping[str, Any]) -> TopicConfig:
    del arguments
    changes = _changes(history, today.name)
    if _lived(changes, today.name, today.settings is not None) is False:
        return structs.replace(today, settings=None)
    if changes:
        raise unknown(f"{today.name} was changed since, and no audit entry tells what it was")
    return today


def topic_subscriptions(
    today: TopicSubscriptions, history: History, arguments: Mapping[str, Any]
) -> TopicSubscriptions:
    return _with(today, names=_attached(today.names, arguments["topic"].name, history))


def dead_letter_topic(today: DeadLetterTopic, history: History, arguments: Mapping[str, Any]) -> DeadLetterTopic:
    del arguments
    if not today.name:
        return today
    if _lived(_changes(history, today.name), today.name, today.exists) is False:
        return structs.replace(today, exists=False, subscriptions=())
    return _with(today, subscriptions=_attached(today.subscriptions, today.name, history))


def project_subscriptions(
    today: ProjectSubscriptions, history: History, arguments: Mapping[str, Any]
) -> ProjectSubscriptions:
    del arguments
    if changed := sorted(
        {c.resource for c in history.since if c.resource.startswith("subscriptions/") and c.method != POLICY}
    ):
        raise unknown(f"{', '.join(changed[:3])} changed since")
    return today


def _attached(names: tuple[str, ...], topic: str, history: History) -> tuple[str, ...]:
    """The subscriptions that a topic had: without those made since, with those that went since."""
    if any(c.method in MADE | GONE for c in _changes(history, topic)):
        raise unknown(f"{topic} was made or deleted since")
    then = set(names)
    for change in history.since:  # newest first: each step back undoes one change
        full = f"projects/{history.project}/{change.resource}"
        if not change.resource.startswith("subscriptions/"):
            continue
        if change.method == "CreateSubscription":
            then.discard(full)
        elif change.method in GONE or change.method == "DetachSubscription":
            made = next((c for c in (*history.of(change.resource), *history.earlier(change.resource))
                         if c.method == "CreateSubscription" and c.at < change.at), None)  # fmt: skip
            if made is None or "topic" not in made.request:
                raise unknown(f"{full} went since, and no audit entry tells which topic it was attached to")
            then |= {full} if made.request["topic"] == topic else set()
    return tuple(sorted(then))


# --- IAM ----------------------------------------------------------------------------------------------------------------


def policy(today: P, history: History, arguments: Mapping[str, Any]) -> P:
    """What was given is taken away again, and the other way round."""
    del arguments
    name = today.resource
    if any(c.method in MADE | GONE for c in _changes(history, name)):
        raise unknown(f"{name} was made or deleted since")
    held = [(b.role, b.condition, m) for b in today.bindings for m in b.members]
    changes = [c for c in _all(history, name) if c.method == POLICY]
    for change in changes:
        if not change.deltas:
            raise unknown(f"the policy of {name} was set since, and the audit entry does not tell what changed")
        for delta in change.deltas:
            one = (delta.role, redact(delta.condition, 300), delta.member)
            if delta.added:
                held = [binding for binding in held if binding != one]
            elif one not in held:
                held.append(one)
    if not changes:
        return today
    roles = dict.fromkeys((role, condition) for role, condition, _ in held)
    bindings = tuple(
        Binding(
            role=r, condition=c, members=tuple(sorted(m for role, condition, m in held if (role, condition) == (r, c)))
        )
        for r, c in roles
    )
    return structs.replace(today, bindings=bindings)


def ancestor_policies(today: AncestorPolicies, history: History, arguments: Mapping[str, Any]) -> AncestorPolicies:
    """What was changed above the project, the project's audit log does not tell."""
    del history, arguments
    says = "what it was then is in an audit log that was not read"
    return _with(today, places=tuple(Above(resource=place.resource, unseen=says) for place in today.places))


def custom_roles(today: CustomRoles, history: History, arguments: Mapping[str, Any]) -> CustomRoles:
    """A role that was changed since, or whose audit log is the organisation's, cannot be told."""
    del arguments
    return _with(today, roles=tuple(_role_then(role, history) for role in today.roles))


def _role_then(role: CustomRole, history: History) -> CustomRole:
    if not role.name.startswith(f"projects/{history.project}/"):
        return CustomRole(name=role.name, unseen="what it was then is in the audit log of whoever owns it")
    if history.of(_short(role.name)):
        return CustomRole(name=role.name, unseen="it was changed since")
    return role


def push_account(today: PushAccount, history: History, arguments: Mapping[str, Any]) -> PushAccount:
    del arguments
    changes = _changes(history, f"projects/{history.project}/serviceAccounts/{today.email}")
    if not changes:
        return today
    first = changes[-1].method
    if first in ("DisableServiceAccount", "EnableServiceAccount"):
        return structs.replace(today, exists=True, disabled=first == "EnableServiceAccount")
    if first == "CreateServiceAccount":
        return structs.replace(today, exists=False, disabled=False)
    raise unknown(f"{today.email}: {first} since; no audit entry tells whether it was disabled")


# --- what they have in common -------------------------------------------------------------------------------------------


def _all(history: History, name: str) -> tuple[Recorded, ...]:
    """Changes of a resource since, by its full name, newest first. Raises NotSeen for one of another project."""
    owner = name.split("/")[1] if name.startswith("projects/") else history.project
    if owner not in (history.project, "-"):
        raise unknown(f"{name} is of another project, whose audit logs were not read")
    return history.of(name if name.count("/") == 1 else _short(name))


def _changes(history: History, name: str) -> tuple[Recorded, ...]:
    """The same without changes of its policy."""
    return tuple(change for change in _all(history, name) if change.method != POLICY)


def _lived(changes: tuple[Recorded, ...], name: str, lives: bool) -> bool:
    """Whether it was there then. Raises NotSeen when it was, and is not the same any more."""
    ends = [change for change in changes if change.method in MADE | GONE]
    if not ends:
        return lives
    if ends[-1].method in MADE:
        return False
    raise unknown(f"{name} was there then and was deleted since; no audit entry tells how it was set")


def _with(today: E, **then: Any) -> E:
    """Today's evidence itself when nothing is different."""
    return (
        today if all(getattr(today, name) == value for name, value in then.items()) else structs.replace(today, **then)
    )


def unknown(says: str) -> NotSeen:
    """It is not known how it was then."""
    return NotSeen(Why.EXPIRED, says)


def _short(name: str) -> str:
    return "/".join(name.split("/")[-2:])


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
