"""Who looks on while Google is asked: a session has one, and unless it is told otherwise one that looks away."""

from __future__ import annotations

from typing import Any

from diagnostics.transport.rpcs import Rpc


class Witness:
    """Sees every question and every answer, from whatever thread asked. It changes nothing and must not raise but where it says so."""

    def asks(self, rpc: Rpc) -> None:
        """Before a call. Raises NotSeen to have it left out."""

    def answered(self, rpc: Rpc, request: dict[str, Any], reply: Any, seconds: float) -> None:
        """A reply as a plain protocol buffer message; of a list call, one page."""

    def failed(self, rpc: Rpc, request: dict[str, Any], error: Exception, seconds: float) -> None:
        """The error as Google's library raised it, after the retries."""

    def visited(self, status: int, content_type: str, text: str, seconds: float) -> None:
        """What a service of the pipeline answered to a GET; status 0: nothing."""
