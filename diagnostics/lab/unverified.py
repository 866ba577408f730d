"""What nobody outside Google has verified, drawn from the scenario's seed.

Each field is a question on which Google's public pages are silent or disagree. A diagnosis has to be right, or unknown, under
every answer; so no scenario may pin one unless its story is about it.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass
from typing import Literal


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
    snapshot_brings_older: bool = True
    """Whether a subscription that is sought to another's snapshot gets messages published before it existed."""
    pull_counts: bool = True
    """Whether a pull counts as a delivery attempt. The pages say so, on a best-effort basis."""
    change_over_s: float = 0.0
    """How long a switch between push and pull takes ("several minutes", says the push page; it may be quicker)."""
    seek_settles_s: float = 0.0
    """How long a seek takes to be fully effective ("up to a minute")."""
    short_pulls: float = 0.0
    """Share of pulls that return fewer messages than there are, or none."""
    invoker_text: str = ""
    """Which of the documented sentences a caller without the right gets in the request log; empty: either."""
    short_log_pages: float = 0.0
    """Share of log reads that have no time to search all (documented; how often it happens is not)."""
    metrics_begin_unknown: bool = False
    """Whether Monitoring calls a metric of Google's that was never written in the project unknown (404, as seen in public for some of
    them), or answers that it has no series of it."""
    pending_outlives_caller: bool = True
    """Whether a request that still waits for an instance is handed to one after its caller hung up, or forgotten without a log
    entry. (Once it is inside a container the page is clear: the container is not told.)"""

    policy_changes: Literal["delta", "whole"] = "whole"
    """What the audit entry of a service's SetIamPolicy holds: the roles given and taken, or the policy that was set. One public sample
    has the policy, no label with the service's name, and the name of the v2 API."""
    deploy_sets_policy: bool = True
    """Whether a deploy sets the policy again without a change (it does with --allow-unauthenticated and its opposite)."""

    @classmethod
    def draw(cls, rng: random.Random) -> Unverified:
        forms = copy.copy(rng)  # so that what is drawn for audit entries moves nothing else
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
            snapshot_brings_older=rng.random() < 0.5,
            pull_counts=rng.random() < 0.75,
            change_over_s=rng.choice([3.0, 20.0, 75.0, 240.0]),
            seek_settles_s=rng.choice([0.0, 5.0, 55.0]),
            short_pulls=rng.choice([0.0, 0.2, 0.5]),
            pending_outlives_caller=rng.random() < 0.5,
            short_log_pages=rng.choice([0.0, 0.0, 0.3]),
            metrics_begin_unknown=rng.random() < 0.5,
            policy_changes=forms.choice(["delta", "whole", "whole"]),
            deploy_sets_policy=forms.random() < 0.5,
        )
