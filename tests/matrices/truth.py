"""Where each item of a batch really is, and what its pushes met: told from the running lab, never from a diagnosis."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from diagnostics.lab import rights
from diagnostics.lab.applications.plan import Attempt
from diagnostics.lab.applications.predictions.coordinator import PredictionCoordinator
from diagnostics.lab.audit import ACTIVITY, SYSTEM_EVENT
from diagnostics.lab.cloud_run import front_end
from diagnostics.lab.fates import APPLICATION, CLOUD_RUN, FRONT_END, Fate, Met, Published
from diagnostics.lab.http import Token
from diagnostics.lab.lab import Lab
from diagnostics.lab.model import Revision, Service, Subscription, Topic, World
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.lab.timeline import BatchRecord

VERSION = 9
"""Of what is told here: plays are kept with it."""
LEGS = ("request", "completion")
START = "start"
"""In place of a leg: the start call, which the coordinator takes as it takes completions."""
RECENT_S = 900.0
"""A message that fails comes again within ten minutes, the longest back-off, and a pause of a minute."""
ACKS = ("102", "200", "201", "202", "204")
FINE = ("good", "slow", "flaky", "permanent_skip", "silent", "lost_id")
"""Payload classes whose messages a worker never turns away for what they are."""
DEAD_LETTER = "CloudPubSubDeadLetterSourceSubscription"
"""Attribute of a message that was forwarded to a dead-letter topic."""
DELETED = "_deleted-topic_"


class Place(StrEnum):
    """Where an item is. The leg says of which of its two messages that is said."""

    NOT_STARTED = "not started"
    """The start call made no batch."""
    GATED = "gated"
    UNTRIED = "untried"
    """The coordinator never came to publish it."""
    UNPUBLISHED = "unpublished"
    """Pub/Sub refused it."""
    ELSEWHERE = "elsewhere"
    """It was published to another topic."""
    UNROUTED = "unrouted"
    """No subscription took it."""
    FILTERED = "filtered"
    WAITING = "waiting"
    DEAD_LETTERED = "dead-lettered"
    DROPPED = "dropped"
    SILENT = "silent"
    """Acknowledged, and nothing came of it."""
    RECORDED = "recorded"


ENDS = {
    "": Place.WAITING,
    "filtered": Place.FILTERED,
    "dead-lettered": Place.DEAD_LETTERED,
    "dropped": Place.DROPPED,
    "purged": Place.DROPPED,
    "acked": Place.SILENT,
}


class Answered(Struct, frozen=True):
    """A kind of answer to pushes."""

    leg: str
    by: str
    what: str
    bad: bool = False
    """Whether the message itself is to blame: the lab made it so that no worker can do it."""

    def __str__(self) -> str:
        return f"{self.by} {self.what}"


class Item(Struct, frozen=True, kw_only=True):
    """One item of the batch."""

    name: str
    place: Place
    leg: str = "request"
    last: Answered | None = None
    """What its latest push there met; None: it has not been pushed."""
    met: tuple[Answered, ...] = ()
    """All that its pushes met, on both legs, acknowledgements apart."""
    late: tuple[Answered, ...] = ()
    """The same of answers that came after Pub/Sub had hung up: what became of work whose push ran into the deadline."""
    refused: str = ""
    """Code with which Pub/Sub refused to take its completion, or if it never took the item, the item."""
    refusals: tuple[str, ...] = ()
    """All the codes with which it refused its completions, for one may be refused for one reason, and later for another."""

    @property
    def at(self) -> str:
        return f"{self.leg} {self.place}"


class Truth(Struct, frozen=True, kw_only=True):
    """What really became of one start call."""

    status: int
    """HTTP status of the start call; 0: it has none yet."""
    created: bool
    closed: bool
    expected: int
    """How many the batch waits for."""
    items: tuple[Item, ...]
    failing: tuple[Answered, ...]
    """What pushes of whatever message met lately, acknowledgements apart."""
    ever: tuple[Answered, ...]
    """The same since the lab began."""
    standing: frozenset[str]
    """Causes that the configuration itself holds, met or not, as code@leg."""
    unreported: tuple[Answered, ...] = ()
    """What pushes of whatever message met lately whose completion could not be published."""

    def brief(self) -> str:
        """Items by place, the most first."""
        counts: dict[str, int] = {}
        for item in self.items:
            counts[item.at] = counts.get(item.at, 0) + 1
        return ", ".join(f"{n} {at}" for at, n in sorted(counts.items(), key=lambda pair: -pair[1])) or "no items"


def truth_of(lab: Lab, name: str) -> Truth:
    """The truth about the start call of this name in the timeline."""
    record = lab.batches[name]
    attempt = lab.coordinator.attempts[record.plan_id]
    state = lab.coordinator.batches.get(record.id)
    sent = _Sent(lab)
    return Truth(
        status=record.status,
        created=bool(record.id),
        closed=state is not None and state.closed,
        expected=state.expected if state else 0,
        items=tuple(_items(lab, record, attempt, sent)),
        failing=sent.answers(lab.now() - RECENT_S),
        ever=sent.answers(0.0),
        standing=frozenset(_standing(lab)),
        unreported=sent.unreported(lab.now() - RECENT_S),
    )


# --- items ----------------------------------------------------------------------------------------------------------------


def _items(lab: Lab, record: BatchRecord, attempt: Attempt, sent: _Sent) -> Iterable[Item]:
    total = attempt.plan.items
    if not record.id:
        by = APPLICATION if attempt.received else FRONT_END if record.status < 500 else CLOUD_RUN
        yield from (
            Item(name="", place=Place.NOT_STARTED, last=Answered(START, by, str(record.status))) for _ in range(total)
        )
        return
    if attempt.selected is None:
        yield from (Item(name="", place=Place.UNTRIED) for _ in range(total))
        return
    yield from (Item(name="", place=Place.GATED) for _ in range(total - len(attempt.selected)))
    state = lab.coordinator.batches.get(record.id)
    done = state.completed if state else {}
    for item in attempt.selected:
        yield sent.item(record.id, item, item in done)


class _Sent:
    """Messages by the item that they are about."""

    def __init__(self, lab: Lab) -> None:
        self._requests: dict[tuple[str, str], list[Published]] = {}
        self._completions: dict[tuple[str, str], list[Published]] = {}
        for published in lab.broker.fates.published:
            if DEAD_LETTER not in published.attributes:
                batch, item, completion = about(published.data, published.attributes)
                index = self._completions if completion else self._requests
                index.setdefault((batch, item), []).append(published)
        self._bad = {about_it for about_it, payload in lab.coordinator.casebook.classes.items() if payload not in FINE}
        self._topics = {leg: lab.cast.topics[leg] for leg in LEGS}
        self._fates = {leg: {f.message.id: f for f in _fates(lab, leg)} for leg in LEGS}

    def item(self, batch: str, name: str, recorded: bool) -> Item:
        requests = self._requests.get((batch, name), [])
        completions = self._completions.get((batch, name), []) or self._nameless(name, requests)
        met, late = (
            tuple(dict.fromkeys((*of(requests, "request"), *of(completions, "completion"))))
            for of in (self._met, self._late)
        )
        refused = next((p.refused for p in completions or _untaken(requests) if p.refused), "")
        leg, place, last = ("completion", Place.RECORDED, None) if recorded else self._where(requests, completions)
        return Item(
            name=name,
            place=place,
            leg=leg,
            last=last,
            met=met,
            late=late,
            refused=refused,
            refusals=tuple(dict.fromkeys(p.refused for p in completions if p.refused)),
        )

    def _nameless(self, name: str, requests: list[Published]) -> list[Published]:
        """Completions that lost the name of their batch: this item's, if they came after its request."""
        asked = min((p.at for p in requests), default=float("inf"))
        return [p for p in self._completions.get(("", name), []) if p.at >= asked]

    def _where(self, requests: list[Published], completions: list[Published]) -> tuple[str, Place, Answered | None]:
        asked = self._on("request", requests)
        if asked[0] in (Place.WAITING, Place.DEAD_LETTERED) and not any(p.id for p in completions):
            return "request", *asked
        if completions:
            return "completion", *self._on("completion", completions)
        return "request", *asked

    def _on(self, leg: str, sent: list[Published]) -> tuple[Place, Answered | None]:
        """Where the messages of one leg are; of several, the one that may yet get further."""
        if not sent:
            return Place.UNTRIED, None
        taken = [p for p in sent if p.id]
        if not taken:
            return Place.UNPUBLISHED, None
        here = [p for p in taken if p.topic == self._topics[leg]]
        if not here:
            return Place.ELSEWHERE, None
        fates = [fate for p in here if (fate := self._fates[leg].get(p.id)) is not None]
        if not fates:
            return Place.UNROUTED, None
        order = list(ENDS)
        best = min(fates, key=lambda fate: order.index(fate.end))
        return ENDS[best.end], self._answer(leg, best, best.last)

    def _met(self, sent: list[Published], leg: str) -> Iterable[Answered]:
        for published in sent:
            fate = self._fates[leg].get(published.id)
            if fate is not None:
                yield from (answer for m in fate.met.values() if (answer := self._answer(leg, fate, m)))

    def _late(self, sent: list[Published], leg: str) -> Iterable[Answered]:
        for published in sent:
            fate = self._fates[leg].get(published.id)
            if fate is not None:
                yield from (answer for m in fate.late.values() if (answer := self._answer(leg, fate, m)))

    def unreported(self, since: float) -> tuple[Answered, ...]:
        """What pushes of work met since then whose completion Pub/Sub refused since then."""
        refused = {key for key, sent in self._completions.items() if any(p.refused and p.at >= since for p in sent)}
        met = (
            answer
            for fate in self._fates["request"].values()
            if about(fate.message.data, fate.message.attributes)[:2] in refused
            for m in fate.met.values()
            if m.last >= since and (answer := self._answer("request", fate, m))
        )
        return tuple(dict.fromkeys(met))

    def answers(self, since: float) -> tuple[Answered, ...]:
        """What pushes of whatever message met since then, acknowledgements apart."""
        met = (
            answer
            for leg, fates in self._fates.items()
            for fate in fates.values()
            for m in fate.met.values()
            if m.last >= since and (answer := self._answer(leg, fate, m))
        )
        return tuple(dict.fromkeys(met))

    def _answer(self, leg: str, fate: Fate, met: Met | None) -> Answered | None:
        if met is None or met.what in ACKS:
            return None
        batch, item, _ = about(fate.message.data, fate.message.attributes)
        return Answered(leg, met.by, met.what, (batch, item) in self._bad)


