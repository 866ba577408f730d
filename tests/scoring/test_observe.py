"""What is scored is what a person's command would have seen."""

from __future__ import annotations

import pytest

from diagnostics.scoring import score
from diagnostics.scoring.expect import Asked
from diagnostics.scoring.world import find, opened
from diagnostics.transport.session import Options, Session


def test_no_more_of_a_log_is_read_than_a_run_of_the_usual_length_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the machine may take."""
    asked: list[Session] = []
    monkeypatch.setattr(score, "see", lambda session, *_: asked.append(session))
    with opened(find("idle-pipeline"), 1) as world:
        score.observe(world, Asked(command="batch"))
    (session,) = asked
    assert session.timeout_s > Options().timeout_s == session.reads_as_s
