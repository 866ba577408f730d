"""What a probe meets besides its own end: a full disk, another probe, a wrong clock, somebody else's change, a machine that slept."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.api_core import exceptions

from diagnostics.probe import log_entry, recover, switch, traces
from diagnostics.probe.journal import Entry, Journal, here, running, this_process
from diagnostics.probe.peek import NOTHING_PULLS, Peek, peek
from diagnostics.probe.plan import Plan
from diagnostics.probe.push_config import LABEL, UNTIL
from diagnostics.probe.reach import Reach
from diagnostics.probe.restore import Outcome, State, restore
from diagnostics.probe.run import Failed, carry_out
from diagnostics.probe.watchdog import Watchdog
from tests.probe.conftest import Open, World
from tests.probe.fakes import NAME, NOW, Subscriber, message, push_config, reach, snapshot_entry, switch_entry, switched
from tests.probe.killing import leftovers, losses

REQUESTS = "prediction-request-prod"
PUSH = push_config(attributes={"x-goog-version": "v1"})


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_a_journal_is_whole_or_as_it_was_when_the_disk_fills_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, entry = Journal(tmp_path), switch_entry(PUSH)
    real, room = os.write, [10**6]

    def write(descriptor: int, text: bytes) -> int:
        taken = min(len(text), 50, room[0])
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        room[0] -= taken
        return real(descriptor, text[:taken])

    monkeypatch.setattr(os, "write", write)
    journal.write(entry)
    assert journal.read(entry.run) == entry
    room[0] = 120
    with pytest.raises(OSError, match="No space"):
        journal.write(msgspec.structs.replace(entry, by="somebody"))
    assert journal.read(entry.run) == entry
    assert [f.suffix for f in journal.folder.iterdir()] == [".json"]


def test_a_folder_of_journals_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    found, damaged = Journal(tmp_path).entries("")
    assert found == [] and "Permission denied" in damaged[0]


def test_what_is_put_back_stays_put_back_when_the_journal_cannot_be_removed(
    world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_journal: Journal, _run: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with world() as w:
        before = w.truth()
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "remove", refuse)
            _, outcome = w.probe("switch")
            assert outcome.state is State.RESTORED
            assert any("Read-only" in line and "rm " in line for line in w.told)
            (again,) = recovered(w, force=True)
            assert again.state is State.UNTOUCHED and "Read-only" in again.says
        assert leftovers(w.truth(), before) == []
        (last,) = recovered(w, force=True)
        assert last.state is State.UNTOUCHED
        assert not list(w.journal.folder.glob("*.json"))


def recovered(w: World, journal: Journal | None = None, force: bool = False, forget: bool = False) -> list[Outcome]:
    where = (w.reach, journal or w.journal, w.profile.project, w.running.endpoint)
    return recover.recover(*where, force=force, forget=forget)[0]


# --- two at once ------------------------------------------------------------------------------------------------------


def announced(w: World, made: Plan, host: str = "elsewhere", **fields: Any) -> Entry:
    """Another machine's probe that has told the log that it begins."""
    entry = msgspec.structs.replace(made.entry, run="ffffffff", host=host, **fields)
    log_entry.write(w.reach, entry, log_entry.BEGINS)
    assert log_entry.read_back(w.reach, entry)
    return entry


def test_of_two_that_begin_in_one_second_the_one_that_sees_the_other_switches_nothing(world: Open) -> None:
    with world() as w:
        before = w.truth()
        made, source = w.plan("switch")
        announced(w, made)
        with pytest.raises(Failed, match="run ffffffff on elsewhere: nothing was switched") as failed:
            carry_out(w.reach, w.profile, made, source, w.journal, w.told.append)
        assert failed.value.outcome.state is State.UNTOUCHED
        assert leftovers(w.truth(), before) == []
        assert "subscriber.update_subscription" not in {r.name for r in w.running.rpcs}


