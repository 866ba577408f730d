"""Lines of items by SQL: the same marks as page by page, to the last one; and page by page as ever where SQL cannot be asked."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import ItemMarks, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import parse
from diagnostics.lab.servers import log_view
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import PipelineProfile, ProfileError
from diagnostics.question.ask import Ask
from diagnostics.report import text
from diagnostics.report.layout import Layout
from diagnostics.run.investigate import investigate
from diagnostics.run.look import see
from diagnostics.scoring.world import World
from diagnostics.sources import item_lines, log_analytics, route
from diagnostics.sources.collect import collect
from diagnostics.sources.log_analytics import Texts, Values, where_of
from diagnostics.sources.results import query
from diagnostics.sources.route import Receiver
from diagnostics.sources.search import search
from diagnostics.transport import tables
from diagnostics.transport.call import NotThere, call
from diagnostics.transport.rpcs import ESTIMATE, QUERY, Rpc
from diagnostics.transport.session import LAB, Options, Session

EXAMPLE, ORDERS = load_profile("nba-predictions"), load_profile("orders-export")
SCENE = """
name: linked-logs
story: Two nights, of which tonight's has payloads in it that fail; the log bucket is upgraded, and a dataset is linked to it.
draw: {short_log_pages: 0}
pipeline: {log_dataset: linked_logs, dialect: DIALECT}
timeline:
  - {at: -1d, start_batch: {name: last-night, items: 12}}
  - {at: -40m, start_batch: {name: tonight, items: 40}}
  - {at: -2m, start_batch: {name: just-now, items: 5}}
"""
Linked = AbstractContextManager[World]


def _play(dialect: str, more: str = "", seed: int = 1) -> Linked:
    @contextmanager
    def playing() -> Iterator[World]:
        scenario = parse(SCENE.replace("DIALECT", dialect) + more, "a scene", seed)
        lab = Lab(scenario, seed, Telemetry())
        with start(lab, log_reads_per_minute=10_000) as running:
            yield World(scenario, lab, running)

    return playing()


@pytest.fixture(scope="module")
def night() -> Iterator[World]:
    with _play("predictions") as world:
        yield world


@pytest.fixture
def world(night: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv(LAB, night.running.endpoint)
    _short(monkeypatch)
    return night


def _short(patch: pytest.MonkeyPatch) -> None:
    """The oldest lines are read twenty at most, so that there are more."""

    def some(*given: Any, newest_first: bool = True, **named: Any) -> Any:
        few = {} if newest_first else {"most": 20, "reads": 1}
        return search(*given, newest_first=newest_first, **{**named, **few})

    patch.setattr(item_lines, "search", some)


@pytest.fixture(scope="module")
def paged(night: World) -> ItemMarks:
    """The same lines, page by page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LAB, night.running.endpoint)
        return look(EXAMPLE)


def linked(profile: PipelineProfile = EXAMPLE, dataset: str = "linked_logs") -> PipelineProfile:
    return replace(profile, log_dataset=dataset)


def look(profile: PipelineProfile, **ask: Any) -> ItemMarks:
    found = collect(Session.open(Options(timeout_s=60)), profile, [ItemMarks], Ask(**ask)).get(ItemMarks)
    assert isinstance(found, ItemMarks)
    return found


def reads(world: World, before: int) -> list[str]:
    return [call.name.rpartition("/")[2] for call in world.running.rpcs[before:]]


def test_the_marks_are_those_of_the_pages(world: World, paged: ItemMarks) -> None:
    (view,) = (table for name, table in log_view.tables(_cloud(world)).items() if name.endswith(log_view.VIEW))
    keys = [(row["log_name"], row["timestamp"], row["insert_id"]) for row in view.rows]
    assert len(set(keys)) < len(keys), "some entries are there twice"
    by_sql = look(linked())
    assert len(paged.marks) > 100 and by_sql.marks == paged.marks
    assert (by_sql.source.complete, by_sql.since, by_sql.unread_until) == (True, paged.since, None)
    assert re.fullmatch(r"by SQL, [\d.]+ KiB read", by_sql.engine) and not paged.engine
    assert by_sql.source.query.startswith("SELECT ") and by_sql.source.by_hand.startswith("bq --project_id=")


