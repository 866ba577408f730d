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