def test_one_that_is_over_or_long_past_or_of_another_subscription_is_no_rival(world: Open) -> None:
    with world() as w:
        made, _ = w.plan("switch")
        other = announced(w, made, started=NOW, until=NOW + timedelta(seconds=1))
        log_entry.write(w.reach, made.entry, log_entry.BEGINS)
        time.sleep(0.2)
        said = log_entry.read_back(w.reach, made.entry)
        assert said
        longer = msgspec.structs.replace(other, until=NOW + timedelta(hours=1))
        assert log_entry.rivals({**said, other.run: said[other.run]._replace(entry=longer)}, made.entry) == [longer]
        elsewhere = msgspec.structs.replace(longer, subscription=f"{longer.subscription}-2")
        assert log_entry.rivals({**said, other.run: said[other.run]._replace(entry=elsewhere)}, made.entry) == []
        assert (
            log_entry.rivals({**said, other.run: said[other.run]._replace(entry=longer, over=True)}, made.entry) == []
        )


def test_a_machine_of_the_same_name_is_another_one(world: Open) -> None:
    """Containers and runners share names; the start of the machine tells them apart."""
    with world() as w:
        made, _ = w.plan("switch")
        assert here(made.entry)
        announced(w, made, host=made.entry.host, boot="another start")
        second, _ = w.plan("snapshot")
        assert any("log entry" in r.says for r in second.forbidden)


def test_after_a_new_start_of_the_machine_its_probe_is_gone() -> None:
    known: dict[str, Any] = dict(this_process())
    mine = switch_entry(PUSH, **known)
    assert running(mine, NOW)
    if known["boot"]:
        assert not running(msgspec.structs.replace(mine, boot="another start"), NOW)
    assert running(msgspec.structs.replace(mine, boot=""), NOW), "as an older version wrote it"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ("ours", ""),
        ("taken", "another probe has taken it over, run ffffffff"),
        ("unmarked", "the mark of this probe is gone"),
        ("pushes", "it pushes again"),
        ("gone", "does not exist"),
        ("unseen", "could not be seen"),
    ],
)
def test_before_each_pull_it_is_looked_whether_the_subscription_still_is_this_probes(found: str, says: str) -> None:
    subscriber, entry = Subscriber(PUSH), switch_entry(PUSH)
    if found != "pushes":
        switched(subscriber, "ffffffff" if found == "taken" else entry.run)
    if found == "unmarked":
        subscriber.held.labels.clear()
    if found == "gone":
        subscriber.held = None
    if found == "unseen":
        subscriber.trouble = lambda _method: _raise(exceptions.PermissionDenied("no"))
    why = switch.lost(reach(subscriber), entry)
    assert why == says if not says else says in why


def test_what_another_probe_has_taken_over_is_pulled_from_no_more(world: Open) -> None:
    with world() as w:
        made, source = w.plan("switch", peek=100)

        def at(when: str, name: str) -> None:
            if (when, name) == ("before", "subscriber.get_subscription:still"):
                w.lab.world.subscriptions[REQUESTS].labels = {LABEL: "ffffffff"}

        w.reach._at = at
        _, outcome = carry_out(w.reach, w.profile, made, source, w.journal, w.told.append)
        assert outcome.state is State.CHANGED and "another probe, run ffffffff" in outcome.says
        assert any("no more is pulled" in line for line in w.told)
        assert not [r for r in w.running.rpcs if r.name.endswith("/Pull")]
        w.lab.world.subscriptions[REQUESTS].labels = {LABEL: made.entry.run}
        (outcome,) = recovered(w, force=True)
        assert outcome.state is State.RESTORED


# --- somebody else ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_subscription_that_is_deleted_between_any_two_calls_needs_nothing(nth: int) -> None:
    subscriber = Subscriber(PUSH)
    switched(subscriber)

    def trouble(_method: str) -> None:
        if len(subscriber.asked) == nth:
            _raise(exceptions.NotFound("gone"))

    subscriber.trouble = trouble
    assert restore(reach(subscriber), switch_entry(PUSH)).state is State.GONE


