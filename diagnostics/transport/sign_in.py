"""Who we are: application default credentials, else gcloud's login, refreshed once before anything is asked."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from diagnostics.evidence.redact import principal, redact
from diagnostics.shell.commands import noted
from diagnostics.transport.gcloud import GcloudError, gcloud
from diagnostics.transport.refusals import ADC_LOGIN, CREDENTIALS, GCLOUD_LOGIN, Kind, Last, Login, refusal

T = TypeVar("T")

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SIGN_IN_S = 8.0
"""For all of signing in; one request to a token endpoint may take less."""
REQUEST_S = 6.0
ON_GOOGLE = ("K_SERVICE", "CLOUD_RUN_JOB", "KUBERNETES_SERVICE_HOST", "GCE_METADATA_HOST", "GCE_METADATA_IP")
"""In the environment where a metadata server is to be expected; a fresh container may have to wait for it."""
MACHINE = Path("/sys/class/dmi/id/product_name")
"""On a virtual machine of Google's it says so."""


class SignInError(Exception):
    """Nobody is signed in, or not let in. `says` is one sentence, `mend` the commands that would help."""

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
    login: Login = Login()
    """What is known of it, for the day that it is refused."""


class Asking:
    """google.auth's way to make HTTP requests, bounded in time; it notes the last answer."""

    def __init__(self, seconds: float) -> None:
        import google.auth.transport.requests

        self._ends = time.monotonic() + seconds
        self._request = google.auth.transport.requests.Request()
        self.last = Last()

    def left(self) -> float:
        """Seconds."""
        return max(self._ends - time.monotonic(), 0.1)

    def __call__(self, url: str, *arguments: Any, timeout: float | None = None, **more: Any) -> Any:
        host = urlsplit(url).hostname or ""
        self.last = Last(host)
        bound = min(timeout or REQUEST_S, REQUEST_S, self.left())
        response = self._request(url, *arguments, timeout=bound, **more)
        self.last = Last(host, response.status, _ahead(response.headers.get("Date", "")))
        return response

    @property
    def session(self) -> Any:
        """google.auth mounts its adapters on it."""
        return self._request.session

    @session.setter
    def session(self, session: Any) -> None:
        self._request.session = session


def prepare(environ: MutableMapping[str, str]) -> None:
    """Set what Google's libraries read when they are imported, never over the user's own.

    Looking for a metadata server that is not there takes twelve seconds otherwise, and gRPC writes to stderr.
    """
    seconds, tries = ("3", "3") if _on_google(environ) else ("1", "1")
    environ.setdefault("GCE_METADATA_TIMEOUT", seconds)
    environ.setdefault("GCE_METADATA_DETECT_RETRIES", tries)
    environ.setdefault("GRPC_VERBOSITY", "NONE")
    warnings.filterwarnings("ignore", message="Your application has authenticated using end user credentials")


def sign_in(environ: Mapping[str, str], impersonate: str = "", payer: str = "", seconds: float = SIGN_IN_S) -> SignIn:
    """Load credentials and refresh them once. Raises SignInError, in `seconds` at the latest.

    `payer`: the project to count calls against where Google wants one named and the login names none.
    """
    asking = Asking(min(seconds, SIGN_IN_S))
    file = environ.get(CREDENTIALS, "")
    found = _default(file, asking) or _gcloud(asking, named=bool(payer))
    credentials, how, project = found
    login = _login(credentials, file)
    if impersonate:
        login = Login(
            kind=Kind.IMPERSONATED, source=login.kind, account=impersonate, audience=login.audience, file=file
        )
        credentials = _impersonated(credentials, impersonate)
    credentials = _refreshed(credentials, login, asking, payer)
    return SignIn(
        credentials=credentials,
        how=how,
        project=project,
        principal=_principal(credentials),
        impersonated=impersonate,
        login=login,
    )


def is_of_the_login(text: str) -> bool:
    """Whether an error of gRPC is about getting a token, not about the service: it reports that as "503 Getting metadata …"."""
    signs = ("Getting metadata from plugin failed", "Reauthentication is needed", "invalid_grant", "RefreshError")
    return any(sign in text for sign in signs)


def _default(file: str, asking: Asking) -> tuple[Any, str, str] | None:
    import google.auth
    import google.auth.exceptions

    login = _login_of(file)
    with _told(login, asking):
        try:
            credentials, project = bounded_by(
                asking.left(), lambda: google.auth.default(scopes=[SCOPE], request=asking)
            )
        except google.auth.exceptions.DefaultCredentialsError as error:
            if str(error).startswith("Your default credentials were not found"):
                return None
            mend = (f"mend the file, or unset {CREDENTIALS}",) if file else (noted(ADC_LOGIN, "writes it anew"),)
            raise SignInError(
                f"the credentials file cannot be read: {redact(str(error.args[0]), 300)}", mend
            ) from error
    return credentials, "application default credentials", project or ""


