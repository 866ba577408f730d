"""What is no file is refused at once, wherever a file is named: a pipe to which nobody writes would never end."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from diagnostics.cli.main import run
from diagnostics.conclude.diagnosis import Exit
from diagnostics.shell import files

pytestmark = pytest.mark.timeout(60)

KINDS = ("pipe", "directory", "socket", "device", "link to a pipe", "link to a device", "nothing", "endless name")
NAMED: dict[str, tuple[str, ...]] = {
    "batch": ("batch", "--from", "{}"),
    "show": ("bundle", "show", "{}"),
    "verify": ("bundle", "verify", "{}"),
    "postmortem": ("postmortem", "{}"),
    "profile": ("config", "show", "--profile", "{}"),
    "scenario": ("lab", "score", "{}"),
}


@pytest.fixture(params=KINDS)
def no_file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of something that is no file, in the folder that we are in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = request.param
    if "pipe" in made:
        os.mkfifo("pipe.yaml")
    if made == "directory":
        Path("folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        if made == "socket":
            server.bind("s")
        if made.startswith("link"):
            Path("link.yaml").symlink_to("pipe.yaml" if "pipe" in made else "/dev/zero")
        names = {"pipe": "pipe.yaml", "directory": "folder", "socket": "s", "device": "/dev/zero", "nothing": "none"}
        yield "a" * 5000 if made == "endless name" else names.get(made, "link.yaml")


@pytest.mark.parametrize("asked", NAMED)
def test_what_is_no_file_is_refused_in_a_line(asked: str, no_file: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([word.format(no_file) for word in NAMED[asked]]) == Exit.UNKNOWN
    said = capfd.readouterr()
    assert "internal error" not in said.err
    assert "Traceback" not in said.err
    assert len([line for line in said.err.splitlines() if line.startswith("pubsub-diag:")]) == 1


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert files.read(file, 5) == b"12345"
    with pytest.raises(files.UnfitFileError, match="larger"):
        files.read(file, 4)