_BATCH = ("batch_id", "batch", "dropId", "cycleId")
_ITEM = ("player_lookup", "player", "order", "orderId", "imageKey", "accountNo")


def about(data: bytes, attributes: Mapping[str, str]) -> tuple[str, str, bool]:
    """Batch, item, and whether it is a completion: what the lab's programs write into a message."""
    try:
        said: Any = json.loads(data)
    except ValueError:
        said = None
    if isinstance(said, dict):
        batch = next((said[k] for k in _BATCH if said.get(k)), "")
        item = next((said[k] for k in _ITEM if k in said), "")
        return str(batch), str(item), "predictions_generated" in said or "lines" in said
    if "order" in attributes:
        return attributes.get("batch", ""), attributes["order"], False
    item, _, rest = data.decode("utf-8", "replace").partition(",")
    return rest.partition(",")[2], item, False


# --- pushes ---------------------------------------------------------------------------------------------------------------


def _fates(lab: Lab, leg: str) -> list[Fate]:
    return lab.broker.fates.in_subscription(lab.cast.subscriptions[leg])


def _untaken(requests: list[Published]) -> list[Published]:
    return [] if any(p.id for p in requests) else requests


# --- what the configuration holds -----------------------------------------------------------------------------------------


def _standing(lab: Lab) -> Iterable[str]:
    """Mechanisms that are in force, whether or not an item has met them."""
    world, cast = lab.world, lab.cast
    worker, coordinator = world.services.get(cast.worker), world.services.get(cast.coordinator)
    for leg, receiver in (("request", worker), ("completion", coordinator)):
        subscription = world.subscriptions.get(cast.subscriptions[leg])
        if subscription is None:
            yield f"{_went(lab, cast.subscriptions[leg])}@{leg}"
        else:
            yield from (f"{code}@{leg}" for code in _of_subscription(lab, subscription, receiver, leg))
        if receiver is not None:
            yield from (f"{code}@{leg}" for code in _of_builds(lab, receiver))
    serving = serves(lab, worker) if worker is not None else None
    names = (
        [] if serving is None else [serving.env[k] for k in ("PUBSUB_READY_TOPIC", "RECEIPT_TOPIC") if k in serving.env]
    )
    if serving is not None and cast.topics["completion"] not in names:
        yield "completion-topic-misnamed@completion"
    if cast.topics["completion"] not in world.topics:
        yield "completion-topic-deleted@completion"
    elif serving is not None and not lab.broker._may_publish(
        cast.topics["completion"], front_end._member(serving.account)
    ):
        yield "completion-publisher-role-missing@completion"
    elif _not_from_here(world, world.topics[cast.topics["completion"]]):
        yield "completion-publish-failing@completion"
    if coordinator is not None:
        yield from _of_publishing(lab, coordinator)


