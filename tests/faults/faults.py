"""What may go wrong with a call, as the lab's own faults tell it."""

from __future__ import annotations

from typing import Any, NamedTuple

from diagnostics.lab.servers.faults import HTTP

EVERYTHING = "everything"
"""Instead of one RPC: all of them, and calls of service URLs."""


class Kind(NamedTuple):
    name: str
    fault: dict[str, Any]
    waits: bool = False
    """Whether the caller waits for its own time to be over."""
    hides: bool = True
    """Whether nothing is seen of what it hits; else all is, later or in part."""


KINDS: tuple[Kind, ...] = (
    Kind("unavailable", {"kind": "unavailable"}),
    Kind("permission denied", {"kind": "permission_denied"}),
    Kind("resource exhausted", {"kind": "resource_exhausted"}),
    Kind("unauthenticated", {"kind": "unauthenticated"}),
    Kind("cut", {"kind": "cut"}),
    Kind("garbage", {"kind": "garbage"}),
    Kind("bad gateway", {"kind": "bad_gateway"}),
    Kind("unavailable from the second call on", {"kind": "unavailable", "after_calls": 1}, hides=False),
    Kind("slow", {"kind": "slow", "seconds": 0.6}, hides=False),
    Kind("hang", {"kind": "hang"}, waits=True),
    Kind("trickle", {"kind": "trickle"}, waits=True),
)
"""`trickle`: of HTTP, a byte now and then; of gRPC, which tells of no part of a reply, the same as hang. What a peer does to gRPC that
never answers and is never silent either is tried by `test_flood`."""


def struck(kind: Kind, rpcs: tuple[str, ...]) -> list[dict[str, Any]]:
    """The faults as POST /lab/faults takes them."""
    return [{"rpc": rpc, **kind.fault} for rpc in rpcs]


def apart(rpcs: tuple[str, ...]) -> tuple[str, ...]:
    """Those that `trickle` is tried on: for the others it is hang."""
    return tuple(rpc for rpc in rpcs if rpc == HTTP)
