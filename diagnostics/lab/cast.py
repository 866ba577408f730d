"""Who plays which part: the names behind a scenario's aliases (request, completion, coordinator, worker, agent, ci, person)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from diagnostics.lab.model import Policy, World

Named = TypeVar("Named")


class UnknownName(LookupError):
    """A scenario names something that its world does not have at that moment."""


@dataclass(frozen=True)
class Cast:
    """Names of one pipeline's parts in the world."""

    coordinator: str
    """Empty: there is none, and a script publishes from outside."""
    worker: str
    topics: dict[str, str]
    """Alias to topic: request, completion, dead_letter, completion_dead_letter, as far as the pipeline has them."""
    subscriptions: dict[str, str]
    """Alias to subscription, the same aliases."""
    accounts: dict[str, str]
    """Alias to e-mail: coordinator (where there is one), worker, publisher (of the requests), pusher (of these), scheduler, ci, person."""
    start_path: str
    date_field: str
    """Name of the date in the start call's body."""
    mode_field: str
    default_mode: str

    def service(self, name: str) -> str:
        return {"coordinator": self.coordinator, "worker": self.worker}.get(name) or name

    def topic(self, name: str) -> str:
        return self.topics.get(name, name)

    def subscription(self, name: str) -> str:
        return self.subscriptions.get(name, name)

    def account(self, name: str) -> str:
        return self.accounts.get(name, name)

    def member(self, world: World, name: str) -> str:
        """An IAM member: alias, e-mail, allUsers, or a member with its prefix."""
        if name in ("allUsers", "allAuthenticatedUsers") or ":" in name:
            return name
        email = world.pubsub_agent if name == "agent" else self.account(name)
        return f"{'serviceAccount' if email.endswith('gserviceaccount.com') else 'user'}:{email}"

    def role(self, world: World, name: str) -> str:
        """A role's full name. Raises UnknownName for a custom role that is not there: Google would refuse to bind it."""
        if name.startswith("roles/"):
            return name
        return find(world.roles, "role", full_role(world, name)).name

    def policy(self, world: World, on: str) -> Policy:
        """The IAM policy of a resource written as in `events.Grant.on`."""
        kind, _, name = on.partition(":")
        if "/" in on:
            return find(world.above, "folder or organisation", on)
        if kind == "project":
            return world.policy
        if kind == "topic":
            return find(world.topics, kind, self.topic(name)).policy
        if kind == "subscription":
            return find(world.subscriptions, kind, self.subscription(name)).policy
        if kind == "service":
            return find(world.services, kind, self.service(name)).policy
        if kind == "account":
            return find(world.accounts, kind, self.account(name)).policy
        raise UnknownName(
            f'"{on}": expected project, topic:NAME, subscription:NAME, service:NAME, account:NAME or folders/F'
        )


def full_role(world: World, name: str) -> str:
    """projects/P/roles/R of a custom role's id."""
    return name if "/" in name else f"projects/{world.project}/roles/{name}"


def find(held: Mapping[str, Named], kind: str, name: str) -> Named:
    """Look a name up; raises UnknownName saying what there is."""
    if name not in held:
        raise UnknownName(f'no {kind} "{name}"; there are {", ".join(sorted(held)) or "none"}')
    return held[name]
