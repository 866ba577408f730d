"""Google's own tools as fixtures, one of each for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.contract import sides
from tests.contract.google_tools import REQUIRE, Absent, Emulator, FirestoreEmulator, Gcloud, required


@pytest.fixture(scope="session")
def gcloud(tmp_path_factory: pytest.TempPathFactory) -> Gcloud:
    try:
        return Gcloud.find(tmp_path_factory.mktemp("gcloud"))
    except Absent as absent:
        _do_without(absent)


@pytest.fixture(scope="session")
def emulator(gcloud: Gcloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    try:
        started = Emulator(gcloud.sdk(), tmp_path_factory.mktemp("emulator") / "log")
    except Absent as absent:
        _do_without(absent)
    with started:
        yield started


@pytest.fixture(scope="session")
def firestore(gcloud: Gcloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirestoreEmulator]:
    try:
        started = FirestoreEmulator(gcloud.sdk(), tmp_path_factory.mktemp("firestore") / "log")
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
