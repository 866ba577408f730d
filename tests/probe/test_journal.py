"""The journal outlives the process, belongs to its owner alone, and knows whether its probe still lives."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnostics.pipeline.places import state_dir
from diagnostics.probe.journal import Journal, running, this_process
from tests.probe.fakes import NOW, push_config, switch_entry


def test_an_entry_is_synced_with_its_folder_before_write_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    journal = Journal(tmp_path)
    journal.write(switch_entry(push_config()))
    assert synced == ["file", "folder"]
    assert stat.S_IMODE(journal.path("0a1b2c3d").stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.folder.stat().st_mode) == 0o700


def test_entries_of_another_world_are_not_ours_and_a_damaged_one_is_said(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(switch_entry(push_config()))
    journal.write(switch_entry(push_config(), "ffffffff", world="127.0.0.1:1"))
    journal.path("bad").write_text("{")
    found, damaged = journal.entries("")
    assert [e.run for e in found] == ["0a1b2c3d"]
    assert len(damaged) == 1 and "bad.json" in damaged[0]


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(switch_entry(push_config()))
    journal.remove("0a1b2c3d")
    journal.remove("0a1b2c3d")
    assert journal.read("0a1b2c3d") is None


def test_a_probe_runs_while_its_process_lives_and_elsewhere_until_its_time_is_over() -> None:
    here: dict[str, Any] = dict(this_process())
    mine = switch_entry(push_config(), **here)
    assert running(mine, NOW)
    assert not running(msgspec.structs.replace(mine, born="another process of that number"), NOW)
    over = subprocess.Popen([sys.executable, "-c", ""])
    over.wait()
    assert not running(msgspec.structs.replace(mine, pid=over.pid), NOW)
    elsewhere = msgspec.structs.replace(mine, host="elsewhere", pid=1)
    assert running(elsewhere, NOW)
    assert not running(elsewhere, elsewhere.until + timedelta(seconds=1))


def test_where_state_is_kept() -> None:
    assert state_dir({"PUBSUB_DIAG_STATE_DIR": "/a", "XDG_STATE_HOME": "/b"}) == Path("/a")
    assert state_dir({"XDG_STATE_HOME": "/b"}) == Path("/b/pubsub-diag")
    assert state_dir({}) == Path.home() / ".local/state/pubsub-diag"


def test_a_process_that_holds_on_to_the_lock_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diagnostics.probe.journal.ALONE_S", 0.1)
    with Journal(tmp_path).alone(), pytest.raises(TimeoutError), Journal(tmp_path).alone():
        pass
    with Journal(tmp_path).alone():
        pass
