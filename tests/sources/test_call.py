"""The one way to call Google: every failure is told as what it is, within the time there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.rpc import error_details_pb2

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.transport.call import NoProject, NotThere, call, pages
from diagnostics.transport.clients import Clients
from diagnostics.transport.refusals import Kind, Login
from diagnostics.transport.rpcs import GET_TOPIC, TOPIC_SUBSCRIPTIONS
from diagnostics.transport.session import Session
from diagnostics.transport.sign_in import SignIn

SessionOf = Callable[..., Session]


def detailed(error: Any, reason: str, **metadata: str) -> Any:
    """The error with Google's ErrorInfo."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain="googleapis.com", metadata=metadata)
    return type(error)(error.message, details=[info], error_info=info)


@pytest.mark.parametrize(
    ("error", "why", "says", "permission", "mend"),
    [
        (exceptions.PermissionDenied("User not authorized to perform this action."),
         Why.PERMISSION_DENIED, "pubsub.topics.get is missing", "pubsub.topics.get", "pubsub.topics.get"),
        (detailed(exceptions.PermissionDenied("no"), "IAM_PERMISSION_DENIED", permission="pubsub.topics.special"),
         Why.PERMISSION_DENIED, "pubsub.topics.special is missing", "pubsub.topics.special", ""),
        (detailed(exceptions.PermissionDenied("disabled"), "SERVICE_DISABLED", consumer="projects/123"),
         Why.FAILED, "not enabled", "", "gcloud services enable pubsub.googleapis.com --project=123"),
        (exceptions.PermissionDenied("Your application is authenticating by using local Application Default Credentials. "
                                     "The pubsub.googleapis.com API requires a quota project, which is not set by default."),
         Why.SIGN_IN, "wants a quota project", "", "gcloud auth application-default set-quota-project p"),
        (exceptions.PermissionDenied("Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x"),
         Why.PERMISSION_DENIED, "perimeter", "", ""),
        (exceptions.Unauthenticated("invalid"), Why.SIGN_IN, "did not accept the login", "", "application-default login"),
        (exceptions.ServiceUnavailable("Getting metadata from plugin failed with error: invalid_grant"),
         Why.SIGN_IN, "login has expired", "", "application-default login"),
        (RefreshError("Reauthentication is needed."), Why.SIGN_IN, "has to be confirmed anew", "", "application-default login"),
        (exceptions.ServiceUnavailable("Getting metadata from plugin failed with error: HTTPSConnectionPool(host='oauth2.googleapis.com', "
                                       "port=443): Max retries exceeded (Caused by NameResolutionError(Failed to resolve))"),
         Why.UNREACHABLE, "the name oauth2.googleapis.com has no address here", "", "check the network"),
        (exceptions.ServiceUnavailable("failed to connect to all addresses; last error: UNKNOWN: Ssl handshake failed: "
                                       "SSL_ERROR_SSL: error:1000007d:SSL routines::CERTIFICATE_VERIFY_FAILED"),
         Why.UNREACHABLE, "something on the way opens TLS", "", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=FILE REQUESTS_CA_BUNDLE=FILE"),
        (exceptions.ServiceUnavailable("DNS resolution failed for pubsub.googleapis.com:443: C-ares status is not ARES_SUCCESS"),
         Why.UNREACHABLE, "the name pubsub.googleapis.com has no address here", "", "check the network"),
        (exceptions.PermissionDenied("The caller does not have permission"),
         Why.PERMISSION_DENIED, "pubsub.topics.get is missing", "pubsub.topics.get", ""),
        (exceptions.PermissionDenied("Permission 'pubsub.topics.other' denied on resource (or it may not exist)."),
         Why.PERMISSION_DENIED, "pubsub.topics.other is missing", "pubsub.topics.other", ""),
        (exceptions.PermissionDenied("A sentence that nobody has heard before."),
         Why.PERMISSION_DENIED, "pubsub.googleapis.com refuses: A sentence that nobody", "", ""),
        (detailed(exceptions.PermissionDenied("Request had insufficient authentication scopes."), "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
         Why.SIGN_IN, "its scopes are too narrow", "", "application-default login"),
        (detailed(exceptions.PermissionDenied("This API method requires billing to be enabled."), "BILLING_DISABLED",
                  consumer="projects/p"),
         Why.FAILED, "billing is disabled in p", "", "gcloud billing projects link p"),
        (detailed(exceptions.PermissionDenied("Caller does not have required permission to use project p."), "USER_PROJECT_DENIED",
                  consumer="projects/p"),
         Why.SIGN_IN, "may not use p as one", "", "roles/serviceusage.serviceUsageConsumer on p"),
        (detailed(exceptions.PermissionDenied("Cloud Pub/Sub API has not been used in project 764086051850 before"), "SERVICE_DISABLED",
                  consumer="projects/764086051850"),
         Why.SIGN_IN, "wants a quota project", "", "gcloud auth application-default set-quota-project p"),
        (exceptions.ServiceUnavailable("failed to connect to all addresses"), Why.UNREACHABLE, "cannot be reached", "", ""),
        (exceptions.DeadlineExceeded("Deadline Exceeded"), Why.TIMED_OUT, "did not answer within", "", ""),
        (exceptions.ResourceExhausted("Quota exceeded for quota metric"), Why.FAILED, "quota", "", ""),
        (exceptions.InvalidArgument("bad filter"), Why.FAILED, "refused the question: bad filter", "", ""),
    ],
)  # fmt: skip
def test_a_failure_is_told_as_what_it_is(
    session_of: SessionOf, error: Exception, why: Why, says: str, permission: str, mend: str
) -> None:
    session = session_of(publisher={"get_topic": error})
    with pytest.raises(NotSeen) as raised:
        call(session, GET_TOPIC, {"topic": "t"})
    assert raised.value.why is why
    assert says in raised.value.says
    assert raised.value.permission == permission
    assert mend in raised.value.mend
    assert [(c.name, c.ok) for c in session.calls] == [("publisher.get_topic", False)]


class Quota:
    """Google, as it counts calls against its own project until a login names another."""

    def __init__(self, may_be_used: bool = True) -> None:
        self.against: list[str] = []
        self._may_be_used = may_be_used

    def client(self, project: str) -> SimpleNamespace:
        def get_topic(*, request: Any, timeout: float, retry: None) -> str:
            del request, timeout, retry
            self.against.append(project)
            if not project:
                text = "The pubsub.googleapis.com API requires a quota project, which is not set by default."
                raise detailed(exceptions.PermissionDenied(text), "SERVICE_DISABLED", consumer="projects/32555940559")
            if not self._may_be_used:
                raise detailed(exceptions.PermissionDenied("no"), "USER_PROJECT_DENIED", consumer=f"projects/{project}")
            return "topic"

        return SimpleNamespace(get_topic=get_topic)


def paid_by(quota: Quota, payer: str, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session of a person whose clients are made by this Google."""
    clients = Clients(None, payer=payer)
    monkeypatch.setattr(clients, "_make", lambda name: quota.client(clients.paid(name)))
    who = SignIn(credentials=None, how="test", login=Login(kind=Kind.USER))
    return Session(now=datetime.now(UTC), timeout_s=20, signed_in=who, project="p", lab=None, clients=clients)


def test_a_quota_project_is_named_where_google_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    quota = Quota()
    session = paid_by(quota, "p", monkeypatch)
    assert call(session, GET_TOPIC, {}) == "topic"
    assert call(session, GET_TOPIC, {}) == "topic"
    assert quota.against == ["", "p", "p"]


def test_a_quota_project_that_may_not_be_used_is_told_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    quota = Quota(may_be_used=False)
    session = paid_by(quota, "p", monkeypatch)
    for _ in range(2):
        with pytest.raises(NotSeen, match="may not use p as one") as raised:
            call(session, GET_TOPIC, {})
        assert "serviceUsageConsumer on p" in raised.value.mend
    assert quota.against == ["", "p", ""]


class Renewed:
    """A login whose first token is refused."""

    def __init__(self, good: bool = False) -> None:
        self.good = good

    def anew(self) -> Renewed:
        return Renewed(good=True)


def test_a_token_that_ended_is_renewed_once_for_all_who_used_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = Clients(Renewed())

    def make(name: str) -> SimpleNamespace:
        del name
        good = clients._credentials.good

        def get_topic(*, request: Any, timeout: float, retry: None) -> str:
            del request, timeout, retry
            if not good:
                raise exceptions.Unauthenticated("Request had invalid authentication credentials.")
            return "topic"

        return SimpleNamespace(get_topic=get_topic)

    monkeypatch.setattr(clients, "_make", make)
    who = SignIn(credentials=None, how="gcloud")
    session = Session(now=datetime.now(UTC), timeout_s=20, signed_in=who, project="p", lab=None, clients=clients)
    assert call(session, GET_TOPIC, {}) == "topic"
    assert clients.renew(0)
    assert clients.renewals == 1


def test_what_does_not_exist_is_not_a_failure_to_see(session_of: SessionOf) -> None:
    with pytest.raises(NotThere):
        call(session_of(publisher={"get_topic": exceptions.NotFound("no")}), GET_TOPIC, {})


@pytest.mark.parametrize(
    ("error", "says"),
    [
        # googleapis/google-cloud-python and many others print this text of Pub/Sub's
        (exceptions.NotFound("Requested project not found or user does not have access to it (project=shop-prd). Make sure to "
                             "specify the unique project identifier and not the Google Cloud Console display name."), "shop-prd"),
        # GoogleCloudPlatform/fluent-plugin-google-cloud issue 66
        (exceptions.NotFound("Project does not exist: example.com:shop"), "example.com:shop"),
        # cloudquery/cloudquery issue 5385: Cloud Run's ListServices
        (detailed(exceptions.PermissionDenied("Permission denied on resource project shop-prd."), "CONSUMER_INVALID",
                  consumer="projects/shop-prd", service="run.googleapis.com"), "shop-prd"),
        (detailed(exceptions.PermissionDenied("Project #75 has been deleted."), "CONSUMER_INVALID", consumer="projects/75"), "75"),
    ],
)  # fmt: skip
def test_a_project_that_is_out_of_sight_says_nothing_of_what_is_in_it(
    session_of: SessionOf, error: Exception, says: str
) -> None:
    with pytest.raises(NoProject, match=f"project {says} is not there, or this login may not see it") as raised:
        call(session_of(publisher={"get_topic": error}), GET_TOPIC, {})
    assert raised.value.why is Why.PERMISSION_DENIED
    assert "--project" in raised.value.mend


def test_a_region_that_is_not_there_is_no_missing_service(session_of: SessionOf) -> None:
    error = exceptions.NotFound("Location us-wset2 is not found or access is unauthorized.")
    with pytest.raises(NotSeen, match="the region us-wset2"):
        call(session_of(publisher={"get_topic": error}), GET_TOPIC, {})


@pytest.mark.parametrize("resource", ["project-not-found", "my-project does not exist"])
def test_a_thing_whose_name_speaks_of_projects_is_still_a_thing(session_of: SessionOf, resource: str) -> None:
    error = exceptions.NotFound(f"Resource not found (resource={resource}).")
    with pytest.raises(NotThere):
        call(session_of(publisher={"get_topic": error}), GET_TOPIC, {})


def test_an_unavailable_service_is_asked_again(session_of: SessionOf) -> None:
    answers = iter([exceptions.ServiceUnavailable("a moment"), None])

    def answer(_: Any) -> Any:
        failure = next(answers)
        if failure:
            raise failure
        return "topic"

    session = session_of(publisher={"get_topic": answer})
    assert call(session, GET_TOPIC, {}) == "topic"
    assert len(session.clients.get("publisher").asked) == 2


def test_no_token_is_in_an_error(session_of: SessionOf) -> None:
    error = exceptions.InvalidArgument("header Authorization: Bearer ya29.secretsecret by alice@example.com")
    with pytest.raises(NotSeen) as raised:
        call(session_of(publisher={"get_topic": error}), GET_TOPIC, {})
    assert "ya29" not in raised.value.says
    assert "alice" not in raised.value.says


class Pager:
    """What a list method of Google's clients returns."""

    def __init__(self, *items: str, token: str = "") -> None:
        self.pages = iter([SimpleNamespace(subscriptions=list(items), next_page_token=token)])


@pytest.mark.parametrize(
    ("reason", "key"),
    [
        ("CONSUMER_INVALID", "consumer"),
        ("SERVICE_DISABLED", "consumer"),
        ("BILLING_DISABLED", "consumer"),
        ("USER_PROJECT_DENIED", "consumer"),
        ("IAM_PERMISSION_DENIED", "permission"),
    ],
)
def test_no_key_is_in_what_is_told_of_an_errors_details(session_of: SessionOf, reason: str, key: str) -> None:
    secret = "AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"
    error = detailed(exceptions.PermissionDenied("no"), reason, **{key: f"projects/p-{secret}"})
    with pytest.raises(NotSeen) as raised:
        call(session_of(publisher={"get_topic": error}), GET_TOPIC, {"topic": "t"})
    said = f"{raised.value.says} {raised.value.mend} {raised.value.permission}"
    assert "p-" in said
    assert secret not in said


def test_all_pages_are_read(session_of: SessionOf) -> None:
    answers = {"": Pager("a", token="t1"), "t1": Pager("b", token="t2"), "t2": Pager("c")}
    session = session_of(publisher={"list_topic_subscriptions": lambda r: answers[r["page_token"]]})
    found = pages(session, TOPIC_SUBSCRIPTIONS, {"topic": "t"}, "subscriptions")
    assert (found.items, found.complete) == (["a", "b", "c"], True)


def test_a_page_that_fails_leaves_what_came_and_says_so(session_of: SessionOf) -> None:
    def answer(request: dict[str, Any]) -> Pager:
        if request["page_token"]:
            raise exceptions.InvalidArgument("page token expired")
        return Pager("a", token="t1")

    session = session_of(publisher={"list_topic_subscriptions": answer})
    found = pages(session, TOPIC_SUBSCRIPTIONS, {"topic": "t"}, "subscriptions")
    assert found.items == ["a"]
    assert not found.complete
    assert "only the first 1 pages" in found.note


def test_pages_are_capped_and_that_is_said(session_of: SessionOf) -> None:
    session = session_of(publisher={"list_topic_subscriptions": lambda _: Pager("a", token="more")})
    found = pages(session, TOPIC_SUBSCRIPTIONS, {"topic": "t"}, "subscriptions", most=3)
    assert (len(found.items), found.complete) == (3, False)


def test_a_partial_answer_of_monitoring_is_incomplete(session_of: SessionOf) -> None:
    def answer(_: Any) -> Any:
        page = SimpleNamespace(
            subscriptions=["a"], next_page_token="", execution_errors=[SimpleNamespace(message="shard down")]
        )
        return SimpleNamespace(pages=iter([page]))

    found = pages(session_of(publisher={"list_topic_subscriptions": answer}), TOPIC_SUBSCRIPTIONS, {}, "subscriptions")
    assert not found.complete
    assert "shard down" in found.note
