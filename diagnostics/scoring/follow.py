"""Take every command that an answer offers, in the lab that it was given in: does it run, and does it say anything new?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.report import text
from diagnostics.report.escape import clean
from diagnostics.report.layout import Layout
from diagnostics.scoring.pattern import one_line
from diagnostics.scoring.world import World
from diagnostics.shell.commands import commands
from diagnostics.steps.finding import Status
from diagnostics.steps.words import clip
from diagnostics.transport.session import LAB

PROGRAM = "pubsub-diag"
DIAGNOSES = ("batch", "published", "delivery", "push-auth", "cold-start", "worker", "changes", "lint", "health")
"""Commands that answer with a diagnosis, whose findings can be held against those of the first answer."""
PAGES = (
    "batches",
    "access",
    "alerts",
    "runbook",
    "config show",
    "profile test",
    "probe status",
    "probe run",
    "bundle list",
)
"""Commands that have to print something. What is in neither list writes or waits, and is only parsed."""
ASKS_BACK = ("--probe", "--wait", "--canary")
"""Options that make a reading command want consent, or time that stands still in the lab."""


class Answered(NamedTuple):
    """What one command line came to."""

    code: int
    out: str
    err: str


class Program(Protocol):
    """The command line. It stands above this room, so whoever scores hands it in."""

    def mistake(self, arguments: Sequence[str]) -> str:
        """Why the arguments do not parse; empty when they do."""

    def run(self, arguments: Sequence[str], environ: Mapping[str, str]) -> Answered:
        """Run it with this environment and nothing of the user's own settings."""


class Followed(Struct, frozen=True, kw_only=True):
    """One offered command, and what it came to."""

    command: str
    ran: bool = False
    """False: it was only parsed, since it writes or waits."""
    failed: str = ""
    """Why it does not lead on: it does not parse, ends in trouble, or cannot tell."""
    adds: tuple[str, ...] | None = None
    """Codes of findings whose sentences the first answer did not print, and rows at which it tells of items that the first one did not;
    None: it answers with something else."""


def follow(
    world: World, found: Diagnosis, program: Program, environ: Mapping[str, str] | None = None
) -> tuple[Followed, ...]:
    """Every command that the diagnosis or one of its causes offers, run in the lab that it speaks of."""
    surroundings = {**(environ or {}), LAB: world.running.endpoint}
    return tuple(_followed(line, found, program, surroundings) for line in lines(found))


def disagreements(followed: Sequence[Followed]) -> Iterator[str]:
    """Offers that lead nowhere."""
    for one in followed:
        if one.failed:
            yield f"offered {one.command}: fails: {one.failed}"
        elif one.adds == ():
            yield f"offered {one.command}: adds no finding to the answer"


def lines(found: Diagnosis) -> tuple[str, ...]:
    """Our own command lines among what is offered, without the words that explain them."""
    offered = [*found.next, *(line for cause in found.causes for line in cause.next)]
    return tuple(dict.fromkeys(one for line in offered for one in commands(line) if one.split(" ")[0] == PROGRAM))


def _followed(line: str, found: Diagnosis, program: Program, environ: Mapping[str, str]) -> Followed:
    try:
        arguments = _arguments(line)
    except ValueError as error:
        return Followed(command=line, failed=f"no command line: {error}")
    if mistake := program.mistake(arguments):
        return Followed(command=line, failed=mistake)
    if _is_one_of(PAGES, arguments) or _lists(arguments):
        return _printed(line, program.run(_harmless(arguments), environ))
    if not _is_one_of(DIAGNOSES, arguments) or set(arguments) & set(ASKS_BACK):
        return Followed(command=line)
    verbose = bool(set(arguments) & {"-v", "--verbose"})
    return _diagnosed(line, found, program.run([*arguments, "--output", "json"], environ), verbose)


def _arguments(line: str) -> list[str]:
    """The words after the program's name, as far as a pipe or another shell operator. Raises ValueError."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    return list(takewhile(lambda word: not set(word) <= set("();<>|&"), words))[1:]


def _is_one_of(commands: Sequence[str], arguments: Sequence[str]) -> bool:
    return " ".join(arguments[:1]) in commands or " ".join(arguments[:2]) in commands


def _lists(arguments: Sequence[str]) -> bool:
    """Items of a batch, where its findings are not told."""
    return arguments[:1] == ["batch"] and "--items" in arguments


def _harmless(arguments: Sequence[str]) -> list[str]:
    return [*arguments, "--dry-run"] if list(arguments[:2]) == ["probe", "run"] else list(arguments)


def _printed(line: str, answered: Answered) -> Followed:
    failed = _trouble(answered) or ("" if answered.out.strip() else "it printed nothing")
    return Followed(command=line, ran=True, failed=failed)


def _diagnosed(line: str, found: Diagnosis, answered: Answered, verbose: bool) -> Followed:
    if failed := _trouble(answered):
        return Followed(command=line, ran=True, failed=failed)
    try:
        said = msgspec.json.decode(answered.out, type=Diagnosis | list[Diagnosis])
    except msgspec.DecodeError as error:
        return Followed(command=line, ran=True, failed=f"its JSON is no diagnosis: {error}")
    answers = said if isinstance(said, list) else [said]
    new = [code for answer in answers for code in _new(answer, found, verbose)]
    return Followed(command=line, ran=True, adds=tuple(dict.fromkeys(new)))


def _trouble(answered: Answered) -> str:
    """Why there was no use in it. An answer that says it could not tell is of none."""
    if answered.code in (Exit.OK, Exit.WARNING, Exit.FAULT):
        return ""
    try:
        headline = msgspec.json.decode(answered.out, type=_Headline).headline
    except msgspec.DecodeError:
        told = answered.err if not answered.out.strip() else answered.out
        headline = next(
            (line for line in told.splitlines() if line.startswith(f"{PROGRAM}: ")), told.partition("\n")[0]
        )
    return f"exit code {answered.code}: {headline}"


class _Headline(Struct):
    headline: str


def _new(answer: Diagnosis, found: Diagnosis, verbose: bool) -> Iterator[str]:
    """Findings that it prints and the printed first answer lacks, not what it could not tell; and of another batch, where its items are."""
    before, now = _page(found), _page(answer, verbose)
    for finding in answer.findings:
        head = one_line(clean(clip(finding.says)).removesuffix(" …"))
        if finding.status not in (Status.UNKNOWN, Status.IDLE) and head in now and head not in before:
            yield f"{finding.code}@{finding.leg}" if finding.leg else finding.code
    known = [(row.stage, row.leg, row.where) for row in found.ladder]
    yield from (f"ladder.{r.stage}" for r in answer.ladder if r.where and (r.stage, r.leg, r.where) not in known)


def _page(said: Diagnosis, verbose: bool = False) -> str:
    return one_line(text.render(said, Layout(), verbose=verbose))
