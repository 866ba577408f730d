"""Changes of configuration, as a scenario's events name them: each changes the world and leaves the audit entry Google would leave."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

import simpy

from diagnostics.lab import events
from diagnostics.lab.audit import Audit, Target
from diagnostics.lab.broker import Broker
from diagnostics.lab.cast import Cast, UnknownName, find, full_role
from diagnostics.lab.cloud_run.service import CloudRun
from diagnostics.lab.defaults import revision_name
from diagnostics.lab.deploys import Deploys
from diagnostics.lab.durations import seconds
from diagnostics.lab.model import DenyPolicy, Policy, Revision, Service, Subscription, Topic, World
from diagnostics.lab.rights import EVERYBODY, accounts_of, condition, principal_of, tagged
from diagnostics.lab.settings import (
    change_revision,
    change_role,
    change_service,
    change_subscription,
    change_topic,
    new_subscription,
)
from diagnostics.lab.unverified import Unverified


class Changes:
    """One method per event; each happens at the simulated moment of the call."""

    def __init__(
        self,
        env: simpy.Environment,
        world: World,
        cast: Cast,
        broker: Broker,
        cloud_run: CloudRun,
        audit: Audit,
        rng: random.Random,
        unverified: Unverified,
    ) -> None:
        self._env = env
        self._world = world
        self._cast = cast
        self._broker = broker
        self._cloud_run = cloud_run
        self._audit = audit
        self._rng = rng
        self._gone: dict[str, Service] = {}
        self._deploys = Deploys(env, world, audit, unverified, copy.copy(rng))

    # --- Cloud Run ----------------------------------------------------------------------------------------------------

    def deploy(self, event: events.Deploy) -> None:
        service = self._service(event.service)
        last = service.revisions[-1]
        number = int(last.name.rsplit("-", 2)[1]) + 1
        commit = f"{self._rng.randrange(16**7):07x}"
        revision = replace(
            copy.deepcopy(last),
            name=revision_name(service.name, number, self._rng),
            created=float(self._env.now),
            image=f"{last.image.partition('@')[0]}@sha256:{self._rng.randrange(16**64):064x}",
            labels={**last.labels, "commit-sha": commit},
        )
        change_revision(self._cast, revision, event)
        if event.resets_min:
            revision.min_instances = 0
        if event.traffic == "keep":
            service.traffic = [(self._serving(service).name, 100, ""), *_tags(service)]
        traffic = [("", 100, ""), *_tags(service)] if event.traffic == "latest" else None
        self._deploys.log(service, revision, self._cast.account(event.by), event.through, new=True)
        self._cloud_run.deploy(service.name, revision, traffic)

    def traffic(self, event: events.Traffic) -> None:
        service = self._service(event.service)
        to = "" if event.to == "latest" else self._revision(service, event.to).name
        if event.tag:
            service.traffic = [row for row in service.traffic if row[2] != event.tag] + [(to, 0, event.tag)]
        else:
            service.traffic = [(to, 100, ""), *_tags(service)]
        self._updated(service, event.by)

    def set_service(self, event: events.SetService) -> None:
        service = self._service(event.service)
        change_service(service, event)
        self._updated(service, event.by)

    def delete_service(self, event: events.ServiceEvent) -> None:
        service = self._service(event.service)
        service.manual_instances = 0
        self._cloud_run.reconcile(service.name)
        self._gone[service.name] = self._world.services.pop(service.name)
        self._audit.activity(Target("service", service.name), "DeleteService", self._by(event))

    def create_service(self, event: events.ServiceEvent) -> None:
        """Deployed again as it was last. Its grants went with it, and a manual number of instances."""
        service = find(self._gone, "deleted service", self._cast.service(event.service))
        last, now = service.revisions[-1], float(self._env.now)
        revision = replace(copy.deepcopy(last), name=revision_name(service.name, 1, self._rng), created=now)
        again = replace(
            service, revisions=[], traffic=[("", 100, "")], policy=Policy(), manual_instances=None, created=now
        )
        self._world.services[service.name] = again
        self._audit.activity(Target("service", service.name), "CreateService", self._by(event))
        self._cloud_run.deploy(service.name, revision, [("", 100, "")])

    def restart(self, event: events.ServiceEvent) -> None:
        self._cloud_run.restart(self._service(event.service).name)

    def _service(self, name: str) -> Service:
        return find(self._world.services, "service", self._cast.service(name))

    def _revision(self, service: Service, name: str) -> Revision:
        serving = self._serving(service)
        if name == "previous":
            before = service.revisions.index(serving) - 1
            if before < 0:
                raise UnknownName(f"{service.name} has no revision before {serving.name}")
            return service.revisions[before]
        return find({r.name: r for r in service.revisions}, "revision", name)

    def _serving(self, service: Service) -> Revision:
        """The revision with most of the traffic."""
        name = max(service.traffic, key=lambda row: row[1], default=("", 100, ""))[0]
        return service.revision(name or self._cloud_run.latest_ready(service.name)) or service.revisions[-1]

    def _updated(self, service: Service, by: str) -> None:
        service.updated = float(self._env.now)
        self._cloud_run.reconcile(service.name)
        self._deploys.log(service, service.revisions[-1], self._cast.account(by), "gcloud", new=False)

    def set_balancer(self, event: events.SetBalancer) -> None:
        find(self._world.balancers, "load balancer", event.host).denies = event.denies

    # --- Pub/Sub ------------------------------------------------------------------------------------------------------

    def set_subscription(self, event: events.SetSubscription) -> None:
        subscription = self._subscription(event.subscription)
        changed = change_subscription(self._world, self._cast, subscription, event)
        self._broker.changed(subscription.name)
        full = f"projects/{self._world.home('subscription', subscription.name)}/subscriptions/{subscription.name}"
        if list(changed) == ["pushConfig"]:
            request = {"subscription": full, **changed}
            self._log_subscription(subscription.name, "ModifyPushConfig", event, request)
        else:
            request = {"subscription": {"name": full, **changed}, "updateMask": ",".join(changed)}
            self._log_subscription(subscription.name, "UpdateSubscription", event, request)

    def create_subscription(self, event: events.CreateSubscription) -> None:
        subscription = new_subscription(self._world, self._cast, event, float(self._env.now))
        self._broker.attach(subscription.name)
        full = f"projects/{self._world.home('subscription', subscription.name)}/subscriptions/{subscription.name}"
        home = self._world.home("topic", subscription.topic)
        request = {"name": full, "topic": f"projects/{home}/topics/{subscription.topic}"}
        self._log_subscription(subscription.name, "CreateSubscription", event, request)

    def delete_subscription(self, event: events.SubscriptionEvent) -> None:
        name = self._subscription(event.subscription).name
        self._broker.remove(name)
        self._log_subscription(name, "DeleteSubscription", event)

    def expire_subscription(self, event: events.SubscriptionEvent) -> None:
        name = self._subscription(event.subscription).name
        self._broker.remove(name)
        self._audit.expired(name)

    def detach(self, event: events.SubscriptionEvent) -> None:
        subscription = self._subscription(event.subscription)
        subscription.detached = True
        self._broker.changed(subscription.name)
        self._log_subscription(subscription.name, "DetachSubscription", event)

    def seek(self, event: events.Seek) -> None:
        """Data Access log only, which is off by default: no entry."""
        self._broker.seek(self._subscription(event.subscription).name, float(self._env.now) - seconds(event.back))

    def create_topic(self, event: events.NewTopic) -> None:
        topic = self._world.topics[event.name] = Topic(event.name)
        change_topic(self._world, topic, event)
        self._audit.activity(Target("topic", event.name), "CreateTopic", self._by(event))

    def set_topic(self, event: events.SetTopic) -> None:
        topic = self._topic(event.topic)
        changed = change_topic(self._world, topic, event)
        request = {"topic": {"name": topic.name, **changed}, "updateMask": ",".join(changed)}
        self._audit.activity(Target("topic", topic.name), "UpdateTopic", self._by(event), request)

    def delete_topic(self, event: events.TopicEvent) -> None:
        name = self._topic(event.topic).name
        self._broker.remove_topic(name)
        self._audit.activity(Target("topic", name), "DeleteTopic", self._by(event))

    def _topic(self, name: str) -> Topic:
        return find(self._world.topics, "topic", self._cast.topic(name))

    def _subscription(self, name: str) -> Subscription:
        return find(self._world.subscriptions, "subscription", self._cast.subscription(name))

    def _log_subscription(
        self, name: str, method: str, event: events.Change, request: dict[str, Any] | None = None
    ) -> None:
        self._audit.activity(Target("subscription", name), method, self._by(event), request)

    # --- IAM ----------------------------------------------------------------------------------------------------------

    def grant(self, event: events.Grant) -> None:
        member, role = give(self._world, self._cast, event), self._cast.role(self._world, event.role)
        self._log_policy(event, "ADD", role, member)

    def revoke(self, event: events.Grant) -> None:
        member, role = take_away(self._world, self._cast, event), self._cast.role(self._world, event.role)
        self._log_policy(event, "REMOVE", role, member)

    def deny(self, event: events.Denied) -> None:
        deny(self._world, self._cast, event, float(self._env.now))

    def _log_policy(self, event: events.Grant, action: str, role: str, member: str) -> None:
        """What is set on a folder is in the folder's own log, not in the project's."""
        if "/" not in event.on:
            self._audit.policy_change(self._target(event.on), self._by(event), action, role, member)

    def set_role(self, event: events.RoleChanges) -> None:
        role = find(self._world.roles, "role", full_role(self._world, event.role))
        before = set(role.permissions)
        changed = change_role(role, event)
        method = "UpdateRole" if "deleted" not in changed else "DeleteRole" if role.deleted else "UndeleteRole"
        self._audit.role_change(role.name, method, self._by(event), changed, before, set(role.permissions))

    def disable_account(self, event: events.AccountEvent) -> None:
        self._switch_account(event, "DisableServiceAccount", disabled=True)

    def enable_account(self, event: events.AccountEvent) -> None:
        self._switch_account(event, "EnableServiceAccount", disabled=False)

    def _switch_account(self, event: events.AccountEvent, method: str, disabled: bool) -> None:
        account = find(self._world.accounts, "account", self._cast.account(event.account))
        account.disabled = disabled
        self._audit.activity(Target("account", account.email), method, self._by(event))

    def delete_account(self, event: events.AccountEvent) -> None:
        """Bindings keep a member that no new account of the same name becomes."""
        account = find(self._world.accounts, "account", self._cast.account(event.account))
        self._audit.activity(Target("account", account.email), "DeleteServiceAccount", self._by(event))
        del self._world.accounts[account.email]
        member = f"serviceAccount:{account.email}"
        for policy in self._policies():
            for binding in policy.bindings:
                if member in binding.members:
                    binding.members.remove(member)
                    binding.members.add(f"deleted:{member}?uid={account.unique_id}")

    def fail_change(self, event: events.FailChange) -> None:
        refused = (event.code, event.message)
        self._audit.activity(self._target(event.on), event.method, self._by(event), refused=refused)

    def _policies(self) -> list[Policy]:
        world = self._world
        return [
            world.policy,
            *world.above.values(),
            *(topic.policy for topic in world.topics.values()),
            *(subscription.policy for subscription in world.subscriptions.values()),
            *(service.policy for service in world.services.values()),
            *(account.policy for account in world.accounts.values()),
        ]

    def _target(self, on: str) -> Target:
        kind, _, name = on.partition(":")
        real = {"topic": self._cast.topic, "subscription": self._cast.subscription, "service": self._cast.service}
        return Target(kind, real.get(kind, self._cast.account)(name))

    def _by(self, event: events.Change) -> str:
        return self._cast.account(event.by)


def _tags(service: Service) -> list[tuple[str, int, str]]:
    """Rows of the traffic table that only carry a tag: they outlast every move of the traffic."""
    return [(revision, 0, tag) for revision, _, tag in service.traffic if tag]


def give(world: World, cast: Cast, grant: events.Grant) -> str:
    """Add a binding; returns the member. Raises ValueError for a condition that the lab cannot evaluate."""
    if grant.condition:
        condition(grant.condition)
    member = cast.member(world, grant.member)
    cast.policy(world, grant.on).add(cast.role(world, grant.role), member, grant.condition)
    return member


def take_away(world: World, cast: Cast, grant: events.Grant) -> str:
    """Remove a binding; returns the member. Raises UnknownName if the member does not hold the role there."""
    member, role = cast.member(world, grant.member), cast.role(world, grant.role)
    policy = cast.policy(world, grant.on)
    if not any((b.role, b.condition) == (role, grant.condition) and member in b.members for b in policy.bindings):
        raise UnknownName(f"{member} does not hold {role} on {grant.on}")
    policy.remove(role, member, grant.condition)
    return member


def deny(world: World, cast: Cast, denied: events.Denied, now: float) -> None:
    """Attach a deny policy. Raises ValueError for a condition that the lab cannot evaluate, UnknownName for what it hangs on."""
    if denied.condition:
        tagged(denied.condition)
    if denied.on != "project":
        find(world.above, "folder or organisation", denied.on)
    service, _, rest = denied.permission.partition(".")
    world.denied.append(
        DenyPolicy(
            on=f"projects/{world.number}" if denied.on == "project" else denied.on,
            name=denied.name,
            permission=denied.permission if "/" in denied.permission else f"{service}.googleapis.com/{rest}",
            principals=(_principal(world, cast, denied.member),),
            excepted=tuple(_principal(world, cast, name) for name in denied.excepted),
            condition=denied.condition,
            created=now,
        )
    )


def _principal(world: World, cast: Cast, name: str) -> str:
    if name == "everybody":
        return EVERYBODY
    return accounts_of(world.number) if name == "accounts" else principal_of(cast.member(world, name))
