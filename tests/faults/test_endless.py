"""A peer that never answers and is never silent either keeps nobody beyond their time: deadlines are of whole calls, not of reads."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from diagnostics.evidence.model import Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.scoring.world import World, find, opened
from diagnostics.transport.call import call
from diagnostics.transport.rpcs import GET_SUBSCRIPTION
from diagnostics.transport.session import LabSeam, Session
from diagnostics.transport.sign_in import SignIn
from diagnostics.transport.web import get

TIMEOUT_S = 2.0
SETTINGS, PING = 4, 6
"""Types of HTTP/2 frames (RFC 9113, 6.5 and 6.7)."""


class Pings(threading.Thread):
    """Speaks HTTP/2 as far as it takes to be taken for a server, and then sends nothing but pings, fifty a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.over = threading.Event()
        self.sent = 0

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._ping, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._listening.close()

    def _ping(self, connection: socket.socket) -> None:
        threading.Thread(target=self._swallow, args=(connection,), daemon=True).start()
        with connection, contextlib.suppress(OSError):
            connection.sendall(_frame(SETTINGS, b""))
            while not self.over.wait(0.02):
                connection.sendall(_frame(PING, bytes(8)))
                self.sent += 1

    def _swallow(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(65536):
                pass


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, 0, 0) + payload


@pytest.fixture
def pings() -> Iterator[Pings]:
    with contextlib.closing(Pings()) as server:
        server.start()
        yield server


def session(grpc: str = "127.0.0.1:9", http: str = "127.0.0.1:9") -> Session:
    now = datetime(2026, 2, 8, 14, 21, tzinfo=UTC)
    signed_in = SignIn(credentials=None, how="lab")
    lab = LabSeam(http=http, grpc=grpc, now=now)
    return Session(now=now, timeout_s=TIMEOUT_S, signed_in=signed_in, project="p", lab=lab)


def ended(ask: threading.Thread) -> bool:
    """Whether it ends, on whatever machine: what it waits for never comes."""
    ask.start()
    ask.join(60)
    return not ask.is_alive()


def test_pings_do_not_make_a_call_longer(pings: Pings) -> None:
    raised: list[NotSeen] = []

    def ask() -> None:
        try:
            call(
                session(grpc=f"127.0.0.1:{pings.port}"),
                GET_SUBSCRIPTION,
                {"subscription": "projects/p/subscriptions/s"},
            )
        except NotSeen as error:
            raised.append(error)

    assert ended(threading.Thread(target=ask, daemon=True))
    assert [error.why for error in raised] == [Why.TIMED_OUT]
    assert pings.sent > 0


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with opened(find("idle-pipeline"), seed=1) as lab:
        yield lab


def test_a_byte_now_and_then_does_not_make_a_request_longer(world: World) -> None:
    body = json.dumps([{"rpc": "HTTP", "kind": "trickle"}]).encode()
    fault = urllib.request.Request(f"http://{world.running.endpoint}/lab/faults", data=body, method="POST")
    urllib.request.urlopen(fault, timeout=10).close()
    answers = []

    def ask() -> None:
        answers.append(get(session(http=world.running.endpoint), "https://worker.a.run.app/health", {}, TIMEOUT_S))

    assert ended(threading.Thread(target=ask, daemon=True))
    assert [(a.status, "no answer within" in a.text) for a in answers] == [(0, True)]
