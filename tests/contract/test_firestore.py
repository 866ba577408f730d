"""Firestore: our source reads a batch's document alike from Google's emulator and from the lab; where these differ it is said why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from msgspec.structs import replace

from diagnostics.evidence.model import BatchStatus, Unseen, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.lab.lab import Lab
from diagnostics.lab.model import Document, World
from diagnostics.lab.scenario import Caller, Scenario
from diagnostics.lab.servers.firestore import _value
from diagnostics.lab.servers.serve import RunningLab, start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline.profile import BatchStateProfile, LegProfile, PipelineProfile, StateKind
from diagnostics.question.ask import Ask
from diagnostics.sources.batch_state import firestore as source
from diagnostics.sources.batch_state import kept
from diagnostics.transport.session import LabSeam, Session
from diagnostics.transport.sign_in import SignIn
from tests.contract.google_tools import FirestoreEmulator

pytestmark = pytest.mark.google_tools

ASK: dict[str, Any] = {"timeout": 60, "retry": None}  # the first calls of a young JVM take long on a busy machine
BATCH = "EXP-2026-02-08-1"
OPENED = datetime(2026, 2, 8, 21, 5, 7, 123456, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    "expected": 181,
    "done": ["ORD-1", "ORD-2"],
    "by item": {"ORD-1": 3, "a.b": 0},
    "orders": {"expected": 4, "share": 0.5, "none": None, "empty": [], "nothing": {}},
    "open": False,
    "state": "CLOSED",
    "opened": OPENED,
}
NOWHERE = Unseen(what="CoordinatorUrl", why=Why.NOT_CONFIGURED, says="there is none")
_number = count(1)

Put = Callable[[str, Mapping[str, Any]], None]


class Side:
    """The emulator or the lab, with a project of its own."""

    def __init__(self, address: str, project: str, put: Put) -> None:
        import grpc

        self.put = put
        self.project = project
        self.address = address
        channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self._client = FirestoreClient(transport=FirestoreClient.get_transport_class("grpc")(channel=channel))

    def name(self, path: str, database: str = "(default)") -> str:
        return f"projects/{self.project}/databases/{database}/documents/{path}"

    def get(self, path: str, *mask: str, database: str = "(default)") -> Any:
        request: dict[str, Any] = {"name": self.name(path, database)}
        if mask:
            request["mask"] = {"field_paths": mask}
        return self._client.get_document(request=request, **ASK)

    def create(self, path: str, fields: Mapping[str, Any]) -> None:
        document = types.Document.pb()(fields={k: _value(v) for k, v in fields.items()})
        collection, _, name = path.partition("/")
        parent = self.name("").rstrip("/")
        asked = {
            "parent": parent,
            "collection_id": collection,
            "document_id": name,
            "document": types.Document(document),
        }
        self._client.create_document(request=asked, **ASK)

    def session(self) -> Session:
        now = datetime.now(UTC)
        who = SignIn(credentials=None, how="emulator", project=self.project)
        seam = LabSeam(http="127.0.0.1:9", grpc=self.address, now=now)
        return Session(now=now, timeout_s=150, signed_in=who, project=self.project, lab=seam)

    def status(self, batch: str = BATCH, **mapping: Any) -> BatchStatus:
        """What our source makes of it."""
        state = replace(STATE, **mapping)
        pipeline = PipelineProfile(name="p", project=self.project, request=LegProfile(subscription="s"))
        return source.read(self.session(), pipeline, state, NOWHERE, batch)


STATE = BatchStateProfile(kind=StateKind.FIRESTORE, document="exports/{batch}", expected="expected", completed="done")


@pytest.fixture(params=["emulator", "lab"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    if request.param == "emulator":
        emulator: FirestoreEmulator = request.getfixturevalue("firestore")
        google = Side(emulator.address, f"emulated-{next(_number)}", lambda path, fields: google.create(path, fields))
        yield google
        return
    with still() as (running, world):
        documents: dict[str, Document] = {}
        world.documents = lambda: documents

        def put(path: str, fields: Mapping[str, Any]) -> None:
            documents[path] = Document(dict(fields), OPENED.timestamp(), OPENED.timestamp())

        yield Side(f"127.0.0.1:{running.grpc_port}", world.project, put)


@contextmanager
def still(*lacks: str) -> Iterator[tuple[RunningLab, World]]:
    """A lab in which nothing happens."""
    lab = Lab(Scenario(name="still", story="Nothing happens.", caller=Caller(lacks=lacks)), 1, Telemetry())
    with start(lab) as running:
        yield running, lab.world


def unused(path: str, fields: Mapping[str, Any]) -> None:
    del path, fields


def test_the_state_of_a_batch_is_read_from_its_document(side: Side) -> None:
    side.put(f"exports/{BATCH}", FIELDS)
    found = side.status(closed="state", closed_when="CLOSED", closed_at="opened")
    assert found.exists
    assert (found.expected, found.completed, found.items) == (181, 2, ("ORD-1", "ORD-2"))
    assert (found.closed, found.closed_at) == (True, OPENED)
    assert found.updated is not None
    assert found.source.source == "Firestore"


def test_fields_inside_fields_and_names_that_have_to_be_quoted_are_read(side: Side) -> None:
    side.put(f"exports/{BATCH}", FIELDS)
    found = side.status(expected="orders.expected", completed="by item", closed="open")
    assert (found.expected, found.completed, found.closed) == (4, 2, False)
    assert found.items is not None
    assert sorted(found.items) == ["ORD-1", "a.b"]


def test_a_batch_without_a_document_is_not_known(side: Side) -> None:
    side.put(f"exports/{BATCH}", FIELDS)
    assert not side.status("EXP-2026-02-09-1").exists


def test_a_document_without_the_fields_of_the_profile_is_said_to_be_that(side: Side) -> None:
    side.put(f"exports/{BATCH}", {"wanted": 181})
    with pytest.raises(NotSeen, match="has neither expected nor done"):
        side.status()


def test_only_the_fields_that_the_profile_names_leave_firestore(side: Side) -> None:
    side.put(f"exports/{BATCH}", FIELDS)
    mask = source.fields_of(replace(STATE, completed="orders.share"))
    got = side.get(f"exports/{BATCH}", *mask)
    assert set(got.fields) == {"expected", "orders"}
    assert source.plain(types.Document.pb(got).fields["orders"]) == {"share": 0.5}


@pytest.mark.parametrize("mask", [["a b"], ["a..b"], [".a"], ["1a"], ["`a"], ["a.y z"]], ids=lambda mask: str(mask[0]))
def test_a_field_path_that_is_none_is_refused(side: Side, mask: list[str]) -> None:
    side.put(f"exports/{BATCH}", FIELDS)
    with pytest.raises(exceptions.InvalidArgument, match="Invalid property path"):
        side.get(f"exports/{BATCH}", *mask)


@pytest.mark.parametrize(
    ("path", "says"), [("exports", 'lacks "/" at index'), ("exports/__x__", "is invalid because it is reserved")]
)
def test_a_name_that_is_no_documents_is_refused(side: Side, path: str, says: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=says):
        side.get(path)


@pytest.mark.parametrize("batch", ["a/b", "..", ".", "__x__", ""])
def test_a_batch_that_cannot_be_a_documents_id_is_not_asked_for(side: Side, batch: str) -> None:
    with pytest.raises(NotSeen, match="no name of a document"):
        side.status(batch)


def test_values_of_every_kind_are_read_alike(side: Side) -> None:
    side.put(f"exports/{BATCH}", FIELDS)
    got = types.Document.pb(side.get(f"exports/{BATCH}"))
    assert {name: source.plain(value) for name, value in got.fields.items()} == FIELDS


# The emulator has no databases that are missing and no permissions: the lab alone.


def test_a_database_that_is_not_there_is_no_missing_batch() -> None:
    with still() as (running, world):
        lab = Side(f"127.0.0.1:{running.grpc_port}", world.project, unused)
        with pytest.raises(NotSeen, match="finds no database other") as raised:
            lab.status(database="other")
    assert raised.value.why is Why.NOT_CONFIGURED


def test_who_may_not_read_documents_is_told_which_permission_that_takes() -> None:
    with still("datastore.entities.get") as (running, world):
        lab = Side(f"127.0.0.1:{running.grpc_port}", world.project, unused)
        with pytest.raises(NotSeen) as raised:
            lab.status()
    assert (raised.value.why, raised.value.permission) == (Why.PERMISSION_DENIED, "datastore.entities.get")


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Any:
        raise ModuleNotFoundError("No module named 'google.cloud.firestore_v1'")

    with still() as (running, world):
        lab = Side(f"127.0.0.1:{running.grpc_port}", world.project, unused)
        monkeypatch.setattr("diagnostics.transport.clients.load", gone)
        with pytest.raises(NotSeen, match="not installed") as raised:
            lab.status()
    assert raised.value.mend == "pip install 'pubsub-diag[firestore]'"


def test_without_the_extra_the_lab_serves_all_else() -> None:
    text = (
        "import sys; sys.modules['google.cloud.firestore_v1'] = None;"
        "from diagnostics.lab.servers.front import METHODS;"
        "names = {m.service for m in METHODS}; print('google.firestore.v1.Firestore' in names, len(names) > 5)"
    )
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["False", "True"]


def open_in(side: Side, **mapping: Any) -> tuple[tuple[str, int | None, int | None], ...]:
    """Batches that are kept as open, with what is done of what is expected."""
    state = replace(STATE, closed="state", closed_when="CLOSED", **mapping)
    pipeline = PipelineProfile(
        name="p", project=side.project, request=LegProfile(subscription="s"), batch_state=(state,)
    )
    found = kept.open_batches(side.session(), pipeline, Ask())
    return tuple((b.batch, b.completed, b.expected) for b in found.batches)


def test_open_batches_are_listed_with_their_counts_and_what_is_none_is_left_out(side: Side) -> None:
    side.put("exports/a-closed", FIELDS)
    side.put("exports/b-open", {**FIELDS, "state": "RUNNING"})
    side.put("exports/c-other", {"wanted": 181, "state": "RUNNING"})
    side.put("elsewhere/d-open", {**FIELDS, "state": "RUNNING"})
    assert open_in(side) == (("b-open", 2, 181),)


def test_the_last_written_come_first_where_the_profile_says_when_that_was(side: Side) -> None:
    for hour in (7, 9, 8):
        opened = OPENED.replace(hour=hour)
        side.put(f"exports/of-{hour}", {**FIELDS, "state": "RUNNING", "opened": opened})
    assert [name for name, _, _ in open_in(side, updated="opened")] == ["of-9", "of-8", "of-7"]
