"""Every cause and every step has its runbook, and the runbook agrees with the code it speaks of."""

from __future__ import annotations

import re
import shlex

import pytest

from diagnostics.causes.catalogue import CATALOGUE, find
from diagnostics.causes.consequences import AFTER
from diagnostics.causes.model import Cause
from diagnostics.cli.frame.inside import parse
from diagnostics.cli.main import UsageError
from diagnostics.lab.query import logging as lql
from diagnostics.lab.telemetry.metrics import METRICS
from diagnostics.runbook import pages as runbook
from diagnostics.steps.rooms import codes
from tests.runbooks.pages import KNOWN, YOURS, Page, commands, diag_lines, gcloud_lines, pages, promql

CAUSES = pages("causes")
STEPS = pages("steps")
ALL = [*CAUSES, *STEPS]

CAUSE_SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Verify", "Escalate", "Prevent"]
STEP_SECTIONS = ["What it asks", "What it reads", "Findings", "By hand"]


CODES = codes()
PREFIXES = {name.partition(".")[0] for name in CODES}


def _cited(text: str) -> set[str]:
    """Finding codes that a text names: `step.what`."""
    return set(re.findall(rf"`((?:{'|'.join(sorted(PREFIXES))})\.\w+)`", text))


def _settles(cause: Cause) -> set[str]:
    """Codes that make or settle the cause."""
    return {code for part in (cause.requires, cause.decisive) if part for code in part.codes()}


def _may_cite(cause: Cause) -> set[str]:
    refuting = set(cause.refutes.codes()) if cause.refutes else set()
    ended = set(cause.over.codes()) if cause.over else set()
    return _settles(cause) | ended | {code.name for code in (*cause.effects, *cause.elsewhere)} | set(AFTER) | refuting


# --- every runbook ---------------------------------------------------------------------------------------------------


def test_every_cause_has_its_runbook_and_no_runbook_lacks_its_cause() -> None:
    assert {f"{p.book.family}/{p}" for p in CAUSES} == {f"{c.family}/{c.code}" for c in CATALOGUE}


def test_every_finding_has_its_step_and_no_step_lacks_findings() -> None:
    assert {str(p) for p in STEPS} == PREFIXES


@pytest.mark.parametrize("page", ALL, ids=str)
def test_the_file_is_named_for_what_it_is_about(page: Page) -> None:
    assert page.path.stem == str(page)
    assert page.path.parent.name == page.book.family


@pytest.mark.parametrize("page", ALL, ids=str)
def test_every_pubsub_diag_line_parses(page: Page) -> None:
    for arguments in diag_lines(page.text):
        parse(arguments)


def test_a_line_that_the_command_line_does_not_know_fails() -> None:
    for bad in (["batch", "b", "--nonsense"], ["nonsense"], ["runbook", "show"], ["batch", "--leg"]):
        with pytest.raises(UsageError):
            parse(bad)


@pytest.mark.parametrize("cause", CATALOGUE, ids=lambda c: c.code)
def test_what_a_cause_advises_parses(cause: Cause) -> None:
    for command in (*cause.next, *cause.settled_by):
        command = command.format(batch="b", leg="request", blocker="b", project="p", subscription="s", account="a")
        arguments = shlex.split(command)[1:]
        parse(arguments)
        if arguments[:2] == ["runbook", "show"]:
            assert arguments[2] == cause.code


@pytest.mark.parametrize("page", ALL, ids=str)
def test_every_runbook_that_is_named_exists(page: Page) -> None:
    for arguments in diag_lines(page.text):
        if arguments[:2] == ["runbook", "show"]:
            assert find(arguments[2]) is not None


@pytest.mark.parametrize("page", ALL, ids=str)
def test_placeholders_are_those_that_runbook_show_fills(page: Page) -> None:
    said = set(re.findall(r"\{([a-z_]+)\}", page.text)) - {"metric"}
    assert said <= set(runbook.PLACEHOLDERS)
    assert set(runbook.PLACEHOLDERS) == set(KNOWN)


@pytest.mark.parametrize("page", ALL, ids=str)
def test_what_the_reader_puts_in_is_explained_outside_the_command(page: Page) -> None:
    prose = re.sub(r"^ *```.*?^ *```", "", page.text, flags=re.MULTILINE | re.DOTALL)
    asked = {word for word in YOURS for c in commands(page.text) if re.search(rf"(?<![A-Z_]){word}(?![A-Z_])", c)}
    self_explaining = {"DATE", "REASON", "NAME"}
    if "--update-env-vars=NAME=VALUE" in page.text:
        self_explaining |= {"VALUE"}
    assert {word for word in asked - self_explaining if word not in prose} == set()


@pytest.mark.parametrize("page", ALL, ids=str)
def test_log_filters_are_such_as_google_takes(page: Page) -> None:
    for line in gcloud_lines(page.text):
        words = shlex.split(line)
        if words[1:3] == ["logging", "read"]:
            lql.parse(words[3], KNOWN["project"])


