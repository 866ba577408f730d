"""What the last kept run is good for: an answer read again, and names in a runbook."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from diagnostics.cli import main
from diagnostics.evidence.model import EvidenceSet, Leg, Revisions, ServiceConfig
from diagnostics.keep.bundle import dump, load
from diagnostics.runbook.incident import known_of, replaced

NIGHT = Path(__file__).parents[1] / "data" / "bundles" / "night-0379aef.pubsub-diag.gz"
BATCH = "batch_2026-02-07_1770588120"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_DIAG_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)


def _kept(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "runs"
    folder.mkdir(parents=True)
    (folder / "20260208T222100Z-59e4abcd.gz").write_bytes(NIGHT.read_bytes())


def test_the_last_run_is_read_again_by_that_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _kept(tmp_path)
    assert main.run(["batch", "--from", "last", "-o", "short"]) == 2
    assert BATCH in capsys.readouterr().out


def test_without_a_kept_run_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["batch", "--from", "last"]) == 3
    assert "no run is kept" in capsys.readouterr().err


def test_a_runbook_has_the_names_of_the_last_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _kept(tmp_path)
    assert main.run(["runbook", "show", "gated-batch-never-closes"]) == 0
    said = capsys.readouterr()
    assert f"pubsub-diag batch {BATCH} --items" in said.out
    assert not {"BATCH", "SINCE", "COORDINATOR", "PROJECT"} & set(said.out.replace('"', " ").split())
    assert BATCH in said.err


def test_a_run_of_another_pipeline_names_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _kept(tmp_path)
    (tmp_path / "pubsub-diag.toml").write_text('name = "o"\nproject = "other"\n[request]\nsubscription = "s"\n')
    assert main.run(["runbook", "show", "gated-batch-never-closes"]) == 0
    said = capsys.readouterr()
    assert BATCH not in said.out + said.err


def test_logs_are_read_from_shortly_before_the_batch() -> None:
    run = load(NIGHT, ours=True)
    assert known_of(run.case, run.batch, Leg.REQUEST)["since"].startswith("2026-02-08T21:57:")


def test_the_account_of_the_pushes_is_the_subscriptions_whatever_the_profile_names() -> None:
    run = load(NIGHT, ours=True)
    request = structs.replace(run.case.profile.request, push_account="old@nba-props-platform.iam.gserviceaccount.com")
    case = replace(run.case, profile=structs.replace(run.case.profile, request=request))
    assert known_of(case, run.batch, Leg.REQUEST)["push_account"].startswith("prediction-worker@")


def test_the_revision_to_go_back_to_is_known_only_where_a_deploy_came_after_a_good_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That night the worker was deployed after the last good batch."""
    case = load(NIGHT, ours=True).case
    service, revisions = case.evidence.get(ServiceConfig, Leg.REQUEST), case.evidence.get(Revisions, Leg.REQUEST)
    assert isinstance(service, ServiceConfig) and service.settings is not None and isinstance(revisions, Revisions)
    before = replaced(case, Leg.REQUEST)
    assert before in {r.name for r in revisions.revisions} - {service.settings.serving, ""}
    old = structs.replace(
        revisions,
        revisions=tuple(structs.replace(r, created=r.created - timedelta(days=30)) for r in revisions.revisions),
    )
    since_long = replace(case, evidence=case.evidence.with_(Revisions, Leg.REQUEST, old))
    assert replaced(since_long, Leg.REQUEST) == ""
    _kept(tmp_path)
    assert main.run(["runbook", "show", "every-item-fails"]) == 0
    assert f"--to-revisions={before}=100" in capsys.readouterr().out
    assert main.run(["runbook", "show", "every-item-fails", "--revision", "other"]) == 0
    assert "--to-revisions=other=100" in capsys.readouterr().out


def test_a_run_of_a_command_that_reads_less_is_said_to_have_read_less(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = load(NIGHT).case
    few = {key: found for key, found in whole.evidence.items() if key[0] in ("BatchMarks", "ItemMarks", "StartCalls")}
    short = replace(
        whole,
        command="batches",
        evidence=EvidenceSet(few, whole.evidence.now, whole.evidence.lookback, whole.evidence.since),
    )
    kept = tmp_path / "batches.gz"
    kept.write_bytes(dump(short, None, ()))
    main.run(["batch", "--from", str(kept), "-o", "json"])
    said = capsys.readouterr()
    causes = {cause["code"]: cause["confidence"] for cause in json.loads(said.out)["causes"]}
    assert causes["gated-batch-never-closes"] == "probable", "the batch state, which could overturn it, was not asked"
    assert "`batches` reads less than `batch`: what it left out is not seen here" in said.err
    main.run(["delivery", "--from", str(NIGHT), "-o", "short"])
    err = capsys.readouterr().err
    assert "from a run of `batch` at 2026-" in err and "reads less" not in err


def test_a_batch_that_nothing_knows_stands_in_no_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = load(NIGHT).case
    folder = tmp_path / "state" / "runs"
    folder.mkdir(parents=True)
    for asked, stands in (("batch_2026-02-07_1770588121", False), (BATCH, True)):
        case = replace(whole, ask=structs.replace(whole.ask, batch=asked))
        (folder / "20260208T222100Z-59e4abcd.gz").write_bytes(dump(case, None, ()))
        assert main.run(["runbook", "show", "gated-batch-never-closes"]) == 0
        assert (asked in "".join(capsys.readouterr())) == stands
