"""A lab whose both subscriptions hold messages that never succeed, and the probe's functions on it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnostics.evidence.model import Leg, Probed
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import load
from diagnostics.lab.servers.serve import RunningLab, start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe.journal import Journal, Mode
from diagnostics.probe.plan import Order, Plan, plan
from diagnostics.probe.reach import Reach, Waits
from diagnostics.probe.restore import Outcome
from diagnostics.probe.run import carry_out
from diagnostics.run.look import lab_profile
from diagnostics.transport.session import LAB, Options, Session

HERE = Path(__file__).parent
WAITS = Waits(
    rpc_s=5,
    pull_s=5,
    between_pulls_s=0.02,
    peek_s=6,
    settle_s=0.1,
    readback_s=5,
    watch_s=2,
    between_looks_s=0.1,
    restore_s=5,
)
PACE = 60.0


@dataclass
class World:
    """A running lab and a probe's access to it."""

    lab: Lab
    running: RunningLab
    journal: Journal
    reach: Reach
    profile: PipelineProfile
    told: list[str] = field(default_factory=list)

    def plan(self, mode: str = "snapshot", leg: str = "request", **order: Any) -> tuple[Plan, Any]:
        return plan(self.reach, self.profile, Order(mode=Mode(mode), leg=Leg(leg), **order), self.journal)

    def probe(self, mode: str = "snapshot", leg: str = "request", **order: Any) -> tuple[Probed, Outcome]:
        made, source = self.plan(mode, leg, **order)
        assert not made.forbidden, made.forbidden
        return carry_out(self.reach, self.profile, made, source, self.journal, self.told.append)

    def truth(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.running.endpoint}/lab/truth", timeout=10) as answer:
            return dict(json.load(answer))


Open = Callable[..., AbstractContextManager[World]]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """`with world() as w`; keywords replace parts of the scenario, `holds` what the caller holds."""

    @contextmanager
    def run(seed: int = 3, pace: float = PACE, without: tuple[str, ...] = (), **draw: Any) -> Iterator[World]:
        scenario = load(HERE / "probed.yaml", seed)
        holds = tuple(p for p in scenario.caller.holds if p not in without)
        scenario = msgspec.structs.replace(
            scenario,
            caller=msgspec.structs.replace(scenario.caller, holds=holds),
            # which reads of the log come short hangs on the random id of the probe, and six in a row are a refusal
            draw={**scenario.draw, "short_log_pages": 0.0, **draw},
        )
        lab = Lab(scenario, seed, Telemetry())
        with start(lab, pace=pace) as running:
            monkeypatch.setenv(LAB, running.endpoint)
            session = Session.open(Options(timeout_s=60))
            profile = lab_profile(session.project)
            assert profile is not None
            yield World(lab, running, Journal(tmp_path / "state"), Reach(session, WAITS), profile)

    return run
