"""The world as a scenario finds it: the healthy default with the scenario's differences."""

from __future__ import annotations

import random

from msgspec import UNSET

from diagnostics.lab.applications.orders import results as orders
from diagnostics.lab.applications.predictions import models, results
from diagnostics.lab.cast import Cast, UnknownName, find, full_role
from diagnostics.lab.changes import deny, give, take_away
from diagnostics.lab.defaults import healthy
from diagnostics.lab.filters import compile_filter
from diagnostics.lab.model import Balancer, Policy, Role, StoredObject, Topic, World
from diagnostics.lab.neighbours import settle
from diagnostics.lab.scenario import LegSpec, ModelsSpec, PipelineSpec, ServiceSpec, TableSpec
from diagnostics.lab.settings import (
    change_revision,
    change_role,
    change_service,
    change_subscription,
    change_topic,
    new_subscription,
)


def set_scene(spec: PipelineSpec, rng: random.Random, since: float) -> tuple[World, Cast]:
    """World and names at the moment `since`. Raises UnknownName, and ValueError for what Google would refuse."""
    world, cast = healthy(spec.dialect, rng, since)
    if spec.dialect == "predictions":
        world.tables = results.tables()
        describe_models(world, spec.models, since)
    elif spec.dialect == "orders":
        world.tables = orders.tables()
    for name, changes in spec.tables.items():
        change_table(world, name, changes)
    world.buckets, world.log_dataset = set(spec.buckets), spec.log_dataset
    if cast.coordinator:
        _service(world, cast, cast.coordinator, spec.coordinator)
    elif spec.coordinator != ServiceSpec():
        raise UnknownName(f"{spec.dialect} has no coordinator")
    _service(world, cast, cast.worker, spec.worker)
    for new in spec.topics:
        topic = world.topics[new.name] = Topic(new.name)
        change_topic(world, topic, new)
    _leg(world, cast, cast.subscriptions["request"], spec.request)
    if "completion" in cast.subscriptions:
        _leg(world, cast, cast.subscriptions["completion"], spec.completion)
    elif spec.completion != LegSpec():
        raise UnknownName(f"{spec.dialect} has no completion leg")
    for neighbour in spec.neighbours:
        settle(world, cast, neighbour)
    for subscription in spec.subscriptions:
        new_subscription(world, cast, subscription, since)
    for balancer in spec.balancers:
        service = find(world.services, "service", cast.service(balancer.to)).name
        world.balancers[balancer.host] = Balancer(balancer.host, service, balancer.denies, balancer.logs)
    world.above = {name: Policy() for name in spec.above}
    world.groups = {name: frozenset(cast.member(world, m) for m in members) for name, members in spec.groups.items()}
    world.tags = dict(spec.tags)
    for denied in spec.denied:
        deny(world, cast, denied, since)
    for new_role in spec.roles:
        role = Role(full_role(world, new_role.role))
        change_role(role, new_role)
        world.roles[role.name] = role
    for grant in spec.grants:
        give(world, cast, grant)
    for grant in spec.without:
        take_away(world, cast, grant)
    return world, cast


def _service(world: World, cast: Cast, name: str, spec: ServiceSpec) -> None:
    service = find(world.services, "service", name)
    change_service(service, spec.service)
    for revision in service.revisions:
        change_revision(cast, revision, spec.revision)


def describe_models(world: World, spec: ModelsSpec, since: float) -> None:
    """The manifest and the registry. Raises ValueError for a column that the registry has not."""
    told = models.described()
    for name, fields in spec.manifest.items():
        if fields is None:
            told.pop(name)
        else:
            told[name] = told.get(name, {}) | fields
    production = models.PRODUCTION if spec.production_model is UNSET else spec.production_model
    if not spec.no_manifest:
        text = spec.manifest_text or models.manifest(told, production)
        world.objects[models.MANIFEST] = StoredObject(text.encode(), since)
    table = world.tables[models.REGISTRY] = models.registry(models.described(), since)
    rows = list(table.rows)
    for name, columns in spec.registry.items():
        if unknown := set(columns or ()) - set(table.columns):
            raise ValueError(f"{table.name} has no column {min(unknown)}")
        row = next((r for r in rows if r["model_id"] == name), None)
        if columns is None:
            rows = [r for r in rows if r["model_id"] != name]
        elif row is None:
            rows.append(dict.fromkeys(table.columns) | {"model_id": name} | columns)
        else:
            row |= columns
    table.rows = [*rows, *(dict(r) for r in rows if r["model_id"] in spec.twice)]


def change_table(world: World, name: str, spec: TableSpec) -> None:
    """Raises UnknownName, and ValueError for a column that it has not."""
    table = find(world.tables, "table", name)
    if spec.missing:
        del world.tables[name]
        return
    if unknown := set(spec.lacks) - set(table.columns):
        raise ValueError(f"{name} has no column {min(unknown)}")
    table.columns = {column: kind for column, kind in table.columns.items() if column not in spec.lacks}


def _leg(world: World, cast: Cast, name: str, spec: LegSpec) -> None:
    subscription = find(world.subscriptions, "subscription", name)
    if spec.missing:
        del world.subscriptions[name]
        return
    change_subscription(world, cast, subscription, spec.subscription)
    if spec.filter is not UNSET:
        compile_filter(spec.filter)
        subscription.filter = spec.filter
