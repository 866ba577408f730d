"""The one command that mends a cause: from its page, with the names of the run, beside a cause that surely blocks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from diagnostics.cli.frame.inside import CommandLine
from diagnostics.pipeline import places
from diagnostics.run.investigate import investigate
from diagnostics.runbook import pages as runbook
from diagnostics.runbook.incident import with_fixes
from diagnostics.scoring.expect import wanted
from diagnostics.scoring.score import observe
from diagnostics.scoring.world import find, opened
from diagnostics.shell.commands import is_command, parted
from diagnostics.transport.session import LAB
from tests.remedies.rows import ROWS

ONE_LINE = [page for page in runbook.every() if page.front.one_line]
KNOWN = {name: f"the-{name.replace('_', '-')}" for name in runbook.PLACEHOLDERS}
GRANT = (
    "gcloud run services add-iam-policy-binding prediction-worker --region=us-west2 --project=nba-props-platform "
    "--member=serviceAccount:prediction-worker@nba-props-platform.iam.gserviceaccount.com --role=roles/run.invoker"
)


@pytest.mark.parametrize("page", ONE_LINE, ids=lambda page: page.front.name)
def test_it_is_the_first_step_whole_and_a_remedy_that_is_proven(page: runbook.Runbook) -> None:
    first = page.body.partition("\n## Mitigation\n")[2].partition("\n2. ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", first, re.S)
    line = runbook.fix(page.front.name, KNOWN)
    assert is_command(line) and "{" not in line and "\n" not in line
    assert not re.search(r"\b[A-Z]{3,}\b(?!_)", re.sub(r"--update-env-vars=\S+", "", line)), (
        "somebody would have to think of a name"
    )
    assert len([row for row in re.sub(r"\\\n", "", block).splitlines() if row.strip()]) == 1
    assert any(row.code == page.front.name and row.steps[0] == 1 for row in ROWS), (
        "`make remedies` has to prove the step"
    )


def test_without_a_name_that_it_needs_there_is_none() -> None:
    assert runbook.fix("push-invoker-missing", KNOWN).endswith("--role=roles/run.invoker")
    for name in ("service", "region", "push_account"):
        assert runbook.fix("push-invoker-missing", {**KNOWN, name: ""}) == ""
    assert runbook.fix("push-invoker-missing", {**KNOWN, "push_account": "two\nlines"}) == ""
    assert runbook.fix("ingress-closed", KNOWN) == "", "nobody can tell how far it was open"


def test_a_page_that_cannot_be_read_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "runbooks", lambda: tmp_path)
    assert runbook.fix("push-invoker-missing", KNOWN) == ""
    (tmp_path / "push-invoker-missing.md").write_bytes(b"---\n\xff\n---\n")
    assert runbook.fix("push-invoker-missing", KNOWN) == ""
    (tmp_path / "push-invoker-missing.md").write_text("---\ntitle: [\n---\n")
    assert runbook.fix("push-invoker-missing", KNOWN) == ""


def test_it_stands_beside_what_surely_blocks_and_nowhere_else() -> None:
    with opened(find("push-invoker-missing"), seed=1) as world:
        environ = {LAB: world.running.endpoint, "PUBSUB_DIAG_TIMEOUT": "120"}
        batch = world.lab.batches["tonight"].id
        said = json.loads(CommandLine().run(["batch", batch, "-o", "json"], environ).out)
        shown = CommandLine().run(["batch", batch], environ).out
        pasted = CommandLine().run(["batch", batch, "-o", "markdown"], environ).out
    assert {cause["code"]: cause["fix"] for cause in said["causes"] if cause["fix"]} == {"push-invoker-missing": GRANT}
    (line,) = (row for row in re.sub(r" \\\n +", " ", shown).splitlines() if row.startswith("fix "))
    assert parted(line.removeprefix("fix").strip()) == (GRANT, "changes the pipeline: read the page first")
    assert GRANT in pasted


def test_what_is_not_sure_has_none() -> None:
    with opened(find("work-goes-on-past-the-deadline"), seed=1) as world:
        environ = {LAB: world.running.endpoint, "PUBSUB_DIAG_TIMEOUT": "120"}
        (cause,) = json.loads(CommandLine().run(["batch", "-o", "json"], environ).out)["causes"]
    assert (cause["code"], cause["confidence"], cause["fix"]) == ("work-longer-than-ack-deadline", "probable", "")


def test_what_is_mended_by_now_has_none() -> None:
    with opened(find("right-name-since-and-not-started-again"), seed=1) as world:
        environ = {LAB: world.running.endpoint, "PUBSUB_DIAG_TIMEOUT": "120"}
        (cause,) = json.loads(CommandLine().run(["batch", "-o", "json"], environ).out)["causes"]
    told = ("request-topic-name-wrong", "blocks", "confirmed", True, "")
    assert (cause["code"], cause["role"], cause["confidence"], cause["over"], cause["fix"]) == told


def test_a_look_at_the_past_has_none() -> None:
    with opened(find("push-invoker-missing"), seed=1) as world:
        case = observe(world, wanted(world.scenario, find("push-invoker-missing")).ask)
        now = case.evidence.now
    said = investigate(case)
    assert [cause.fix for cause in with_fixes(said, case).causes] == [GRANT]
    long_ago = replace(case, ask=structs.replace(case.ask, until=now - timedelta(hours=3)))
    assert with_fixes(said, long_ago) == said
