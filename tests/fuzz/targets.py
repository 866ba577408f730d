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
from google.protobuf import json_format

from diagnostics import pipeline
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
from diagnostics.sources.markers import marks_of
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
    """Log entries, as Google's client makes them of JSON or of bytes: what it refuses is no entry."""
    kind = type(LogEntry.pb(LogEntry()))
    try:
        entry = json_format.Parse(data, kind()) if data.startswith(b"{") else kind.FromString(data)
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


SEEDS: dict[str, tuple[str, ...]] = {
    "status": ('{"expected": 3, "completed": ["a"], "closed": false, "at": "2026-02-08T14:02:11Z"}',),
    "profiles": ((Path(pipeline.__file__).parent / "profiles" / "nba-predictions.toml").read_text(encoding="utf-8"),),
    "scenarios": ("name: a\nstory: b\ntimeline:\n  - {at: -20m, start_batch: {items: 3}}\n",),
    "entries": (
        '{"timestamp": "2026-02-08T14:02:11Z", "textPayload": "Published 15/15 requests for batch_2026-02-08_1770550000", '
        '"logName": "projects/p/logs/run.googleapis.com%2Fstdout", "resource": {"type": "cloud_run_revision", '
        '"labels": {"service_name": "coordinator", "location": "r"}}}',
        '{"timestamp": "2026-02-08T14:02:11Z", "jsonPayload": {"message": "BATCH RESET", "n": [1, {"a": null}]}, '
        '"resource": {"type": "cloud_run_revision", "labels": {"service_name": "coordinator", "location": "r"}}}',
    ),
}
"""What the fuzzer begins with, beside what was found: proper ones, or it would not come far in."""


if __name__ == "__main__":
    import tempfile

    import atheris

    name = sys.argv.pop(1)
    kept = KEPT / name
    kept.mkdir(parents=True, exist_ok=True)
    atheris.instrument_all()
    with tempfile.TemporaryDirectory() as work:
        for number, text in enumerate(SEEDS[name]):
            (Path(work) / f"seed-{number}").write_text(text, encoding="utf-8")
        bounds = ["-max_len=65536", "-timeout=30", "-rss_limit_mb=2048", "-report_slow_units=30"]
        atheris.Setup(
            [sys.argv[0], *bounds, *sys.argv[1:], f"-artifact_prefix={kept}/", work, str(kept)],
            lambda data: check(name, data),
        )
        atheris.Fuzz()
