"""Google's own tools as fixtures, one of each for the whole session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import pytest

from tests.contract import sides
from tests.contract.google_tools import REQUIRE, Absent, Emulator, FirestoreEmulator, Gcloud, required

E = TypeVar("E", bound=Emulator)


@pytest.fixture(scope="session")
def gcloud(tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    try:
        return Gcloud.find(tmp_path_factory.mktemp("gcloud"))
    except Absent as absent:
        _do_without(absent)


@pytest.fixture(scope="session")
def emulator(gcloud: Gcloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    yield from _running(lambda: Emulator(gcloud.sdk(), tmp_path_factory.mktemp("emulator") / "log"))


@pytest.fixture(scope="session")
def firestore(gcloud: Gcloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirestoreEmulator]:
    yield from _running(lambda: FirestoreEmulator(gcloud.sdk(), tmp_path_factory.mktemp("firestore") / "log"))


def _running(start: Callable[[], E]) -> Iterator[E]:
    """What this starts, until the tests are over; where Google's tools are absent that is said."""
    try:
        started = start()
    except Absent as absent:
        _do_without(absent)
    with started:
        yield started


@pytest.fixture
def project(emulator: Emulator) -> sides.Project:
    return sides.Project(emulator)


@pytest.fixture
def receiver() -> Iterator[sides.Receiver]:
    with sides.receiving() as listening:
        yield listening


def _do_without(absent: Absent) -> NoReturn:
    if required():
        pytest.fail(f"{absent}, and {REQUIRE}=1 asks for it")
    pytest.skip(str(absent))
