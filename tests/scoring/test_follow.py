"""Offered commands are taken: each runs, or it is said why not; and each has to add a finding to the answer."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from diagnostics.cli.frame.inside import CommandLine
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.pipeline import places
from diagnostics.report import json
from diagnostics.scoring import show
from diagnostics.scoring.expect import Asked
from diagnostics.scoring.follow import Answered, Followed, disagreements, follow, lines
from diagnostics.scoring.score import diagnose, score
from diagnostics.scoring.world import World, files, opened
from diagnostics.steps.finding import Finding, Status
from diagnostics.transport.session import LAB

WORLD = cast(World, SimpleNamespace(running=SimpleNamespace(endpoint="127.0.0.1:1")))


@dataclass
class Told:
    """A program that answers what it was told to, and remembers what it was asked."""

    answered: Answered = field(default_factory=lambda: Answered(0, "a page\n", ""))
    wrong: str = ""
    asked: list[tuple[list[str], dict[str, str]]] = field(default_factory=list)

    def mistake(self, arguments: Sequence[str]) -> str:
        return self.wrong if arguments else "which command?"

    def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> Answered:
        self.asked.append((list(arguments), dict(environ)))
        return self.answered


def offering(night: Diagnosis, *commands: str) -> Diagnosis:
    return replace(night, next=commands, causes=tuple(replace(c, next=()) for c in night.causes))


def taken(night: Diagnosis, command: str, program: Told) -> Followed:
    (one,) = follow(WORLD, offering(night, command), program)
    return one


def test_what_the_answer_and_its_causes_offer_is_taken_once_each(night: Diagnosis) -> None:
    first, second = (replace(c, next=("pubsub-diag worker", "gcloud run services list")) for c in night.causes)
    found = replace(night, next=("pubsub-diag batches   # the others; or: pubsub-diag access",), causes=(first, second))
    assert lines(found) == ("pubsub-diag batches", "pubsub-diag access", "pubsub-diag worker")


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("pubsub-diag runbook show poison-retry-storm", ["runbook", "show", "poison-retry-storm"]),
        ("pubsub-diag access", ["access"]),
        ("pubsub-diag probe run --peek 30", ["probe", "run", "--peek", "30", "--dry-run"]),
        ("pubsub-diag probe status", ["probe", "status"]),
        (
            "pubsub-diag batch b --items --missing -o json | jq",
            ["batch", "b", "--items", "--missing", "-o", "json"],
        ),
    ],
)
def test_a_page_is_printed_and_nothing_is_written(night: Diagnosis, command: str, runs: list[str]) -> None:
    program = Told()
    assert taken(night, command, program) == Followed(command=command, ran=True)
    assert program.asked == [(runs, {LAB: "127.0.0.1:1"})]


@pytest.mark.parametrize(
    "command",
    [
        "pubsub-diag probe restore",
        "pubsub-diag watch",
        "pubsub-diag capture --out f",
        "pubsub-diag batch --probe --yes",
        "pubsub-diag health --wait 10m",
        "pubsub-diag init --subscription s",
    ],
)
def test_what_writes_or_waits_is_only_parsed(night: Diagnosis, command: str) -> None:
    program = Told()
    assert taken(night, command, program) == Followed(command=command)
    assert program.asked == []
    assert taken(night, command, Told(wrong="no such option")).failed == "no such option"


@pytest.mark.parametrize(
    ("command", "answered", "why"),
    [
        (
            "pubsub-diag access",
            Answered(3, "", "reading\npubsub-diag: no permission\n  ask\n"),
            "pubsub-diag: no permission",
        ),
        ("pubsub-diag delivery", Answered(3, "", "pubsub-diag: which pipeline?\n"), "pubsub-diag: which pipeline?"),
        ("pubsub-diag delivery", Answered(130, "", ""), "exit code 130"),
        ("pubsub-diag runbook show x", Answered(0, "\n", ""), "it printed nothing"),
        ("pubsub-diag delivery", Answered(0, "a page", ""), "its JSON is no diagnosis"),
        ("pubsub-diag runbook show 'x", Answered(0, "page", ""), "no command line"),
    ],
)
def test_a_command_that_ends_in_trouble_fails(night: Diagnosis, command: str, answered: Answered, why: str) -> None:
    one = taken(night, command, Told(answered))
    assert why in one.failed
    assert list(disagreements([one])) == [f"offered {command}: fails: {one.failed}"]


def test_an_answer_that_could_not_tell_fails_with_its_headline(night: Diagnosis) -> None:
    unknown = replace(night, status=Status.UNKNOWN, exit_code=3, headline="delivery: metrics are hidden")
    one = taken(night, "pubsub-diag delivery", Told(Answered(3, json.render(unknown), "")))
    assert one.failed == "exit code 3: delivery: metrics are hidden"


def test_an_answer_that_says_the_same_adds_nothing(night: Diagnosis) -> None:
    one = taken(night, "pubsub-diag worker", program := Told(Answered(2, json.render(night), "")))
    assert one == Followed(command="pubsub-diag worker", ran=True, adds=())
    assert program.asked[0][0] == ["worker", "--output", "json"]
    assert list(disagreements([one])) == ["offered pubsub-diag worker: adds no finding to the answer"]


def part(night: Diagnosis, *findings: Finding) -> Diagnosis:
    """An answer to a command that prints its findings."""
    return replace(night, pipeline=replace(night.pipeline, command="worker"), batch=None, findings=findings)


NEW = "40 pushes answered 500 by the application itself"


@pytest.mark.parametrize(
    ("changes", "adds"),
    [
        ({"says": NEW}, ("delivered.acked@request",)),
        ({"says": NEW, "leg": None}, ("delivered.acked",)),
        ({"says": NEW, "status": Status.UNKNOWN}, ()),
        ({"says": NEW, "status": Status.IDLE}, ()),
        ({"says": "the gate let 15 of 181 through"}, ()),
        ({"says": "the gate let 15 of 181 through", "code": "processed.other"}, ()),
    ],
)
def test_a_sentence_that_the_answer_did_not_print_is_new(
    night: Diagnosis, changes: dict[str, Any], adds: tuple[str, ...]
) -> None:
    more = part(night, replace(night.findings[1], **changes))
    for answer in (json.render(more), json.render_all([part(night), more])):
        one = taken(night, "pubsub-diag worker", Told(Answered(2, answer, "")))
        assert one.adds == adds
        assert (list(disagreements([one])) == []) is bool(adds)


def test_a_batch_prints_all_of_its_findings_only_when_asked_to(night: Diagnosis) -> None:
    answer = Answered(2, json.render(night), "")
    assert taken(night, "pubsub-diag batch", Told(answer)).adds == ()
    assert taken(night, "pubsub-diag batch -v", Told(answer)).adds == (
        "published.gated@request",
        "delivered.acked@request",
    )


def test_of_another_batch_it_is_new_where_its_items_are(night: Diagnosis) -> None:
    row = next(r for r in night.ladder if r.where)
    rows = tuple(replace(r, where={"dropped": 120}) if r is row else r for r in night.ladder)
    command = "pubsub-diag batch another"
    assert taken(night, command, Told(Answered(2, json.render(replace(night, ladder=rows)), ""))).adds == (
        f"ladder.{row.stage}",
    )
    assert taken(night, command, Told(Answered(2, json.render(night), ""))).adds == ()


# --- the real command line, in a lab ----------------------------------------------------------------------------------


@contextmanager
def stalled() -> Iterator[tuple[World, Diagnosis]]:
    (path,) = (p for p in files([places.scenarios()]) if p.stem == "push-invoker-missing")
    with opened(path, 1, log_reads_per_minute=1000) as world:
        yield world, diagnose(world, Asked())


def test_commands_are_run_in_the_lab_that_the_answer_speaks_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pubsub-diag.toml").write_text("nonsense")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBSUB_DIAG_PROJECT", "elsewhere")
    with stalled() as (world, found):
        before = dict(os.environ)
        followed = follow(
            world,
            offering(
                found,
                "pubsub-diag runbook show push-invoker-missing",
                "pubsub-diag runbook show no-such-page",
                "pubsub-diag delivery --legs",
                "pubsub-diag push-auth --leg request",
                "pubsub-diag batch",
                "pubsub-diag batch BATCH_ID",
            ),
            CommandLine(),
        )
    page, no_page, no_option, live, same, no_batch = followed
    assert page.ran and not page.failed
    assert "exit code 3: pubsub-diag: " in no_page.failed and "no-such-page" in no_page.failed
    assert not no_option.ran and "--legs" in no_option.failed
    assert live.adds and not live.failed
    assert same.ran and same.adds == ()
    assert "exit code 3" in no_batch.failed and "BATCH_ID" in no_batch.failed
    assert dict(os.environ) == before and Path.cwd() == tmp_path
    assert {p.name for p in tmp_path.iterdir()} == {"pubsub-diag.toml"}, "nothing is kept here"


def test_a_score_follows_only_when_asked_to() -> None:
    (path,) = (p for p in files([places.scenarios()]) if p.stem == "push-invoker-missing")
    assert score(path, 1).followed == ()
    program = pickle.loads(pickle.dumps(CommandLine()))
    followed = score(path, 1, program)
    assert followed.followed and followed.passed, show.line(followed)
    broken = score(path, 1, Told(wrong="no such command"))
    assert not broken.passed and not broken.error
    assert all(said.endswith("fails: no such command") for said in broken.disagreements)


def test_with_the_smallest_profile_commands_get_no_more_than_that(tmp_path: Path) -> None:
    (path,) = (p for p in files([places.scenarios()]) if p.stem == "push-invoker-missing")
    alone = tmp_path / "alone.yaml"
    alone.write_text(re.sub("(?m)^ask: .*$", "ask: {subscription_alone: true}", path.read_text()))

    class Looks(Told):
        def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> Answered:
            profile = Path(environ["PUBSUB_DIAG_PROFILE"]).read_text()
            assert "[request]\nsubscription = " in profile and "completion" not in profile
            return super().run(arguments, environ)

    program = Looks()
    assert not score(alone, 1, program).error
    assert program.asked
    real = score(alone, 1, CommandLine())
    assert real.followed
    assert [one.failed for one in real.followed if one.failed] == []
