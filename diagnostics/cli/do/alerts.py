"""What `pubsub-diag alerts` does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from diagnostics.cli.frame import opening, output, times
from diagnostics.cli.frame.options import Access
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.run import alerts
from diagnostics.shell.commands import noted

MINUTE, DAY = timedelta(minutes=1), timedelta(hours=24)


class Times(NamedTuple):
    """Ages as the command line gave them."""

    unacked_age: str
    silence: str
    gap: str


def show(
    asked: Access, name: str | None, runbooks: str, given: Times, failing: float, returned: float, out: Path | None
) -> int:
    """Exit code 0. What the profile leaves out has no policy; that is said."""
    limits = alerts.Limits(
        unacked_age=_age(given.unacked_age, "--unacked-age"),
        failing_share=failing,
        silence=_age(given.silence, "--silence"),
        returned_share=returned,
        gap=_age(given.gap, "--gap"),
    )
    if runbooks and urlsplit(runbooks).scheme not in ("http", "https"):
        raise Trouble(f"--runbooks {runbooks}: expected an address that begins with https://")
    known = [alert.name for alert in alerts.ALERTS]
    if name is not None and name not in known:
        raise Trouble(f'no alert "{name}": expected one of {", ".join(known)}', "pubsub-diag alerts")
    made = alerts.policies(opening.described(asked), limits, runbooks)
    if name is not None and name not in made:
        raise Trouble(
            f"{name}: {_WANTS[name]}", noted("pubsub-diag init --subscription S", "writes a profile that does")
        )
    for left_out in () if name else (n for n in known if n not in made):
        output.tell(f"no policy {left_out}: {_WANTS[left_out]}", asked.quiet)
    if not runbooks:
        output.tell("no links to the runbooks: --runbooks URL says where they are published", asked.quiet)
    wanted = [made[name]] if name else list(made.values())
    output.answer(alerts.to_json(wanted) + "\n", out)
    return int(Exit.OK)


_WANTS = {
    "no-publish": "the profile names no request topic",
    "completion-gap": "the profile names no completion subscription",
}


def _age(text: str, option: str) -> timedelta:
    """Whole minutes, as Monitoring wants them."""
    age = times.parse(text, option)
    if not isinstance(age, timedelta) or age % MINUTE or not MINUTE <= age <= DAY:
        raise Trouble(f"{option} {text}: expected whole minutes up to 24h, like 15m")
    return age
