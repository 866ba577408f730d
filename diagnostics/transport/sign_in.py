"""Who we are: application default credentials, else gcloud's login, refreshed once before anything is asked."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from diagnostics.evidence.redact import principal, redact

T = TypeVar("T")

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
ADC_LOGIN = "gcloud auth application-default login"
GCLOUD_LOGIN = "gcloud auth login"
REFRESH_S = 6.0
GCLOUD_S = 10.0


class SignInError(Exception):
    """Nobody is signed in, or the login has expired. `says` is one sentence, `mend` the commands that would help."""

    def __init__(self, says: str, mend: tuple[str, ...] = (ADC_LOGIN, GCLOUD_LOGIN)) -> None:
        super().__init__(says)
        self.says = says
        self.mend = mend


class SignIn(Struct, frozen=True, kw_only=True):
    """The credentials of a run."""

    credentials: Any
    """A google.auth credentials object; None in the lab."""
    how: str
    """"application default credentials", "gcloud" or "lab"; the header says so."""
    project: str = ""
    """The project that the credentials name; empty: none."""
    principal: str = ""
    """"serviceAccount:…" or "user:person-1f0c"; empty: the credentials do not tell."""
    impersonated: str = ""
    """E-mail of the service account that we act as, when we were asked to."""


def sign_in(environ: Mapping[str, str], impersonate: str = "") -> SignIn:
    """Load credentials and refresh them once. Raises SignInError."""
    found = _default(environ) or _gcloud()
    if found is None:
        raise SignInError("not signed in: no application default credentials, and gcloud gave no access token")
    credentials, how, project = found
    if impersonate:
        credentials = _impersonated(credentials, impersonate)
    _refresh(credentials, how)
    return SignIn(
        credentials=credentials,
        how=how,
        project=project,
        principal=_principal(credentials),
        impersonated=impersonate,
    )


def is_expired_login(text: str) -> bool:
    """Whether an error text is that of a login that ran out. gRPC reports it as "503 Getting metadata from plugin failed"."""
    signs = ("Getting metadata from plugin failed", "Reauthentication is needed", "invalid_grant", "RefreshError")
    return any(sign in text for sign in signs)


def _default(environ: Mapping[str, str]) -> tuple[Any, str, str] | None:
    import google.auth
    import google.auth.exceptions

    try:
        credentials, project = google.auth.default(scopes=[SCOPE])
    except google.auth.exceptions.DefaultCredentialsError as error:
        if environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            raise SignInError(f"the credentials file cannot be read: {redact(str(error), 300)}") from error
        return None
    return credentials, "application default credentials", project or ""


def _gcloud() -> tuple[Any, str, str] | None:
    try:
        token = gcloud("auth", "print-access-token")
    except SignInError:
        return None
    from google.oauth2.credentials import Credentials

    return Credentials(token=token), "gcloud", ""


def gcloud(*arguments: str) -> str:
    """One line that gcloud prints. Raises SignInError when there is no gcloud or it refuses."""
    command = ["gcloud", *arguments, "--quiet"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GCLOUD_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SignInError(f"gcloud gave no answer: {type(error).__name__}") from error
    if done.returncode or not done.stdout.strip():
        raise SignInError(
            f"gcloud refused: {redact(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else '', 200)}"
        )
    return done.stdout.strip().splitlines()[-1]


def _impersonated(source: Any, target: str) -> Any:
    from google.auth import impersonated_credentials

    return impersonated_credentials.Credentials(
        source_credentials=source, target_principal=target, target_scopes=[SCOPE]
    )


def _refresh(credentials: Any, how: str) -> None:
    """Refresh now, with a short bound, so that a login that ran out is told as such and not retried for a minute."""
    if how == "gcloud" and not getattr(credentials, "_source_credentials", None):
        return  # a bare access token: there is nothing to refresh it with
    import google.auth.exceptions
    import google.auth.transport.requests

    def refresh() -> None:
        request = google.auth.transport.requests.Request()

        def bounded(*args: Any, **kwargs: Any) -> Any:
            return request(*args, **{**kwargs, "timeout": REFRESH_S})

        credentials.refresh(bounded)

    try:
        bounded_by(REFRESH_S + 2, refresh)
    except google.auth.exceptions.RefreshError as error:
        text = redact(str(error), 300)
        if "impersonat" in text.lower() or "getAccessToken" in text:
            role = "roles/iam.serviceAccountTokenCreator"
            raise SignInError(f"cannot act as that service account: {text}", (f"ask for {role} on it",)) from error
        raise SignInError(f"the login has expired or was revoked: {text}") from error
    except google.auth.exceptions.TransportError as error:
        raise SignInError(
            f"cannot reach Google to sign in: {redact(str(error), 300)}", ("check the network",)
        ) from error
    except TimeoutError as error:
        raise SignInError(f"no answer while signing in, for {REFRESH_S + 2:.0f} s", ("check the network",)) from error


def bounded_by(seconds: float, work: Callable[[], T]) -> T:
    """The result of work, or TimeoutError; the thread that is stuck is left behind."""
    result: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # handed to the caller below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not result:
        raise TimeoutError
    return result[0]


def _principal(credentials: Any) -> str:
    account = getattr(credentials, "service_account_email", "") or ""
    if account and account != "default":
        return f"serviceAccount:{account}"
    email = getattr(credentials, "account", "") or _claims(getattr(credentials, "id_token", "") or "").get("email", "")
    return f"user:{principal(email)}" if email else ""


def _claims(token: str) -> dict[str, Any]:
    """The claims of a token that was given to us, unverified: only to say who we are."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
