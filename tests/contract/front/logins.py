"""Ways to be signed in: each writes what a user would have on disk and gives the environment that goes with it."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contract.front.google import Google

PERSON = "oncall@example.com"
CLOUD_SDK = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
WELL_KNOWN = ".config/gcloud/application_default_credentials.json"


@dataclass(frozen=True)
class Login:
    """A way to be signed in: the environment of the program, and its home."""

    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    """What it takes on the command line."""

    @property
    def well_known(self) -> Path:
        """Where `gcloud auth application-default login` puts its file."""
        return self.home / WELL_KNOWN


def nobody(google: Google) -> Login:
    """Neither a file, nor a metadata server, nor gcloud."""
    return Login(google.new_home())


def key(google: Google, name: str = "diag") -> Login:
    """A service account's key in GOOGLE_APPLICATION_CREDENTIALS."""
    login = nobody(google)
    email = f"{name}@{google.project}.iam.gserviceaccount.com"
    file = _write(login.home / "key.json", google.issuer.key(email, google.project))
    return Login(login.home, {"GOOGLE_APPLICATION_CREDENTIALS": str(file)})


def user(google: Google, quota_project: str = "") -> Login:
    """A person's application default credentials, as gcloud leaves them; and gcloud itself."""
    login = gcloud(google)
    _write(login.well_known, _authorized_user(google, quota_project))
    return login


def impersonated_user(google: Google, name: str = "diag") -> Login:
    """`gcloud auth application-default login --impersonate-service-account`."""
    login = nobody(google)
    account = f"{name}@{google.project}.iam.gserviceaccount.com"
    _write(
        login.well_known,
        {
            "type": "impersonated_service_account",
            "service_account_impersonation_url": _impersonation(account),
            "source_credentials": _authorized_user(google, ""),
            "delegates": [],
        },
    )
    return login


def federated(google: Google, account: str = "diag", named: bool = False) -> Login:
    """Workload identity federation, as google-github-actions/auth leaves it. `account` empty: without a service account.

    `named`: the project is in the environment, as that action puts it there.
    """
    login = nobody(google)
    (login.home / "subject").write_text("front-subject-token", encoding="utf-8")
    pool = f"//iam.googleapis.com/projects/{google.number}/locations/global/workloadIdentityPools/ci/providers/github"
    config: dict[str, object] = {
        "type": "external_account",
        "audience": pool,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(login.home / "subject"), "format": {"type": "text"}},
        "universe_domain": "googleapis.com",
    }
    if account:
        email = f"{account}@{google.project}.iam.gserviceaccount.com"
        config["service_account_impersonation_url"] = _impersonation(email)
    file = _write(login.home / "federation.json", config)
    project = {"GOOGLE_CLOUD_PROJECT": google.project} if named else {}
    return Login(login.home, {"GOOGLE_APPLICATION_CREDENTIALS": str(file), **project})


def federated_alone(google: Google) -> Login:
    """Workload identity federation without a service account."""
    return federated(google, account="")


def impersonating(google: Google) -> Login:
    """A person who says --impersonate-service-account."""
    login = user(google)
    account = f"diag@{google.project}.iam.gserviceaccount.com"
    return Login(login.home, login.environ, ("--impersonate-service-account", account))


def machine(google: Google) -> Login:
    """A machine of Google's, with a metadata server."""
    google.rest.instance = f"machine@{google.project}.iam.gserviceaccount.com"
    server = f"127.0.0.1:{google.rest.port}"
    return Login(nobody(google).home, {"GCE_METADATA_HOST": server, "GCE_METADATA_IP": server, "NO_GCE_CHECK": ""})


def gcloud(google: Google) -> Login:
    """No application default credentials, but gcloud is logged in.

    The files bin/access and bin/identity are what it prints; without them it says bin/refusal. What it was asked is in
    bin/asked.
    """
    login = nobody(google)
    tools = login.home / "bin"
    tools.mkdir()
    (tools / "access").write_text(google.issuer.token(PERSON), encoding="utf-8")
    (tools / "identity").write_text(google.rest.person, encoding="utf-8")
    (tools / "refusal").write_text(NOT_LOGGED_IN, encoding="utf-8")
    script = tools / "gcloud"
    script.write_text(GCLOUD, encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return Login(login.home)


NOT_LOGGED_IN = "ERROR: (gcloud.auth.print-access-token) You do not currently have an active account selected."
GCLOUD = """#!/bin/sh
PATH=/usr/bin:/bin
here=$(dirname "$0")
echo "$*" >> "$here/asked"
case "$*" in
  "auth print-access-token"*) cat "$here/access" 2>/dev/null || { cat "$here/refusal" >&2; exit 1; };;
  "auth print-identity-token"*) cat "$here/identity" || exit 1;;
  "config get project"*) cat "$here/project" 2>/dev/null;;
  *) echo "ERROR: (gcloud) Invalid choice: '$*'" >&2; exit 2;;
esac
"""


def _authorized_user(google: Google, quota_project: str) -> dict[str, object]:
    config = {
        "type": "authorized_user",
        "client_id": CLOUD_SDK,
        "client_secret": "front-no-secret",
        "refresh_token": google.issuer.login(PERSON),
        "universe_domain": "googleapis.com",
    }
    return {**config, **({"quota_project_id": quota_project} if quota_project else {})}


def _impersonation(account: str) -> str:
    return f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken"


def _write(file: Path, content: Mapping[str, object]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file
