"""Where a leg runs: from the profile alone where it states it, else from the subscription's endpoint."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions

from diagnostics.evidence.model import Leg
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.load import load_profile, profile_of
from diagnostics.sources.iam import full_account
from diagnostics.sources.route import Push, Receiver, Services, Topic, of_host, stated
from diagnostics.transport.session import Session

SessionOf = Callable[..., Session]
HASHED = "https://my-worker-f7p3g7f6ya-wl.a.run.app"


def services(*found: tuple[str, str]) -> dict[str, Any]:
    listed = [
        SimpleNamespace(name=f"projects/p/locations/us-west2/services/{n}", uri=uri, urls=[uri]) for n, uri in found
    ]
    page = SimpleNamespace(services=listed, next_page_token="")
    return {"list_services": lambda _: SimpleNamespace(pages=iter([page]))}


def test_a_full_profile_leaves_nothing_to_ask() -> None:
    known = stated(load_profile("nba-predictions"))
    for leg in Leg:
        assert {(Topic, leg), (Receiver, leg), (Push, leg)} <= known.keys()
    assert known[Services, None].coordinator.service == "prediction-coordinator"


def test_the_smallest_profile_states_nothing() -> None:
    assert stated(profile_of("projects/p/subscriptions/s")) == {}


def test_a_numbered_url_tells_service_and_region_by_itself(session_of: SessionOf) -> None:
    found = of_host(session_of(), "p", "my-worker-756957797294.us-west2.run.app", "")
    assert found == Receiver(service="my-worker", region="us-west2")


def test_a_hashed_url_is_looked_up_among_the_services(session_of: SessionOf) -> None:
    session = session_of(services=services(("other", "https://other.run.app"), ("renamed-worker", HASHED)))
    host = HASHED.removeprefix("https://")
    assert of_host(session, "p", host, "") == Receiver(service="renamed-worker", region="us-west2")
    assert session.clients.get("services").asked[0]["parent"] == "projects/p/locations/us-west2"


def test_a_tag_url_is_the_service_behind_it(session_of: SessionOf) -> None:
    session = session_of(services=services(("my-worker", HASHED)))
    host = "canary---" + HASHED.removeprefix("https://")
    assert of_host(session, "p", host, "us-west2").service == "my-worker"


def test_where_services_may_not_be_listed_the_name_is_read_from_the_url(session_of: SessionOf) -> None:
    session = session_of(services={"list_services": exceptions.PermissionDenied("no")})
    assert of_host(session, "p", HASHED.removeprefix("https://"), "").service == "my-worker"


def test_a_host_that_is_not_cloud_runs_is_not_guessed(session_of: SessionOf) -> None:
    with pytest.raises(NotSeen, match="is not known"):
        of_host(session_of(), "p", "push.example.com", "")
    with pytest.raises(NotSeen, match="no service in us-west2"):
        of_host(session_of(services=services()), "p", "push.example.com", "us-west2")


def test_an_account_is_named_with_its_project_since_the_wildcard_hides_that_it_is_gone() -> None:
    profile = profile_of("projects/p/subscriptions/s")
    assert (
        full_account(profile, "a@q.iam.gserviceaccount.com") == "projects/q/serviceAccounts/a@q.iam.gserviceaccount.com"
    )
    default = "123-compute@developer.gserviceaccount.com"
    assert full_account(profile, default) == f"projects/p/serviceAccounts/{default}"
    with pytest.raises(NotSeen, match="carry no token"):
        full_account(profile, "")