def _not_from_here(world: World, topic: Topic) -> bool:
    """Whether the topic refuses what is published in the project's region."""
    return topic.enforce_in_transit and bool(topic.regions) and world.region not in topic.regions


def _went(lab: Lab, name: str) -> str:
    """How a subscription that is not there went, by the newest audit entry that is about its end."""
    ends = {"InternalExpireInactiveSubscription": "subscription-expired", "DeleteSubscription": "subscription-deleted"}
    assert isinstance(lab.recorder, Telemetry)
    entries = [entry for log in (ACTIVITY, SYSTEM_EVENT) for entry in lab.recorder.log_entries(log) if entry.proto]
    mine = (e.proto for e in sorted(entries, key=lambda e: e.timestamp) if e.proto)
    methods = [
        proto["methodName"].rpartition(".")[2]
        for proto in mine
        if proto["resourceName"].endswith(f"/subscriptions/{name}")
    ]
    told = [ends[method] for method in methods if method in ends]
    return told[-1] if told else "no-subscription-on-topic"


def _of_subscription(lab: Lab, held: Subscription, receiver: Service | None, leg: str) -> Iterable[str]:
    world = lab.world
    if held.detached or held.topic == DELETED:
        yield "subscription-not-attached"
    elif held.topic != lab.cast.topics[leg]:
        yield "subscription-of-another-topic"
    if held.filter and any(fate.end == "filtered" for fate in _fates(lab, leg)):
        yield "filter-drops-messages"
    if held.dead_letter_topic and held.dead_letter_topic not in world.topics:
        yield "dead-letter-topic-missing"
    elif held.dead_letter_topic and not lab.broker._counts_attempts(held):
        yield "dead-letter-grants-missing"
    elif held.dead_letter_topic and not any(s.topic == held.dead_letter_topic for s in world.subscriptions.values()):
        yield "dead-letters-unread"
    if not held.push.endpoint:
        yield "left-in-pull-mode"
        return
    if receiver is None:
        yield "service-gone"
        return
    if receiver.manual_instances == 0:
        yield "scaled-to-zero-by-hand"
    twins = (s for s in world.subscriptions.values() if s is not held and s.topic == held.topic)
    if any(s.push.endpoint == held.push.endpoint for s in twins):
        yield "second-push-subscription"
    endpoint = re.sub(r"^https://[^/]*---", "https://", held.push.endpoint)
    fronts = [f"https://{b.host}" for b in world.balancers.values() if b.service == receiver.name]
    if not any(endpoint == url + path for url in (*world.urls(receiver), *fronts) for path in _paths(leg)):
        yield "push-endpoint-wrong"
    if held.push.account:
        yield from _of_account(lab, held.push.account)
    if receiver.ingress == "none":
        yield "ingress-closed"
    if receiver.default_uri_disabled and ".run.app" in held.push.endpoint:
        yield "default-url-off"
    if receiver.iap:
        yield "iap-in-front"
        return
    token = Token(held.push.account, held.push.audience or held.push.endpoint, float("inf"))
    if receiver.invoker_iam_disabled or front_end._invokes(world, receiver, "allUsers", lab.now()):
        return
    if not held.push.account:
        yield "push-token-missing"
        return
    if not front_end._accepted(world, receiver, token):
        yield "push-audience-mismatch"
    member = front_end._member(token.email)
    if not rights.granted(world, member, rights.INVOKE, receiver.policy, lab.now()):
        yield "push-invoker-missing"
    if rights.denied(world, member, rights.INVOKE):
        yield "push-denied-by-policy"


