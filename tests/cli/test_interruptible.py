"""The tests themselves may be started where Ctrl-C is ignored; who they start to be interrupted is not."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.interruptible import interruptible

ASKS = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"]


@pytest.fixture
def ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


def answer() -> str:
    with subprocess.Popen(ASKS, stdout=subprocess.PIPE, text=True) as child:
        return child.communicate()[0].strip()


@pytest.mark.usefixtures("ignored")
def test_a_child_takes_ctrl_c_though_the_tests_ignore_it() -> None:
    assert answer() == "False", "what is ignored is inherited"
    with interruptible():
        assert answer() == "True"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "ours is as it was"


def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_traceback() -> None:
    """Python says what it has loaded; the parser of command lines is loaded long before all of it is."""
    with (
        interruptible(),
        subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "diagnostics", "demo"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as child,
    ):
        assert child.stderr
        for line in child.stderr:
            if line.startswith("import time:") and "typer." in line:
                break
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()
    assert child.returncode == 130
    assert "Traceback" not in rest and "KeyboardInterrupt" not in rest
