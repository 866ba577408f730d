"""Sessions for tests of sources: one with clients made by hand, and one on a running lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import load
from diagnostics.lab.servers.serve import RunningLab, start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.transport.session import LAB, Session
from diagnostics.transport.sign_in import SignIn

NOW = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)
NIGHT = """
name: a-night
story: Two nights of the example pipeline; yesterday's batch was fine.
draw: {short_log_pages: 0}
timeline:
  - {at: -1d, start_batch: {name: last-night, items: 30}}
  - {at: -40m, start_batch: {name: tonight, items: 24, gated: {existing: 4}}}
"""

StartLab = Callable[..., AbstractContextManager[RunningLab]]


class Client:
    """A client made by hand: each method is a function of request and timeout, or an error to raise."""

    def __init__(self, **methods: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        for name, answer in methods.items():
            setattr(self, name, self._method(answer))

    def _method(self, answer: Any) -> Callable[..., Any]:
        def method(*, request: dict[str, Any], timeout: float, retry: None) -> Any:
            assert timeout > 0
            assert retry is None
            self.asked.append(request)
            if isinstance(answer, Exception):
                raise answer
            return answer(request)

        return method


@pytest.fixture
def session_of() -> Callable[..., Session]:
    """A session with these clients: their names to their methods, each a function of the request or an error to raise."""

    def make(timeout_s: float = 20, **clients: dict[str, Any]) -> Session:
        session = Session(
            now=NOW, timeout_s=timeout_s, signed_in=SignIn(credentials=None, how="test"), project="p", lab=None
        )
        session.clients._made.update({name: Client(**methods) for name, methods in clients.items()})
        return session

    return make


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StartLab:
    """Run a scenario's YAML, with the seam set: `with lab(NIGHT + "…") as running`."""

    @contextmanager
    def run(text: str = NIGHT, seed: int = 7, **options: Any) -> Iterator[RunningLab]:
        file = tmp_path / "scenario.yaml"
        file.write_text(text)
        scenario = load(file, seed)
        with start(Lab(scenario, seed, Telemetry()), **options) as running:
            monkeypatch.setenv(LAB, running.endpoint)
            yield running

    return run
