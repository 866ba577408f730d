"""What nobody outside Google has verified, drawn from the scenario's seed.

Each field is a question on which Google's public pages are silent or disagree. A diagnosis has to be right, or unknown, under
every answer; so no scenario may pin one unless its story is about it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Unverified:
    push_code_style: str
    """response_code of a refused push: "http" ("403"), "grpc" ("permission_denied") or "phrase" ("forbidden")."""
    request_log_time: str
    """Whether a request log's timestamp is the "start" or the "end" of the request."""
    minting: str
    """What push_request_count shows while no token can be minted: "internal", "remote_server_4xx" or "silent" (nothing)."""
    zero_points_min: int
    """Minutes for which a DELTA series goes on with zeros after its last event before it becomes absent."""
    gap_share: float
    """Share of minutes in which a gauge has no point ("might have occasional gaps")."""
    traces: bool
    """Whether the applications put the request's trace on their log lines."""
    uptime_checks: bool
    """Whether uptime checks without a token call the services' health path and are refused with 403."""
    idle_full: bool
    """Whether idle instances survive the full 15 minutes (True) or about half of it."""
    oldest_first: bool
    """Which message a subscription delivers first after a pause: the oldest (True) or any (False)."""
    audience_text: str
    """Which of the documented sentences a wrong audience gets in the request log."""
    token_reuse_s: float = 0.0
    """How long Pub/Sub goes on using a push token that it has minted ("tokens may be up to an hour old")."""

    @classmethod
    def draw(cls, rng: random.Random) -> Unverified:
        return cls(
            push_code_style=rng.choice(["http", "grpc", "phrase"]),
            request_log_time=rng.choice(["start", "end"]),
            minting=rng.choice(["internal", "remote_server_4xx", "silent"]),
            zero_points_min=rng.choice([0, 5, 60]),
            gap_share=rng.choice([0.0, 0.02, 0.05]),
            traces=rng.random() < 0.6,
            uptime_checks=rng.random() < 0.7,
            idle_full=rng.random() < 0.5,
            oldest_first=rng.random() < 0.5,
            audience_text=rng.choice(
                [
                    "The request was not authorized to invoke this service.",
                    "The access token could not be verified.",
                ]
            ),
            token_reuse_s=rng.choice([0.0, 1800.0, 3300.0]),
        )
