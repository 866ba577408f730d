"""Puts parts of a pipeline into another project: their names, addresses and grants become what they are across projects."""

from __future__ import annotations

from collections.abc import Iterable

from diagnostics.lab.cast import Cast, UnknownName, find
from diagnostics.lab.defaults import AGENT_ROLE
from diagnostics.lab.model import Neighbour, Policy, Service, Subscription, Topic, World
from diagnostics.lab.scenario import NeighbourSpec


def settle(world: World, cast: Cast, spec: NeighbourSpec) -> None:
    """Move what the neighbour has there. Raises UnknownName."""
    letters = spec.number.translate(str.maketrans("0123456789", "qwertyuiop"))
    neighbour = Neighbour(spec.project, spec.number, (letters * 10)[:10])
    world.neighbours[spec.project] = neighbour
    neighbour.policy.add(AGENT_ROLE, f"serviceAccount:{world.agent_of(spec.project)}")
    for part in spec.has:
        kind, _, name = part.partition(":")
        if kind == "topic":
            _topic(world, find(world.topics, kind, cast.topic(name)), neighbour)
        elif kind == "subscription":
            _subscription(world, find(world.subscriptions, kind, cast.subscription(name)), neighbour)
        elif kind == "service":
            _service(world, find(world.services, kind, cast.service(name)), neighbour)
        else:
            raise UnknownName(f'"{part}": expected topic:NAME, subscription:NAME or service:NAME')


def _topic(world: World, topic: Topic, neighbour: Neighbour) -> None:
    """Whoever has its short name in the environment has its full one from now on: a short one means one's own project."""
    world.homes[f"topic:{topic.name}"] = neighbour.project
    for revision in (r for service in world.services.values() for r in service.revisions):
        full = f"projects/{neighbour.project}/topics/{topic.name}"
        revision.env = {key: full if value == topic.name else value for key, value in revision.env.items()}


def _subscription(world: World, subscription: Subscription, neighbour: Neighbour) -> None:
    """Pub/Sub's agent of that project does for it what the pipeline's did."""
    world.homes[f"subscription:{subscription.name}"] = neighbour.project
    dead, account = world.topics.get(subscription.dead_letter_topic), world.accounts.get(subscription.push.account)
    policies = (subscription.policy, dead.policy if dead else None, account.policy if account else None)
    before, after = (f"serviceAccount:{world.agent_of(p)}" for p in (world.project, neighbour.project))
    _also(policies, before, after)


def _also(policies: Iterable[Policy | None], before: str, after: str) -> None:
    for binding in (b for policy in policies if policy for b in policy.bindings):
        if before in binding.members:
            binding.members.add(after)


def _service(world: World, service: Service, neighbour: Neighbour) -> None:
    """Its addresses change, and with them where the subscriptions push, and for which audience."""
    before = world.urls(service)
    world.homes[f"service:{service.name}"] = neighbour.project
    service.url_hash = neighbour.url_hash
    for subscription in world.subscriptions.values():
        for old, new in zip(before, world.urls(service), strict=True):
            subscription.push.endpoint = subscription.push.endpoint.replace(old, new)
            subscription.push.audience = subscription.push.audience.replace(old, new)