def test_a_mark_that_is_left_on_a_subscription_that_pushes_is_named_so_and_can_be_forgotten_anywhere(
    world: Open,
) -> None:
    with world() as w:
        w.lab.world.subscriptions[REQUESTS].labels = {LABEL: "0a1b2c3d", UNTIL: "1"}
        another = Journal(w.journal.folder / "another-machine")
        listed = traces.traces(w.reach, another, w.profile.project, w.running.endpoint)
        assert [t.what for t in listed.found] == [traces.MARKED]
        (outcome,) = recovered(w, another)
        assert outcome.state is State.FAILED and not any("ENDPOINT" in line for line in outcome.by_hand)
        pushes = w.truth()["subscriptions"][REQUESTS]["push_config"]
        (outcome,) = recovered(w, another, forget=True)
        assert outcome.state is State.UNTOUCHED
        now = w.truth()["subscriptions"][REQUESTS]
        assert (now["labels"], now["push_config"]) == ({}, pushes)


def test_what_may_hold_a_secret_is_restored_where_it_is_known_and_elsewhere_it_is_said_why_not(world: Open) -> None:
    with world() as w:
        w.lab.world.subscriptions[REQUESTS].push.endpoint += "?token=s3cret"
        before = w.truth()
        made, _ = w.plan("switch")
        w.journal.write(made.entry)
        switch.switch(w.reach, made.entry)
        another = Journal(w.journal.folder / "another-machine")
        (outcome,) = recovered(w, another, force=True)
        assert outcome.state is State.FAILED
        assert "what may be a secret" in outcome.says and "the machine that ran the probe" in outcome.says
        assert "s3cret" not in json.dumps([outcome.says, *outcome.by_hand])
        (outcome,) = recovered(w, force=True)
        assert outcome.state is State.RESTORED
        assert leftovers(w.truth(), before) == [] and losses(w.truth()) == []


def test_pull_mode_without_a_mark_is_found_from_another_machine_and_after_its_time(world: Open) -> None:
    with world(pace=0) as w:
        before = w.truth()
        made, _ = w.plan("switch", force=True)
        entry = msgspec.structs.replace(made.entry, marked=False, host="elsewhere")
        for state in (made.entry, entry):
            log_entry.write(w.reach, msgspec.structs.replace(state, host="elsewhere"), log_entry.BEGINS)
            w.lab.advance(10)
        switch.switch(w.reach, entry)
        w.lab.advance(3600)
        another = Journal(w.journal.folder / "another-machine")
        (outcome,) = recovered(w, another)
        assert outcome.state is State.RESTORED
        assert leftovers(w.truth(), before) == []


# --- the clock --------------------------------------------------------------------------------------------------------


class Skewed(Reach):
    """A machine whose clock is wrong, and that cannot ask for Google's time."""

    hours = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(hours=self.hours)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_hours_wrong_loses_nothing_and_is_restored_from_anywhere(world: Open, hours: float) -> None:
    with world() as w:
        before = w.truth()
        w.reach.__class__, Skewed.hours = Skewed, hours
        _, outcome = w.probe("snapshot", force=True)
        assert outcome.state is State.RESTORED
        made, _ = w.plan("switch", force=True)
        assert made.logged
        log_entry.write(w.reach, made.entry, log_entry.BEGINS)
        assert log_entry.read_back(w.reach, made.entry), (
            "what was written a moment ago is found, whatever the clock says"
        )
        switch.switch(w.reach, made.entry)
        Skewed.hours = 0
        another = Journal(w.journal.folder / "another-machine")
        (outcome,) = recovered(w, another)
        if hours > 0:
            assert "the clock of its machine, or of this one, is wrong" in outcome.says
            (outcome,) = recovered(w, another, force=True)
        assert outcome.state is State.RESTORED
        assert leftovers(w.truth(), before) == [] and losses(w.truth()) == []