def _of_account(lab: Lab, email: str) -> Iterable[str]:
    account = lab.world.accounts.get(email)
    if account is None or account.disabled:
        yield "push-account-gone"
    elif not lab.broker._may_mint(email):
        yield "push-token-not-minted"


def _paths(leg: str) -> tuple[str, ...]:
    return {"request": ("/predict", "/export"), "completion": ("/complete", "/exported")}[leg]


def _of_builds(lab: Lab, service: Service) -> Iterable[str]:
    serving = serves(lab, service)
    if serving is None:
        return
    before = [r for r in service.revisions if r.created < serving.created]
    if not serving.min_instances and not service.min_instances and before and before[-1].min_instances:
        yield "min-instances-lost-in-deploy"
    if service.revisions[-1].name != serving.name:
        yield "newest-build-not-served"


def serves(lab: Lab, service: Service) -> Revision | None:
    latest = lab.cloud_run.latest_ready(service.name)
    split = service.traffic or [("", 100, "")]
    return service.revision(max(split, key=lambda part: part[1])[0] or latest)


def _published_to(lab: Lab, serving: Revision) -> str:
    """The topic that the coordinator's program publishes requests to."""
    program = lab.coordinator
    return program.topic(serving) if isinstance(program, PredictionCoordinator) else serving.env.get("QUEUE_TOPIC", "")


def _of_publishing(lab: Lab, coordinator: Service) -> Iterable[str]:
    """What keeps the coordinator from publishing to the request topic."""
    serving, name = serves(lab, coordinator), lab.cast.topics["request"]
    topic = lab.world.topics.get(name)
    if topic is None:
        yield "request-topic-missing"
    if serving is None:
        return
    member = front_end._member(serving.account)
    tried = _published_to(lab, serving)
    if tried != name and (tried not in lab.world.topics or not lab.broker._may_publish(tried, member)):
        yield "request-topic-name-wrong"
    if topic is None:
        return
    if not rights.granted(lab.world, member, rights.PUBLISH, topic.policy, lab.now()):
        yield "publisher-role-missing"
    elif rights.denied(lab.world, member, rights.PUBLISH):
        yield "publish-denied-by-policy"
    if _not_from_here(lab.world, topic):
        yield "region-not-allowed"
    if topic.schema_fields:
        yield "schema-refuses-messages"
