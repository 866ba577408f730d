"""What `init` and `profile test` do: get to a profile that fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from diagnostics.cli.frame import opening, output
from diagnostics.cli.frame.options import Access, Asked, Format
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import ProfileError
from diagnostics.report.escape import clean
from diagnostics.report.json import pretty
from diagnostics.report.layout import clock
from diagnostics.run.discover import discover, to_toml
from diagnostics.run.markers import MarkerTest, profile_test


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
        raise Trouble(str(error), error.mend or "gcloud pubsub subscriptions list names those there are") from error
    output.answer(to_toml(found), None if to_stdout else out)
    if not to_stdout:
        output.tell(f"wrote {out}", asked.quiet)
        for sentence in found.missing:
            output.tell(f"  add {clean(sentence)}", asked.quiet)
    return int(Exit.OK)


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


def _example(tested: MarkerTest) -> str:
    captured = " ".join(f"{name}={value}" for name, value in tested.captured.items())
    missed = f'{tested.missed} lines with "{tested.contains}" do not fit its pattern: {tested.missed_example}'
    revisions = f"on {', '.join(tested.revisions)}" if tested.revisions else ""
    none = f'no line with "{tested.contains}"' if not tested.matched and not tested.missed else ""
    return " · ".join(part for part in (captured, revisions, missed if tested.missed else "", none) if part)
