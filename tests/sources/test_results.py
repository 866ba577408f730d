"""Results through BigQuery's own client from the lab: what is there, what may be read, and one clear line for each thing that is not."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import BatchMarks, DownstreamRows, Evidence, ResultRows, StartCalls, Unseen, Why
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.pipeline.results import ResultsProfile
from diagnostics.question.ask import Ask
from diagnostics.run.investigate import investigate
from diagnostics.run.look import see
from diagnostics.sources.collect import collect
from diagnostics.sources.results import query
from diagnostics.sources.results import rows as results
from diagnostics.sources.results.sql import of_results
from diagnostics.steps.finding import Status
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.rpcs import ESTIMATE, QUERY, Rpc
from diagnostics.transport.session import Options, Session
from diagnostics.transport.tables import Column, TableShape

EXAMPLE = load_profile("nba-predictions")
DAYS = (date(2026, 2, 1), date(2026, 2, 2))
TWO = """
name: two-dates
story: Two dates, the first done again for some of its players.
now: "2026-02-02T22:00:00Z"
draw: {short_log_pages: 0}
timeline:
  - {at: -8h, start_batch: {items: 12, date: "2026-02-01"}}
  - {at: -7h, start_batch: {items: 5, date: "2026-02-01", same_items: true}}
  - {at: -6h, start_batch: {items: 7, date: "2026-02-02"}}
