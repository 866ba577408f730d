"""Batch state: places are asked in order, what they say is checked, and no program of the user's can do harm to the run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from diagnostics.evidence.model import BatchStatus, Provenance, Unseen, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import Auth, BatchStateProfile, LegProfile, PipelineProfile, StateKind
from diagnostics.sources.batch_state import CoordinatorUrl, command, status
from diagnostics.sources.batch_state.ask import believed, first_that_knows
from diagnostics.sources.batch_state.told import status_of
from diagnostics.sources.past.rewind_batch import batch_then
from diagnostics.sources.route import Services
from diagnostics.transport.session import Session
from diagnostics.transport.web import Answer

NOW = datetime(2026, 2, 8, 14, 21, 7, tzinfo=UTC)
SOURCE = Provenance(source="test", fetched_at=NOW, as_of=NOW)
PIPELINE = PipelineProfile(name="p", project="p", request=LegProfile(subscription="s"))
STATUS = BatchStateProfile(path="/status?batch_id={batch}", auth=Auth.NONE)
COORDINATOR = CoordinatorUrl(url="https://coordinator.example", name="coordinator")
PAGE = Answer(404, "<html>not here</html>", "text/html", 0.1)
SAID = Answer(200, '{"expected": 181, "completed": 15}', "application/json", 0.1)

SessionOf = Callable[..., Session]
Calls = list[tuple[str, dict[str, str]]]


@pytest.fixture
def session(session_of: SessionOf) -> Session:
    return session_of()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Calls]:
    """Makes every status call get this answer; gives the calls as (URL, headers)."""

    def make(answer: Answer) -> Calls:
        asked: Calls = []

        def get(_session: Session, url: str, headers: dict[str, str], _timeout_s: float) -> Answer:
            asked.append((url, headers))
            return answer

        monkeypatch.setattr("diagnostics.sources.batch_state.status.get", get)
        return asked

    return make


def refusal(read: Callable[[], BatchStatus]) -> NotSeen:
    with pytest.raises(NotSeen) as raised:
        read()
    return raised.value


# --- places in order


def place(answer: BatchStatus | NotSeen) -> Callable[[str], BatchStatus]:
    def ask(_batch: str) -> BatchStatus:
        if isinstance(answer, NotSeen):
            raise answer
        return answer

    return ask


KNOWN = BatchStatus(source=SOURCE, batch="B", exists=True, expected=181, completed=15, closed=False)
UNKNOWN = BatchStatus(source=SOURCE, batch="B", exists=False)
DENIED = NotSeen(Why.PERMISSION_DENIED, "it may not be called", "run.routes.invoke", "ask for it")
LATE = NotSeen(Why.TIMED_OUT, "it did not answer")


def test_the_first_place_that_answers_tells_and_what_failed_before_it_is_kept() -> None:
    found = first_that_knows([("one", place(DENIED)), ("two", place(KNOWN)), ("three", place(LATE))], "B")
    assert found == replace(KNOWN, instead=("one: it may not be called",))


def test_a_place_that_knows_no_such_batch_has_the_word_only_where_no_other_knows_it() -> None:
    assert first_that_knows([("one", place(UNKNOWN)), ("two", place(KNOWN))], "B").instead == (
        "one: it knows no such batch",
    )
    assert not first_that_knows([("one", place(UNKNOWN)), ("two", place(DENIED))], "B").exists


def test_where_none_answers_all_that_failed_is_said() -> None:
    error = refusal(lambda: first_that_knows([("one", place(LATE)), ("two", place(DENIED))], "B"))
    assert error.why is Why.TIMED_OUT
    assert error.says == "one: it did not answer; two: it may not be called"
    assert (error.permission, error.mend) == ("", "ask for it")
    assert refusal(lambda: first_that_knows([("one", place(DENIED)), ("two", place(DENIED))], "B")).permission


# --- what is said is checked


def said(fields: dict[str, Any], **mapping: Any) -> BatchStatus:
    return status_of(BatchStateProfile(**mapping), SOURCE, "B", fields)


@pytest.mark.parametrize(
    "completed", [-1, 1.5, float("nan"), float("inf"), True, "15", 10**12], ids=lambda value: repr(value)
)
def test_a_count_that_cannot_be_is_said_and_not_taken(completed: Any) -> None:
    error = refusal(lambda: said({"expected": 181, "completed": completed}))
    assert error.why is Why.FAILED
    assert "completed is" in error.says


@pytest.mark.parametrize(
    ("completed", "count", "items"),
    [(15, 15, None), (15.0, 15, None), (["a", "b"], 2, ("a", "b")), ({"a": 3, "b": 0}, 2, ("a", "b"))],
)
def test_done_is_a_number_a_list_or_a_table(completed: Any, count: int, items: tuple[str, ...] | None) -> None:
    found = said({"completed": completed})
    assert (found.completed, found.items) == (count, items)


def test_more_done_than_expected_is_not_believed_and_the_next_place_is_asked() -> None:
    """Unless the log tells of what leaves a batch so (tests/readings/test_believable.py)."""
    over = replace(KNOWN, expected=3, completed=29)
    reading = {StateKind.STATUS: over, StateKind.FIRESTORE: KNOWN}

    def read(state: BatchStateProfile, *_: Any) -> BatchStatus:
        return reading[state.kind]

    def ask(*kinds: StateKind) -> BatchStatus:
        places = [(k.value, partial(read, BatchStateProfile(kind=k))) for k in kinds]
        return first_that_knows([(name, believed(place, ())) for name, place in places], "B")

    assert ask(StateKind.STATUS, StateKind.FIRESTORE).instead == (
        "status: the test says 29 done of 3 expected: not used",
    )
    assert "29 done of 3 expected" in refusal(lambda: ask(StateKind.STATUS)).says


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("completed", ["a", None]), ("completed", ["a", {"id": 1}]), ("completed", [1.5]), ("completed", [True]),
        ("completed", [["a"]]), ("completed", [""]), ("expected", {"": 1}), ("expected", "181"), ("expected", 10**4000),
        ("closed", []), ("closed", {}), ("closed", float("nan")), ("forced", ["by hand"]), ("at", 10**12), ("at", True),
        ("at", "9999-12-31T23:59:59-14:00"), ("at", "0001-01-02T00:00:00+14:00"), ("at", "1999-12-31T00:00:00Z"),
        ("at", "2026-02-10T00:00:00Z"), ("at", ["2026-02-08T14:00:00Z"]),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_what_is_of_a_wrong_type_or_has_not_been_is_said_and_not_taken(field: str, value: Any) -> None:
    error = refusal(
        lambda: said(
            {"expected": 181, "completed": 15} | {field: value}, closed="closed", forced="forced", closed_at="at"
        )
    )
    assert error.why is Why.FAILED
    assert {"at": "closed_at"}.get(field, field) in error.says
    assert len(error.says) < 200


@pytest.mark.parametrize("zero", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_a_zero_that_stands_for_no_time_is_none(zero: str) -> None:
    assert said({"completed": 1, "at": zero}, closed_at="at").closed_at is None


def test_an_item_that_is_listed_twice_is_done_once() -> None:
    found = said({"expected": 2, "completed": ["a", "a"]})
    assert (found.completed, found.items) == (1, ("a",))


def test_names_that_hold_secrets_are_redacted() -> None:
    assert said({"completed": ["Bearer " + "a" * 40]}).items == ("Bearer [redacted bearer credential]",)


def test_times_have_a_zone() -> None:
    found = said({"completed": 1, "at": "2026-02-08T14:00:00+01:00"}, closed_at="at")
    assert found.closed_at == datetime(2026, 2, 8, 13, tzinfo=UTC)
    for at in ("2026-02-08T14:00:00", "yesterday", 5):
        with pytest.raises(NotSeen, match="RFC 3339"):
            said({"completed": 1, "at": at}, closed_at="at")


# --- the status endpoint


def test_an_endpoint_of_its_own_is_asked_whatever_the_coordinator_is(
    session: Session, answers: Callable[[Answer], Calls]
) -> None:
    asked = answers(SAID)
    own = replace(STATUS, url="https://state.example/")
    unseen = Unseen(what="CoordinatorUrl", why=Why.PERMISSION_DENIED, says="run.services.get is missing")
    assert status.read(session, PIPELINE, own, unseen, "B/1").expected == 181
    assert asked == [("https://state.example/status?batch_id=B%2F1", {"Accept": "application/json"})]


@pytest.mark.parametrize("answered", [403, 404])
@pytest.mark.parametrize("ingress", ["internal", "internal-and-cloud-load-balancing", "none"])
def test_an_ingress_that_keeps_us_out_is_said_with_the_way_on(
    session: Session, answers: Callable[[Answer], Calls], ingress: str, answered: int
) -> None:
    answers(PAGE._replace(status=answered))
    error = refusal(lambda: status.read(session, PIPELINE, STATUS, replace(COORDINATOR, ingress=ingress), "B"))
    assert f"(ingress {ingress}) and cannot be asked from outside" in error.says
    assert "firestore" in error.mend
    assert not error.permission


def test_an_open_ingress_is_not_blamed(session: Session, answers: Callable[[Answer], Calls]) -> None:
    answers(PAGE)
    assert "ingress" not in refusal(lambda: status.read(session, PIPELINE, STATUS, COORDINATOR, "B")).says


def test_what_the_program_itself_refuses_is_not_blamed_on_the_ingress(
    session: Session, answers: Callable[[Answer], Calls]
) -> None:
    answers(Answer(403, '{"error": "not you"}', "application/json", 0.1))
    shut = replace(COORDINATOR, ingress="internal")
    assert "ingress" not in refusal(lambda: status.read(session, PIPELINE, STATUS, shut, "B")).says


def test_a_coordinator_without_an_url_is_said(session: Session, answers: Callable[[Answer], Calls]) -> None:
    asked = answers(SAID)
    error = refusal(lambda: status.read(session, PIPELINE, STATUS, replace(COORDINATOR, url=""), "B"))
    assert error.why is Why.NOT_CONFIGURED
    assert "no URL of its own" in error.says
    assert "url in [batch_state]" in error.mend
    assert not asked


def test_the_value_of_a_header_is_sent_and_never_told(
    session: Session, answers: Callable[[Answer], Calls], monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = replace(STATUS, auth=Auth.HEADER, header="X-State-Key", header_env="STATE_KEY")
    monkeypatch.delenv("STATE_KEY", raising=False)
    assert refusal(lambda: status.read(session, PIPELINE, keyed, COORDINATOR, "B")).mend == "export STATE_KEY=…"
    monkeypatch.setenv("STATE_KEY", "open-sesame")
    asked = answers(SAID)
    found = status.read(session, PIPELINE, keyed, COORDINATOR, "B")
    assert asked[0][1]["X-State-Key"] == "open-sesame"
    assert '-H "X-State-Key: $STATE_KEY"' in found.source.by_hand
    answers(Answer(403, "no", "text/plain", 0.1))
    error = refusal(lambda: status.read(session, PIPELINE, keyed, COORDINATOR, "B"))
    assert "open-sesame" not in f"{found}{error.says}{error.mend}{session.calls}"
    monkeypatch.setenv("STATE_KEY", "a\r\nHost: elsewhere")
    assert "cannot be sent" in refusal(lambda: status.read(session, PIPELINE, keyed, COORDINATOR, "B")).says


def test_a_sign_in_page_is_said(session: Session, answers: Callable[[Answer], Calls]) -> None:
    answers(Answer(302, "", "text/html", 0.1))
    assert "IAP" in refusal(lambda: status.read(session, PIPELINE, STATUS, COORDINATOR, "B")).says


# --- a command


def program(text: str, **more: Any) -> BatchStateProfile:
    return BatchStateProfile(kind=StateKind.COMMAND, command=(sys.executable, "-c", text, "{batch}"), **more)


def ran(session: Session, state: BatchStateProfile, batch: str = "B") -> BatchStatus:
    nowhere = Unseen(what="CoordinatorUrl", why=Why.NOT_CONFIGURED, says="there is none")
    return command.read(session, PIPELINE, state, nowhere, batch)


def test_a_program_tells_the_state_and_what_ran_is_told(session: Session) -> None:
    found = ran(
        session, program('import sys; print(\'{"expected": 181, "completed": 15, "batch": "%s"}\' % sys.argv[1])')
    )
    assert (found.expected, found.completed) == (181, 15)
    assert found.source.by_hand.startswith(sys.executable)
    assert [c.ok for c in session.calls] == [True]


def test_null_is_a_batch_that_is_not_known(session: Session) -> None:
    assert not ran(session, program("print('null')")).exists


@pytest.mark.parametrize(
    ("text", "why", "says"),
    [
        ("import sys; print('x', file=sys.stderr); sys.exit('no route to db')", Why.FAILED, "ended with 1: no route to db"),
        ("import os; os.kill(os.getpid(), 9)", Why.FAILED, "ended by signal 9"),
        ("print('[1]')", Why.FAILED, "is no JSON object: [1]"),
        ("print('expected: 181')", Why.FAILED, "is no JSON: expected: 181"),
        ("print('[' * 100000)", Why.FAILED, "is no JSON"),
        ("pass", Why.FAILED, "is no JSON: nothing"),
        ("print('{}')", Why.FAILED, "has neither expected nor completed"),
        ("print('{\"expected\": -3}')", Why.FAILED, "expected is -3"),
        ("import sys; sys.exit('password=hunter2hunter2')", Why.FAILED, "[redacted password]"),
        ("while True: print('x' * 65536)", Why.FAILED, "printed more than"),
    ],
    ids=["fails", "killed", "a list", "text", "nested", "nothing", "other fields", "below zero", "a secret", "endless"],
)  # fmt: skip
def test_a_program_that_does_not_do_as_described_is_not_believed(
    session: Session, text: str, why: Why, says: str
) -> None:
    error = refusal(lambda: ran(session, program(text)))
    assert error.why is why
    assert says in error.says
    assert "hunter2" not in error.says


def test_a_program_that_hangs_is_ended_with_all_that_it_began(session: Session, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.touch()
    child = f"import fcntl, time; f = open({str(held)!r}); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)"
    text = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE);"
        f"p.stdout.readline(); print('{{}}', flush=True); p.wait()"
    )
    started = time.monotonic()
    error = refusal(lambda: ran(session, program(text, timeout_s=1)))
    assert (error.why, "did not end within 1 s" in error.says) == (Why.TIMED_OUT, True)
    with held.open() as file:  # the lock is free once the child is gone
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            assert time.monotonic() - started < 10
            time.sleep(0.02)


def test_a_program_gets_no_more_time_than_the_run_has(session_of: SessionOf) -> None:
    started = time.monotonic()
    refusal(lambda: ran(session_of(timeout_s=1), program("import time; time.sleep(60)", timeout_s=60)))
    assert time.monotonic() - started < 5


def test_a_program_that_is_not_there_is_said(session: Session) -> None:
    error = refusal(
        lambda: ran(session, BatchStateProfile(kind=StateKind.COMMAND, command=("no-such-program", "{batch}")))
    )
    assert error.why is Why.NOT_CONFIGURED
    assert "no-such-program cannot be run: No such file" in error.says


@pytest.mark.parametrize("batch", ["--output=/etc/passwd", "$(reboot)", "a b", "B;ls", "", "B\n", "B" * 300])
def test_a_batch_that_is_no_name_is_handed_to_no_program(session: Session, batch: str) -> None:
    assert "no name to hand to a program" in refusal(lambda: ran(session, program("print('null')"), batch)).says
    assert not session.calls


def test_no_shell_reads_the_words(session: Session) -> None:
    text = "import json, sys; print(json.dumps({'expected': 1, 'batch': 'B', 'said': sys.argv[2]}))"
    state = BatchStateProfile(
        kind=StateKind.COMMAND, command=(sys.executable, "-c", text, "{batch}", "$HOME; ls"), forced="said"
    )
    assert ran(session, state).forced == "$HOME; ls"


def test_what_is_kept_of_a_run_names_no_program() -> None:
    kept = PipelineProfile(
        name="p", project="p", request=LegProfile(subscription="s"), batch_state=(program("print('null')"), STATUS)
    ).to_keep()
    assert [s.command for s in kept.batch_states] == [(sys.executable,), ()]
    assert "print" not in json.dumps([s.command for s in kept.batch_states])


def test_a_program_that_is_kept_without_its_words_is_not_run(session: Session) -> None:
    state = BatchStateProfile(kind=StateKind.COMMAND, command=(os.devnull,))
    assert "names no command" in refusal(lambda: ran(session, state)).says


# --- a state of now and a past moment


@pytest.mark.parametrize("before", [timedelta(0), timedelta(hours=1)])
def test_what_was_not_written_since_is_what_it_was_then(session: Session, before: timedelta) -> None:
    then = NOW - timedelta(hours=2)
    found = batch_then(
        session, PIPELINE, Services(coordinator=None, worker=None), replace(KNOWN, updated=then - before), (), then
    )
    assert (found.completed, found.closed, found.source.as_of) == (15, False, then)


def test_what_was_written_since_says_nothing_of_then_where_no_log_takes_it_back(session: Session) -> None:
    then = NOW - timedelta(hours=2)
    today = replace(KNOWN, updated=then + timedelta(minutes=1))
    error = refusal(lambda: batch_then(session, PIPELINE, Services(coordinator=None, worker=None), today, (), then))
    assert error.why is Why.EXPIRED
