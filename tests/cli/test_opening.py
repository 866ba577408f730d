"""Which pipeline a command looks at, and what is said when that cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from diagnostics.cli.frame import opening
from diagnostics.cli.frame.options import Access
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.transport.session import LabError, Options, Session, SignInError

PROFILE = """\
name = "mine"
project = "my-project"
[request]
subscription = "my-push"
"""
PLAYED = PipelineProfile(name="played", project="lab-project", request=LegProfile(subscription="lab-push"))


class FakeSession:
    """A session that is open at once: outside the lab, or in it."""

    ignored: tuple[str, ...] = ()
    asked_at: tuple[str, ...] = ()
    tell: Callable[[str], None]

    def __init__(self, project: str = "", lab: object = None) -> None:
        self.project = project
        self.lab = lab


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUBSUB_DIAG_ENDPOINT", raising=False)


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "open", lambda options: FakeSession(options.project))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", "127.0.0.1:1")
    monkeypatch.setattr(Session, "open", lambda _options: FakeSession("lab-project", lab=object()))
    monkeypatch.setattr(opening, "lab_profile", lambda project: PLAYED if project == PLAYED.project else None)


@pytest.mark.usefixtures("real")
def test_a_named_file_comes_first(tmp_path: Path) -> None:
    (tmp_path / "pubsub-diag.toml").write_text(PROFILE.replace("mine", "here"))
    other = tmp_path / "other.toml"
    other.write_text(PROFILE.replace("mine", "other"))
    assert opening.opened(Access(profile=str(other))).profile.name == "other"
    assert opening.opened(Access()).profile.name == "here"


@pytest.mark.usefixtures("real")
def test_the_command_line_overrides_the_profile(tmp_path: Path) -> None:
    (tmp_path / "pubsub-diag.toml").write_text(PROFILE)
    profile = opening.opened(Access(project="p2", region="r2", subscription="s2")).profile
    assert (profile.project, profile.region, profile.request.subscription) == ("p2", "r2", "s2")


@pytest.mark.usefixtures("real")
def test_a_subscription_alone_will_do() -> None:
    assert opening.opened(Access(subscription="Push-Me", project="p")).profile.request.subscription == "Push-Me"
    full = opening.opened(Access(subscription="projects/p/subscriptions/s")).profile
    assert (full.project, full.request.subscription) == ("p", "s")
    with pytest.raises(Trouble, match="expected --project"):
        opening.opened(Access(subscription="s"))


def test_nothing_is_guessed_outside_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    def signed_in(_options: Options) -> None:
        raise AssertionError("no need to sign in to find out that there is no profile")

    monkeypatch.setattr(Session, "open", signed_in)
    with pytest.raises(Trouble, match="which pipeline") as trouble:
        opening.opened(Access())
    assert "pubsub-diag init" in trouble.value.mend


@pytest.mark.usefixtures("lab")
def test_in_the_lab_the_pipeline_that_it_plays_is_the_default(tmp_path: Path) -> None:
    assert opening.opened(Access()).profile == PLAYED
    assert opening.opened(Access(subscription="lab-push")).profile == PLAYED
    assert opening.opened(Access(subscription="another")).profile.name == "another"
    (tmp_path / "pubsub-diag.toml").write_text(PROFILE)
    assert opening.opened(Access()).profile == PLAYED, "a profile of another project would find nothing in the lab"
    assert opening.opened(Access(profile="pubsub-diag.toml")).profile.name == "mine"


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    ("text", "says"),
    [("name = ", "expected TOML"), (PROFILE + "colour = 1\n", "colour"), (PROFILE.replace("name", "nam"), "nam")],
)
def test_a_broken_profile_names_the_file_and_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "pubsub-diag.toml").write_text(text)
    with pytest.raises(Trouble, match=says) as trouble:
        opening.opened(Access())
    assert "pubsub-diag.toml" in trouble.value.says


def test_a_missing_file_names_the_built_in_profiles() -> None:
    with pytest.raises(Trouble, match=r"gone\.toml: expected a profile"):
        opening.opened(Access(profile="gone.toml"))


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (SignInError("nobody is signed in"), "gcloud auth application-default login   # or: gcloud auth login"),
        (LabError("no lab answers there"), "pubsub-diag lab up"),
    ],
)
def test_no_access_is_one_line_with_what_mends_it(monkeypatch: pytest.MonkeyPatch, error: Exception, mend: str) -> None:
    def fail(_options: Options) -> None:
        raise error

    monkeypatch.setattr(Session, "open", fail)
    with pytest.raises(Trouble) as trouble:
        opening.opened(Access(project="p", subscription="s"))
    assert trouble.value.says == str(error)
    assert mend in trouble.value.mend


@pytest.mark.usefixtures("real")
def test_that_an_emulator_is_not_asked_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeSession, "ignored", ("PUBSUB_EMULATOR_HOST",))
    opening.opened(Access(project="p", subscription="s"))
    assert capsys.readouterr().err == "PUBSUB_EMULATOR_HOST is ignored: Google Cloud is asked, not an emulator\n"
    opening.opened(Access(project="p", subscription="s", quiet=True))
    assert capsys.readouterr().err == ""
