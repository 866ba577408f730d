"""Cloud Run: takes requests for service URLs and answers them in simulated time."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping, Sequence

import simpy

from diagnostics.lab.applications.base import Application, Placeholder
from diagnostics.lab.cloud_run.balancer import Balancers
from diagnostics.lab.cloud_run.fleet import Fleet
from diagnostics.lab.cloud_run.front_end import NOT_FOUND, Sentences, check, locate
from diagnostics.lab.cloud_run.instance import Call
from diagnostics.lab.cloud_run.signals import Signals
from diagnostics.lab.http import Answer, Request, Response, Token
from diagnostics.lab.model import Balancer, Revision, Service, World
from diagnostics.lab.recorder import Recorder
from diagnostics.lab.schedule import after
from diagnostics.lab.unverified import Unverified

UPTIME_AGENT = "GoogleStackdriverMonitoring-UptimeChecks(https://cloud.google.com/monitoring)"
UPTIME_EVERY_S = 300.0
FRONT_END_S = (0.004, 0.02)
"""Seconds that Google's front end needs for a refusal of its own."""

Split = Sequence[tuple[str, int, str]]
"""Traffic: (revision name or "" for the latest ready one, percent, tag)."""


class CloudRun:
    """All services of the world. A service without an application answers its root only."""

    def __init__(
        self,
        env: simpy.Environment,
        world: World,
        unverified: Unverified,
        recorder: Recorder,
        rng: random.Random,
        applications: Mapping[str, Application],
    ) -> None:
        self._env = env
        self._world = world
        self._unverified = unverified
        self._recorder = recorder
        self._rng = rng
        self._balancers = Balancers(world, recorder, rng)
        self._applications = applications
        self._sentences = Sentences.draw(unverified, rng)
        self._fleets: dict[tuple[str, str], Fleet] = {}
        self._signals: dict[tuple[str, str], Signals] = {}
        self._ready: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Bring up minimum instances; begin uptime checks if the seed has them."""
        for service in self._world.services.values():
            self._ready |= {(service.name, r.name) for r in service.revisions if r.boots}
            self.reconcile(service.name)
            if self._unverified.uptime_checks:
                self.check_uptime(service.name)

    def submit(self, request: Request, answer: Answer) -> None:
        """Take a request; `answer` is called once, later, at the simulated moment of the response."""
        now = float(self._env.now)
        balancer = self._world.balancers.get(request.host)
        if balancer is not None and balancer.denies:
            self._refuse(answer, self._balancers.denied(balancer, request, now))
            return
        if balancer is not None:
            answer = self._noted(balancer, request, answer, now)
        address = locate(self._world, request.host)
        if address is None:
            self._refuse(answer, Response(NOT_FOUND.status, NOT_FOUND.body))
            return
        service, tag = address.service, address.tag
        revision = self._route(service, tag)
        refusal = check(self._world, self._sentences, service, request, now) if revision else NOT_FOUND
        if revision is None or refusal is not None:
            refusal = refusal or NOT_FOUND
            if refusal.logged:
                signals = self._signals_of(service, revision.name if revision else "")
                signals.request(request, refusal.status, now, now, signals.trace(), text=refusal.text or None)
            self._refuse(answer, Response(refusal.status, refusal.body))
            return
        fleet = self._fleet(service, revision)
        fleet.submit(Call(request, answer, now, self._signals_of(service, revision.name).trace()))

    def _noted(self, balancer: Balancer, request: Request, answer: Answer, began: float) -> Answer:
        """The answer on its way through the balancer, which logs it."""

        def passed(response: Response) -> None:
            self._balancers.passed_on(balancer, request, response, began, float(self._env.now))
            answer(response)

        return passed

    def call(self, request: Request) -> Response:
        """Submit, and run the simulation on until the answer is there. For live calls only."""
        answers: list[Response] = []
        self.submit(request, answers.append)
        while not answers:
            self._env.step()
        return answers[0]

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
        """A live call as an HTTP server received it. Without `token`, the claims of a bearer token are read unverified."""
        lower = {name.lower(): value for name, value in headers.items()}
        if token is None and lower.get("authorization", "").lower().startswith("bearer "):
            token = _claims(lower["authorization"][7:])
        agent = lower.get("user-agent", "")
        return self.call(Request(host, method, path, agent, dict(headers), body, token, remote_ip=remote_ip))

    def deploy(self, service: str, revision: Revision, traffic: Split | None = None) -> None:
        """Add a revision (appended to the service here) and start it; traffic moves when it is ready, if it gets ready.

        traffic None: leave the split as it is, which moves with the revision where it names the latest.
        """
        owner = self._world.services[service]
        owner.revisions.append(revision)
        owner.updated = float(self._env.now)

        def ready(became: bool) -> None:
            if became:
                self._ready.add((service, revision.name))
                if traffic is not None:
                    owner.traffic = list(traffic)
            self.reconcile(service)

        self._fleet(owner, revision).roll_out(ready)

    def reconcile(self, service: str) -> None:
        """Act on changed scaling or traffic settings: to be called after they were changed in the world."""
        if owner := self._world.services.get(service):
            for revision in owner.revisions:
                if self._bounds(owner, revision)[0]:
                    self._fleet(owner, revision)
        for (name, _), fleet in list(self._fleets.items()):
            if name == service:
                fleet.keep_minimum()

    def restart(self, service: str) -> None:
        """End all instances of a service, as a crash of the host would."""
        for (name, _), fleet in self._fleets.items():
            if name == service:
                fleet.restart()

    def latest_ready(self, service: str) -> str:
        """Name of the newest revision that became ready; "" if none."""
        for revision in reversed(self._world.services[service].revisions):
            if (service, revision.name) in self._ready:
                return revision.name
        return ""

    def check_uptime(self, service: str, path: str = "/health/deep") -> None:
        """Begin uptime checks without a token, every five minutes."""

        def check_now() -> None:
            if owner := self._world.services.get(service):
                host = self._world.urls(owner)[0].removeprefix("https://")
                self.submit(
                    Request(host, "GET", path, UPTIME_AGENT, remote_ip="35.187.242.246"), lambda _response: None
                )
                after(self._env, UPTIME_EVERY_S, check_now)

        after(self._env, UPTIME_EVERY_S * self._rng.random(), check_now)

    def _refuse(self, answer: Answer, response: Response) -> None:
        response.latency_s = self._rng.uniform(*FRONT_END_S)
        after(self._env, response.latency_s, lambda: answer(response))

    def _route(self, service: Service, tag: str) -> Revision | None:
        """The revision that gets this request: by tag, else by share of traffic."""
        split = [(name, percent) for name, percent, label in service.traffic if (label == tag if tag else percent)]
        if tag and not split:
            return None
        if len(split) > 1:
            name = self._rng.choices([name for name, _ in split], [max(percent, 1) for _, percent in split])[0]
        else:
            name = split[0][0] if split else ""
        return service.revision(name or self._latest(service))

    def _latest(self, service: Service) -> str:
        """Where traffic for "latest" goes: while nothing ever became ready, to the newest all the same."""
        return self.latest_ready(service.name) or (service.revisions[-1].name if service.revisions else "")

    def _bounds(self, service: Service, revision: Revision) -> tuple[int, int]:
        """Fewest and most instances of a revision now: service limits go by traffic, a minimum needs traffic or a tag."""
        if self._world.services.get(service.name) is not service:
            return 0, 0
        latest = self._latest(service)
        split = service.traffic or [("", 100, "")]
        routes = [
            (percent, tag) for name, percent, tag in split if (name or latest) == revision.name and (percent or tag)
        ]
        share = sum(percent for percent, _ in routes) / 100
        if service.manual_instances is not None:
            count = round(service.manual_instances * share)
            return count, count
        high = revision.max_instances
        if service.max_instances is not None:
            high = min(high, max(1, round(service.max_instances * share)))
        low = revision.min_instances if routes else 0
        if service.min_instances is not None:
            low = max(low, round(service.min_instances * share))
        return min(low, high), high

    def _fleet(self, service: Service, revision: Revision) -> Fleet:
        key = service.name, revision.name
        if key not in self._fleets:
            self._fleets[key] = Fleet(
                self._env,
                revision,
                self._applications.get(service.name) or Placeholder(),
                self._signals_of(service, revision.name),
                self._unverified,
                self._rng,
                lambda: self._bounds(service, revision),
            )
        return self._fleets[key]

    def _signals_of(self, service: Service, revision: str) -> Signals:
        key = service.name, revision
        if key not in self._signals:
            self._signals[key] = Signals(
                self._world, service.name, revision, self._unverified, self._recorder, self._rng
            )
        return self._signals[key]


def _claims(token: str) -> Token:
    """The claims of a JWT, or claims that no service accepts."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return Token(str(claims.get("email", "")), str(claims.get("aud", "")), float(claims.get("exp", 0)))
    except (IndexError, ValueError, AttributeError):
        return Token("", "", 0.0)
