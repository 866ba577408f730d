"""The way to Google: a proxy that every connection goes through, and the end of TLS behind it.

gRPC (HTTP/2) and REST are told apart by what the client asks for in the handshake, since several hosts serve both.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.contract.front.certificates import H2, Authority

CHUNK = 65536


class Trouble(StrEnum):
    """What may stand between the program and a host."""

    REFUSED = "refused"
    """The proxy answers 403."""
    SILENT = "silent"
    """The proxy takes the connection and never answers."""
    INTERCEPTED = "intercepted"
    """Somebody who is not trusted vouches for the host."""
    CUT = "cut"
    """The connection ends at once."""
    NO_SUCH_HOST = "no such host"
    """The proxy knows no address of that name."""


class Wire:
    """Proxy and TLS, in a thread of their own. `troubles` maps a host (or the end of one, or "" for all) to what is wrong there."""

    def __init__(self, folder: Path, grpc_port: int, http_port: int) -> None:
        self.trusted = Authority(folder, "front")
        self._stranger = Authority(folder, "stranger")
        self.troubles: dict[str, Trouble] = {}
        self.hosts: list[str] = []
        """Every host that was asked for, in order."""
        self._ports = {True: grpc_port, False: http_port}
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="front-wire", daemon=True)
        self._thread.start()
        self.tls_port = self._run(self._listen(self._terminate, self.trusted.any_host()))
        self._stranger_port = self._run(self._listen(self._terminate, self._stranger.any_host()))
        self.port = self._run(self._listen(self._connect))

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, serve: Any, tls: ssl.SSLContext | None = None) -> int:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to the proxy: CONNECT host:port, or a plain request, which is none of Google's."""
        with (
            contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError),
            contextlib.closing(writer),
        ):
            head = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = head.decode("latin-1").partition(" ")
            host = rest.partition(" ")[0].rpartition(":")[0]
            self.hosts.append(host)
            trouble = self._trouble(host)
            if method != "CONNECT" or trouble is Trouble.REFUSED:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                return
            if trouble is Trouble.NO_SUCH_HOST:
                writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                return
            if trouble is Trouble.SILENT:
                await reader.read()
                return
            if trouble is Trouble.CUT:
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            port = self._stranger_port if trouble is Trouble.INTERCEPTED else self.tls_port
            await _join(reader, writer, port)

    async def _terminate(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection whose TLS has ended here."""
        with contextlib.suppress(ConnectionError, ssl.SSLError), contextlib.closing(writer):
            secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
            await _join(reader, writer, self._ports[secured.selected_alpn_protocol() == H2])

    def _trouble(self, host: str) -> Trouble | None:
        return next((what for end, what in self.troubles.items() if host.endswith(end)), None)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass bytes on in both directions until one side ends."""
    there, back = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(back):
        ways = [asyncio.ensure_future(_pass_on(reader, back)), asyncio.ensure_future(_pass_on(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
