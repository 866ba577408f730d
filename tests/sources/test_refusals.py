"""Why a token could not be had: each reason of Google's, in the words that it is known to use, has its own sentence.

Those of token endpoints, proxies and machines that a whole run can meet are in tests/contract/test_sign_in.py.
"""

from __future__ import annotations

import pytest

from diagnostics.evidence.model import Why
from diagnostics.transport.refusals import Kind, Last, Login, not_reached, refusal

ACCOUNT = "diag@p.iam.gserviceaccount.com"
POOL = "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/ci/providers/github"
STS = Last("sts.googleapis.com", 400)


@pytest.mark.parametrize(
    ("text", "login", "last", "says", "mend"),
    [
        ("('invalid_grant: Bad Request', {'error': 'invalid_grant'})", Login(kind=Kind.USER), Last("oauth2.googleapis.com", 400),
         "the login has expired or was revoked", "gcloud auth application-default login"),
        ("invalid_client: The OAuth client was deleted.", Login(kind=Kind.USER), Last("oauth2.googleapis.com", 401),
         "Google does not accept the login: invalid_client: The OAuth client was deleted.", "gcloud auth application-default login"),
        ("Reauthentication is needed. Please run `gcloud auth application-default login` to reauthenticate.",
         Login(kind=Kind.USER, file="/k.json"), Last(), "has to be confirmed anew", "unset GOOGLE_APPLICATION_CREDENTIALS   # it names /k"),
        ("Error code invalid_grant: The audience in ID Token [x] does not match the expected audience.",
         Login(kind=Kind.FEDERATED, audience=POOL), STS, "refuses the token of this workload: Error code invalid_grant: The audience",
         "providers describe github --workload-identity-pool=ci --location=global --project=42"),
        ("Error code invalid_grant: Token has been expired or revoked.", Login(kind=Kind.USER), STS,
         "the login has expired or was revoked", "gcloud auth application-default login"),
        ("Unable to acquire impersonated credentials { \"error\": { \"code\": 403, \"message\": \"IAM Service Account Credentials API has "
         "not been used in project 4711 before or it is disabled.\", \"status\": \"PERMISSION_DENIED\" } }",
         Login(kind=Kind.IMPERSONATED, account=ACCOUNT), Last("iamcredentials.googleapis.com", 403),
         "iamcredentials.googleapis.com is not enabled in 4711", "gcloud services enable iamcredentials.googleapis.com --project=4711"),
        ("Unable to acquire impersonated credentials { \"error\": { \"code\": 403, \"message\": \"Your application is authenticating by "
         "using local Application Default Credentials. The iamcredentials.googleapis.com API requires a quota project\" } }",
         Login(kind=Kind.IMPERSONATED, account=ACCOUNT), Last("iamcredentials.googleapis.com", 403),
         "wants a quota project", "set-quota-project"),
        ("Failed to retrieve http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token from the Google "
         "Compute Engine metadata service. Status: 404 Response: b'Unable to generate access token'",
         Login(kind=Kind.MACHINE), Last("metadata.google.internal", 404), "this machine has no service account", "sign in"),
    ],
)  # fmt: skip
def test_each_reason_has_its_sentence(text: str, login: Login, last: Last, says: str, mend: str) -> None:
    told = refusal(text, login, last)
    assert told.why is Why.SIGN_IN
    assert says in told.says
    assert mend in "   ".join(told.mend)


def test_an_api_of_googles_own_project_is_never_offered_to_be_enabled() -> None:
    text = "IAM Service Account Credentials API has not been used in project 32555940559 before or it is disabled."
    told = refusal(f"Unable to acquire impersonated credentials {text}", Login(kind=Kind.IMPERSONATED, account=ACCOUNT))
    assert "services enable" not in "".join(told.mend)


@pytest.mark.parametrize(
    ("text", "why", "says"),
    [
        ("HTTPSConnectionPool(host='oauth2.googleapis.com', port=443): Max retries exceeded with url: /token (Caused by NameResolutionError"
         "(\"Failed to resolve 'oauth2.googleapis.com' ([Errno -3] Temporary failure in name resolution)\"))",
         Why.UNREACHABLE, "the name oauth2.googleapis.com has no address here"),
        ("HTTPSConnectionPool(host='sts.googleapis.com', port=443): Read timed out. (read timeout=6.0)",
         Why.TIMED_OUT, "sts.googleapis.com does not answer"),
        ("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", Why.UNREACHABLE, "Google cannot be reached"),
        ("failed to connect to all addresses; last error: UNKNOWN: HTTP proxy returned response code 407",
         Why.UNREACHABLE, "the proxy on the way to Google answers 407"),
    ],
)  # fmt: skip
def test_each_part_of_the_network_has_its_sentence(text: str, why: Why, says: str) -> None:
    told = not_reached(text)
    assert told is not None
    assert (told.why, says in told.says) == (why, True)


def test_a_refusal_is_none_of_the_network() -> None:
    assert not_reached("invalid_grant: Token has been expired or revoked.") is None


def test_no_token_is_told() -> None:
    told = refusal("odd answer: ya29.secretsecret of alice@example.com", Login(kind=Kind.USER))
    assert "ya29" not in told.says
    assert "alice" not in told.says
