"""Where nothing could be looked at, nothing is said of what is there: exit code 3, and why."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diagnostics.cli import main
from diagnostics.evidence.model import BatchMarks, StartCalls, Unseen, Why
from diagnostics.keep import store
from diagnostics.keep.bundle import load
from diagnostics.lab.servers import bigquery, storage
from diagnostics.lab.servers.faults import HTTP
from diagnostics.lab.servers.front import METHODS
from diagnostics.readings.ledger.attempts import attempts
from diagnostics.report.batches import listing
from diagnostics.scoring.world import World, find, opened

EVERYTHING = (*(method.name for method in METHODS), *bigquery.SERVED, *storage.SERVED, HTTP)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with opened(find("typical-batch"), seed=1, log_reads_per_minute=10_000) as lab:
        yield lab


@pytest.fixture
def lab(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
    yield world
    calm(world)


def calm(lab: World) -> None:
    """No faults any more."""
    strike(lab, "cut")


def strike(lab: World, kind: str, *rpcs: str) -> None:
    faults = [{"rpc": rpc, "kind": kind} for rpc in rpcs]
    body = json.dumps(faults).encode()
    request = urllib.request.Request(f"http://{lab.running.endpoint}/lab/faults", data=body, method="POST")
    urllib.request.urlopen(request, timeout=10).close()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main.run(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_capture_of_nothing_is_written_and_is_no_success(lab: World, capsys: pytest.CaptureFixture[str]) -> None:
    strike(lab, "permission_denied", *EVERYTHING)
    code, out, err = run(capsys, "capture", "--out", "nothing.gz")
    assert code == 3
    assert Path("nothing.gz").exists()
    assert "  0 kinds of evidence seen" in out
    assert "nothing could be seen: " in err


def test_a_capture_in_part_says_what_is_missing(lab: World, capsys: pytest.CaptureFixture[str]) -> None:
    strike(lab, "permission_denied", "ListTimeSeries")
    code, _, err = run(capsys, "capture", "--out", "part.gz")
    assert code == 0
    assert "not seen: " in err and "monitoring" in err
    assert "nothing could be seen" not in err


def test_whether_there_was_an_attempt_is_not_known_where_no_log_was_read(
    lab: World, capsys: pytest.CaptureFixture[str]
) -> None:
    strike(lab, "permission_denied", *EVERYTHING)
    code, out, err = run(capsys, "batches", "-o", "json")
    assert code == 3
    assert json.loads(out)["batches"] == []
    assert json.loads(out)["unseen"]
    assert "is not known" in err
    assert "no start attempt was seen" not in err


@pytest.mark.usefixtures("lab")
def test_calls_alone_do_not_tell_that_no_batch_came_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "batches", "-q", "-o", "json")
    assert (code, json.loads(out)["unseen"]) == (0, [])

    evidence = load(store.runs()[-1]).case.evidence.with_(
        BatchMarks, None, Unseen(what="BatchMarks", leg=None, why=Why.TIMED_OUT, says="late")
    )
    calls = evidence.get(StartCalls)
    assert not isinstance(calls, Unseen) and calls.calls
    states = {b.state for b in listing(attempts((), calls.calls), None, evidence.now, lines=False).batches}
    assert "no batch" not in states


def test_init_does_not_doubt_a_subscription_that_it_could_not_look_at(
    lab: World, capsys: pytest.CaptureFixture[str]
) -> None:
    strike(lab, "permission_denied", *EVERYTHING)
    code, _, err = run(capsys, "init", "--subscription", "prediction-request-prod")
    assert code == 3
    assert "could not be looked at" in err
    assert "subscriptions list" not in err and "does not exist" not in err
    calm(lab)
    code, _, err = run(capsys, "init", "--subscription", "no-such-subscription")
    assert code == 3
    assert "it does not exist" in err and "subscriptions list" in err


def test_whether_a_probe_is_active_is_not_known_where_nobody_could_look(
    lab: World, capsys: pytest.CaptureFixture[str]
) -> None:
    strike(lab, "permission_denied", *EVERYTHING)
    for words in (("probe", "status"), ("probe", "restore")):
        code, out, _ = run(capsys, *words)
        assert code == 3, words
        assert out.count("not looked at") == 3
        assert "is not known" in out
        assert "no probe is active" not in out and "nothing to restore" not in out


def test_kept_runs_that_cannot_be_read_are_not_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = os.scandir

    def refused(folder: str | Path) -> Any:
        if Path(folder).name == "runs":
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    (tmp_path / "pubsub-diag" / "runs").mkdir(parents=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run(capsys, "bundle", "list")[0] == 0
    monkeypatch.setattr(os, "scandir", refused)
    for words in (("bundle", "list"), ("bundle", "show", "x"), ("postmortem",), ("batch", "--from", "x")):
        code, _, err = run(capsys, *words)
        assert code == 3, words
        assert "cannot be read: Permission denied" in err
