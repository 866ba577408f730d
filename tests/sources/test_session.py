"""Access: who we are, which project, which clock; and the seam to the lab, which never leaves this machine."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import google.auth
import google.auth.credentials
import google.auth.exceptions
import google.oauth2.credentials
import pytest

from diagnostics.transport import sign_in as sign_in_module
from diagnostics.transport.gcloud import gcloud
from diagnostics.transport.session import LAB, LabError, Options, Session, together
from diagnostics.transport.sign_in import SignInError, bounded_by, prepare

NOT_FOUND = google.auth.exceptions.DefaultCredentialsError("Your default credentials were not found.")


class Credentials:
    """Application default credentials made by hand."""

    def __init__(self, refresh: Callable[[], None] = lambda: None, account: str = "") -> None:
        self._refresh = refresh
        self.account = account

    def refresh(self, _request: Any) -> None:
        self._refresh()


@pytest.fixture
def adc(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Set what google.auth.default finds: credentials, or an error to raise."""
    monkeypatch.setenv("PATH", "/nonexistent")  # no gcloud
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)

    def use(found: Any) -> None:
        def default(scopes: list[str], request: Any) -> Any:
            assert scopes == [sign_in_module.SCOPE]
            assert isinstance(request, sign_in_module.Asking)
            if isinstance(found, Exception):
                raise found
            return found, "adc-project"

        monkeypatch.setattr(google.auth, "default", default)

    return use


def test_without_any_login_both_mending_commands_are_named(adc: Callable[[Any], None]) -> None:
    adc(NOT_FOUND)
    with pytest.raises(SignInError) as raised:
        Session.open(Options(), {})
    assert raised.value.mend == ("gcloud auth application-default login", "gcloud auth login")


def test_an_expired_login_is_told_as_such(adc: Callable[[Any], None]) -> None:
    def expired() -> None:
        raise google.auth.exceptions.RefreshError("invalid_grant: Token has been expired or revoked.")

    adc(Credentials(expired))
    with pytest.raises(SignInError, match="the login has expired"):
        Session.open(Options(), {})


def test_no_network_is_not_an_expired_login(adc: Callable[[Any], None]) -> None:
    def unreachable() -> None:
        raise google.auth.exceptions.TransportError("oauth2.googleapis.com: name resolution failed")

    adc(Credentials(unreachable))
    with pytest.raises(SignInError, match="no network, or no DNS"):
        Session.open(Options(), {})


def test_a_credentials_file_that_is_broken_is_not_passed_over(adc: Callable[[Any], None]) -> None:
    adc(google.auth.exceptions.DefaultCredentialsError("File /x/key.json is not a valid json file."))
    with pytest.raises(SignInError, match="credentials file cannot be read"):
        Session.open(Options(), {"GOOGLE_APPLICATION_CREDENTIALS": "/x/key.json"})


