"""What `init`, `access` and `profile test` do: get to a profile that fits, and to the rights to use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from diagnostics.causes.diagnosis import Exit
from diagnostics.cli import opening, output
from diagnostics.cli.options import Access, Asked, Format
from diagnostics.cli.trouble import Trouble
from diagnostics.evidence.collect import NotSeen
from diagnostics.investigate import COMMANDS, kinds_for
from diagnostics.pipeline.discover import discover, to_toml
from diagnostics.pipeline.profile import ProfileError
from diagnostics.report.escape import clean
from diagnostics.report.json import pretty
from diagnostics.report.layout import Layout, clock
from diagnostics.sources.access import Permission
from diagnostics.sources.access import access as tested
from diagnostics.sources.marker_test import MarkerTest, profile_test

HELD = {True: "held", False: "lacking", None: "unknown"}


def write(asked: Access, completion: str | None, out: Path, force: bool) -> int:
    """Derive a profile and write it."""
    if not asked.subscription:
        raise Trouble("which subscription?", "pubsub-diag init --subscription S [--completion-subscription C]")
    to_stdout = str(out) == "-"
    if out.exists() and not force and not to_stdout:
        raise Trouble(
            f"{out} is there already; nothing was written", "--force overwrites it, --out FILE writes another"
        )
    session = opening.session_of(asked)
    try:
        found = discover(
            session,
            asked.subscription,
            completion=completion or "",
            project=asked.project or "",
            region=asked.region or "",
        )
    except ProfileError as error:
        raise Trouble(str(error), "gcloud pubsub subscriptions list names those there are") from error
    output.answer(to_toml(found), None if to_stdout else out)
    if not to_stdout:
        output.tell(f"wrote {out}", asked.quiet)
        for sentence in found.missing:
            output.tell(f"  add {clean(sentence)}", asked.quiet)
    return int(Exit.OK)


def access(asked: Asked) -> int:
    """Exit code 0 when all that the commands need is held, 1 when something is lacking, 3 when that could not be told."""
    session, profile = opening.opened(asked)
    found = tested(session, profile, {command: kinds_for(command) for command in COMMANDS})
    lacking, unknown = any(p.held is False for p in found), any(p.held is None for p in found)
    code = Exit.UNKNOWN if unknown or not found else Exit.WARNING if lacking else Exit.OK
    if asked.output is Format.JSON:
        said = {"principal": session.principal, "exit_code": int(code), "permissions": found}
        output.answer(pretty(msgspec.json.encode(said)) + "\n", asked.out)
        return int(code)
    held = sum(p.held is True for p in found)
    who = clean(session.principal or "the caller")
    said_first = f"{who} holds {held} of {len(found)} permissions in {clean(profile.project)}\n"
    tables = "".join(f"\n{_of_place(on, found, output.page(to_file=asked.out is not None))}" for on in _places(found))
    output.answer(said_first + tables, asked.out)
    return int(code)


def _places(found: Sequence[Permission]) -> list[str]:
    """The resources, those where something is lacking or unknown first."""
    return sorted({p.on: None for p in found}, key=lambda on: all(p.held for p in found if p.on == on))


def _of_place(on: str, found: Sequence[Permission], layout: Layout) -> str:
    rows = [
        [HELD[p.held], p.name, f"for {_needed_by(p)}{f'; {p.says}' if p.says else ''}"] for p in found if p.on == on
    ]
    return f"{clean(on)}\n{layout.table(rows[0], rows[1:])}\n"


def test(asked: Asked, days: float) -> int:
    """Exit code 0 when no marker is wrong, 1 when a meaning's lines are found and not understood, 3 when nothing matched."""
    session, profile = opening.opened(asked)
    try:
        found = profile_test(session, profile, days)
    except NotSeen as error:
        raise Trouble(error.says, error.mend) from error
    code = _fits(found)
    if asked.output is Format.JSON:
        said = {"days": days, "exit_code": int(code), "markers": found}
        output.answer(pretty(msgspec.json.encode(said)) + "\n", asked.out)
        return int(code)
    rows = [
        [
            t.means.value,
            t.service,
            f"{t.matched}{'+' if t.at_least and t.matched else ''}",
            clock(t.newest, session.now) if t.newest else "-",
            _example(t),
        ]
        for t in found
    ]
    table = output.page(to_file=asked.out is not None).table(
        ["marker", "service", "lines", "newest", "captured"], rows, right=[2]
    )
    output.answer(f"{clean(profile.name)}: log markers over the last {days:g} days\n\n{table}\n", asked.out)
    return int(code)


def _fits(found: Sequence[MarkerTest]) -> Exit:
    """Markers of one meaning are alternatives: what one of them reads, the others may miss."""
    understood = {(t.service, t.means) for t in found if t.matched}
    if not understood:
        return Exit.UNKNOWN
    return Exit.WARNING if any(t.missed and (t.service, t.means) not in understood for t in found) else Exit.OK


def _needed_by(permission: Permission) -> str:
    return "all" if set(permission.commands) == set(COMMANDS) else ", ".join(permission.commands)


def _example(tested: MarkerTest) -> str:
    captured = " ".join(f"{name}={value}" for name, value in tested.captured.items())
    missed = f'{tested.missed} lines with "{tested.contains}" do not fit its pattern: {tested.missed_example}'
    revisions = f"on {', '.join(tested.revisions)}" if tested.revisions else ""
    none = f'no line with "{tested.contains}"' if not tested.matched and not tested.missed else ""
    return " · ".join(part for part in (captured, revisions, missed if tested.missed else "", none) if part)