@pytest.mark.parametrize("page", ALL, ids=str)
def test_metrics_exist_and_their_labels_too(page: Page) -> None:
    for query in promql(page.text):
        selectors = re.findall(r'\{("__name__"="[^}]*)\}(?=\)|\[)', re.sub(r"\{([a-z_]+)\}", r"<\1>", query))
        assert selectors, query
        for selector in selectors:
            pairs = dict(re.findall(r'"(\w+)"="([^"]*)"', selector))
            name = re.sub(r"_(count|bucket|sum)$", "", pairs["__name__"])
            metric = METRICS.get(pairs["__name__"]) or METRICS[name]
            assert set(pairs) - {"__name__", "monitored_resource"} <= {
                *metric.labels,
                *_resource_labels(metric.resource),
            }
    for name in re.findall(r"`((?:pubsub|run)\.googleapis\.com/[a-z_/]+)`", page.text):
        assert name in METRICS


# --- causes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", CAUSES, ids=str)
def test_front_matter_agrees_with_the_catalogue(page: Page) -> None:
    cause, front = _cause(page), page.book.front
    assert (front.code, front.title, front.stage) == (cause.code, cause.title, cause.stage.value)
    assert front.symptoms
    assert f"causes/{page.book.family}/{page.path.name}" == cause.runbook


@pytest.mark.parametrize("page", CAUSES, ids=str)
def test_sections_of_a_cause_are_in_order(page: Page) -> None:
    assert list(page.sections) == CAUSE_SECTIONS
    assert all(text.strip() for text in page.sections.values())


@pytest.mark.parametrize("page", CAUSES, ids=str)
def test_diagnosis_cites_the_causes_own_findings(page: Page) -> None:
    cause, cited = _cause(page), _cited(page.sections["Diagnosis"])
    assert _cited(page.text) <= set(CODES)
    assert cited <= _may_cite(cause), "cites what the cause does not look at"
    assert _settles(cause) <= cited, "says nothing of what makes the cause"


@pytest.mark.parametrize("page", [p for p in CAUSES if not find(str(p)).benign], ids=str)  # type: ignore[union-attr]
def test_each_step_of_a_mitigation_is_a_command_what_it_prints_and_what_else(page: Page) -> None:
    steps = re.split(r"^\d+\. ", page.sections["Mitigation"], flags=re.MULTILINE)[1:]
    assert steps
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", page.sections["Mitigation"], flags=re.MULTILINE)]
    assert numbers == list(range(1, len(steps) + 1))
    for step in steps:
        order = [step.find(part) for part in ("```sh", "Prints: ", "If not: ")]
        assert -1 not in order and order == sorted(order), step


@pytest.mark.parametrize("page", [p for p in CAUSES if find(str(p)).benign], ids=str)  # type: ignore[union-attr]
def test_a_benign_cause_says_that_nothing_is_to_be_done_and_changes_nothing(page: Page) -> None:
    mitigation = page.sections["Mitigation"]
    assert mitigation.strip().startswith("Nothing is to be done")
    assert commands(mitigation) and all(c.startswith("pubsub-diag ") for c in commands(mitigation))


def test_two_causes_with_the_same_mitigation_are_one_cause() -> None:
    seen: dict[frozenset[str], str] = {}
    for page in CAUSES:
        mitigation = frozenset(commands(page.sections["Mitigation"]))
        assert mitigation not in seen, f"{page} and {seen[mitigation]} are mended by the same commands"
        seen[mitigation] = str(page)


@pytest.mark.parametrize("page", [p for p in CAUSES if " seek " in p.text], ids=str)
def test_a_purge_counts_takes_a_snapshot_first_and_says_its_undo(page: Page) -> None:
    said = commands(page.sections["Mitigation"])
    seeks = [n for n, c in enumerate(said) if " seek " in c and "--time=" in c]
    if any("subscriptions create" in c and "{subscription} " in c for c in said[: seeks[0]]):
        return  # a replay onto a subscription that was made a moment ago: there is nothing to drop
    snapshots = [n for n, c in enumerate(said) if "snapshots create" in c]
    assert snapshots and snapshots[0] < seeks[0]
    assert any("pubsub-diag delivery" in c for c in said[: snapshots[0]]), "does not count what it drops"
    assert any("pubsub-diag batches" in c for c in said[: snapshots[0]]), "does not say of which batches that is"
    assert any(" seek " in c and "--snapshot=" in c for c in said), "does not say its undo"


# --- steps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", STEPS, ids=str)
def test_sections_of_a_step_are_in_order(page: Page) -> None:
    assert list(page.sections) == STEP_SECTIONS
    assert page.book.front.title.endswith("?")
    assert commands(page.sections["By hand"])


@pytest.mark.parametrize("page", STEPS, ids=str)
def test_a_step_explains_each_of_its_findings_once(page: Page) -> None:
    rows = [line for line in page.sections["Findings"].splitlines() if line.startswith("| `")]
    listed = [row.split("`")[1] for row in rows]
    own = {name for name in CODES if name.partition(".")[0] == str(page)}
    assert sorted(listed) == sorted(own)


@pytest.mark.parametrize("page", STEPS, ids=str)
def test_what_a_finding_leads_to_exists(page: Page) -> None:
    known = {*(c.code for c in CATALOGUE), *(str(p) for p in STEPS)}
    for row in page.sections["Findings"].splitlines():
        if row.startswith("| `"):
            named = re.findall(r"`([a-z_-]+)`", row.rsplit("|", 2)[1])
            assert set(named) <= known


# --- helpers ---------------------------------------------------------------------------------------------------------


def _cause(page: Page) -> Cause:
    cause = find(str(page))
    assert cause is not None
    return cause


def _resource_labels(resource: str) -> tuple[str, ...]:
    from diagnostics.lab.telemetry.metrics import RESOURCES

    return RESOURCES[resource]
