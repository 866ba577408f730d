from __future__ import annotations

from pathlib import Path

import pytest

from diagnostics.cli import main
from diagnostics.pipeline import places
from diagnostics.runbook.pages import fill

BOOK = """\
---
code: push-invoker-missing
title: The push account may not invoke the service
stage: delivered
symptoms:
  - every push is answered 403
---
## Mitigation

    gcloud run services add-iam-policy-binding {service} --region {region} --project {project} \\
      --member serviceAccount:{push_account} --role roles/run.invoker
"""
PROFILE = """\
name = "mine"
project = "my-project"
region = "us-west2"
[request]
subscription = "my-push"
[worker]
service = "my-worker"
"""


@pytest.fixture(autouse=True)
def _shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = tmp_path / "causes" / "auth"
    family.mkdir(parents=True)
    (family / "push-invoker-missing.md").write_text(BOOK)
    monkeypatch.setattr(places, "runbooks", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUBSUB_DIAG_PROFILE", raising=False)


def test_show_fills_in_what_is_known_and_leaves_a_placeholder_for_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pubsub-diag.toml").write_text(PROFILE)
    assert main.run(["runbook", "show", "push-invoker-missing", "--region", "europe-west1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# The push account may not invoke the service\n\n## Mitigation\n")
    assert "add-iam-policy-binding my-worker --region europe-west1 --project my-project" in said
    assert "serviceAccount:PUSH_ACCOUNT" in said
    assert "symptoms" not in said


def test_list_and_find(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["runbook", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[1].split(maxsplit=3) == [
        "auth", "push-invoker-missing", "delivered", "The push account may not invoke the service",
    ]  # fmt: skip
    assert main.run(["runbook", "find", "403 ANSWERED"]) == 0
    assert "every push is answered 403" in capsys.readouterr().out
    assert main.run(["runbook", "find", "unicorn"]) == 3
    assert capsys.readouterr().out == ""
    assert main.run(["runbook", "find", "  "]) == 3
    assert main.run(["runbook", "list", "--symptoms"]) == 0
    assert "every push is answered 403" in capsys.readouterr().out


def test_an_unknown_code_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["runbook", "show", "push-invoker-mising"]) == 3
    assert "did you mean push-invoker-missing?" in capsys.readouterr().err


def test_an_empty_shelf_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "causes" / "auth" / "push-invoker-missing.md").unlink()
    assert main.run(["runbook", "list"]) == 3
    assert "no runbooks" in capsys.readouterr().err


def test_filling_leaves_other_braces_alone() -> None:
    assert (
        fill("{project} {other} ${{x}} {{batch}}", {"project": "p", "batch": "b\x1b"}) == "p {other} ${{x}} {b\\x1b}\n"
    )


def test_a_command_about_a_service_names_the_services_own_project() -> None:
    page = """gcloud run services describe {service} --region={region} --project={project}
gcloud logging read 'resource.labels.service_name="{worker}"' \\
  --project={project}
gcloud pubsub topics describe {topic} --project={project}"""
    known = {"project": "ours", "service": "w", "worker": "w", "service_project": "theirs", "worker_project": "theirs"}
    projects = [line.rpartition("--project=")[2] for line in fill(page, known).splitlines() if "--project" in line]
    assert projects == ["theirs", "theirs", "ours"]
    assert "theirs" not in fill(page, {"project": "ours", "service": "w"})
