"""Answer from a bundle instead of Google Cloud: no network, no clock, none of Google's packages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from diagnostics.cli.frame import output
from diagnostics.cli.frame.options import Asked
from diagnostics.cli.frame.others import Others
from diagnostics.cli.frame.question import Question
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import EvidenceSet, Leg, Unseen, Why
from diagnostics.keep import store
from diagnostics.keep.bundle import Bundle, BundleError, load, replay
from diagnostics.pipeline import places
from diagnostics.report.escape import clean
from diagnostics.run.investigate import COMMANDS, Case, kinds_for
from diagnostics.shell.files import is_there


def opened(named: str, others: Others) -> Bundle:
    """The bundle in this file, or the kept run of this name: here, else among those of the others."""
    path = Path(named)
    with reading_kept():
        found = path if is_there(path) else store.find(named) or others.find(named)
    if found is None and named == store.LAST:
        raise Trouble("no run is kept", "pubsub-diag batch")
    if found is None:
        raise Trouble(f"{named}: neither a file nor the name of a kept run", "pubsub-diag bundle list")
    try:
        return load(found, ours=found is not path and store.is_here(found))
    except BundleError as error:
        raise Trouble(str(error)) from error


@contextmanager
def reading_kept() -> Iterator[None]:
    """What is kept and cannot be read is not taken for nothing."""
    try:
        yield
    except OSError as error:
        says = f"the kept runs in {places.state_dir()} cannot be read: {error.strerror or type(error).__name__}"
        raise Trouble(says, "let this user read the folder, or name a captured file") from error


def diagnosis(question: Question, asked: Asked) -> Diagnosis:
    """The answer to the question, from the bundle that `asked` names."""
    return answered(question, asked)[1]


def answered(question: Question, asked: Asked) -> tuple[Case, Diagnosis]:
    """Likewise, with what it is the answer to."""
    bundle = opened(asked.bundle or "", Others(asked.profile, asked.quiet))
    case = _case(bundle, question, asked)
    tell(bundle, asked.quiet)
    if looked_at_less(bundle.case, question.command):
        less = f"`{clean(bundle.case.command)}` reads less than `{question.command}`: what it left out is not seen here"
        output.tell(less, asked.quiet)
    return case, concluded(bundle, case)


def tell(bundle: Bundle, quiet: bool) -> None:
    """Say whose evidence it is, and of which command."""
    at, of = f"{bundle.made_at:%Y-%m-%dT%H:%M:%SZ}", clean(bundle.case.command)
    output.tell(f"from a run of `{of}` at {at} by pubsub-diag {clean(bundle.version)}; nothing is asked", quiet)


def looked_at_less(case: Case, command: str) -> bool:
    """Whether a command reads kinds of evidence that the run of another one did not even ask for."""
    if case.command == command or command not in COMMANDS:
        return False
    return not {kind.__name__ for kind in kinds_for(command)} <= {name for (name, _), _ in case.evidence.items()}


def _with_gaps(case: Case, command: str) -> EvidenceSet:
    """The evidence, with what this command reads and the run of another did not ask for as unseen: what might have overturned a cause
    was not looked at."""
    seen, there = case.evidence, {key for key, _ in case.evidence.items()}
    says = f"`{clean(case.command)}`, which the run was of, does not look at it"
    for kind in sorted(kinds_for(command), key=lambda kind: kind.__name__):
        for leg in (leg for leg in Leg if case.profile.leg(leg)) if kind.per_leg else (None,):
            if (kind.__name__, leg) not in there:
                seen = seen.with_(kind, leg, Unseen(what=kind.__name__, leg=leg, why=Why.NOT_ASKED, says=says))
    return seen


def concluded(bundle: Bundle, case: Case | None = None) -> Diagnosis:
    try:
        return replay(bundle, case)
    except BundleError as error:
        raise Trouble(f"the bundle cannot be diagnosed: {error}") from error


def _case(bundle: Bundle, question: Question, asked: Asked) -> Case:
    """The bundle's case, asked by this command. What only a live run could answer is refused."""
    fixed = {
        "--since": asked.since,
        "--until": asked.until,
        "--project": asked.project,
        "--subscription": asked.subscription,
    }
    if given := next((option for option, value in fixed.items() if value), None):
        raise Trouble(f"{given} cannot be asked of a bundle: it holds what its run looked at", "leave it out")
    if question.live and question.command == "batch":
        raise Trouble("--live calls the services as they are now, and a bundle is of then", "leave one of the two out")
    case = bundle.case
    if question.batch and question.batch not in (bundle.batch, case.ask.batch):
        raise Trouble(
            f"the bundle is about {bundle.batch or 'no batch by name'}, not {question.batch}", "leave the id out"
        )
    if question.command != case.command and question.command in COMMANDS:
        header = msgspec.structs.replace(case.header, command=question.command)
        case = replace(
            case, command=question.command, header=header, legs=None, evidence=_with_gaps(case, question.command)
        )
    if question.expect is not None and question.expect != case.ask.expect:
        case = replace(case, ask=msgspec.structs.replace(case.ask, expect=question.expect))
    return replace(case, legs=(Leg(question.leg),)) if question.leg else case
