"""Every way to be signed in ends in a whole answer, and every way not to be let in in one true line, soon.

The texts are those of Google's token endpoints, IAM and metadata server, as issues and answers in public show them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, NamedTuple

import pytest

from tests.contract.front.google import Asked, Google, Login, Refusal, Said, Told, Trouble, answering, logins
from tests.sampling import a_share

SOON_S = 10.0
"""By then a refused login has been told."""
SLOW_MACHINE_S = 8.0
"""Added to every bound: a program that starts on a busy machine takes its time before it asks anything."""
OAUTH, STS, IAM = "oauth2.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com"


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    with answering("typical-batch") as front:
        yield front


@pytest.mark.parametrize(
    ("login", "principal"),
    [
        (logins.key, "serviceAccount:diag@"),
        (logins.user, "user:person-"),
        (logins.federated, "serviceAccount:diag@"),
        (logins.impersonated_user, "serviceAccount:diag@"),
        (logins.impersonating, "serviceAccount:diag@"),
        (logins.machine, "serviceAccount:machine@"),
        (logins.gcloud, ""),
    ],
)
def test_every_login_ends_in_a_whole_answer(google: Google, login: Callable[[Google], Login], principal: str) -> None:
    """Batch state among it, for which an identity token has to be had."""
    google.requests.clear()
    said = google.run("batch", "-o", "json", login=login(google))
    whole = said.json()
    assert (said.code, whole["state"]) == (0, "done")
    assert whole["pipeline"]["principal"].startswith(principal)
    assert [m for m in whole["unknown"] if m["matters"]] == []
    assert any(asked.path == "/status" for asked in google.requests)
    assert "Warning" not in said.err


def test_who_may_not_ask_for_a_service_account_lets_it_ask_itself(google: Google) -> None:
    """The identity token of a federated login, where only the account itself may have one made."""
    login = logins.federated(google)
    google.requests.clear()
    denied = Told(403, {"error": {"code": 403, "message": "Permission denied", "status": "PERMISSION_DENIED"}})
    with google.web(
        IAM, f"/v1/projects/-/serviceAccounts/diag@{google.project}.iam.gserviceaccount.com:generateIdToken", denied
    ):
        assert google.run("batch", "-q", login=login).code == 0
        assert any(asked.path == "/status" for asked in google.requests)
        refuse = Refusal(
            "PERMISSION_DENIED", "no", "IAM_PERMISSION_DENIED", {"permission": "iam.serviceAccounts.getOpenIdToken"}
        )
        with google.change("GenerateIdToken", refuse=refuse):
            said = google.run("batch", "-v", login=login)
    words = " ".join(said.out.split())
    assert "iam.serviceAccounts.getOpenIdToken: would say what the batch state counts" in words
    assert (
        f"roles/iam.serviceAccountOpenIdTokenCreator on diag@{google.project}.iam.gserviceaccount.com, for itself"
        in words
    )


def test_a_federated_login_without_a_service_account_has_all_but_an_identity_token(google: Google) -> None:
    said = google.run("batch", "-v", login=logins.federated_alone(google))
    assert said.code == 0
    assert "a federated login has none unless it acts as a service account" in " ".join(said.out.split())


def test_a_slow_metadata_server_is_waited_for(google: Google) -> None:
    with google.web("127.0.0.1", delay_s=1.3, times=4):
        said = google.run("delivery", "-o", "json", login=logins.machine(google))
    assert said.json()["pipeline"]["principal"].startswith("serviceAccount:machine@")


def test_a_person_without_a_quota_project_counts_against_the_pipelines_own_where_google_wants_one(
    google: Google,
) -> None:
    google.calls.clear()
    with google.billing("google.monitoring.v3.MetricService"):
        said = google.run("delivery", "-o", "json", login=logins.user(google))
    assert said.code == 0
    against = [(c.rpc.split(".")[1], c.metadata.get("x-goog-user-project", "")) for c in google.calls]
    assert ("monitoring", google.project) in against
    assert {project for api, project in against if api != "monitoring"} == {""}


def test_acting_as_a_service_account_counts_against_the_pipelines_project_where_google_wants_that(
    google: Google,
) -> None:
    def wants_payer(asked: Asked) -> Told | None:
        if asked.headers.get("x-goog-user-project"):
            return None
        text = "IAM Service Account Credentials API has not been used in project 764086051850 before or it is disabled."
        return Told(403, {"error": {"code": 403, "message": text, "status": "PERMISSION_DENIED"}})

    with google.web(IAM, instead=wants_payer):
        said = google.run("delivery", "-o", "json", login=logins.impersonating(google))
    assert said.code == 0


def test_gclouds_token_is_asked_for_again_when_it_ends(google: Google) -> None:
    login = logins.gcloud(google)
    ended = Refusal("UNAUTHENTICATED", "Request had invalid authentication credentials.", "ACCESS_TOKEN_EXPIRED")
    with google.change("GetSubscription", refuse=ended, times=1):
        said = google.run("delivery", "-o", "json", login=login)
    assert said.code == 0
    asked = (login.home / "bin" / "asked").read_text().splitlines()
    assert len([line for line in asked if line.startswith("auth print-access-token")]) == 2


def test_the_time_of_the_run_bounds_signing_in_and_asking_together(google: Google) -> None:
    with google.web(OAUTH, delay_s=1.5), google.trouble(Trouble.SILENT, "g.googleapis.com"):  # logging and monitoring
        said = google.run("delivery", "-o", "json", "--timeout", "4", login=logins.user(google))
    whole = said.json()
    assert whole["pipeline"]["seconds"] < 4.5
    assert "did not answer" in said.out
    assert said.seconds < 4 + 2 + SLOW_MACHINE_S


def test_a_certificate_that_is_not_trusted_is_told_of_a_service_too(google: Google) -> None:
    with google.trouble(Trouble.INTERCEPTED, ".run.app"):
        said = google.run("batch", "-v")
    assert "is not trusted here: something on the way opens TLS" in " ".join(said.out.split())


class Refused(NamedTuple):
    """A way not to be let in, and what has to be told of it."""

    login: Callable[[Google], Login]
    made: Callable[[Google], AbstractContextManager[Any]]
    says: str
    mend: str


def told(host: str, status: int, error: str, description: str, **more: str) -> Callable[[Google], Any]:
    return lambda google: google.web(
        host, instead=Told(status, {"error": error, "error_description": description, **more})
    )


def iam(status: int, name: str, message: str, reason: str = "") -> Callable[[Google], Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "iam.googleapis.com"}]
    body = {"error": {"code": status, "message": message, "status": name, "details": details}}
    return lambda google: google.web(IAM, instead=Told(status, body))


def trouble(what: Trouble) -> Callable[[Google], Any]:
    return lambda google: google.trouble(what)


def nothing(google: Google) -> AbstractContextManager[Any]:
    del google
    return nullcontext()


def a_clock_an_hour_behind(google: Google) -> AbstractContextManager[Any]:
    stack = ExitStack()
    google.issuer.ahead_s = 3600
    stack.callback(lambda: setattr(google.issuer, "ahead_s", 0))
    return stack


def deleted_key(google: Google) -> Login:
    login = logins.key(google)
    google.issuer.keys.clear()
    return login


def expired(google: Google) -> Login:
    login = logins.user(google)
    google.issuer.logins.clear()
    return login


def expired_in_a_file(google: Google) -> Login:
    login = expired(google)
    return Login(login.home, {"GOOGLE_APPLICATION_CREDENTIALS": str(login.well_known)})


def broken_file(google: Google) -> Login:
    login = logins.user(google)
    login.well_known.write_text("{")
    return login


def no_subject(google: Google) -> Login:
    login = logins.federated(google)
    (login.home / "subject").unlink()
    return login


def logged_out(google: Google) -> Login:
    login = logins.gcloud(google)
    (login.home / "bin" / "access").unlink()
    return login


def confirmed_anew(google: Google) -> Login:
    login = logged_out(google)
    refusal = (
        "Reauthentication required.\nERROR: (gcloud.auth.print-access-token) Reauthentication failed. cannot prompt"
    )
    (login.home / "bin" / "refusal").write_text(refusal)
    return login


NO_TOKEN = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
REFUSED = {
    "clock": Refused(logins.key, a_clock_an_hour_behind, "the clock of this machine is wrong, 1 h behind", "set the clock"),
    "deleted key": Refused(deleted_key, nothing, "deleted, disabled, expired, or of another", "gcloud iam service-accounts keys list"),
    "deleted account": Refused(logins.key, told(OAUTH, 400, "invalid_grant", "Invalid grant: account not found"),
                               "diag@nba-props-platform.iam.gserviceaccount.com was deleted or disabled", "unset GOOGLE_APPLI"),
    "expired": Refused(expired, nothing, "the login has expired or was revoked", "gcloud auth application-default login"),
    "expired, in a file": Refused(expired_in_a_file, nothing, "the login has expired or was revoked", "unset GOOGLE_APPLICATION_CRED"),
    "reauthentication": Refused(
        logins.user, told(OAUTH, 400, "invalid_grant", "reauth related error (invalid_rapt)", error_subtype="invalid_rapt"),
        "has to be confirmed anew", "gcloud auth application-default login"),
    "out of order": Refused(logins.user, lambda g: g.web(OAUTH, instead=Told(503, "<html><title>Error 503</title></html>")),
                            "Google's sign-in is out of order: oauth2.googleapis.com answers", "in a minute"),
    "silent": Refused(logins.user, lambda g: g.web(OAUTH, delay_s=30), "oauth2.googleapis.com does not answer", "check the network"),
    "attribute condition": Refused(
        logins.federated, told(STS, 400, "unauthorized_client", "The given credential is rejected by the attribute condition."),
        "the attribute condition of the provider does not admit it", "providers describe github --workload-identity-pool=ci"),
    "no pool": Refused(
        logins.federated_alone, told(STS, 400, "invalid_target", 'The target service indicated by the "audience" parameters is invalid.'),
        "the workload identity pool or provider of this login is not there", "providers describe github"),
    "no subject token": Refused(no_subject, nothing, "this workload has no token to show to Google", "id-token: write"),
    "may not act, federated": Refused(logins.federated, iam(403, "PERMISSION_DENIED", NO_TOKEN, "IAM_PERMISSION_DENIED"),
                                      "the federated login may not act as diag@", "roles/iam.workloadIdentityUser"),
    "may not act": Refused(logins.impersonating, iam(403, "PERMISSION_DENIED", NO_TOKEN, "IAM_PERMISSION_DENIED"),
                           "this login may not act as diag@", "roles/iam.serviceAccountTokenCreator"),
    "nobody of that name": Refused(logins.impersonated_user, iam(404, "NOT_FOUND", "Not found; Gaia id not found for email diag@x"),
                                   "there is no service account diag@", "right e-mail address"),
    "nobody": Refused(logins.nobody, nothing, "no application default credentials, and there is no gcloud", "gcloud auth login"),
    "logged out": Refused(logged_out, nothing, "You do not currently have an active account selected", "gcloud auth login"),
    "gcloud, confirmed anew": Refused(confirmed_anew, nothing, "Reauthentication failed", "gcloud auth login"),
    "broken file": Refused(broken_file, nothing, "the credentials file cannot be read", "gcloud auth application-default login"),
    "machine without an account": Refused(
        logins.machine, lambda g: g.web("127.0.0.1", "/computeMetadata/v1/instance", Told(404, "not found")),
        "this machine has no service account", "give the machine a service account"),
    "proxy refuses": Refused(logins.user, trouble(Trouble.REFUSED), "the proxy on the way to oauth2.googleapis.com answers 403",
                             "https_proxy"),
    "proxy finds no host": Refused(logins.user, trouble(Trouble.NO_SUCH_HOST), "answers 503", "https_proxy"),
    "proxy is silent": Refused(logins.user, trouble(Trouble.SILENT), "oauth2.googleapis.com does not answer", "check the network"),
    "intercepted": Refused(logins.user, trouble(Trouble.INTERCEPTED), "the certificate shown for oauth2.googleapis.com is not trusted here",
                           "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
}  # fmt: skip


@pytest.mark.parametrize("case", a_share(REFUSED))
def test_who_is_not_let_in_is_told_why_in_one_line(google: Google, case: str) -> None:
    refused = REFUSED[case]
    login = refused.login(google)
    with refused.made(google):
        said = google.run("batch", login=login)
    assert refused.says in said.err
    assert_one_line(said, refused.mend)


def test_a_proxy_that_is_not_there_is_told(google: Google) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens
        proxy = {"https_proxy": f"http://127.0.0.1:{bound.getsockname()[1]}"}
        said = google.run("batch", login=logins.user(google), environ=proxy)
    assert "the proxy on the way to oauth2.googleapis.com does not answer" in said.err
    assert_one_line(said, "https_proxy")


def assert_one_line(said: Said, mend: str) -> None:
    """One sentence and one line of what to do, soon; nothing else."""
    assert (said.code, said.out) == (3, "")
    says, does = said.err.splitlines()
    assert says.startswith("pubsub-diag: ")
    assert mend in does
    assert "internal error" not in says and "Traceback" not in said.err
    assert said.seconds < SOON_S + SLOW_MACHINE_S