def test_gclouds_login_stands_in_with_its_project_and_the_header_can_say_so(
    adc: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adc(NOT_FOUND)
    gcloud = tmp_path / "gcloud"
    gcloud.write_text('#!/bin/sh\n[ "$1" = config ] && echo its-project || echo a-token-for-a-test\n')
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    session = Session.open(Options(), {})
    assert session.signed_in.how == "gcloud"
    assert session.signed_in.credentials.token == "a-token-for-a-test"
    assert session.project == "its-project"
    assert Session.open(Options(project="named"), {}).project == "named"


def test_gcloud_is_found_by_the_name_that_the_machine_gives_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On Windows it is gcloud.cmd, which is not run under the name gcloud."""
    command = tmp_path / "gcloud.cmd"
    command.write_text("#!/bin/sh\necho a-token-for-a-test\n")
    command.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(command) if name == "gcloud" else None)
    assert gcloud("auth", "print-access-token") == "a-token-for-a-test"


@pytest.mark.parametrize(
    ("environ", "waits"),
    [({}, ("1", "1")), ({"K_SERVICE": "s"}, ("3", "3")), ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, ("3", "3"))],
)
def test_a_metadata_server_is_waited_for_where_one_is_to_be_expected(
    environ: dict[str, str], waits: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sign_in_module, "MACHINE", tmp_path / "none")
    prepare(environ)
    assert (environ["GCE_METADATA_TIMEOUT"], environ["GCE_METADATA_DETECT_RETRIES"]) == waits
    chosen = {**environ, "GCE_METADATA_TIMEOUT": "7"}
    prepare(chosen)
    assert chosen["GCE_METADATA_TIMEOUT"] == "7"


def test_a_machine_of_googles_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "product_name").write_text("Google Compute Engine\n")
    monkeypatch.setattr(sign_in_module, "MACHINE", tmp_path / "product_name")
    environ: dict[str, str] = {}
    prepare(environ)
    assert environ["GCE_METADATA_TIMEOUT"] == "3"


def test_signing_in_takes_of_the_time_of_the_run(adc: Callable[[Any], None]) -> None:
    adc(Credentials(lambda: time.sleep(0.3)))
    assert Session.open(Options(timeout_s=5), {}).remaining() < 4.75


def test_signing_in_takes_no_longer_than_the_run_may(adc: Callable[[Any], None]) -> None:
    never, _other_end = socket.socketpair()

    def hangs() -> None:
        never.recv(1)

    adc(Credentials(hangs))
    with pytest.raises(SignInError, match="does not answer"):
        Session.open(Options(timeout_s=0.2), {})


def test_a_sign_in_that_never_answers_is_bounded() -> None:
    never, _other_end = socket.socketpair()
    with pytest.raises(TimeoutError):
        bounded_by(0.1, lambda: never.recv(1))


@pytest.mark.parametrize(
    ("flag", "environ", "project"),
    [
        ("flag", {"PUBSUB_DIAG_PROJECT": "own", "GOOGLE_CLOUD_PROJECT": "google"}, "flag"),
        ("", {"PUBSUB_DIAG_PROJECT": "own", "GOOGLE_CLOUD_PROJECT": "google"}, "own"),
        ("", {"GOOGLE_CLOUD_PROJECT": "google", "CLOUDSDK_CORE_PROJECT": "sdk"}, "google"),
        ("", {"CLOUDSDK_CORE_PROJECT": "sdk"}, "sdk"),
        ("", {}, "adc-project"),
    ],
)
def test_the_project_comes_from_flag_environment_or_credentials(
    adc: Callable[[Any], None], flag: str, environ: dict[str, str], project: str
) -> None:
    adc(Credentials())
    assert Session.open(Options(project=flag), environ).project == project


def test_an_emulator_of_the_environment_never_stands_in_for_google(
    adc: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generated clients of Pub/Sub read the variable themselves; their transport then still names Google as its host."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:2")
    adc(google.auth.credentials.AnonymousCredentials())
    monkeypatch.setattr(sign_in_module, "_refresh", lambda *_: None)
    session = Session.open(Options(), {})
    assert session.ignored == ("FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST")
    for name, client in ((name, session.clients.get(name)) for name in ("publisher", "subscriber")):
        assert client.transport.grpc_channel._channel.target() == b"dns:///pubsub.googleapis.com:443", name


def test_an_endpoint_of_a_region_is_asked_where_gcloud_would_ask_it(
    adc: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    adc(google.auth.credentials.AnonymousCredentials())
    monkeypatch.setattr(sign_in_module, "_refresh", lambda *_, **__: None)
    regional = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": "https://us-west2-pubsub.googleapis.com/"}
    session = Session.open(Options(), regional)
    assert session.asked_at == ("us-west2-pubsub.googleapis.com",)
    for name, host in (("publisher", "us-west2-pubsub"), ("subscriber", "us-west2-pubsub"), ("logs", "logging")):
        channel = session.clients.get(name).transport.grpc_channel._channel
        assert channel.target() == f"dns:///{host}.googleapis.com:443".encode(), name


@pytest.mark.parametrize("host", ["https://pubsub.example.com/", "http://pubsub.googleapis.com", "127.0.0.1:8085"])
def test_no_token_goes_to_an_endpoint_that_is_not_googles(adc: Callable[[Any], None], host: str) -> None:
    adc(google.auth.credentials.AnonymousCredentials())
    with pytest.raises(SignInError, match=r"expected https://HOST\.googleapis\.com/"):
        Session.open(Options(), {"CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": host})


def test_a_person_is_named_without_their_address(adc: Callable[[Any], None]) -> None:
    adc(Credentials(account="alice@example.com"))
    principal = Session.open(Options(), {}).principal
    assert principal.startswith("user:person-")
    assert "alice" not in principal


@pytest.mark.parametrize("endpoint", ["10.0.0.8:8080", "example.com:80", "127.0.0.1", "http://169.254.169.254:80"])
def test_the_seam_leads_nowhere_but_to_this_machine(endpoint: str) -> None:
    with pytest.raises(LabError, match="expected a port of this machine"):
        Session.open(Options(), {LAB: endpoint})


def test_a_seam_with_no_lab_behind_it_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LabError, match="no lab answers there"):
            Session.open(Options(), {LAB: endpoint})


def test_in_the_lab_now_project_and_caller_are_the_labs(lab: Any) -> None:
    with lab() as running:
        session = Session.open(Options(), {LAB: running.endpoint})
    assert session.lab is not None
    assert session.project == "nba-props-platform"
    assert session.now.tzinfo is UTC
    assert session.now != datetime.now(UTC)
    assert session.principal.startswith("user:person-")


def test_one_call_gets_two_fifths_of_the_run_at_most(session_of: Any) -> None:
    session = session_of(timeout_s=10)
    assert session.allowance() == pytest.approx(4, abs=0.5)
    assert session_of(timeout_s=0).allowance() > 0


def test_questions_asked_together_raise_the_first_error_and_keep_their_order() -> None:
    assert together(lambda: 1, lambda: 2, lambda: 3) == [1, 2, 3]

    def fails() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        together(lambda: 1, fails)


def test_importing_the_sources_imports_no_client() -> None:
    program = (
        "import diagnostics.sources, sys; print([m for m in sys.modules if m.split('.')[0] in ('google', 'grpc')])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
