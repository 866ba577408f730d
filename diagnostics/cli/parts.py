"""One part of the investigation each: the same evidence and the same findings as `batch`, less of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from typer import Argument, Option

from diagnostics.cli.frame import names
from diagnostics.cli.frame.options import Asked, LegName, spread

Leg = Annotated[LegName | None, Option("--leg", help="Only this leg: coordinator to worker, or worker back.")]
BatchId = Annotated[
    str | None,
    Argument(
        metavar="BATCH_ID", help="Which batch; else the latest start attempt.", autocompletion=names.complete_batch
    ),
]


@spread(Asked)
def published(asked: Asked, batch_id: BatchId = None, leg: Leg = None) -> int:
    """Did the coordinator publish what it should have, and where?"""
    return _answer("published", asked, batch_id, leg)


@spread(Asked)
def delivery(asked: Asked, batch_id: BatchId = None, leg: Leg = None) -> int:
    """Do pushes arrive, and what are they answered?"""
    return _answer("delivery", asked, batch_id, leg)


@spread(Asked)
def push_auth(asked: Asked, batch_id: BatchId = None, leg: Leg = None) -> int:
    """Can Pub/Sub sign in to the receiving service? Calls its health path, with and without a token."""
    return _answer("push-auth", asked, batch_id, leg, live=True)


@spread(Asked)
def cold_start(asked: Asked, batch_id: BatchId = None, leg: Leg = None) -> int:
    """Do cold starts or missing instances refuse pushes? Calls the health path a few times."""
    return _answer("cold-start", asked, batch_id, leg, live=True)


@spread(Asked)
def worker(asked: Asked, batch_id: BatchId = None, leg: Leg = None) -> int:
    """What does the receiving code do with what is delivered?"""
    return _answer("worker", asked, batch_id, leg)


@spread(Asked)
def changes(asked: Asked, batch_id: BatchId = None, leg: Leg = None) -> int:
    """What changed between the last good and the first bad batch?"""
    return _answer("changes", asked, batch_id, leg)


COMMANDS: dict[str, Callable[..., int]] = {
    "published": published,
    "delivery": delivery,
    "push-auth": push_auth,
    "cold-start": cold_start,
    "worker": worker,
    "changes": changes,
}


def _answer(command: str, asked: Asked, batch_id: str | None, leg: LegName | None, live: bool = False) -> int:
    from diagnostics.cli.do import investigation
    from diagnostics.cli.frame.question import Question

    question = Question(command, batch=batch_id, leg=leg.value if leg else None, live=live)
    return investigation.answer(question, asked)
