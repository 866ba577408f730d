"""Where a leg runs: from the profile alone where it states it, else from the subscription's endpoint."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from google.api_core import exceptions

from diagnostics.evidence.model import Leg, Provenance, SubscriptionConfig, SubscriptionSettings, Unseen, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.load import load_profile, profile_of
from diagnostics.sources import route
from diagnostics.sources.iam import full_account
from diagnostics.sources.route import Push, Receiver, Services, Topic, of_endpoint, stated
from diagnostics.transport.session import Session

SessionOf = Callable[..., Session]
NOW = datetime(2026, 2, 8, 22, 30, tzinfo=UTC)
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


def config(**changes: Any) -> SubscriptionConfig:
    """A subscription that pushes, but for these settings."""
    settings = SubscriptionSettings(
        name="projects/p/subscriptions/s", topic="projects/p/topics/t", push_endpoint=HASHED
    )
    return told(msgspec.structs.replace(settings, **changes))


def told(settings: SubscriptionSettings | None) -> SubscriptionConfig:
    return SubscriptionConfig(source=Provenance(source="test", fetched_at=NOW, as_of=NOW), settings=settings)


def signs(seen: SubscriptionConfig | Unseen) -> str:
    return route.signer(load_profile("nba-predictions"), Leg.REQUEST, seen).account


def test_whose_token_pushes_carry_is_what_the_subscription_says_whatever_the_profile_names() -> None:
    named = load_profile("nba-predictions").request.push_account
    other = "somebody-else@nba-props-platform.iam.gserviceaccount.com"
    assert signs(config(push_account=other)) == other != named
    assert signs(config(push_account="")) == "", "they carry none"


def test_the_profile_stands_in_for_a_subscription_that_could_not_be_asked() -> None:
    named = load_profile("nba-predictions").request.push_account
    refused = Unseen(what="SubscriptionConfig", why=Why.PERMISSION_DENIED, says="denied")
    assert {signs(refused), signs(config(push_endpoint="")), signs(told(None))} == {named}
    with pytest.raises(NotSeen, match="denied, and the profile names no push account"):
        route.signer(profile_of("s", project="p"), Leg.REQUEST, refused)


def test_the_smallest_profile_states_nothing() -> None:
    assert stated(profile_of("projects/p/subscriptions/s")) == {}


def projects(**numbers: str) -> dict[str, Any]:
    """Resource Manager as it tells the numbers of these projects, asked by id or by number."""

    def answer(request: dict[str, Any]) -> Any:
        asked = request["name"].removeprefix("projects/")
        for name, number in numbers.items():
            if asked in (name, number):
                return SimpleNamespace(name=f"projects/{number}", project_id=name)
        raise exceptions.PermissionDenied("The caller does not have permission")

    return {"get_project": answer}


PIPELINE = profile_of("s", project="p")


def found(session: Session, host: str, region: str = "", path: str = "/work") -> Receiver:
    return of_endpoint(session, PIPELINE, f"https://{host}{path}", "worker", region)


def test_a_numbered_url_tells_service_and_region_by_itself(session_of: SessionOf) -> None:
    session = session_of(projects=projects(p="756957797294"))
    host = "my-worker-756957797294.us-west2.run.app"
    assert found(session, host, "us-east1") == Receiver(service="my-worker", region="us-west2")


def test_a_numbered_url_tells_the_project_too(session_of: SessionOf) -> None:
    session = session_of(projects=projects(p="1", q="2"))
    assert found(session, "my-worker-2.us-west2.run.app") == Receiver(
        service="my-worker", region="us-west2", project="q"
    )
    blind = session_of(projects=projects(p="1"))
    assert found(blind, "my-worker-2.us-west2.run.app").project == "2"


def test_a_hashed_url_is_looked_up_among_the_services(session_of: SessionOf) -> None:
    session = session_of(services=services(("other", "https://other.run.app"), ("renamed-worker", HASHED)))
    host = HASHED.removeprefix("https://")
    assert found(session, host) == Receiver(service="renamed-worker", region="us-west2")
    assert session.clients.get("services").asked[0]["parent"] == "projects/p/locations/us-west2"


def test_the_region_of_the_url_comes_before_the_one_that_is_asked_for(session_of: SessionOf) -> None:
    session = session_of(services=services(("my-worker", HASHED)))
    assert found(session, HASHED.removeprefix("https://"), "us-east1").region == "us-west2"


def test_a_tag_url_is_the_service_behind_it(session_of: SessionOf) -> None:
    session = session_of(services=services(("my-worker", HASHED)))
    host = "canary---" + HASHED.removeprefix("https://")
    assert found(session, host, "us-west2").service == "my-worker"


def test_a_service_of_the_name_that_does_not_list_the_address_is_another(session_of: SessionOf) -> None:
    session = session_of(services=services(("my-worker", "https://my-worker-aaaaaaaaaa-wl.a.run.app")))
    with pytest.raises(NotSeen, match="no service of p in us-west2 has the URL") as raised:
        found(session, HASHED.removeprefix("https://"))
    assert "worker.project" in raised.value.mend


def test_where_services_may_not_be_listed_the_name_is_read_from_the_url(session_of: SessionOf) -> None:
    denied = exceptions.PermissionDenied("no")
    session = session_of(services={"list_services": denied, "get_service": denied})
    assert found(session, HASHED.removeprefix("https://")).service == "my-worker"


@pytest.mark.parametrize(
    "answer",
    [
        exceptions.NotFound("Resource 'my-worker' of kind 'SERVICE' in region 'us-west2' in project 'p' does not exist."),
        lambda _: SimpleNamespace(uri="https://my-worker-aaaaaaaaaa-wl.a.run.app", urls=[]),
    ],
)  # fmt: skip
def test_a_name_that_turns_out_to_be_anothers_is_not_taken(session_of: SessionOf, answer: Any) -> None:
    session = session_of(services={"list_services": exceptions.PermissionDenied("no"), "get_service": answer})
    with pytest.raises(NotSeen, match="another project's or region's, or gone"):
        found(session, HASHED.removeprefix("https://"))


def test_a_function_of_cloud_run_is_the_service_of_its_name(session_of: SessionOf) -> None:
    there = {"get_service": lambda _: SimpleNamespace()}
    session = session_of(services=there)
    assert found(session, "us-central1-p.cloudfunctions.net", path="/My_Intake") == Receiver(
        service="my-intake", region="us-central1"
    )
    assert found(session, "us-central1-team-b.cloudfunctions.net", path="/intake").project == "team-b"
    first = session_of(services={"get_service": exceptions.NotFound("no")})
    with pytest.raises(NotSeen, match="1st generation"):
        found(first, "us-central1-p.cloudfunctions.net", path="/intake")


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("shop.appspot.com", "an App Engine application"),
        ("workflowexecutions.googleapis.com", "an API of Google's"),
        ("worker-123456789012.global.run.app", "a service of several regions"),
    ],
)
def test_what_else_of_googles_takes_pushes_is_told_for_what_it_is(session_of: SessionOf, host: str, says: str) -> None:
    for session, region in ((session_of(), ""), (session_of(services=services()), "us-west2")):
        with pytest.raises(NotSeen, match=says):
            found(session, host, region)


@pytest.mark.parametrize("region", ["", "us-west2"])
def test_a_domain_of_its_own_is_not_guessed_and_what_to_write_and_read_is_said(
    session_of: SessionOf, region: str
) -> None:
    with pytest.raises(NotSeen, match="may lead to any service") as raised:
        found(session_of(services=services()), "push.example.com", region)
    assert "worker.service" in raised.value.mend
    assert 'httpRequest.requestUrl:"https://push.example.com/"' in raised.value.mend


def test_a_domain_that_a_service_lists_is_its_own(session_of: SessionOf) -> None:
    session = session_of(services=services(("my-worker", "https://push.example.com")))
    assert found(session, "push.example.com", "us-west2").service == "my-worker"


def test_an_account_is_named_with_its_project_since_the_wildcard_hides_that_it_is_gone() -> None:
    profile = profile_of("projects/p/subscriptions/s")
    assert (
        full_account(profile, "a@q.iam.gserviceaccount.com") == "projects/q/serviceAccounts/a@q.iam.gserviceaccount.com"
    )
    for email, project in (
        ("a@shop.example.com.iam.gserviceaccount.com", "example.com:shop"),
        ("shop@appspot.gserviceaccount.com", "shop"),
    ):
        assert full_account(profile, email) == f"projects/{project}/serviceAccounts/{email}"
    default = "123-compute@developer.gserviceaccount.com"
    assert full_account(profile, default) == f"projects/p/serviceAccounts/{default}"
    with pytest.raises(NotSeen, match="carry no token"):
        full_account(profile, "")


@pytest.mark.parametrize(
    ("code", "region"),
    [
        ("em", "asia-south2"), ("km", "australia-southeast2"), ("oc", "europe-west8"), ("od", "europe-west9"),
        ("no", "europe-southwest1"), ("zf", "me-west1"), ("pd", "northamerica-northeast2"), ("tl", "southamerica-west1"),
        ("uc", "us-central1"), ("wl", "us-west2"),
    ],
)  # fmt: skip
def test_the_region_code_of_an_address_says_where_to_look_first(session_of: SessionOf, code: str, region: str) -> None:
    """Codes as gcping.com lists the addresses of its services, one a region."""
    host = f"my-worker-abc123-{code}.a.run.app"
    asked: list[str] = []

    def listed(request: dict[str, Any]) -> Any:
        asked.append(request["parent"])
        return services(("my-worker", f"https://{host}"))["list_services"](request)

    session = session_of(services={**services(), "list_services": listed})
    assert found(session, host, "us-east4") == Receiver(service="my-worker", region=region)
    assert [parent.rpartition("/")[2] for parent in asked] == [region]