def test_googles_time_is_used_where_it_is_known() -> None:
    theirs = Reach(reach(Subscriber(PUSH)).session, ahead_s=5 * 3600.0)
    assert abs(theirs.now() - (datetime.now(UTC) - timedelta(hours=5))) < timedelta(minutes=1)


# --- time, and who watches --------------------------------------------------------------------------------------------


def test_one_that_wakes_up_after_its_time_begins_nothing() -> None:
    subscriber = Subscriber(PUSH)
    with pytest.raises(switch.NotBegun, match="over before it began"):
        switch.switch(reach(subscriber), switch_entry(PUSH), may=lambda: False)
    assert "update_subscription" not in subscriber.asked


HOLDS_ON = """
import os, sys, time
from pathlib import Path
import msgspec
from diagnostics.probe.journal import Entry, Journal
from diagnostics.probe.watchdog import Watchdog

folder = Path(sys.argv[1])
entry = msgspec.json.decode((folder / "entry").read_bytes(), type=Entry)
watchdog = Watchdog(entry, Journal(folder).folder, 600.0, "", sys.argv[2].encode())
if os.fork() == 0:
    time.sleep(60)  # it holds the other end of the watchdog's pipe, and lives on
    os._exit(0)
print(watchdog.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system has no descriptors of processes")
def test_the_watchdog_knows_the_probe_itself_and_not_whoever_holds_its_pipe(world: Open, tmp_path: Path) -> None:
    with world() as w:
        before = w.truth()
        made, _ = w.plan("switch")
        w.journal.write(made.entry)
        switch.switch(w.reach, made.entry)
        (tmp_path / "entry").write_bytes(msgspec.json.encode(made.entry))
        waits = msgspec.json.encode(w.reach.waits).decode()
        probe = subprocess.Popen(
            [sys.executable, "-c", HOLDS_ON, str(tmp_path), waits], stdout=subprocess.PIPE, text=True, process_group=0
        )
        assert probe.stdout is not None and int(probe.stdout.readline())
        try:
            probe.kill()
            probe.wait()
            end = time.monotonic() + 60
            while leftovers(w.truth(), before) and time.monotonic() < end:
                time.sleep(0.1)
            assert leftovers(w.truth(), before) == []
        finally:
            os.killpg(probe.pid, 9)
            probe.stdout.close()


def test_a_watchdog_that_is_stopped_watches_nothing(tmp_path: Path) -> None:
    watchdog = Watchdog(snapshot_entry(), Journal(tmp_path).folder, 600.0, "", b"{}")
    assert watchdog.alive()
    os.kill(watchdog.pid, 19)
    end = time.monotonic() + 20
    while watchdog.alive() and time.monotonic() < end:
        time.sleep(0.01)
    assert not watchdog.alive()
    watchdog.dismiss()
    os.kill(watchdog.pid, 18)
    assert watchdog._process.wait(20) == 0, "once it goes on it reads that it may go"


# --- nothing comes ----------------------------------------------------------------------------------------------------


def test_where_the_metric_counts_none_two_short_pulls_are_the_answer() -> None:
    for waiting, pulls in ((0, NOTHING_PULLS), (5, None), (None, None)):
        subscriber, found = Subscriber(PUSH), Peek()
        peek(found, reach(subscriber), NAME, 10, waiting=waiting)
        if pulls:
            assert found.pulls == found.empty == pulls
        else:
            assert found.pulls > 5, "what is counted is waited for, for as long as it was said"


def test_what_comes_although_the_metric_counts_none_is_taken_in_full() -> None:
    subscriber, found = Subscriber(PUSH), Peek()
    subscriber.pulls = [[], [message(1)], [], [], [message(2)]]
    peek(found, reach(subscriber), NAME, 10, waiting=0)
    assert sorted(found.came) == ["1", "2"]


def _raise(error: Exception) -> None:
    raise error
