"""The commands that ask Google, how each is typed, and when it has to have ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

FOR_S = 1.0
"""How long `watch` watches here."""


class Command(NamedTuple):
    name: str
    line: tuple[str, ...]
    ends: Callable[[float], float] = lambda timeout: timeout
    """Within how many seconds, for a --timeout."""
    json: bool = True
    """Whether it prints a diagnosis as JSON."""


def _said(*line: str) -> tuple[str, ...]:
    return (*line, "-o", "json")


COMMANDS: tuple[Command, ...] = (
    *(
        Command(name, _said(name))
        for name in ("batch", "published", "delivery", "push-auth", "cold-start", "worker", "changes", "lint", "health")
    ),
    Command("batch --live", _said("batch", "--live")),
    Command("health --canary", _said("health", "--canary")),
    Command("health --since-deploy", _said("health", "--since-deploy")),
    Command("outcome", _said("outcome")),
    Command("model drift", _said("model", "drift")),
    Command("lint --all", ("lint", "--all"), json=False),
    Command("batches", ("batches",), json=False),
    Command("capture", ("capture",), json=False),
    Command("access", ("access",), json=False),
    Command("init", ("init", "--subscription", "SUBSCRIPTION", "--out", "-"), json=False),
    Command("profile test", ("profile", "test"), json=False),
    Command("selftest", ("selftest",), json=False),
    Command("alerts", ("alerts",), json=False),
    Command("probe status", ("probe", "status"), json=False),
    Command("probe restore", ("probe", "restore"), json=False),
    Command("probe run --dry-run", ("probe", "run", "--dry-run"), json=False),
    Command(
        "watch",
        ("watch", "--for", f"{FOR_S:.0f}s"),
        # --timeout is for a look; it looks once more, at everything, where a batch stalls
        ends=lambda timeout: FOR_S + 2 * timeout,
        json=False,
    ),
)