def _gcloud(asking: Asking, named: bool) -> tuple[Any, str, str]:
    """gcloud's login; and its project, where none is named otherwise."""
    try:
        token = gcloud("auth", "print-access-token", within_s=asking.left())
    except GcloudError as error:
        raise SignInError(f"not signed in: no application default credentials, and {error}") from error
    from diagnostics.transport.gcloud_login import GcloudLogin

    project = ""
    if not named:
        with contextlib.suppress(GcloudError):
            project = gcloud("config", "get", "project", within_s=asking.left())
    return GcloudLogin(token), "gcloud", project


def _impersonated(source: Any, target: str) -> Any:
    from google.auth import impersonated_credentials

    return impersonated_credentials.Credentials(
        source_credentials=source, target_principal=target, target_scopes=[SCOPE]
    )


def _refreshed(credentials: Any, login: Login, asking: Asking, payer: str) -> Any:
    """The credentials with a token, so that a login that is refused is told as such and not retried for a minute."""
    if getattr(credentials, "valid", False):
        return credentials
    try:
        _refresh(credentials, login, asking)
    except SignInError as refused:
        paid = _paid_by(credentials, payer) if "wants a quota project" in refused.says else None
        if paid is None:
            raise
        _refresh(paid, login, asking)
        return paid
    return credentials


def _refresh(credentials: Any, login: Login, asking: Asking) -> None:
    with _told(login, asking):
        bounded_by(asking.left(), lambda: credentials.refresh(asking))


def _paid_by(credentials: Any, payer: str) -> Any:
    """The same credentials, whose source names a quota project; None: that cannot be said of them."""
    source = getattr(credentials, "_source_credentials", None)
    if not payer or source is None or not hasattr(source, "with_quota_project"):
        return None
    credentials._source_credentials = source.with_quota_project(payer)
    return credentials


@contextlib.contextmanager
def _told(login: Login, asking: Asking) -> Iterator[None]:
    """What google.auth raises, as SignInError."""
    import google.auth.exceptions

    try:
        yield
    except google.auth.exceptions.DefaultCredentialsError as error:
        raise SignInError(f"the credentials cannot be used: {redact(str(error.args[0]), 300)}", login.mend) from error
    except google.auth.exceptions.GoogleAuthError as error:
        told = refusal(_words(error), login, asking.last)
        raise SignInError(told.says, told.mend) from error
    except TimeoutError as error:
        told = refusal("timed out", login, asking.last)
        raise SignInError(f"cannot sign in: {told.says}", told.mend) from error
    except (LookupError, OSError, ValueError) as error:
        who = asking.last.host or "somebody"
        says = f"cannot sign in: {who} answered what google.auth cannot read ({type(error).__name__}: {redact(str(error), 120)})"
        raise SignInError(says, ("is something else answering there, as a portal or a proxy does?",)) from error


def _words(error: Exception) -> str:
    """All that an error of google.auth says; it keeps the body of an answer as a second argument."""
    return " ".join(str(part) for part in error.args) or str(error)


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


def _login(credentials: Any, file: str) -> Login:
    account = getattr(credentials, "service_account_email", "") or ""
    return Login(
        kind=_kind(credentials),
        file=file,
        account="" if account == "default" else account,
        source=_kind(getattr(credentials, "_source_credentials", None)),
        audience=getattr(credentials, "_audience", None) or "",
    )


def _kind(credentials: Any) -> Kind:
    module = type(credentials).__module__
    for kind, homes in _HOMES.items():
        if module.endswith(homes):
            return kind
    return Kind.OTHER


_HOMES: dict[Kind, tuple[str, ...]] = {
    Kind.USER: ("oauth2.credentials", "external_account_authorized_user"),
    Kind.KEY: ("oauth2.service_account",),
    Kind.FEDERATED: ("identity_pool", "auth.aws", "auth.pluggable"),
    Kind.IMPERSONATED: ("impersonated_credentials",),
    Kind.MACHINE: ("compute_engine.credentials",),
    Kind.GCLOUD: ("gcloud_login",),
}
"""The modules of google.auth, and of ours, whose credentials are of a kind."""


def _login_of(file: str) -> Login:
    """What a credentials file tells of itself, before google.auth has made anything of it."""
    content = _content(file)
    kinds = {
        "external_account": Kind.FEDERATED,
        "external_account_authorized_user": Kind.USER,
        "service_account": Kind.KEY,
        "authorized_user": Kind.USER,
    }
    acts_as = str(content.get("service_account_impersonation_url", "")).rpartition("/")[2].partition(":")[0]
    return Login(
        kind=kinds.get(str(content.get("type", "")), Kind.OTHER),
        file=file,
        account=acts_as or str(content.get("client_email", "")),
        audience=str(content.get("audience", "")),
    )


def _content(file: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _on_google(environ: Mapping[str, str]) -> bool:
    if any(environ.get(name) for name in ON_GOOGLE):
        return True
    try:
        return MACHINE.read_text(encoding="utf-8").startswith("Google")
    except (OSError, ValueError):
        return False


def _ahead(date: str) -> float:
    """Seconds that an answer's clock is ahead of ours; 0 when it names no time."""
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return 0.0


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