@pytest.mark.parametrize("seed", [2, 3])
def test_so_are_those_of_structured_entries(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with _play("orders", seed=seed) as world:
        monkeypatch.setenv(LAB, world.running.endpoint)
        paged = look(ORDERS)
        _short(monkeypatch)
        by_sql = look(linked(ORDERS))
    assert len(paged.marks) > 100 and by_sql.marks == paged.marks and by_sql.engine.startswith("by SQL")


def test_the_newest_minutes_are_read_from_the_log_itself_because_the_view_is_late(
    world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    age = world.lab.now() - max(m.at for m in paged.marks).timestamp()
    assert age + 1 < log_analytics.FRESH.total_seconds()
    monkeypatch.setattr(log_view, "LATE_S", age + 1)
    assert look(linked()).marks == paged.marks
    monkeypatch.setattr(log_analytics, "FRESH", log_analytics.FRESH * 0)
    assert "_AllLogs lacks " in look(linked()).engine, "the view alone does not have them"


def test_of_a_window_that_is_past_the_newest_page_proves_the_view(world: World, paged: ItemMarks) -> None:
    until = datetime.fromtimestamp(world.lab.now() - 600, UTC)
    before = len(world.running.rpcs)
    look(EXAMPLE, until=until)
    pages = reads(world, before).count("ListLogEntries")
    before = len(world.running.rpcs)
    found = look(linked(), until=until)
    assert list(found.marks) == [m for m in paged.marks if m.at <= until and m.at >= found.since]
    assert reads(world, before).count("ListLogEntries") == pages


def test_lines_that_are_too_many_for_pages_are_all_there_by_sql(
    world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    del world
    _cut(monkeypatch, 20)
    pages = look(EXAMPLE)
    assert not pages.source.complete and len(pages.marks) < len(paged.marks)
    by_sql = look(linked())
    assert by_sql.source.complete and by_sql.marks == paged.marks


class _Seen:
    """An entry of which it can be told whether anybody still has it."""

    def __init__(self, entry: Any) -> None:
        self._entry = entry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)


def test_by_sql_no_line_is_kept_as_it_came_and_few_are_here_at_a_time(
    world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row and its entry take ten times as much as what is kept of them."""
    entries: list[weakref.ref[_Seen]] = []
    made, most = log_analytics._entry, [0]

    def entry(*given: Any) -> _Seen:
        found = _Seen(made(*given))
        entries.append(weakref.ref(found))
        most[0] = max(most[0], sum(one() is not None for one in entries))
        return found

    monkeypatch.setattr(log_analytics, "_entry", entry)
    monkeypatch.setattr(tables, "PAGE_ROWS", 9)
    before = len(world.running.rpcs)
    assert look(linked()).marks == paged.marks
    assert reads(world, before).count("GetQueryResults") >= len(entries) // 9 > 5
    assert most[0] <= 2


def test_where_the_newest_minutes_are_too_many_for_a_page_that_is_said(
    world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    _cut(monkeypatch, 3)
    found = look(linked())
    edge = world.lab.now() - log_analytics.FRESH.total_seconds()
    older = [m for m in paged.marks if m.at.timestamp() < edge]
    assert older and list(found.marks[: len(older)]) == older and len(found.marks) < len(paged.marks)
    assert not found.source.complete and "were not read" in found.source.note
    assert found.unread_until is not None and found.unread_until.timestamp() > edge


def _cut(patch: pytest.MonkeyPatch, most: int) -> None:
    """No search finds more than so many lines."""
    patch.setattr(item_lines, "search", lambda *given, **named: search(*given, **{**named, "most": most, "reads": 1}))


def test_lines_that_are_few_are_read_in_pages_and_cost_nothing(
    world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_lines, "search", search)
    before = len(world.running.rpcs)
    found = look(linked())
    assert (found.marks, found.engine) == (paged.marks, "")
    assert not any(call.name.startswith("bigquery") for call in world.running.rpcs[before:])


@pytest.mark.parametrize("lost", [slice(0, 1), slice(0, 3), slice(-40, None), slice(40, None)])
def test_a_view_that_lacks_what_the_log_has_is_not_believed(
    lost: slice, world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of another bucket, of one that was upgraded in between, or from which lines were routed away in the middle of it."""
    edge = world.lab.now() - log_analytics.FRESH.total_seconds()
    older = [mark for mark in paged.marks if mark.at.timestamp() < edge]
    gone = {mark.at.timestamp() for mark in older[lost]}
    rows = log_view._rows
    monkeypatch.setattr(log_view, "_rows", lambda cloud: (r for r in rows(cloud) if r["timestamp"] not in gone))
    found = look(linked())
    assert found.marks == paged.marks
    assert re.search(r"_AllLogs lacks \d+ of \d+ lines that the log has$", found.engine)
    assert found.source.query == look(EXAMPLE).source.query


def test_a_view_without_a_line_of_a_service_is_not_believed_unless_the_log_has_none(
    world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator's lines go to another bucket, and the worker's are so many that no page has one of them."""
    del world
    rows = log_view._rows
    gone = ("prediction-coordinator",)
    monkeypatch.setattr(
        log_view,
        "_rows",
        lambda cloud: (r for r in rows(cloud) if not any(name in str(r["resource"]) for name in gone)),
    )

    def of_the_worker(*given: Any, **named: Any) -> Any:
        found = search(*given, **named)
        of_both = "prediction-worker" in given[2]
        items = [e for e in found.items if e.resource.labels["service_name"] not in gone] if of_both else found.items
        return found._replace(items=items, complete=found.complete and named.get("newest_first", True))

    monkeypatch.setattr(item_lines, "search", of_the_worker)
    assert "has no line of prediction-coordinator, and the log has some" in look(linked()).engine
    assert paged.marks


@pytest.mark.parametrize("rpc", [ESTIMATE, QUERY], ids=lambda rpc: rpc.name)
def test_a_view_that_goes_between_two_calls_leaves_the_pages(
    rpc: Rpc, world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    del world

    def some(session: Session, asked: Rpc, request: Any) -> Any:
        if asked == rpc:
            raise NotThere("what it is asked of does not exist")
        return call(session, asked, request)

    monkeypatch.setattr(query, "call", some)
    found = look(linked())
    assert "_AllLogs cannot be asked" in found.engine and found.marks == paged.marks


def test_a_view_is_of_one_place(world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch) -> None:
    del world
    places = route.log_places
    monkeypatch.setattr(item_lines, "log_places", lambda *given: [*places(*given), "projects/other"])
    found = look(linked())
    assert "in 2 places" in found.engine
    assert not found.source.complete, "what the other place has was not seen"
    assert paged.source.complete


@pytest.mark.parametrize(
    ("dataset", "ask", "says"),
    [
        (
            "nothing",
            {},
            "there is no nba-props-platform.nothing._AllLogs, or this login may not know of it (correct log_dataset",
        ),
        (
            "linked_logs",
            {"max_bytes": 1000},
            "(BigQuery bills 10.0 MiB at least), and --max-bytes allows 1000 bytes (allow more with --max-bytes)",
        ),
    ],
)
def test_what_cannot_be_asked_is_read_page_by_page_and_why_is_said(
    world: World, paged: ItemMarks, dataset: str, ask: dict[str, Any], says: str
) -> None:
    del world
    found = look(linked(dataset=dataset), **ask)
    assert found.engine.startswith("page by page, not by SQL: ") and says in found.engine
    as_ever = look(EXAMPLE)
    assert (found.marks, found.source.query) == (as_ever.marks, paged.source.query)


@pytest.mark.parametrize("lacks", ["bigquery.jobs.create", "bigquery.tables.getData", "bigquery.tables.get"])
def test_without_a_permission_the_pages_are_read(lacks: str, world: World, paged: ItemMarks) -> None:
    cloud = _cloud(world)
    object.__setattr__(cloud, "held", cloud.held - {lacks})
    try:
        found = look(linked())
    finally:
        object.__setattr__(cloud, "held", cloud.held | {lacks})
    assert found.engine.startswith(f"page by page, not by SQL: {lacks} is missing")
    assert found.marks == paged.marks, "both ends are all of them here"


def test_more_lines_than_an_answer_takes_are_read_page_by_page(
    world: World, paged: ItemMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    del world
    monkeypatch.setattr(log_analytics, "MOST_LINES", 10)
    found = look(linked())
    assert "has more than 10 such lines" in found.engine and found.marks == paged.marks


def test_what_is_no_view_of_a_log_is_not_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    del world
    monkeypatch.setattr(log_view, "COLUMNS", {k: v for k, v in log_view.COLUMNS.items() if k != "json_payload"})
    assert "is no view of a log: json_payload of type JSON is expected" in look(linked()).engine


def test_the_answer_is_the_same_and_its_header_says_how_the_lines_were_read(
    night: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LAB, night.running.endpoint)
    said = []
    for profile in (EXAMPLE, linked()):
        if profile.log_dataset:
            _short(monkeypatch)
        case = see(Session.open(Options(timeout_s=60)), profile, "batch", Ask())
        said.append(investigate(case))
    one, other = said
    assert one.pipeline.item_lines == "" and re.fullmatch(r"by SQL, [\d.]+ KiB read", other.pipeline.item_lines)
    assert other.pipeline.item_lines in " ".join(text.render(other, Layout(400)).split())
    same = ("status", "headline", "state", "ladder", "causes", "ruled_out", "recovery", "items", "unexplained")
    assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]


def test_a_line_that_was_written_through_the_api_may_name_no_service() -> None:
    values = Values()
    texts = Texts(Receiver(service="s", region="r"), ("winston_log",), (("jsonPayload.a.b", "Done"),), through_api=True)
    assert where_of(texts, values) == (
        "(JSON_VALUE(resource.labels, '$.service_name') = @p0 OR JSON_VALUE(resource.labels, '$.service_name') IS NULL) "
        "AND log_id IN (@p1) AND (STRPOS(LOWER(JSON_VALUE(json_payload, '$.a.b')), @p2) > 0)"
    )
    assert values.named == {"p0": "s", "p1": "winston_log", "p2": "done"}


def test_a_field_that_no_path_can_name_is_not_put_into_a_query() -> None:
    texts = Texts(Receiver(service="s", region="r"), ("x",), (("jsonPayload.a') OR TRUE --", "t"),), through_api=True)
    with pytest.raises(NotSeen) as failed:
        where_of(texts, Values())
    assert failed.value.why is Why.NOT_ASKED


@pytest.mark.parametrize("named", ["a.b.c", "a b", "`x`", "p.", ".d"])
def test_a_dataset_that_cannot_be_meant_is_refused(named: str) -> None:
    from diagnostics.pipeline.load import parse_profile

    with pytest.raises(ProfileError, match=r"log_dataset: expected DATASET or PROJECT\.DATASET"):
        parse_profile(f'name = "n"\nproject = "p"\nlog_dataset = "{named}"\n[request]\nsubscription = "s"\n', "here")


def _cloud(world: World) -> Any:
    return world.running._web._cloud
