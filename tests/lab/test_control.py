"""What tests of the probe lean on: answers that get lost, faults one call long, a pace, the truth, a lab as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from diagnostics.lab.clock import Clock
from tests.lab.bench import ASK, PROJECT, Bench, bench, snap, sub

ROOT = Path(__file__).parents[2]


def take(site: Bench, timeout: float = 5) -> None:
    request = {"name": snap("taken"), "subscription": sub("jobs-pull")}
    site.subscriber.create_snapshot(request=request, timeout=timeout, retry=None)


def there(site: Bench) -> bool:
    return "taken" in site.control("GET", "/lab/truth")["snapshots"]


@pytest.mark.parametrize(
    ("kind", "error", "takes_effect"),
    [
        ("unavailable", exceptions.ServiceUnavailable, False),
        ("cut", exceptions.ServiceUnavailable, False),
        ("hang", exceptions.DeadlineExceeded, False),
        ("lost", exceptions.ServiceUnavailable, True),
        ("lost_hang", exceptions.DeadlineExceeded, True),
        ("bad_gateway", exceptions.ServiceUnavailable, False),
        ("garbage", exceptions.InternalServerError, False),
        ("trickle", exceptions.DeadlineExceeded, False),
    ],
)
def test_a_lost_answer_looks_like_a_cut_and_took_effect(kind: str, error: type[Exception], takes_effect: bool) -> None:
    with bench(faults=f"{{rpc: CreateSnapshot, kind: {kind}, calls: 1}}") as site:
        with pytest.raises(error):
            take(site, timeout=0.3)
        assert there(site) is takes_effect


def test_somebody_else_may_answer_for_a_service() -> None:
    with bench(
        faults="{rpc: HTTP, kind: garbage, calls: 1}, {rpc: HTTP, kind: bad_gateway, after_calls: 1, calls: 1}"
    ) as site:
        url = f"http://{site.running.endpoint}/health"
        asked = urllib.request.Request(url, headers={"Host": "worker.a.run.app"})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            assert (answer.status, b"Sign in" in answer.read()) == (200, True)
        with pytest.raises(urllib.error.HTTPError) as page:
            urllib.request.urlopen(asked, timeout=5)
        assert (page.value.code, page.value.headers["Content-Type"]) == (502, "text/html")


def test_what_google_refuses_is_refused_before_the_answer_can_get_lost() -> None:
    faults, lacks = "{rpc: CreateSnapshot, kind: lost}", "pubsub.snapshots.create"
    with bench(faults=faults, lacks=lacks) as site, pytest.raises(exceptions.PermissionDenied):
        take(site)


def test_a_fault_can_hit_the_nth_call_only() -> None:
    with bench(faults="{rpc: GetTopic, kind: unavailable, after_calls: 1, calls: 1}") as site:
        answers = []
        for _ in range(4):
            try:
                site.publisher.get_topic(topic=f"{PROJECT}/topics/jobs", **ASK)
                answers.append("ok")
            except exceptions.ServiceUnavailable:
                answers.append("unavailable")
        assert answers == ["ok", "unavailable", "ok", "ok"]


def test_faults_can_be_replaced_while_it_runs() -> None:
    with bench() as site:
        site.control("POST", "/lab/faults", [{"rpc": "GetTopic", "kind": "unavailable"}])
        with pytest.raises(exceptions.ServiceUnavailable):
            site.publisher.get_topic(topic=f"{PROJECT}/topics/jobs", **ASK)
        site.control("POST", "/lab/faults", [])
        site.publisher.get_topic(topic=f"{PROJECT}/topics/jobs", **ASK)
        for wrong in (
            [{"rpc": "GetTopics", "kind": "hang"}],
            [{"rpc": "GetTopic", "kind": "sulk"}],
            {"rpc": "GetTopic"},
        ):
            with pytest.raises(urllib.error.HTTPError):
                site.control("POST", "/lab/faults", wrong)


def test_the_truth_tells_configuration_and_fate() -> None:
    with bench() as site:
        ids = site.publish("one", "two")
        site.pull(limit=1)
        told = site.control("GET", "/lab/truth")
        pull, push = told["subscriptions"]["jobs-pull"], told["subscriptions"]["jobs-push"]
        assert (pull["published"], pull["waiting"], pull["leased"], pull["delivered_by_pull"]) == (2, 2, 1, 1)
        assert pull["waiting_ids"] == ids
        assert (pull["push_config"], push["push_config"]["pushEndpoint"]) == ({}, "https://nobody.example.com/do")
        assert told["snapshots"] == {}


def test_only_tests_know_the_truth() -> None:
    package = ROOT / "diagnostics"
    asks = [p for p in package.rglob("*.py") if re.search(r"lab/(truth|faults)", p.read_text(encoding="utf-8"))]
    assert asks == [package / "lab" / "servers" / "http.py"]


def test_time_runs_at_the_pace_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import simpy

    wall = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: wall[0])
    clock = Clock(simpy.Environment(initial_time=1000))
    wall[0] += 5
    assert clock.now() == 1000
    clock.keep_pace(60)
    wall[0] += 2
    assert clock.now() == 1120
    assert clock.advance(30) == 1150
    wall[0] += 1
    assert clock.now() == 1210
    clock.keep_pace(0)
    wall[0] += 9
    assert clock.now() == 1210


def test_with_a_pace_leases_lapse_by_themselves() -> None:
    with bench(pace=3000) as site:
        site.publish("one")
        first = site.pull("jobs-pull")
        while not first:
            first = site.pull("jobs-pull")
        again: dict[str, Any] = {}
        while not again:
            again = site.pull("jobs-pull")
        assert again["one"].ack_id != first["one"].ack_id


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_the_lab_as_a_process_says_when_it_is_ready_and_ends_when_told(
    tmp_path: Path, ended_by: signal.Signals
) -> None:
    scenario = tmp_path / "quiet.yaml"
    scenario.write_text("name: quiet\nstory: Nothing happens.\n")
    command = [sys.executable, "-m", "diagnostics.lab.servers.serve", str(scenario), "--pace", "10"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert re.fullmatch(r"PUBSUB_DIAG_ENDPOINT=127\.0\.0\.1:\d+\n", process.stdout.readline())
            process.send_signal(ended_by)
            assert process.wait(20) == 0
        finally:
            process.kill()
