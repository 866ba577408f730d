"""Of a project with more subscriptions than there is time for, the rest is not looked at, and that is said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from diagnostics.conclude.diagnosis import Exit
from diagnostics.run import lint


class Session:
    """Each subscription that is linted takes a second of it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def remaining(self) -> float:
        return self.seconds


@pytest.mark.parametrize(("seconds", "looked_at"), [(100.0, 40), (10.0, 12), (0.0, 4)])
def test_what_there_is_no_time_for_is_left_and_said(
    monkeypatch: pytest.MonkeyPatch, seconds: float, looked_at: int
) -> None:
    session: Any = Session(seconds)
    pushed = [SimpleNamespace(name=f"s{n}", push_endpoint="https://x") for n in range(40)]
    listed = SimpleNamespace(subscriptions=pushed, source=SimpleNamespace(complete=True, note=""))

    def linted(_session: Any, _name: str, _region: str) -> Any:
        session.seconds -= 1
        return SimpleNamespace(exit_code=0)

    monkeypatch.setattr(lint, "project_subscriptions", lambda *_: listed)
    monkeypatch.setattr(lint, "orphans", lambda _: ())
    monkeypatch.setattr(lint, "_lint", linted)
    monkeypatch.setattr(lint, "_alone", lambda diagnosis: diagnosis)
    found = lint.audit(session, "p")
    assert len(found.diagnoses) == looked_at
    assert found.note == (
        "" if looked_at == 40 else f"no time was left for {40 - looked_at} of them; a longer --timeout gets further"
    )
    assert found.exit_code == (Exit.OK if looked_at == 40 else Exit.UNKNOWN)