"""


def look(profile: PipelineProfile = EXAMPLE, **ask: Any) -> tuple[Any, Any]:
    kinds: tuple[type[Evidence], ...] = (ResultRows, DownstreamRows, BatchMarks, StartCalls)  # as `outcome` does
    seen = collect(Session.open(Options(timeout_s=60)), profile, kinds, Ask(**({"days": DAYS} | ask)))
    return seen.get(ResultRows), seen.get(DownstreamRows)


def changed(**changes: Any) -> PipelineProfile:
    assert EXAMPLE.results is not None
    return replace(EXAMPLE, results=replace(EXAMPLE.results, **changes))


def test_results_are_counted_by_date(lab: Any) -> None:
    with lab(TWO) as running:
        found, made = look()
        asked = [r.name.rpartition("/")[2] for r in running.rpcs if r.name.startswith("bigquery")]
    assert isinstance(found, ResultRows)
    first, second = found.days
    assert (first.day, first.rows, first.active, first.items, first.active_items) == (DAYS[0], 17, 12, 12, 12)
    assert (second.rows, second.active, second.active_superseded) == (7, 7, 0)
    assert [(m.version, m.rows, m.active) for m in first.made] == [("v9_20260201_011018", 17, 12)]
    assert first.made[0].file == "catboost_v9_33features_20260201_011018.cbm"
    assert first.leading[0].column == "confidence_score"
    assert found.read_bytes > 0
    assert found.source.by_hand.startswith("bq --project_id=nba-props-platform --location=us-west2 query")
    assert isinstance(made, DownstreamRows)
    assert [(d.day, d.rows) for d in made.days] == [(DAYS[0], 8), (DAYS[1], 8)]
    assert asked == ["GetTable", "InsertJob", "Query"] * 2, "asked what it would read before it is asked for rows"


def test_a_batch_has_its_date_and_rows_are_counted_since_it_began(lab: Any) -> None:
    with lab(TWO):
        found, _ = look(days=None)
    assert isinstance(found, ResultRows)
    assert (found.since, found.until) == (DAYS[1], DAYS[1])
    assert found.days[0].written_items == 7
    assert found.written_since is not None


def test_of_an_answer_with_too_many_rows_nothing_is_counted(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_ROWS", 5)
    with lab(TWO):
        found, _ = look()
    assert isinstance(found, Unseen)
    assert "has more than 5 rows" in found.says


@pytest.mark.parametrize(
    ("scenario", "profile", "ask", "why", "says"),
    [
        ("caller: {lacks: [bigquery.jobs.create]}", EXAMPLE, {}, Why.PERMISSION_DENIED, "bigquery.jobs.create is missing"),
        ("caller: {lacks: [bigquery.tables.get]}", EXAMPLE, {}, Why.PERMISSION_DENIED, "bigquery.tables.get is missing"),
        ("caller: {lacks: [bigquery.tables.getData]}", EXAMPLE, {}, Why.PERMISSION_DENIED, "bigquery.tables.getData is missing"),
        ("", changed(table="nba_predictions.gone"), {}, Why.NOT_CONFIGURED, "there is no table nba-props-platform.nba_predictions.gone"),
        ("", changed(active="is_live"), {}, Why.NOT_CONFIGURED, "has no column is_live"),
        ("", changed(active="model_version"), {}, Why.NOT_CONFIGURED, "is STRING, and BOOL is expected"),
        ("", changed(written="game_date"), {}, Why.NOT_CONFIGURED, "is DATE, and TIMESTAMP is expected"),
        ("", changed(only={"system_id": 9}), {}, Why.NOT_CONFIGURED, "the profile compares it with 9"),
        ("", changed(date="created_at"), {}, Why.NOT_CONFIGURED, "wants a filter on game_date"),
        ("", EXAMPLE, {"max_bytes": 1024}, Why.FAILED, "--max-bytes allows 1.0 KiB"),
        ("faults: [{rpc: bigquery.v2/Query, kind: resource_exhausted}]", EXAMPLE, {}, Why.FAILED, "a quota of bigquery.googleapis.com"),
        ("faults: [{rpc: bigquery.v2/GetTable, kind: unavailable}]", EXAMPLE, {}, Why.UNREACHABLE, "cannot be reached"),
        ("faults: [{rpc: bigquery.v2/Query, kind: cut}]", EXAMPLE, {}, Why.UNREACHABLE, "cannot be reached"),
        ("", replace(EXAMPLE, results=None), {}, Why.NOT_CONFIGURED, "names no table of results"),
    ],
)  # fmt: skip
def test_what_keeps_results_from_being_seen_is_said_in_one_line(
    lab: Any, scenario: str, profile: PipelineProfile, ask: dict[str, Any], why: Why, says: str
) -> None:
    short = TWO[: TWO.index("timeline")] + scenario + "\ntimeline:\n  - {at: -6h, start_batch: {items: 2}}\n"
    with lab(short):
        found, made = look(profile, **ask)
    assert isinstance(found, Unseen)
    assert found.why is why, found.says
    assert says in found.says
    assert "\n" not in found.says and "https://" not in found.says
    assert isinstance(made, Unseen)


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    usual = builtins.__import__

    def gone(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("google.cloud.bigquery"):
            raise ImportError(name)
        return usual(name, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr("diagnostics.transport.tables.LIBRARY", "google.cloud.bigquery_gone")
        patched.setattr(builtins, "__import__", gone)
        yield


@pytest.mark.usefixtures("no_library")
def test_without_the_library_it_says_what_to_install(lab: Any) -> None:
    with lab(TWO[: TWO.index("timeline")] + "timeline:\n  - {at: -6h, start_batch: {items: 2}}\n"):
        found, _ = look()
    assert isinstance(found, Unseen)
    assert (found.why, found.mend) == (Why.NOT_CONFIGURED, "pip install 'pubsub-diag[outcome]'")


@pytest.mark.usefixtures("no_library")
def test_without_the_library_a_batch_that_is_done_says_what_to_install(lab: Any) -> None:
    assert _of_batch(lab) == (Status.OK, ["pip install 'pubsub-diag[outcome]'"])


def test_a_batch_that_is_done_says_that_its_results_would_cost_too_much(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _of_batch(lab) == (Status.OK, [])
    monkeypatch.setattr(query, "USUAL_BYTES", 1024)
    assert _of_batch(lab) == (Status.OK, ["ask for fewer dates, or allow more with --max-bytes"])


def _of_batch(lab: Any) -> tuple[Status, list[str]]:
    """The status of a batch that is long done, and what would let its results be seen."""
    with lab(TWO[: TWO.index("timeline")] + "timeline:\n  - {at: -6h, start_batch: {items: 2}}\n"):
        said = investigate(see(Session.open(Options(timeout_s=60)), EXAMPLE, "batch", Ask()))
    return said.status, [gap.mend for gap in said.unknown if gap.what == "ResultRows" and gap.matters]


@pytest.mark.parametrize("rpc", [ESTIMATE, QUERY], ids=lambda rpc: rpc.name)
def test_a_table_that_goes_between_two_calls_was_not_seen(rpc: Rpc, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def some(session: Session, asked: Rpc, request: Any) -> Any:
        if asked == rpc:
            raise NotThere("what it is asked of does not exist")
        return call(session, asked, request)

    monkeypatch.setattr(query, "call", some)
    with lab(TWO[: TWO.index("timeline")] + "timeline:\n  - {at: -6h, start_batch: {items: 2}}\n"):
        found, made = look()
    assert isinstance(found, Unseen) and isinstance(made, Unseen)
    assert "nba-props-platform.nba_predictions.player_prop_predictions cannot be asked" in found.says
    assert found.mend == "correct table under [results] in the profile"


SHAPE = TableShape(
    columns={"at": Column(type="TIMESTAMP"), "day": Column(type="STRING"), "n": Column(type="INTEGER")},
    partition="at",
    filter_required=True,
    location="EU",
)


def test_dates_are_compared_so_that_partitions_are_told_by_them() -> None:
    statement = of_results("p.d.t", ResultsProfile(table="d.t", date="at", only={"n": 3}), SHAPE, DAYS, None)
    assert "`at` >= TIMESTAMP(@first_day) AND `at` < TIMESTAMP(DATE_ADD(@last_day, INTERVAL 1 DAY))" in statement.sql
    assert "`n` = @only_0" in statement.sql
    assert statement.values == {"first_day": DAYS[0], "last_day": DAYS[1], "only_0": 3}


def test_no_value_stands_in_the_query_itself() -> None:
    profile = ResultsProfile(table="d.t", date="at", only={"day": "x' OR TRUE --"})
    assert "OR TRUE" not in of_results("p.d.t", profile, SHAPE, DAYS, None).sql
