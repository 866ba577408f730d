"""What `init` and `profile test` do: get to a profile that fits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import structs

from diagnostics.cli.frame import opening, output
from diagnostics.cli.frame.options import Access, Asked, Format
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.evidence.model import Means
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import ProfileError
from diagnostics.report.escape import clean
from diagnostics.report.json import pretty
from diagnostics.report.layout import clock
from diagnostics.run.discover import Discovery, discover, to_toml
from diagnostics.run.markers import MarkerTest, known_services, profile_test
from diagnostics.run.propose import toml
from diagnostics.run.propose.proposals import Proposal, propose
from diagnostics.run.propose.sample import sample, start_path
from diagnostics.run.states import StateTest, states_test
from diagnostics.transport.session import Session


def write(asked: Access, completion: str | None, out: Path, force: bool, days: float) -> int:
    """Derive a profile, propose markers from lines of the last `days` days (0: none), and write it."""
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
        raise Trouble(str(error), error.mend) from error
    proposed: list[Proposal] = []
    if days:
        output.tell(f"reading log lines of the last {days:g} days", asked.quiet)
        found, proposed = _with_markers(session, found, days, asked.quiet)
    output.answer(to_toml(found, toml.written(proposed, days) if proposed else ""), None if to_stdout else out)
    if not to_stdout:
        output.tell(f"wrote {out}", asked.quiet)
        for sentence in found.missing:
            output.tell(f"  add {clean(sentence)}", asked.quiet)
        if proposed:
            _show(proposed, asked.quiet)
    return int(Exit.OK)


def _with_markers(session: Session, found: Discovery, days: float, quiet: bool) -> tuple[Discovery, list[Proposal]]:
    """What was derived, with what logs tell beside it; where they cannot be read, without, and that is said."""
    try:
        known = known_services(session, found.profile)
        proposed = propose(sample(session, found.profile, known, days))
    except NotSeen as error:
        output.tell(
            f"no markers are proposed: {clean(error.says)}{f'. {clean(error.mend)}' if error.mend else ''}", quiet
        )
        return found, []
    try:
        path = start_path(session, found.profile, known, days)
    except NotSeen:  # it stays among what is missing
        path = ""
    if not proposed:
        output.tell("no markers are proposed: no log line seems to tell of batches or items", quiet)
    told = [*(("markers:",) if toml.taken(proposed) else ()), *(("coordinator.start_path:",) if path else ())]
    missing = tuple(says for says in found.missing if not says.startswith(tuple(told)))
    coordinator = structs.replace(found.profile.coordinator, start_path=path)
    return Discovery(profile=structs.replace(found.profile, coordinator=coordinator), missing=missing), proposed


def _show(proposed: Sequence[Proposal], quiet: bool) -> None:
    """What was proposed, in a table for whoever has to judge it."""
    rows = [
        [
            one.marker.means.value,
            one.marker.service,
            str(one.lines),
            " ".join(f"{name}={value}" for name, value in one.captured.items()) or one.marker.contains,
            f"not taken: {one.why_not}" if one.why_not else "",
        ]
        for one in proposed
    ]
    output.tell("\n" + output.page().table(["it may mean", "service", "lines", "captures", ""], rows, right=[2]), quiet)
    output.tell("\nlook at them in the file, then: pubsub-diag profile test, and pubsub-diag batch", quiet)


def test(asked: Asked, days: float) -> int:
    """Exit code 0 when no marker is wrong and batch state is read, 1 when a meaning's lines are found and not understood or no place knows
    the newest batch, 3 when nothing matched."""
    session, profile = opening.opened(asked)
    try:
        found = profile_test(session, profile, days)
    except NotSeen as error:
        raise Trouble(error.says, error.mend) from error
    batch = _newest_batch(found)
    states = states_test(session, profile, batch) if batch else ()
    code = fits(found, states)
    if asked.output is Format.JSON:
        said = {"days": days, "exit_code": int(code), "markers": found, "batch": batch, "batch_state": states}
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
    page = output.page(to_file=asked.out is not None)
    table = page.table(["marker", "service", "lines", "newest", "captured"], rows, right=[2])
    answer = f"{clean(profile.name)}: log markers over the last {days:g} days\n\n{table}\n"
    if states:
        told = [[clean(t.place), clean(". ".join(filter(None, (t.says, t.mend))))] for t in states]
        answer += f"\n{page.table(['batch state', f'of {clean(batch)}'], told)}\n"
    output.answer(answer, asked.out)
    return int(code)


def _newest_batch(found: Sequence[MarkerTest]) -> str:
    """The newest batch that a line names; empty where none does."""
    named = [t for t in found if t.newest and t.captured.get("batch")]
    made = [t for t in named if t.means is Means.CREATED] or named
    newest = max(made, key=lambda t: t.newest.timestamp() if t.newest else 0.0, default=None)
    return newest.captured["batch"] if newest else ""


def fits(found: Sequence[MarkerTest], states: Sequence[StateTest] = ()) -> Exit:
    """Markers of one meaning are alternatives: what one of them reads, the others may miss. So are places of batch state, but none
    may answer otherwise than the profile describes. Where none could be asked, it is not known whether they fit."""
    understood = {(t.service, t.means) for t in found if t.matched}
    if not understood:
        return Exit.UNKNOWN
    wrong = any(t.missed and (t.service, t.means) not in understood for t in found)
    if wrong or any(not t.fits for t in states):
        return Exit.WARNING
    if not states or any(t.knows for t in states):
        return Exit.OK
    return Exit.WARNING if any(t.answered for t in states) else Exit.UNKNOWN


def _example(tested: MarkerTest) -> str:
    captured = " ".join(f"{name}={value}" for name, value in tested.captured.items())
    missed = f'{tested.missed} lines with "{tested.contains}" do not fit its pattern: {tested.missed_example}'
    revisions = f"on {', '.join(tested.revisions)}" if tested.revisions else ""
    none = f'no line with "{tested.contains}"' if not tested.matched and not tested.missed else ""
    return " · ".join(part for part in (captured, revisions, missed if tested.missed else "", none) if part)
