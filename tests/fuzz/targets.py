"""What comes from outside beside bundles, as bytes that nobody made: a proper value comes out, or the one documented error in one line.

`make fuzz TARGET=status` (or profiles, scenarios, entries) runs one under atheris. What was found is kept in corpus/TARGET, which
`tests/fuzz/test_corpus.py` reads again on every run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from google.cloud.logging_v2.types import LogEntry

from diagnostics.evidence.model import Provenance
from diagnostics.evidence.redaction import cleaner
from diagnostics.evidence.unseen import NotSeen
from diagnostics.keep.bundle import _json
from diagnostics.lab.document import ScenarioError
from diagnostics.lab.scenario import parse as parse_scenario
from diagnostics.pipeline.load import load_profile, parse_profile
from diagnostics.pipeline.profile import BatchStateProfile, ProfileError
from diagnostics.sources.batch_state.status import _json as said_in
from diagnostics.sources.batch_state.told import status_of
from diagnostics.sources.entries import text_of
from diagnostics.sources.marks import marks_of
from diagnostics.sources.route import Receiver, Services
from diagnostics.transport.web import Answer

KEPT = Path(__file__).parent / "corpus"
NOW = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)
SOURCE = Provenance(source="fuzz", fetched_at=NOW, as_of=NOW)
STATE = BatchStateProfile(closed="closed", forced="forced", failed="failed", closed_at="at", updated="written")
MARKERS = load_profile("nba-predictions").markers
SERVICES = Services(
    coordinator=Receiver(project="p", region="r", service="coordinator"),
    worker=Receiver(project="p", region="r", service="worker"),
)


def status(data: bytes) -> str:
    """A status answer; a command's output and a document are read by the same rules."""
    said = said_in(Answer(200, data.decode("utf-8", "replace"), "application/json", 0.1))
    if said is None:
        return ""
    try:
        _json(cleaner()(status_of(STATE, SOURCE, "B", said)))
    except NotSeen as refused:
        return refused.says
    return ""


def profiles(data: bytes) -> str:
    try:
        parse_profile(data.decode("utf-8", "replace"), "profile")
    except ProfileError as refused:
        return str(refused)
    return ""


def scenarios(data: bytes) -> str:
    try:
        parse_scenario(data.decode("utf-8", "replace"))
    except ScenarioError as refused:
        return str(refused)
    return ""


def entries(data: bytes) -> str:
    """Log entries: bytes that are none are Google's client's to refuse."""
    try:
        entry = LogEntry.pb(LogEntry).FromString(data)
    except Exception:  # no message at all
        return ""
    text_of(entry)
    marks_of([entry], MARKERS, SERVICES)
    return ""


TARGETS: dict[str, Callable[[bytes], str]] = {
    "status": status,
    "profiles": profiles,
    "scenarios": scenarios,
    "entries": entries,
}


def check(target: str, data: bytes) -> None:
    assert "\n" not in TARGETS[target](data)


if __name__ == "__main__":
    import atheris

    name = sys.argv.pop(1)
    kept = KEPT / name
    kept.mkdir(parents=True, exist_ok=True)
    atheris.instrument_all()
    arguments = [
        *sys.argv,
        "-max_len=65536",
        "-timeout=30",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={kept}/",
        str(kept),
    ]
    atheris.Setup(arguments, lambda data: check(name, data))
    atheris.Fuzz()
