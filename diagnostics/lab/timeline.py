"""Makes a scenario's events happen, each at its moment. What is then seen follows from the world, not from here."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import simpy

from diagnostics.lab import events
from diagnostics.lab.applications.downstream import Downstream, Trouble
from diagnostics.lab.applications.pair import Pair
from diagnostics.lab.applications.plan import Attempt, BatchPlan, Scripted
from diagnostics.lab.applications.script import Script
from diagnostics.lab.broker import Broker
from diagnostics.lab.cast import Cast, UnknownName, find
from diagnostics.lab.changes import Changes
from diagnostics.lab.cloud_run.service import CloudRun
from diagnostics.lab.durations import moment, seconds
from diagnostics.lab.http import Answer, PublishError, Request, Response, Token
from diagnostics.lab.model import World
from diagnostics.lab.recorder import Recorder
from diagnostics.lab.scenario import Scenario, ScenarioError
from diagnostics.lab.task_queue import USER_AGENT, Dispatch, Retries, Task

PIPELINE_EVENTS = ("start_batch", "publish_messages", "call", "clear_batch", "delete_batch", "downstream", "quota")
"""Events of the pipeline at work, made to happen here; the others are changes of configuration."""
QUOTA_EXCEEDED = "serviceruntime.googleapis.com/quota/exceeded"
USER_AGENTS = {
    "scheduler": "Google-Cloud-Scheduler",
    "person": "curl/8.5.0",
    "monitor": "python-requests/2.32.3",
    "queue": USER_AGENT,
}
REMOTE_IPS = {
    "scheduler": "107.178.194.20",
    "person": "203.0.113.40",
    "monitor": "203.0.113.41",
    "queue": "107.178.194.37",
}


@dataclass
class BatchRecord:
    """One call to the start path."""

    name: str
    started_at: float
    plan_id: str
    status: int = 0
    """HTTP status that the caller got; 0 while there is no answer, and of a script, which nobody calls."""
    id: str = ""
    """Empty: the call got no batch, or has not got that far."""
    again: list[BatchRecord] = field(default_factory=list)
    """Further calls of the task queue that made it."""

    def batch(self, attempts: Mapping[str, Attempt]) -> str:
        """Id of the batch that it got, or else the first of its further calls; empty: none did."""
        plans = (self.plan_id, *(call.plan_id for call in self.again))
        return next((a.batch_id for p in plans if (a := attempts.get(p)) and a.batch_id), "")


@dataclass(frozen=True)
class Stage:
    """Everything that events act on."""

    env: simpy.Environment
    world: World
    cast: Cast
    broker: Broker
    cloud_run: CloudRun
    pair: Pair
    downstream: Downstream
    recorder: Recorder
    rng: random.Random


def schedule_of(scenario: Scenario, now: float, rng: random.Random) -> list[tuple[float, int, events.Event]]:
    """(moment, index of the entry, event), in order of time. Raises ScenarioError for what would happen after now."""
    happenings: list[tuple[float, int, events.Event]] = []
    for index, entry in enumerate(scenario.timeline):
        (event,) = entry.events.values()
        first = moment(entry.at, now)
        last = moment(entry.until, now) if entry.until else first
        step = seconds(entry.every) if entry.every else 0.0
        jitter = seconds(entry.jitter)
        for i in range(1 + (int((last - first) / step) if step else 0)):
            at = first + i * step + rng.uniform(-jitter, jitter)
            if at > now:
                raise ScenarioError(f"{scenario.name}: timeline[{index}] happens after now")
            happenings.append((at, index, event))
    return sorted(happenings, key=lambda h: (h[0], h[1]))


def _scripted(told: events.ItemOutcome) -> Scripted:
    done = told.status < 300
    return Scripted(
        told.status,
        told.reason,
        told.first,
        done if told.publishes is None else told.publishes,
        told.results,
        told.says,
        seconds(told.first_takes) if told.first_takes else None,
    )


def _of_a_call(event: events.StartBatch) -> str:
    """What it says that only a call of a service can have; empty: nothing."""
    plain = events.StartBatch(items=event.items)
    names = ("mode", "refusal", "loading", "caller", "no_token", "body", "queue")
    return next((name for name in names if getattr(event, name) != getattr(plain, name)), "")


class Timeline:
    """Puts the events of a scenario into the simulation."""

    def __init__(self, scenario: Scenario, stage: Stage, changes: Changes) -> None:
        self.records: dict[str, BatchRecord] = {}
        self._scenario = scenario
        self._stage = stage
        self._changes = changes

    def schedule(self, happenings: list[tuple[float, int, events.Event]]) -> None:
        """All of them must lie in the simulation's future."""
        for at, index, event in happenings:
            timer = self._stage.env.timeout(at - self._stage.env.now)
            timer.callbacks.append(self._at_its_time(index, event))

    def happen(self, entry: events.TimelineEntry) -> None:
        """Let the events of an entry happen at once, whatever moment it names. Raises ScenarioError."""
        for name, event in entry.events.items():
            self._run(name, event, "now")

    def _at_its_time(self, index: int, event: events.Event) -> Callable[[object], None]:
        (name,) = self._scenario.timeline[index].events
        return lambda _: self._run(name, event, f"timeline[{index}]")

    def _run(self, name: str, event: events.Event, where: str) -> None:
        here = name in PIPELINE_EVENTS
        happen: Callable[[Any], None] = getattr(self, f"_{name}") if here else getattr(self._changes, name)
        try:
            happen(event)
        except (UnknownName, ValueError) as error:
            says = str(error.args[0]) if error.args else str(error)
            raise ScenarioError(f"{self._scenario.name}: {where}.{name}: {says}") from error

    # --- the pipeline at work -----------------------------------------------------------------------------------------

    def _start_batch(self, event: events.StartBatch) -> None:
        stage, cast = self._stage, self._stage.cast
        now = float(stage.env.now)
        name = event.name or f"batch-{len(self.records) + 1}"
        plan_id = f"{name}/{len(self.records) + 1}"
        gated = {"existing": event.gated.existing, "low_quality": event.gated.low_quality}
        plan = BatchPlan(
            items=event.items,
            gated={reason: n for reason, n in gated.items() if n},
            payloads=dict(event.payloads),
            scripted=tuple((one.items, _scripted(one)) for one in event.outcomes),
            refusal=event.refusal,
            same_items=event.same_items,
            unsent=event.unsent,
            loading_s=seconds(event.loading) if event.loading else None,
        )
        stage.pair.coordinator.plan(plan_id, plan)
        record = self.records[name] = BatchRecord(name, now, plan_id)
        date = event.date or datetime.fromtimestamp(now, UTC).date().isoformat()
        if isinstance(stage.pair.coordinator, Script):
            if wrong := _of_a_call(event):
                raise ValueError(f"{wrong}: nobody calls a script that publishes from outside")
            stage.pair.coordinator.run(plan_id, date, cast.account("publisher"))
            return
        body = {cast.date_field: date, cast.mode_field: event.mode or cast.default_mode, **event.body}
        if event.queue is not None:
            self._start_by_queue(event.queue, record, plan, lambda: self._start_call(body, "queue", event.no_token))
            return
        request = self._start_call(body, event.caller, event.no_token)
        request.headers["x-lab-plan"] = plan_id

        def answered(response: Response) -> None:
            record.status = response.status

        stage.cloud_run.submit(request, answered)

    def _start_call(self, body: dict[str, Any], caller: str, no_token: bool) -> Request:
        return self._request("coordinator", "POST", self._stage.cast.start_path, body, caller, no_token)

    def _start_by_queue(
        self, queue: events.TaskQueue, record: BatchRecord, plan: BatchPlan, start_call: Callable[[], Request]
    ) -> None:
        """Each call of the task finds what there is to do as if it were the first, but for a refusal that is over by then."""
        stage, coordinator = self._stage, self._stage.pair.coordinator

        def call(dispatch: Dispatch, answer: Answer) -> None:
            mine, number = record, dispatch.number
            if number > 1:
                name = f"{record.name}.{number}"
                mine = BatchRecord(name, float(stage.env.now), f"{record.plan_id}.{number}")
                record.again.append(mine)
                over = 0 < queue.refused < number
                coordinator.plan(mine.plan_id, replace(plan, refusal="" if over else plan.refusal))
            request = start_call()
            request.headers |= {**dispatch.headers, "x-lab-plan": mine.plan_id}
            request.patience_s = dispatch.deadline_s

            def answered(response: Response) -> None:
                mine.status = response.status
                answer(response)

            stage.cloud_run.submit(request, answered)

        retries = Retries(
            queue.max_attempts,
            seconds(queue.min_backoff),
            seconds(queue.max_backoff),
            queue.max_doublings,
            seconds(queue.max_retry_duration),
        )
        Task(stage.env, stage.rng, queue.name, retries, seconds(queue.dispatch_deadline), call).begin()

    def _call(self, event: events.Call) -> None:
        request = self._request(event.service, event.method, event.path, event.body, event.caller, event.no_token)
        self._stage.cloud_run.submit(request, lambda _: None)

    def _request(
        self, service: str, method: str, path: str, body: dict[str, Any], caller: str, no_token: bool
    ) -> Request:
        cast, world = self._stage.cast, self._stage.world
        found = world.services.get(cast.service(service))
        url = world.urls(found)[0] if found else f"https://{cast.service(service)}.a.run.app"
        email = cast.account("scheduler" if caller in ("monitor", "queue") else caller)
        return Request(
            host=url.removeprefix("https://"),
            method=method,
            path=path,
            user_agent=USER_AGENTS[caller],
            headers={"content-type": "application/json"} if body else {},
            body=json.dumps(body).encode() if body else b"",
            token=None if no_token else Token(email, url, self._stage.env.now + 3600),
            remote_ip=REMOTE_IPS[caller],
        )

    def _publish_messages(self, event: events.PublishMessages) -> None:
        stage = self._stage
        topic = stage.cast.topic(event.topic)
        date = event.date or datetime.fromtimestamp(stage.env.now, UTC).date().isoformat()
        completions = topic == stage.cast.topics.get("completion")
        craft = stage.pair.worker.craft_completion if completions else stage.pair.worker.craft
        payloads = [payload for payload, count in event.payloads.items() for _ in range(count)]
        stage.rng.shuffle(payloads)
        step = seconds(event.spread) / max(1, len(payloads))

        def publish(payload: str) -> None:
            data, attributes = craft(payload, date=date)
            try:
                stage.broker.publish(topic, data, {**attributes, **event.attributes}, stage.cast.account("person"))
            except PublishError:
                return  # the person at the keyboard sees it; the lab shows it in the topic's metric

        for i, payload in enumerate(payloads):
            stage.env.timeout(i * step).callbacks.append(lambda _, payload=payload: publish(payload))

    def _clear_batch(self, event: events.ClearBatch) -> None:
        self._stage.pair.coordinator.clear(self._batch_of(event.batch), float(self._stage.env.now))

    def _delete_batch(self, event: events.DeleteBatch) -> None:
        del self._stage.pair.coordinator.batches[self._batch_of(event.batch)]

    def _batch_of(self, name: str) -> str:
        """Id of the batch that the start of this name made."""
        batch = find(self.records, "batch", name).batch(self._stage.pair.coordinator.attempts)
        if not batch:
            raise UnknownName(f'start "{name}" got no batch')
        return batch

    def _downstream(self, event: events.Downstream) -> None:
        now = float(self._stage.env.now)
        trouble = Trouble(
            since=now,
            until=now + seconds(event.lasts),
            slowdown=event.slowdown,
            added_s=seconds(event.latency),
            errors=event.errors,
            error=event.error,
        )
        self._stage.downstream.add(self._stage.cast.service(event.service), trouble)

    def _quota(self, event: events.Quota) -> None:
        stage = self._stage
        now, lasts = float(stage.env.now), seconds(event.lasts)
        stage.world.quota_exceeded.setdefault(event.metric, []).append((now, now + lasts))
        resource = {
            "project_id": stage.world.project,
            "service": "pubsub.googleapis.com",
            "location": stage.world.region,
        }
        labels = {"quota_metric": event.metric, "limit_name": "RegionalPublisherThroughputPerMinutePerProjectPerRegion"}
        stage.recorder.level(QUOTA_EXCEEDED, resource, labels, now, 1)
        stage.recorder.level(QUOTA_EXCEEDED, resource, labels, now + lasts, None)
