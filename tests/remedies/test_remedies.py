"""A quick sample of the remedies, and what the table as a whole has to be; `make remedies` proves all of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.evidence.model import Leg
from tests.contract import google_tools
from tests.contract.google_tools import REQUIRE, Absent, Gcloud
from tests.remedies.incident import Incident, opened
from tests.remedies.mitigation import filled
from tests.remedies.prove import halfway, prove
from tests.remedies.rows import ROWS, Row
from tests.remedies.shell import Refused, type_in

SAMPLE = (
    ("start-timed-out-before-publish", "start-timed-out-before-publish"),
    ("left-in-pull-mode", "left-in-pull-mode"),
    ("push-account-gone", "push-account-disabled"),
)
"""One that calls the coordinator, one of Pub/Sub by real gcloud, one of IAM: each whole, from the page to the answer after it."""

WITHOUT_A_ROW: frozenset[str] = frozenset()
"""Causes whose remedy nobody has proven yet. A new cause that is not ready for its row may be put here, and the list only shrinks."""


@pytest.fixture(scope="module")
def gcloud(tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    try:
        return Gcloud.find(tmp_path_factory.mktemp("gcloud"))
    except Absent as absent:
        if google_tools.required():
            pytest.fail(f"{absent}, and {REQUIRE}=1 asks for it")
        pytest.skip(str(absent))


@pytest.fixture(scope="module")
def incident(gcloud: Gcloud) -> Iterator[Incident]:
    with opened("left-in-pull-mode", Leg.REQUEST, gcloud) as running:
        yield running


@pytest.mark.google_tools
@pytest.mark.parametrize(("code", "scenario"), SAMPLE, ids=[code for code, _ in SAMPLE])
def test_the_remedy_on_the_page_mends_it(code: str, scenario: str, gcloud: Gcloud) -> None:
    (row,) = (row for row in ROWS if (row.code, row.scenario) == (code, scenario))
    proof = prove(row, gcloud)
    assert proof.misses == [], proof.says


@pytest.mark.google_tools
def test_a_step_that_mends_nothing_is_found(gcloud: Gcloud) -> None:
    idle = Row("left-in-pull-mode", "left-in-pull-mode", ())
    assert "still claims left-in-pull-mode (blocks)" in prove(idle, gcloud).misses


@pytest.mark.google_tools
@pytest.mark.parametrize("code", ["publish-denied-by-policy", "request-topic-name-wrong"])
def test_what_is_mended_does_not_read_as_before_while_nothing_was_sent_again(code: str, gcloud: Gcloud) -> None:
    (row,) = (row for row in ROWS if row.code == code)
    proof = halfway(row, gcloud)
    assert proof is not None
    assert proof.misses == [], proof.says


def test_each_cause_that_is_no_benign_one_has_a_row() -> None:
    wanted = {cause.code for cause in CATALOGUE if not cause.benign}
    proven = {row.code for row in ROWS}
    assert proven <= wanted
    assert proven & WITHOUT_A_ROW == set(), "proven now: take it off the list"
    assert wanted - proven - WITHOUT_A_ROW == set(), "prove its remedy, or put it on the list"


def test_no_scenario_proves_a_remedy_twice() -> None:
    seen = [(row.code, row.scenario, row.steps) for row in ROWS]
    assert len(seen) == len(set(seen))


WRONG = (
    "gcloud run services update prediction-worker --region=us-west2 --project=nba-props-platform --no-such-flag=1",
    "gcloud run services update prediction-worker --region=us-west1 --project=nba-props-platform --timeout=3600",
    "gcloud run services update prediction-worker --project=nba-props-platform --timeout=3600",
    "gcloud run services update another --region=us-west2 --project=nba-props-platform --timeout=3600",
    "gcloud run services restart prediction-worker --region=us-west2 --project=nba-props-platform",
    "gcloud run services update-traffic prediction-worker --region=us-west2 --to-revisions=prediction-worker-1=100",
    "gcloud projects add-iam-policy-binding nba-props-platform --member=serviceAccount:a@b --role=roles/x --condition=None",
    "curl -X POST https://prediction-coordinator.a.run.app/reset -d '{}'",
    "pubsub-diag batch --no-such-option",
    "terraform apply",
    "bq --project_id=another --location=us-west2 query --nouse_legacy_sql 'MERGE t USING u ON TRUE'",
    "bq --project_id=nba-props-platform --location=us-west2 query --nouse_legacy_sql 'DROP TABLE nba_predictions.model_registry'",
)


@pytest.mark.google_tools
@pytest.mark.parametrize("line", WRONG)
def test_what_does_not_exist_is_refused(line: str, incident: Incident) -> None:
    with pytest.raises(Refused):
        type_in(incident, line)


def test_capitals_that_nobody_fills_are_found() -> None:
    with pytest.raises(LookupError):
        filled("gcloud pubsub subscriptions seek work --time=SINCE", {"BATCH": "b"})
    line = "gcloud run services update w --update-env-vars=NAME=VALUE"
    assert filled(line, {"NAME": "QUEUE", "VALUE": "t"}).endswith("=QUEUE=t")
