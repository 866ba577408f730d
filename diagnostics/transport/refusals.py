"""Why nobody was let in, or nothing was reached: told from an error's own words, each reason with its sentence and what mends it.

Nothing is asked here. Texts: RFC 6749 and 8693 as Google's token endpoints answer them, google.auth's exceptions, gRPC's own.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from diagnostics.evidence.model import Why
from diagnostics.evidence.redact import redact
from diagnostics.shell.commands import advice, command, noted

ADC_LOGIN = "gcloud auth application-default login"
GCLOUD_LOGIN = "gcloud auth login"
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
UNSET = "unset GOOGLE_APPLICATION_CREDENTIALS"
_WINS = "it names {file} and wins over any other login"
CLOCK_S = 300
"""From so many seconds on a clock that is wrong is worth a word."""
GOOGLES_OWN = ("764086051850", "32555940559")
"""Numbers of the projects that Google keeps for its own login programs: what is billed to them has no quota project."""


class Kind(StrEnum):
    """How somebody is signed in."""

    USER = "user"
    KEY = "key"
    FEDERATED = "federated"
    IMPERSONATED = "impersonated"
    MACHINE = "machine"
    GCLOUD = "gcloud"
    OTHER = ""


class Login(Struct, frozen=True, kw_only=True):
    """What is known of a login when it is refused."""

    kind: Kind = Kind.OTHER
    file: str = ""
    """The credentials file that the environment names; it wins over any other login."""
    account: str = ""
    """E-mail of the service account that it is, or acts as."""
    source: Kind = Kind.OTHER
    """Of one that acts as a service account: how it is signed in itself."""
    audience: str = ""
    """Of a federated login: the resource name of its provider."""

    @property
    def lacks_payer(self) -> bool:
        """Whether it is a person's, whose calls are counted against no project of theirs unless one is named."""
        return self.kind in (Kind.USER, Kind.GCLOUD)

    @property
    def mend(self) -> tuple[str, ...]:
        """What signs in anew."""
        if self.kind is Kind.GCLOUD:
            return (GCLOUD_LOGIN,)
        if self.file:
            return (noted(UNSET, advice(_WINS, file=self.file), f"then {ADC_LOGIN}"),)
        return (ADC_LOGIN, GCLOUD_LOGIN)


class Last(NamedTuple):
    """The last answer of a token endpoint; status 0: none came."""

    host: str = ""
    status: int = 0
    ahead_s: float = 0.0
    """By so much its clock is ahead of ours."""


class Refusal(NamedTuple):
    """One true sentence, and the commands that would help."""

    why: Why
    says: str
    mend: tuple[str, ...]


def refusal(text: str, login: Login, last: Last = Last()) -> Refusal:
    """Why a token could not be had, from the text of the error. `text` may hold secrets; what is told does not."""
    if told := not_reached(text, last.host):
        return told
    if last.status >= 500 or _has(text, "internal_failure", "temporarily_unavailable", "server_error"):
        says = f"{last.host or 'the token endpoint'} answers with an error of its own ({last.status or 'no status'})"
        return Refusal(Why.UNREACHABLE, f"Google's sign-in is out of order: {says}", ("ask again in a minute",))
    if _has(text, "metadata service", "metadata server"):
        return _machine(text)
    exchanged = "sts.googleapis.com" in last.host and login.kind is not Kind.USER
    if exchanged or _has(text, "attribute condition", "invalid_target"):
        return _federation(text, login)
    if _has(text, "subject token", "was not found") and Kind.FEDERATED in (login.kind, login.source):
        return _no_subject(text)
    if _has(text, "impersonated credentials", "getAccessToken", "Gaia id not found"):
        return _impersonation(text, login)
    return _grant(text, login, last)


