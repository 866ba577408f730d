"""What `pubsub-diag health` does: look, wait for what is not visible yet, look again; one answer for each pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from diagnostics import __version__
from diagnostics.cli.do.investigation import on_threshold
from diagnostics.cli.do.watch import LASTING
from diagnostics.cli.frame import keeping, opening, output, replaying, times
from diagnostics.cli.frame.options import Asked, Format
from diagnostics.cli.frame.question import Question
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.cli.health import NEWEST
from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.conclude.levels import claim_of
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import SHOWN, Ask, Deploy, Expected
from diagnostics.report import formats, markdown
from diagnostics.run.health import NoSuchDeployError
from diagnostics.run.investigate import Case, investigate
from diagnostics.run.look import see
from diagnostics.shell.commands import noted
from diagnostics.steps.finding import Status
from diagnostics.transport.session import LabError, Session

FOLDER = Path("pubsub-diag.d")
HERE = Path("pubsub-diag.toml")
AGAIN_S = 30.0
"""Seconds between two looks while waiting: half the metrics' sampling period, and each look takes of the sixty log reads a minute that a
project has (Cloud Logging: quotas)."""
WORST_FIRST = (Exit.FAULT, Exit.UNKNOWN, Exit.WARNING, Exit.OK)


USUAL = ("config", "path", SHOWN)
"""What is required where nobody says."""


class Check(NamedTuple):
    """What the command line asks for."""

    deploy: str | None = None
    require: tuple[str, ...] = USUAL
    wait: timedelta = timedelta()
    canary: bool = False
    expected: tuple[Expected, ...] = ()


def answer(check: Check, asked: Asked, all_profiles: bool) -> int:
    """Check, print, and give the exit code: of several pipelines, the worst."""
    profiles = _profiles(asked) if all_profiles else (asked,)
    said = []
    for one in profiles:
        diagnosis, run = _replayed(one) if one.bundle else _checked(check, one)
        said.append((on_threshold(diagnosis, one.fail_on), run))
    diagnoses = [diagnosis for diagnosis, _ in said]
    run = said[0][1] if len(said) == 1 else ""
    layout = output.page(to_file=asked.out is not None)
    output.answer(formats.render(asked.output.value, diagnoses, layout, verbose=asked.verbose, run=run), asked.out)
    if asked.output is Format.GITHUB:
        output.summarise(markdown.render_summary(diagnoses), asked.quiet)
    return int(min((Exit(d.exit_code) for d in diagnoses), key=WORST_FIRST.index))


def look(check: Check, asked: Asked) -> Diagnosis:
    """One look at one pipeline, kept."""
    return _checked(check, asked)[0]


def patience(wait: str | None) -> timedelta:
    """How long --wait says."""
    found = times.parse(wait, "--wait") if wait else timedelta()
    if not isinstance(found, timedelta):
        raise Trouble(f"--wait {wait!r}: expected a length of time like 90s or 10m")
    return found


def expected(kind: str, words: Sequence[str]) -> Iterator[Expected]:
    """[worker=|coordinator=]VALUE, as commit or image."""
    for word in words:
        service, equals, value = word.rpartition("=")
        if (equals and service not in ("worker", "coordinator")) or len(value) < 7:
            raise Trouble(
                f"--expect-{kind} {word!r}: expected worker=VALUE, coordinator=VALUE or VALUE, of seven characters at least"
            )
        yield Expected(commit=value, service=service) if kind == "commit" else Expected(image=value, service=service)


def _profiles(asked: Asked) -> tuple[Asked, ...]:
    found = [*([HERE] if HERE.is_file() else []), *sorted(FOLDER.glob("*.toml"))]
    if not found or asked.profile or asked.subscription or asked.bundle:
        raise Trouble(
            f"--all-profiles reads ./{HERE} and ./{FOLDER}/*.toml, and there is none of them"
            if not found
            else "--all-profiles takes no --profile, --subscription or --from",
            noted("pubsub-diag init --subscription S", "writes a profile"),
        )
    return tuple(replace(asked, profile=str(path)) for path in found)


def _replayed(asked: Asked) -> tuple[Diagnosis, str]:
    return replaying.diagnosis(Question("health"), asked), ""


def _checked(check: Check, asked: Asked) -> tuple[Diagnosis, str]:
    since = times.parse(asked.since, "--since") if asked.since else None
    until = times.parse(asked.until, "--until") if asked.until else None
    session, profile = opening.opened(asked)
    begin, end = times.window(since, until, session.now)
    output.tell(f"reading {profile.project}, at most {asked.timeout:g} s a look", asked.quiet)
    if check.canary:
        output.tell(f"calling the services' health paths as pubsub-diag/{__version__}", asked.quiet)
    deploy = None if check.deploy is None else Deploy(revision="" if check.deploy == NEWEST else check.deploy)
    ask = Ask(since=begin, until=end, live=check.canary, deploy=deploy, expected=check.expected, require=check.require)
    case, diagnosis = _settled(session, profile, ask, check.wait, asked)
    return diagnosis, keeping.keep(case, diagnosis, asked.quiet)


def _settled(
    session: Session, profile: PipelineProfile, ask: Ask, wait: timedelta, asked: Asked
) -> tuple[Case, Diagnosis]:
    """Look until nothing that is required is unknown, or the time is over; both by the run's own clock and by ours."""
    until, stop = session.now + wait, monotonic() + wait.total_seconds()
    while True:
        try:
            case = see(session, profile, "health", ask)
        except NoSuchDeployError as error:
            raise Trouble(error.says, error.mend) from error
        diagnosis = investigate(case)
        left = min((until - session.now).total_seconds(), stop - monotonic())
        if not _may_settle(diagnosis) or left <= 0:
            return case, diagnosis
        output.tell(f"{diagnosis.headline}; asking again, for {left:.0f} s more at most", asked.quiet)
        pace = session.lab.pace if session.lab and session.lab.pace else 1.0
        sleep(min(AGAIN_S, left) / pace)
        ask = case.ask if ask.deploy else ask
        try:
            session = session.later(asked.timeout)
        except LabError as error:
            raise Trouble(str(error)) from error


def _may_settle(diagnosis: Diagnosis) -> bool:
    """Whether what is unknown, at a level that is required, may be known later; a permission that is missing stays so."""
    required = {level.name for level in diagnosis.levels if level.required}
    unknown = (f.hidden for f in diagnosis.findings if f.status is Status.UNKNOWN and claim_of(f) in required)
    lasting = any(u.why in LASTING or (u.why is None and u.permission) for u in unknown)
    return diagnosis.status is Status.UNKNOWN and not lasting
