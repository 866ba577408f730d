"""The lab: one small strict Google Cloud project, simulated from a scenario's first event to its now.

The order inside: the world is set, Pub/Sub, Cloud Run and the programs begin to move it, the timeline happens to it, and the clock
runs to now. From then on the lab stands still until it is advanced.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import simpy

from diagnostics.lab.applications.base import Setting
from diagnostics.lab.applications.downstream import Downstream
from diagnostics.lab.applications.pair import Books, build
from diagnostics.lab.audit import Audit, Target
from diagnostics.lab.broker import Broker
from diagnostics.lab.cast import UnknownName
from diagnostics.lab.changes import Changes
from diagnostics.lab.clock import Clock
from diagnostics.lab.cloud_run.service import CloudRun
from diagnostics.lab.events import TimelineEntry
from diagnostics.lab.http import Answer, Request, Response, Token
from diagnostics.lab.knative import service_json
from diagnostics.lab.recorder import Recorder
from diagnostics.lab.scenario import Scenario, ScenarioError
from diagnostics.lab.scene import set_scene
from diagnostics.lab.timeline import BatchRecord, Stage, Timeline, schedule_of
from diagnostics.lab.unverified import Unverified

WARM_UP_S = 1800.0
"""Simulated before the first event: minimum instances are up, gauges have values."""
SHORTEST_S = 6 * 3600.0
"""Simulated at least, so that a quiet pipeline has a past to look at."""
FIRST_NOW = datetime(2026, 1, 12, tzinfo=UTC).timestamp()
LAST_NOW = datetime(2026, 10, 30, tzinfo=UTC).timestamp()


class Lab:
    """The facade that servers and scoring use. Everything follows from (scenario, seed).

    Threads: `advance`, `http`, `publish` and `now` take `lock`; whoever reads `world` or the recorder while others advance the lab
    holds it too. Raises ScenarioError if the scenario names what is not there.
    """

    def __init__(self, scenario: Scenario, seed: int, recorder: Recorder, judged: bool = True) -> None:
        """`judged`: somebody will ask what became of each message, of which all is kept for that."""
        self.scenario = scenario
        self.seed = seed
        self.recorder = recorder
        self.lock = threading.RLock()
        rng = random.Random(f"lab/{seed}")
        self.unverified = _unverified(scenario, random.Random(f"unverified/{seed}"))
        now = _now(scenario, rng)
        happenings = schedule_of(scenario, now, rng)
        since = min([now - SHORTEST_S, *(at - WARM_UP_S for at, _, _ in happenings)])
        try:
            self.world, self.cast = set_scene(scenario.pipeline, rng, since)
        except (UnknownName, ValueError) as error:
            raise ScenarioError(f"{scenario.name}: pipeline: {error.args[0]}") from error
        env = simpy.Environment(initial_time=since)
        self.clock = Clock(env)
        self.audit = Audit(env, self.world, recorder, rng, self.unverified)
        self.broker = Broker(
            env,
            self.world,
            self.unverified,
            recorder,
            random.Random(f"broker/{seed}"),
            self._route,
            self.audit.expired,
            self.audit.snapshot_expired,
            judged,
        )
        downstream = Downstream()
        setting = Setting(
            env,
            self.world,
            self.unverified,
            random.Random(f"programs/{seed}"),
            self.broker.publish,
            downstream,
        )
        pair = build(scenario.pipeline.dialect, setting, self.cast.coordinator, self.cast.worker)
        self.coordinator: Books = pair.coordinator
        """Whoever starts batches, and what became of them."""
        self.world.documents = pair.coordinator.documents
        programs = pair.programs(self.cast.coordinator, self.cast.worker)
        self.cloud_run = CloudRun(
            env, self.world, self.unverified, recorder, random.Random(f"cloud run/{seed}"), programs
        )
        stage = Stage(env, self.world, self.cast, self.broker, self.cloud_run, pair, downstream, recorder, rng)
        changes = Changes(env, self.world, self.cast, self.broker, self.cloud_run, self.audit, rng, self.unverified)
        self._timeline = Timeline(scenario, stage, changes)
        self._log_earlier_deploys()
        self.cloud_run.start()
        self._timeline.schedule(happenings)
        self.clock.run_until(now)

    @property
    def batches(self) -> dict[str, BatchRecord]:
        """Calls to the start path by the name that the scenario gave them, in order of time; after each that a task queue made its further
        calls, NAME.2, NAME.3, …"""
        attempts = self.coordinator.attempts
        calls = [call for record in self._timeline.records.values() for call in (record, *record.again)]
        return {call.name: replace(call, id=call.batch(attempts)) for call in calls}

    def now(self) -> float:
        """Simulated now, seconds since the epoch."""
        with self.lock:
            return self.clock.now()

    def advance(self, seconds: float) -> float:
        """Run the simulation on; returns the new now."""
        with self.lock:
            return self.clock.advance(seconds)

    def happen(self, entry: TimelineEntry) -> None:
        """Let an event happen now, as the timeline would: what somebody does about it while the lab runs. Raises ScenarioError."""
        with self.lock:
            self.clock.now()
            self._timeline.happen(entry)

    def http(
        self,
        host: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        token: Token | None = None,
        remote_ip: str = "203.0.113.7",
    ) -> Response:
        """A live call to a service URL, as a caller on the internet would make it; `path` with query.

        `token` holds the claims of the verified bearer token; without it they are read unverified from the Authorization header.
        The simulation runs on until the answer is there: a cold start takes simulated seconds, no wall time.
        """
        with self.lock:
            self.clock.now()
            return self.cloud_run.http(host, method, path, headers, body, token, remote_ip)

    def publish(
        self, topic: str, data: bytes, attributes: dict[str, str], account: str | None, ordering_key: str = ""
    ) -> str:
        """Publish as a client would; returns the message id. Raises PublishError. `account` None: permission has been checked."""
        with self.lock:
            self.clock.now()
            return self.broker.publish(topic, data, attributes, account, ordering_key)

    def _route(self, request: Request, answer: Answer) -> None:
        """Pushes go to Cloud Run; a host that is nobody's does not resolve."""
        if request.host.endswith(".run.app") or request.host in self.world.balancers:
            self.cloud_run.submit(request, answer)
        else:
            answer(Response(0, error=f"no address for {request.host}"))

    def _log_earlier_deploys(self) -> None:
        """The revisions that exist from the beginning were deployed once, too."""
        for service in self.world.services.values():
            for revision in service.revisions:
                request = {"service": service_json(self.world, service, revision)}
                target = Target("service", service.name)
                by = self.cast.account("ci")
                self.audit.activity(target, "ReplaceService", by, request, at=revision.created)
            if self.unverified.policy_changes == "whole":
                self.audit.policy_set(Target("service", service.name), self.cast.account("ci"), at=service.created + 60)


def _now(scenario: Scenario, rng: random.Random) -> float:
    drawn = float(int(rng.uniform(FIRST_NOW, LAST_NOW)))
    return datetime.fromisoformat(scenario.now).timestamp() if scenario.now else drawn


def _unverified(scenario: Scenario, rng: random.Random) -> Unverified:
    """Drawn from the seed, then pinned where the scenario's story is about one."""
    drawn = Unverified.draw(rng)
    try:
        pinned = msgspec.convert({**msgspec.to_builtins(drawn), **scenario.draw}, Unverified)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{scenario.name}: draw: {error}") from error
    if unknown := set(scenario.draw) - set(msgspec.to_builtins(drawn)):
        raise ScenarioError(f'{scenario.name}: draw: no such fact "{min(unknown)}"')
    return pinned