def not_reached(text: str, host: str = "") -> Refusal | None:
    """The error as one of the network, told by which part of it; None: it is none."""
    named = re.search(r"host='([^']+)'", text)
    host = (named.group(1) if named else "") or host or "Google"
    if _has(text, "CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "self-signed certificate"):
        says = f"the certificate shown for {host} is not trusted here: something on the way opens TLS, as proxies of firms do"
        mend = (
            "give the root certificates of your firm to both of Google's libraries: "
            "export GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=FILE REQUESTS_CA_BUNDLE=FILE SSL_CERT_FILE=FILE"
        )
        return Refusal(Why.UNREACHABLE, says, (mend,))
    if _has(text, "ProxyError", "Tunnel connection failed", "HTTP proxy returned", "Cannot connect to proxy"):
        status = re.search(r"(?:Tunnel connection failed:|response code) (\d{3})", text)
        does = f"answers {status.group(1)}" if status else "does not answer"
        return Refusal(Why.UNREACHABLE, f"the proxy on the way to {host} {does}", ("check https_proxy and no_proxy",))
    if _has(
        text,
        "NameResolutionError",
        "Name or service not known",
        "name resolution",
        "getaddrinfo failed",
        "nodename nor servname",
        "DNS resolution failed",
        "Failed to resolve",
    ):
        return Refusal(
            Why.UNREACHABLE, f"the name {host} has no address here: no network, or no DNS", ("check the network",)
        )
    if _has(text, "timed out", "Timeout(", "ReadTimeout", "ConnectTimeout"):
        return Refusal(
            Why.TIMED_OUT, f"{host} does not answer", ("check the network, and https_proxy if there is a proxy",)
        )
    if _has(
        text, "Max retries exceeded", "ConnectionError", "Connection refused", "Connection aborted", "reset by peer"
    ):
        return Refusal(Why.UNREACHABLE, f"{host} cannot be reached: {_short(text)}", ("check the network",))
    return None


def provider(audience: str) -> str:
    """The command that shows the provider of a workload identity pool; empty: the audience names none."""
    parts = re.search(r"projects/([^/]+)/locations/([^/]+)/workloadIdentityPools/([^/]+)/providers/([^/]+)", audience)
    if parts is None:
        return ""
    project, place, pool, name = parts.groups()
    return command(
        "gcloud iam workload-identity-pools providers describe {name} --workload-identity-pool={pool} "
        "--location={place} --project={project}",
        name=name,
        pool=pool,
        place=place,
        project=project,
    )


def own_project_of_google(text: str, consumer: str = "") -> bool:
    """Whether it is one of Google's own projects that a call is counted against: nobody else may enable or raise anything there."""
    return any(number in f"{consumer} {text}" for number in GOOGLES_OWN)


def _machine(text: str) -> Refusal:
    if _has(text, "404"):
        says = "this machine has no service account that it may be"
        return Refusal(Why.SIGN_IN, says, ("give the machine a service account, or sign in: " + ADC_LOGIN,))
    mend = ("ask again; on a machine that is not Google's: NO_GCE_CHECK=true",)
    return Refusal(Why.UNREACHABLE, f"the metadata server of this machine gives no token: {_short(text)}", mend)


def _federation(text: str, login: Login) -> Refusal:
    look = provider(login.audience) or "look at the provider of the workload identity pool"
    if _has(text, "attribute condition"):
        says = "workload identity federation refuses this workload: the attribute condition of the provider does not admit it"
    elif _has(text, "invalid_target", "does not exist", "disabled", "deleted"):
        says = "the workload identity pool or provider of this login is not there, or disabled"
    else:
        says = f"workload identity federation refuses the token of this workload: {_short(text)}"
    return Refusal(Why.SIGN_IN, says, (look,))


def _no_subject(text: str) -> Refusal:
    mend = "in GitHub Actions: permissions: id-token: write, and google-github-actions/auth in the same job"
    return Refusal(Why.SIGN_IN, f"this workload has no token to show to Google: {_short(text)}", (mend,))


def _impersonation(text: str, login: Login) -> Refusal:
    account = login.account or "that service account"
    if _has(text, "SERVICE_DISABLED", "has not been used in project", "requires a quota project"):
        api = "iamcredentials.googleapis.com"
        if own_project_of_google(text) or _has(text, "requires a quota project"):
            says = f"{api} wants a quota project of this login before it lets it act as {account}"
            return Refusal(Why.SIGN_IN, says, ("gcloud auth application-default set-quota-project PROJECT",))
        number = re.search(r"project[s/= ]+([\w-]+)", text)
        project = number.group(1) if number else "PROJECT"
        says = f"nobody can act as {account}: {api} is not enabled{' in ' + number.group(1) if number else ''}"
        return Refusal(
            Why.SIGN_IN, says, (command("gcloud services enable {api} --project={project}", api=api, project=project),)
        )
    if _has(text, "Gaia id not found", "NOT_FOUND", '"code": 404'):
        return Refusal(Why.SIGN_IN, f"there is no service account {account}", ("say the right e-mail address",))
    if _has(text, "getAccessToken", "PERMISSION_DENIED", '"code": 403'):
        if Kind.FEDERATED in (login.kind, login.source):
            says = f"the federated login may not act as {account}"
            asks = "ask for roles/iam.workloadIdentityUser on {account}, for the principal of this workload"
        else:
            says = f"this login may not act as {account}"
            asks = "ask for roles/iam.serviceAccountTokenCreator on {account}"
        return Refusal(Why.SIGN_IN, says, (advice(asks, account=account),))
    return Refusal(
        Why.SIGN_IN,
        f"cannot act as {account}: {_short(text)}",
        (advice("look at the policy of {account}", account=account),),
    )


def _grant(text: str, login: Login, last: Last) -> Refusal:
    """What an OAuth token endpoint says of a key or of a person's login."""
    if _has(text, "iat and exp", "short-lived token", "reasonable timeframe"):
        off = (
            f", {_span(abs(last.ahead_s))} {'behind' if last.ahead_s > 0 else 'ahead'}"
            if abs(last.ahead_s) > CLOCK_S
            else ""
        )
        says = f"the clock of this machine is wrong{off}: Google does not accept the time in what it signs"
        return Refusal(Why.SIGN_IN, says, ("set the clock: sudo timedatectl set-ntp true",))
    if _has(text, "Invalid JWT Signature"):
        key = f"the key in {login.file}" if login.file else "this key"
        whose = f" of {login.account}" if login.account else ""
        says = f"Google does not accept {key}{whose}: deleted, disabled, expired, or of another account"
        of = login.account or "ACCOUNT"
        look = command("gcloud iam service-accounts keys list --iam-account={account}", account=of)
        return Refusal(Why.SIGN_IN, says, (noted(look, "lists those that are good"), *login.mend[:1]))
    if _has(text, "account not found", "account has been deleted", "account_disabled", "Not a valid email"):
        who = login.account or "the account of this login"
        return Refusal(Why.SIGN_IN, f"{who} was deleted or disabled", login.mend)
    if _has(text, "rapt", "Reauthentication", "reauth"):
        says = (
            "this login has to be confirmed anew: your organisation asks for that after some hours (reauthentication)"
        )
        return Refusal(Why.SIGN_IN, says, login.mend)
    if _has(text, "invalid_grant", "expired or revoked"):
        return Refusal(Why.SIGN_IN, "the login has expired or was revoked", login.mend)
    return Refusal(Why.SIGN_IN, f"Google does not accept the login: {_short(text)}", login.mend)


def _span(seconds: float) -> str:
    """A length of time in one round number."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 0.95 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _short(text: str) -> str:
    """What is worth telling of a long text: no markup, no repetition of it as an object."""
    plain = re.sub(r"<[^>]*>", " ", text.split(", {'")[0])
    return redact(" ".join(plain.strip("()'\" ").split()), 200)


def _has(text: str, *signs: str) -> bool:
    return any(sign in text for sign in signs)
