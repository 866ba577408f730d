"""A running lab with something wrong in it, and who mends it: what the commands of a page are typed into."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from diagnostics.cli.frame.inside import CommandLine
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Leg
from diagnostics.lab.applications.orders.worker import order_data
from diagnostics.lab.applications.plan import BatchPlan, BatchState
from diagnostics.lab.applications.predictions.request import request_data
from diagnostics.lab.defaults import SHAPES
from diagnostics.lab.events import TimelineEntry
from diagnostics.lab.lab import Lab
from diagnostics.lab.model import Service
from diagnostics.lab.scenario import Scenario, load
from diagnostics.question.ask import Ask
from diagnostics.readings.reasons import denied
from diagnostics.run.investigate import investigate
from diagnostics.run.look import lab_profile, see
from diagnostics.scoring.expect import LATEST, Asked, wanted
from diagnostics.scoring.follow import Answered
from diagnostics.scoring.score import MANY_READS, diagnose
from diagnostics.scoring.world import World, find, served
from diagnostics.transport.session import LAB, Options, Session
from tests.contract.google_tools import Gcloud
from tests.remedies.rest import Rest, serving

PLAN_HEADER = "x-lab-plan"


@dataclass
class Incident:
    """One scenario that runs on, and the diagnosis that it got."""

    world: World
    asked: Asked
    before: Diagnosis
    leg: Leg
    gcloud: Gcloud
    rest: Rest
    folder: Path
    """Where what the commands write lies."""
    subscription: str = ""
    """Name that has come into the profile for the request subscription; empty: the old one."""
    done: list[str] = field(default_factory=list)
    """What was applied, in a few words each."""

    @property
    def lab(self) -> Lab:
        return self.world.lab

    @property
    def receiver(self) -> str:
        """The service that takes the pushes of this leg."""
        return self.lab.cast.service("worker" if self.leg is Leg.REQUEST else "coordinator")

    @property
    def service(self) -> Service:
        return self.lab.world.services[self.receiver]

    @property
    def batch(self) -> BatchState | None:
        return self.lab.coordinator.batches.get(self.before.batch.id) if self.before.batch else None

    def url(self, service: str) -> str:
        return self.lab.world.urls(self.lab.world.services[service])[0]

    def happen(self, **event: Any) -> None:
        """An event of a timeline, now."""
        self.lab.happen(msgspec.convert({"at": "-0s", **event}, TimelineEntry))

    def run(self, arguments: list[str]) -> Answered:
        """Our own command line, asked of this lab."""
        return CommandLine().run(arguments, {LAB: self.world.running.endpoint, "PUBSUB_DIAG_TIMEOUT": "60"})

    def call(self, host: str, method: str, path: str, body: bytes, plan: BatchPlan | None = None) -> tuple[int, str]:
        """What curl does, with a token of the caller's own."""
        headers = {"Host": host, "Content-Type": "application/json"}
        headers["Authorization"] = f"Bearer {self._token(f'https://{host}')}"
        if plan:
            name = f"again/{len(self.lab.coordinator.attempts)}"
            self.lab.coordinator.plan(name, plan)
            headers[PLAN_HEADER] = name
        return self._web(method, path, headers, body)

    def _token(self, audience: str) -> str:
        _, told = self._web("GET", f"/lab/token?audience={quote(audience, safe='')}", {}, b"")
        return str(json.loads(told)["token"])

    def _web(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.world.running.endpoint, timeout=60)
        try:
            connection.request(method, path, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    # --- what pages leave to the pipeline ------------------------------------------------------------------------------

    def resend(self) -> None:
        """Hand the items of missing.json to the coordinator: it publishes their messages again, for the same batch."""
        batch = self.batch
        assert batch is not None
        items = json.loads((self.folder / "missing.json").read_text())
        for item in items:
            data, attributes = self._message(batch, item)
            account = self.lab.cast.account("coordinator")
            self.lab.publish(self.lab.cast.topic("request"), data, attributes, account)
        self.done.append(f"{len(items)} of missing.json published again")

    def _message(self, batch: BatchState, item: str) -> tuple[bytes, dict[str, str]]:
        payload, chance = self.lab.coordinator.casebook.of(batch.id, item), random.Random(item)
        if self.world.scenario.pipeline.dialect == "orders":
            return order_data(payload, item, batch.date, batch.id, chance)
        now = self.lab.now()
        return request_data(payload, item, batch.date, batch.id, batch.correlation, "OVERNIGHT", now, chance), {}

    def close(self) -> None:
        """Close the batch by the pipeline's own way, where that is not the example's."""
        batch = self.batch
        assert batch is not None
        self.lab.coordinator.clear(batch.id, self.lab.now())
        self.done.append(f"by hand: {batch.id} closed")

    def wait(self, minutes: int) -> None:
        self.lab.advance(60.0 * minutes)
        self.done.append(f"waited {minutes} min")

    def start_again(self, items: int = 40, **more: Any) -> None:
        """Start the batch again, by a call as the scheduler makes it; scoring then asks about the latest."""
        self.happen(start_batch={"name": f"again-{len(self.lab.batches)}", "items": items, **more})
        self.asked = msgspec.structs.replace(self.asked, batch=LATEST)
        self.done.append(f"started again with {items} items")

    def granted(self, member: str) -> None:
        """A right that somebody has got again: what was denied for want of it is not any more."""
        troubles = self.lab._timeline._stage.downstream.troubles
        for service, found in list(troubles.items()):
            account = self.lab.world.services[service].revisions[-1].account
            if member == f"serviceAccount:{account}" and any(denied(t.error) for t in found):
                self.heal(service)

    def heal(self, service: str = "worker") -> None:
        """What a service calls is well again."""
        stage = self.lab._timeline._stage
        stage.downstream.troubles.pop(stage.cast.service(service), None)

    def ask(self) -> Diagnosis:
        """The answer of now; with another name for the subscription where the page says to put one into the profile."""
        if not self.subscription:
            return diagnose(self.world, self.asked)
        session = Session.open(Options(timeout_s=60.0), {LAB: self.world.running.endpoint})
        profile = lab_profile(session.project)
        assert profile is not None
        renamed = msgspec.structs.replace(profile.request, subscription=self.subscription)
        profile = msgspec.structs.replace(profile, request=renamed)
        batch = "" if self.asked.batch == LATEST else self.lab.batches[self.asked.batch].id
        return investigate(see(session, profile, "batch", Ask(batch=batch)))


@contextlib.contextmanager
def opened(scenario: str, leg: Leg, gcloud: Gcloud, seed: int = 1, goes_on: bool = False) -> Iterator[Incident]:
    """The scenario, simulated to its now, diagnosed, and ready to be mended. `goes_on`: what fails downstream does until it is healed."""
    path = find(scenario)
    loaded = _without_end(load(path, seed)) if goes_on else load(path, seed)
    with (
        served(loaded, seed, log_reads_per_minute=MANY_READS) as world,
        serving(world.lab) as rest,
        tempfile.TemporaryDirectory() as folder,
    ):
        asked = wanted(loaded, path).ask
        yield Incident(world, asked, diagnose(world, asked), leg, gcloud, rest, Path(folder))


def _without_end(scenario: Scenario) -> Scenario:
    replace = msgspec.structs.replace
    timeline = [
        replace(entry, downstream=replace(entry.downstream, lasts="30d")) if entry.downstream else entry
        for entry in scenario.timeline
    ]
    return replace(scenario, timeline=tuple(timeline))


def shape_of(incident: Incident) -> Any:
    return SHAPES[incident.world.scenario.pipeline.dialect]


def names(incident: Incident) -> dict[str, str]:
    """What `runbook show` is given to fill in: the profile, and of this incident what no profile knows."""
    shape, lab = shape_of(incident), incident.lab
    batch = incident.before.batch
    started = batch.started if batch and batch.started else incident.before.window.since
    profile = lab_profile(lab.world.project)
    assert profile is not None
    return {
        "profile": profile.name,
        "number": lab.world.number,
        "dead_letter_topic": (shape.request if incident.leg is Leg.REQUEST else shape.completion).dead_letter_topic,
        "batch": batch.id if batch else "",
        "since": f"{started.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


Value = str | Callable[[Incident], str]


def yours(incident: Incident, told: Mapping[str, Value]) -> dict[str, str]:
    """What the reader puts in for CAPITALS: what a page says of each, and what the row says."""
    shape = shape_of(incident)
    leg = shape.request if incident.leg is Leg.REQUEST else shape.completion
    known: dict[str, Value] = {
        "BATCH": incident.before.batch.id if incident.before.batch else "",
    }
    if incident.receiver in incident.lab.world.services:
        url = incident.url(incident.receiver)
        known |= {"ENDPOINT": url + leg.path, "AUDIENCE": url, "REVISION": incident.service.revisions[-2].name}
    open_batch = next((b for b in incident.lab.coordinator.batches.values() if not b.closed), None)
    today = f"{datetime.fromtimestamp(incident.lab.now(), UTC):%Y-%m-%d}"
    known |= {"DATE": open_batch.date, "BLOCKER": open_batch.id} if open_batch else {"DATE": today}
    return {name: value(incident) if callable(value) else value for name, value in {**known, **told}.items()}
