"""Cloud Run of the lab behaves, and is seen, as Google's pages say."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import simpy
from msgspec import structs

from diagnostics.lab.applications.base import Finish, InstanceView
from diagnostics.lab.cloud_run import CloudRun
from diagnostics.lab.http import Request, Response, Token
from diagnostics.lab.model import Balancer, Revision, Service, World
from diagnostics.lab.recorder import Labels, LogEntry
from diagnostics.lab.unverified import Unverified

T0 = 1_770_000_000.0
PUSHER = "pusher@p.iam.gserviceaccount.com"
HOST = "worker-abc-wl.a.run.app"


class Recorded:
    """Remembers what was recorded."""

    def __init__(self) -> None:
        self.counts: list[tuple[str, dict[str, str]]] = []
        self.values: list[tuple[str, float]] = []
        self.levels: list[tuple[str, dict[str, str], float, float | None]] = []
        self.logs: list[LogEntry] = []

    def count(self, metric: str, _resource: Labels, labels: Labels, _at: float, _n: float = 1) -> None:
        self.counts.append((metric, dict(labels)))

    def observe(self, metric: str, _resource: Labels, _labels: Labels, _at: float, value: float) -> None:
        self.values.append((metric, value))

    def level(self, metric: str, _resource: Labels, labels: Labels, at: float, value: float | None) -> None:
        self.levels.append((metric, dict(labels), at, value))

    def age_of_oldest(self, *_: Any) -> None:
        raise AssertionError("Cloud Run has no age gauges")

    def log(self, entry: LogEntry) -> None:
        assert entry.received > entry.timestamp
        self.logs.append(entry)

    def requests(self) -> list[LogEntry]:
        return [e for e in self.logs if e.log == "run.googleapis.com/requests"]

    def lines(self, log: str = "varlog/system") -> list[str]:
        return [e.text or "" for e in self.logs if e.log == f"run.googleapis.com/{log}"]

    def counted(self, metric: str) -> int:
        return sum(name == f"run.googleapis.com/{metric}" for name, _ in self.counts)


class Program:
    """Does what its test says, by path; a path without a script is answered 204 after a second of work."""

    def __init__(self) -> None:
        self.scripts: dict[str, Callable[[InstanceView, Finish], None]] = {}
        self.error = ""

    def boot_error(self, _revision: Revision) -> str:
        return self.error

    def booted(self, _instance: InstanceView) -> None:
        pass

    def handle(self, request: Request, instance: InstanceView, finish: Finish) -> None:
        script = self.scripts.get(request.path)
        if script:
            script(instance, finish)
        else:
            instance.after(1.0, lambda: finish(204, b""))


class Run:
    """A world with one service, and Cloud Run over it."""

    def __init__(self, seed: int = 1, draw: dict[str, Any] | None = None, **revision: Any) -> None:
        self.env = simpy.Environment(initial_time=T0)
        self.world = World("p", "123", "us-west2", "wl")
        self.revision = replace(
            Revision("worker-00001-aaa", T0 - 9e5, "img", startup_s=4.0, account="run@p"), **revision
        )
        self.service = Service("worker", "us-west2", "abc", revisions=[self.revision], traffic=[("", 100, "")])
        self.service.policy.add("roles/run.invoker", f"serviceAccount:{PUSHER}")
        self.world.services["worker"] = self.service
        drawn = Unverified.draw(random.Random(seed))
        self.unverified = replace(drawn, **{"uptime_checks": False, "idle_full": True, **(draw or {})})
        self.recorded = Recorded()
        self.program = Program()
        self.cloud_run = CloudRun(
            self.env, self.world, self.unverified, self.recorded, random.Random(seed), {"worker": self.program}
        )
        self.cloud_run.start()

    def push(self, path: str = "/work", **changes: Any) -> list[Response]:
        """Submit a push with a good token; the list fills when it is answered."""
        token = Token(PUSHER, f"https://{HOST}", self.env.now + 3600)
        request = Request(HOST, "POST", path, "APIs-Google; (+https://…)", token=token, from_pubsub=True)
        answers: list[Response] = []
        self.cloud_run.submit(structs.replace(request, **changes), answers.append)
        return answers

    def run(self, seconds: float) -> None:
        self.env.run(until=self.env.now + seconds)

    def ask(self, **changes: Any) -> Response:
        answers = self.push(**changes)
        assert answers == [], "answered inside submit"
        self.run(60)
        assert len(answers) == 1
        return answers[0]


# Front end


def test_no_token_is_403_logged_as_warning_without_instance_and_in_no_metric() -> None:
    run = Run()
    assert run.ask(token=None).status == 403
    (entry,) = run.recorded.requests()
    assert entry.severity == "WARNING" and entry.labels == {} and "was not authenticated" in (entry.text or "")
    assert entry.http and entry.http["status"] == 403 and entry.http["latency"] == 0
    assert run.recorded.counted("request_count") == 0


def test_a_token_without_invoker_is_403_and_with_it_passes() -> None:
    run = Run()
    stranger = Token("other@p.iam.gserviceaccount.com", f"https://{HOST}", T0 + 3600)
    assert run.ask(token=stranger).status == 403
    run.world.policy.add("roles/run.invoker", "serviceAccount:other@p.iam.gserviceaccount.com")
    assert run.ask(token=stranger).status == 204


@pytest.mark.parametrize(
    ("audience", "status"),
    [
        (f"https://{HOST}", 204),
        (f"https://{HOST}/work", 204),
        ("https://worker-123.us-west2.run.app", 204),
        ("my-audience", 204),
        ("my-audience/", 401),
        (f"http://{HOST}", 401),
        (f"https://blue---{HOST}", 401),
        ("https://worker.example.com", 401),
        ("", 401),
    ],
)
def test_audience_must_be_one_of_the_urls_or_a_custom_audience(audience: str, status: int) -> None:
    run = Run()
    run.service.custom_audiences = ("my-audience",)
    assert run.ask(token=Token(PUSHER, audience, T0 + 3600)).status == status
    if status == 401:
        (entry,) = run.recorded.requests()
        assert entry.severity == "WARNING" and (entry.text or "").startswith(run.unverified.audience_text)


def test_a_tag_url_reaches_its_revision_only_with_the_base_audience() -> None:
    run = Run()
    run.service.traffic = [("", 100, ""), ("worker-00001-aaa", 0, "blue")]
    tag_host = f"blue---{HOST}"
    assert run.ask(host=tag_host, token=Token(PUSHER, f"https://{tag_host}", T0 + 3600)).status == 401
    assert run.ask(host=tag_host).status == 204
    assert run.ask(host=f"green---{HOST}").status == 404


def test_an_expired_token_is_401() -> None:
    run = Run()
    assert run.ask(token=Token(PUSHER, f"https://{HOST}", T0 - 1)).status == 401


@pytest.mark.parametrize("public", ["allUsers", "check off"])
def test_a_public_service_takes_calls_without_token(public: str) -> None:
    run = Run()
    if public == "allUsers":
        run.service.policy.add("roles/run.invoker", "allUsers")
    else:
        run.service.invoker_iam_disabled = True
    assert run.ask(token=None).status == 204


def test_closed_ingress_a_disabled_url_and_a_missing_service_are_404_and_leave_nothing() -> None:
    run = Run()
    run.service.ingress = "internal"
    assert run.ask(from_pubsub=False, user_agent="curl/8").status == 404
    run.service.ingress, run.service.default_uri_disabled = "all", True
    assert run.ask().status == 404
    run.service.default_uri_disabled = False
    assert run.ask(host="worker-zzz-wl.a.run.app").status == 404
    assert run.recorded.logs == [] and run.recorded.counts == []


def test_internal_ingress_admits_pushes_of_the_same_project() -> None:
    run = Run()
    run.service.ingress = "internal"
    assert run.ask().status == 204


FRONT = "push.example.com"


def test_a_load_balancer_passes_on_and_logs_whose_answer_it_was() -> None:
    run = Run()
    run.world.balancers[FRONT] = Balancer(FRONT, "worker")
    run.service.default_uri_disabled, run.service.ingress = True, "internal-and-cloud-load-balancing"
    assert run.ask(host=FRONT).status == 204
    assert run.ask(host=FRONT, token=None).status == 403
    balanced = [e for e in run.recorded.logs if e.resource_type == "http_load_balancer"]
    assert [(e.http or {})["status"] for e in balanced] == [204, 403]
    assert {(e.json or {})["statusDetails"] for e in balanced} == {"response_sent_by_backend"}
    assert len(run.recorded.requests()) == 2, "Cloud Run logs both, too"
    run.service.ingress = "internal"
    assert run.ask(host=FRONT).status == 404


def test_what_a_security_policy_denies_only_the_load_balancer_knows() -> None:
    run = Run()
    run.world.balancers[FRONT] = Balancer(FRONT, "worker", denies="edge")
    assert run.ask(host=FRONT).status == 403
    (entry,) = run.recorded.logs
    assert (entry.log, entry.resource_type) == ("requests", "http_load_balancer")
    assert entry.json and entry.json["statusDetails"] == "denied_by_security_policy"
    assert entry.json["enforcedSecurityPolicy"]["name"] == "edge"
    assert not run.recorded.requests()
    run.world.balancers[FRONT].logs = False
    assert run.ask(host=FRONT).status == 403
    assert run.recorded.logs == [entry]


# Instances


def test_a_cold_start_is_waited_for_and_seen_as_pending_not_as_latency() -> None:
    run = Run()
    response = run.ask()
    assert response.status == 204 and 4.0 < response.latency_s < 8.0 and response.instance
    values = dict(run.recorded.values)
    assert values["run.googleapis.com/request_latencies"] == pytest.approx(1000)
    assert values["run.googleapis.com/request_latency/pending"] == pytest.approx(response.latency_s * 1000 - 1000)
    assert 3200 <= values["run.googleapis.com/container/startup_latencies"] <= 6000
    assert any("Reason: AUTOSCALING" in line for line in run.recorded.lines())
    (entry,) = run.recorded.requests()
    assert entry.labels["instanceId"] == response.instance and entry.severity == "INFO"


def test_a_minimum_instance_answers_without_a_cold_start() -> None:
    run = Run(min_instances=1)
    run.run(30)
    assert run.ask().latency_s == pytest.approx(1.0)
    assert any("MANUAL_OR_CUSTOMER_MIN_INSTANCE" in line for line in run.recorded.lines())


def test_at_the_maximum_requests_end_429_as_warning_without_instance() -> None:
    run = Run(max_instances=1, concurrency=1)
    run.program.scripts["/long"] = lambda i, finish: i.after(200, lambda: finish(204, b""))
    answers = [run.push("/long") for _ in range(3)]
    run.run(30)
    assert [a[0].status for a in answers if a] == [429, 429]
    refused = run.recorded.requests()
    assert {e.severity for e in refused} == {"WARNING"} and all("instanceId" not in e.labels for e in refused)
    assert all("no available instance" in (e.text or "") and e.http and e.http["latency"] == 0 for e in refused)
    assert run.recorded.counted("request_count") == 0


def test_below_the_maximum_requests_that_scaling_is_too_slow_for_end_500_as_error() -> None:
    run = Run(max_instances=500, concurrency=1, startup_s=10)
    run.program.scripts["/long"] = lambda i, finish: i.after(200, lambda: finish(204, b""))
    answers = [run.push("/long") for _ in range(200)]
    run.run(60)
    assert {a[0].status for a in answers if a} == {500}
    assert {e.severity for e in run.recorded.requests()} == {"ERROR"}


def test_the_service_maximum_holds_too_and_manual_zero_switches_off() -> None:
    run = Run(max_instances=50, concurrency=1)
    run.service.max_instances = 2
    run.program.scripts["/long"] = lambda i, finish: i.after(200, lambda: finish(204, b""))
    answers = [run.push("/long") for _ in range(5)]
    run.run(50)
    assert [a[0].status for a in answers if a] == [429] * 3
    run.service.manual_instances = 0
    run.cloud_run.reconcile("worker")
    assert run.ask().status == 429


def test_idle_instances_end_within_fifteen_minutes_and_the_series_ends() -> None:
    run = Run()
    run.ask()
    run.run(20 * 60)
    levels = [(labels["state"], value) for _, labels, _, value in run.recorded.levels]
    assert ("active", 1.0) in levels and ("idle", 1.0) in levels
    assert levels[-2:] == [("active", None), ("idle", None)]
    assert max(at for _, _, at, _ in run.recorded.levels) <= T0 + 17 * 60
    assert run.ask().latency_s > 3, "the next request starts cold"


def test_a_request_timeout_is_504_and_ends_the_work() -> None:
    run = Run(timeout_s=20, min_instances=1, cpu_idle=False)
    reached: list[float] = []

    def script(instance: InstanceView, _finish: Finish) -> None:
        instance.after(30, lambda: reached.append(instance.now))

    run.program.scripts["/slow"] = script
    run.run(10)
    response = run.ask(path="/slow")
    assert response.status == 504 and response.latency_s == pytest.approx(20) and response.instance
    (entry,) = run.recorded.requests()
    assert "maximum request timeout" in (entry.text or "") and entry.severity == "ERROR" and entry.labels
    run.run(60)
    assert reached == []


def test_a_program_that_outlives_the_timeout_goes_on() -> None:
    run = Run(timeout_s=20, min_instances=1, cpu_idle=False, code="head outlives-timeout")
    reached: list[float] = []
    run.program.scripts["/slow"] = lambda i, _: i.after(30, lambda: reached.append(i.now))
    run.run(10)
    assert run.ask(path="/slow").status == 504
    assert len(reached) == 1


@pytest.mark.parametrize("cpu_idle", [True, False])
def test_work_after_the_answer_waits_for_the_next_request_unless_cpu_stays(cpu_idle: bool) -> None:
    run = Run(min_instances=1, cpu_idle=cpu_idle)
    done: list[float] = []

    def script(instance: InstanceView, finish: Finish) -> None:
        instance.after(0.1, lambda: finish(204, b""))
        instance.after(5.0, lambda: done.append(instance.now))

    run.program.scripts["/later"] = script
    run.run(10)
    run.ask(path="/later")
    assert len(done) == (0 if cpu_idle else 1)
    run.ask()
    assert len(done) == 1


def test_a_crash_fails_every_request_in_the_instance_with_503_and_it_is_replaced() -> None:
    run = Run(min_instances=1)
    run.program.scripts["/crash"] = lambda i, _: i.after(2, lambda: i.exit(1))
    run.program.scripts["/long"] = lambda i, finish: i.after(50, lambda: finish(204, b""))
    run.run(10)
    beside, crashing = run.push("/long"), run.push("/crash")
    run.run(5)
    assert [beside[0].status, crashing[0].status] == [503, 503]
    assert "Container called exit(1)." in run.recorded.lines()
    assert all("malformed" in (e.text or "") for e in run.recorded.requests())
    run.run(20)
    assert run.ask().latency_s == pytest.approx(1.0)


def test_out_of_memory_ends_requests_with_500_and_says_so_in_the_system_log() -> None:
    run = Run(min_instances=1)
    run.program.scripts["/eat"] = lambda i, _: i.after(2, i.out_of_memory)
    run.run(10)
    assert run.ask(path="/eat").status == 500
    lines = run.recorded.lines()
    assert any(line.startswith("Memory limit of 512 MiB exceeded with") for line in lines)
    assert "Container terminated on signal 9." in lines


def test_a_container_that_exits_at_start_answers_500_and_prints_why() -> None:
    run = Run(boots=False, boot_error="ModuleNotFoundError: No module named 'lock'")
    assert run.ask().status == 500
    assert "ModuleNotFoundError: No module named 'lock'" in run.recorded.lines("stderr")
    lines = run.recorded.lines()
    assert "Container called exit(1)." in lines and any("The instance was not started" in line for line in lines)
    (entry,) = run.recorded.requests()
    assert "could not start successfully" in (entry.text or "") and "instanceId" not in entry.labels


def test_a_program_that_dies_after_opening_its_port_answers_503() -> None:
    run = Run()
    run.program.error = "[CRITICAL] Worker failed to boot."
    assert run.ask().status == 503
    lines = run.recorded.lines()
    assert "Container called exit(3)." in lines and any("probe succeeded" in line for line in lines)


def test_a_crash_loop_of_a_minimum_instance_slows_down() -> None:
    run = Run(boots=False, min_instances=1)
    run.run(6 * 3600)
    assert 10 < run.recorded.lines().count("Container called exit(1).") < 60


def test_restart_loses_memory_and_fails_what_is_inside() -> None:
    run = Run(min_instances=1)
    seen: list[int] = []

    def count(instance: InstanceView, finish: Finish) -> None:
        instance.memory["n"] = instance.memory.get("n", 0) + 1
        seen.append(instance.memory["n"])
        instance.after(1, lambda: finish(204, b""))

    run.program.scripts["/count"] = count
    run.program.scripts["/long"] = lambda i, finish: i.after(50, lambda: finish(204, b""))
    run.run(10)
    run.ask(path="/count")
    run.ask(path="/count")
    inside = run.push("/long")
    run.run(1)
    run.cloud_run.restart("worker")
    assert inside[0].status == 503
    run.run(20)
    run.ask(path="/count")
    assert seen == [1, 2, 1]


# Revisions


def test_a_deploy_moves_traffic_when_ready_and_a_broken_one_never_does() -> None:
    run = Run(min_instances=1)
    run.run(10)
    broken = replace(run.revision, name="worker-00002-bad", boots=False, boot_error="boom")
    run.cloud_run.deploy("worker", broken)
    run.run(60)
    assert run.cloud_run.latest_ready("worker") == "worker-00001-aaa"
    assert run.ask().status == 204
    assert any("DEPLOYMENT_ROLLOUT" in line for line in run.recorded.lines())
    run.cloud_run.deploy("worker", replace(run.revision, name="worker-00003-new"))
    assert run.cloud_run.latest_ready("worker") == "worker-00001-aaa"
    run.run(60)
    assert run.cloud_run.latest_ready("worker") == "worker-00003-new"
    run.ask()
    assert run.recorded.requests()[-1].resource_labels["revision_name"] == "worker-00003-new"


def test_pinned_traffic_stays_where_it_is() -> None:
    run = Run(min_instances=1)
    run.service.traffic = [("worker-00001-aaa", 100, "")]
    run.cloud_run.deploy("worker", replace(run.revision, name="worker-00002-new"))
    run.run(60)
    run.ask()
    assert run.recorded.requests()[-1].resource_labels["revision_name"] == "worker-00001-aaa"


def test_a_revision_without_traffic_loses_its_minimum() -> None:
    run = Run(min_instances=2)
    run.run(10)
    run.cloud_run.deploy("worker", replace(run.revision, name="worker-00002-new", min_instances=0))
    run.run(40 * 60)
    assert run.recorded.levels[-1][3] is None
    assert run.ask().latency_s > 3


# Being seen


@pytest.mark.parametrize("stamp", ["start", "end"])
def test_request_log_time_is_the_start_or_the_end(stamp: str) -> None:
    run = Run(draw={"request_log_time": stamp}, min_instances=1)
    run.run(10)
    run.ask()
    (entry,) = run.recorded.requests()
    assert entry.timestamp == pytest.approx(T0 + 10 + (0 if stamp == "start" else 1))
    assert 1.0 <= entry.received - (T0 + 11) <= 8.0


@pytest.mark.parametrize("traces", [True, False])
def test_lines_of_a_program_carry_the_trace_of_their_request_only_if_it_cares(traces: bool) -> None:
    run = Run(draw={"traces": traces}, min_instances=1)

    def script(instance: InstanceView, finish: Finish) -> None:
        instance.log("INFO", "hello")
        instance.after(1, lambda: finish(204, b""))

    run.program.scripts["/hello"] = script
    run.run(10)
    run.ask(path="/hello")
    line = next(e for e in run.recorded.logs if e.text == "hello")
    (request,) = run.recorded.requests()
    assert request.trace and line.trace == (request.trace if traces else "")
    assert line.labels == request.labels


def test_uptime_checks_come_without_token_and_are_refused() -> None:
    run = Run(draw={"uptime_checks": True})
    run.run(1501)
    entries = run.recorded.requests()
    assert len(entries) == 5
    assert {(e.http or {})["status"] for e in entries} == {403}
    assert all("UptimeChecks" in (e.http or {})["userAgent"] for e in entries)


def test_a_live_call_runs_the_simulation_on_until_its_answer() -> None:
    run = Run()
    claims = {"email": PUSHER, "aud": f"https://{HOST}", "exp": T0 + 3600}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    headers = {"Authorization": f"Bearer x.{payload}.y", "User-Agent": "pubsub-diag"}
    response = run.cloud_run.http(HOST, "GET", "/work", headers)
    assert response.status == 204 and run.env.now == pytest.approx(T0 + response.latency_s)
    (entry,) = run.recorded.requests()
    assert entry.http and entry.http["userAgent"] == "pubsub-diag"
    assert run.cloud_run.http(HOST, "GET", "/work", {"Authorization": "Bearer junk"}).status == 401
    assert run.cloud_run.http(HOST, "GET", "/work", {}).status == 403


def test_a_deleted_service_is_gone() -> None:
    run = Run(min_instances=1)
    run.run(10)
    del run.world.services["worker"]
    run.cloud_run.reconcile("worker")
    assert run.ask().status == 404


def _story(seed: int) -> list[tuple[float, str | None]]:
    run = Run(seed, max_instances=3, concurrency=2)
    for _ in range(40):
        run.push()
        run.run(0.2)
    run.run(3600)
    return [(e.timestamp, e.text) for e in run.recorded.logs]


def test_the_same_seed_tells_the_same_story_and_another_one_a_different_story() -> None:
    assert _story(7) == _story(7) != _story(8)
