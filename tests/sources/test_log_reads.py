"""Log reads are few: how runs that follow each other know of each other, and what is done where the minute is used up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from diagnostics.evidence.unseen import NotSeen
from diagnostics.sources.search import search
from diagnostics.transport import log_reads
from diagnostics.transport.log_reads import LogReads
from diagnostics.transport.session import Session
from tests.sources.conftest import NOW
from tests.sources.test_search import at, pager

SessionOf = Callable[..., Session]


class Clocks:
    """A wall clock that may be set, and one that never goes back."""

    def __init__(self) -> None:
        self.wall = 1_770_560_460.0
        self.steady = 100.0
        self.slept = 0.0

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.go(seconds)

    def reads(self, per_minute: int, folder: Path | None, world: str = "") -> LogReads:
        return LogReads(per_minute, folder, world, lambda: self.wall, lambda: self.steady)


def test_a_minute_has_so_many_and_then_the_next_one() -> None:
    clocks = Clocks()
    reads = clocks.reads(2, None)
    assert [reads.take("p"), reads.take("p"), reads.take("p")] == [0, 0, 60]
    assert reads.take("another") == 0
    clocks.go(59)
    assert reads.take("p") == 1
    clocks.go(1)
    assert reads.take("p") == 0


def test_some_are_kept_for_others() -> None:
    reads = Clocks().reads(3, None)
    assert [reads.take("p", keep=2), reads.take("p", keep=2), reads.take("p")] == [0, 60, 0]


def by_another_process(folder: Path, wall: float, number: int = 1) -> None:
    """Reads that another process made then."""
    code = (
        "import sys; from pathlib import Path; from diagnostics.transport.log_reads import LogReads\n"
        f"reads = LogReads(60, Path(sys.argv[1]), clock=lambda: {wall})\n"
        f"print([reads.take('p') for _ in range({number})])"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, stdout=subprocess.DEVNULL)


def test_what_another_process_read_counts_for_a_minute(tmp_path: Path) -> None:
    clocks = Clocks()
    by_another_process(tmp_path, clocks.wall - 20, number=2)
    reads = clocks.reads(2, tmp_path)
    assert reads.take("p") == pytest.approx(40)
    assert reads.take("another") == 0
    assert clocks.reads(2, tmp_path, world="lab").take("p") == 0, "the lab's project of that name is another one"
    clocks.go(41)
    assert reads.take("p") == 0


def test_a_clock_that_was_set_back_does_not_make_it_wait(tmp_path: Path) -> None:
    clocks = Clocks()
    by_another_process(tmp_path, clocks.wall + 3600, number=2)
    assert clocks.reads(2, tmp_path).take("p") == 0


def test_a_folder_that_cannot_be_written_or_holds_rubbish_costs_nothing(tmp_path: Path) -> None:
    clocks = Clocks()
    (tmp_path / "file").write_text("")
    assert clocks.reads(2, tmp_path / "file" / "below").take("p") == 0
    reads = clocks.reads(2, tmp_path)
    reads.take("p")
    (path,) = tmp_path.glob("log-reads-*")
    path.write_bytes(b"\xff\xfe not a time\n\n12\n")
    assert reads.take("p") == 0


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reads, "LARGEST", 2000)
    monkeypatch.setattr(log_reads, "TAIL", 1000)
    clocks = Clocks()
    reads = clocks.reads(10_000, tmp_path)
    for _ in range(300):
        reads.take("p")
    (path,) = tmp_path.glob("log-reads-*")
    assert path.stat().st_size < 2100
    assert path.stat().st_mode & 0o077 == 0
    assert str(os.getpid()) in path.read_text()


def test_refusals_at_once_are_one_and_each_further_one_is_waited_for_longer() -> None:
    clocks = Clocks()
    reads = clocks.reads(60, None)
    reads.refused()
    reads.refused()
    assert reads.take("p") == 5
    clocks.go(5)
    reads.refused()
    assert reads.take("p") == 10


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Pauses of a search make them go, and take no time."""
    clocks = Clocks()
    monkeypatch.setattr("diagnostics.sources.search.time.sleep", clocks.sleep)
    return clocks


def test_a_refusal_for_quota_is_waited_for_and_is_no_absence(session_of: SessionOf, clocks: Clocks) -> None:
    refusals = iter([exceptions.ResourceExhausted("Quota exceeded for quota metric 'Read requests'")])

    def answer(_: dict[str, Any]) -> Any:
        for refusal in refusals:
            raise refusal
        return pager([at(timedelta(hours=1))])

    session = session_of(logs={"list_log_entries": answer})
    told: list[str] = []
    session.log_reads, session.tell = clocks.reads(60, None), told.append
    found = search(session, ["projects/p"], "", NOW - timedelta(days=1), NOW)
    assert (len(found.items), found.complete) == (1, True)
    assert clocks.slept == 5
    assert told == ["waiting for the quota of log reads, 5 s or more"]


def test_a_quota_that_stays_used_up_is_said_with_the_way_on(session_of: SessionOf, clocks: Clocks) -> None:
    session = session_of(logs={"list_log_entries": exceptions.ResourceExhausted("Quota exceeded")}, timeout_s=4)
    with pytest.raises(NotSeen, match="quota") as raised:
        search(session, ["projects/p"], "", NOW - timedelta(days=1), NOW)
    assert "--timeout" in raised.value.mend
    assert not clocks.slept, "the refusal is worth five seconds, and four were left"


def test_a_minute_that_this_machine_used_up_is_said_before_google_is_asked(session_of: SessionOf) -> None:
    session = session_of(logs={"list_log_entries": AssertionError("must not be asked")})
    session.log_reads = Clocks().reads(1, None)
    session.log_reads.take("p")
    with pytest.raises(NotSeen, match="there is room in 60 s"):
        search(session, ["projects/p"], "", NOW - timedelta(days=1), NOW)
