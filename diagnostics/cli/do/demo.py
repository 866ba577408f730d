"""What `pubsub-diag demo` does: the lab on one side, the same `batch` as ever on the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from diagnostics.cli.frame import output
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.evidence.model import Leg, Stage
from diagnostics.lab.scenario import ScenarioError
from diagnostics.report import ladder, text
from diagnostics.report.escape import clean
from diagnostics.report.layout import Layout
from diagnostics.run.investigate import investigate
from diagnostics.runbook import incident
from diagnostics.scoring.compare import disagreements
from diagnostics.scoring.expect import wanted
from diagnostics.scoring.score import observe
from diagnostics.scoring.world import find, opened

NIGHT = "2026-02-08-backfill-stall"
STORIES = {
    "The same symptom, another cause:": "2026-02-08-storm-that-holds",
    "Done, and did it really work?": "february-by-date",
    "Which model made it?": "registry-behind-the-manifest",
}
"""What there is to see after that night, and the scenarios that show it."""


class Guess(NamedTuple):
    """One of the four things that the engineers of that night wanted to check, and what of the diagnosis answers it."""

    asks: str
    stage: Stage | None
    """The row of the ladder that counts it."""
    codes: tuple[str, ...]
    """The findings that tell, the most telling first; "step." stands for all of that step."""


GUESSES = (
    Guess("Is the coordinator calling publish?", Stage.PUBLISHED, ("published.",)),
    Guess("What do the Pub/Sub delivery metrics say?", Stage.DELIVERED, ("delivered.failing", "delivered.")),
    Guess(
        "Do the messages exist in the subscription?",
        None,
        ("delivered.old_backlog", "delivered.no_pushes", "delivered.idle", "routed."),
    ),
    Guess("Do min-instances=0 and cold starts make pushes fail?", None, ("cold_start.",)),
)


def show(scenario: str, seed: int, verbose: bool) -> int:
    """Diagnose the scenario. Exit code 0 when the diagnosis is what the scenario expects, else 2."""
    try:
        path = find(scenario)
        output.tell(f"simulating {path.stem}: days of a Google Cloud project, on this machine alone")
        with opened(path, seed) as world:
            want = wanted(world.scenario, path)
            output.tell(f"its APIs answer on {world.running.endpoint}; running: pubsub-diag {want.ask.command}\n")
            case = observe(world, want.ask)
            diagnosis = incident.with_fixes(investigate(case), case)
    except ScenarioError as error:
        raise Trouble(str(error), "pubsub-diag lab list") from error
    layout = output.page()
    output.answer(text.render(diagnosis, layout, verbose=verbose))
    if path.stem == NIGHT:
        output.answer("\nWhat was guessed that night\n" + "".join(f"{line}\n" for line in _answers(diagnosis, layout)))
        told = (f"{says:<{max(map(len, STORIES))}}  pubsub-diag demo {name}\n" for says, name in STORIES.items())
        output.answer("\n" + "".join(told))
    wrong = disagreements(want.expect, diagnosis)
    for line in wrong:
        output.tell(f"not as the scenario expects: {line}")
    return int(Exit.FAULT if wrong else Exit.OK)


def _answers(diagnosis: Diagnosis, layout: Layout) -> list[str]:
    """Each guess with what the diagnosis found of it."""
    lines = []
    for number, guess in enumerate(GUESSES, 1):
        lines.append(f"{number}  {guess.asks}")
        lines.append(
            layout.wrap("   ", clean(" ".join((*_counted(diagnosis, guess), _found(diagnosis, guess)))), indent=3)
        )
    return lines


def _counted(diagnosis: Diagnosis, guess: Guess) -> Iterator[str]:
    """How many items of the batch the ladder counts at the guess's stage."""
    for row in diagnosis.ladder:
        if row.stage is guess.stage and row.leg in (Leg.REQUEST, None):
            of = f" of {row.expected}" if row.expected is not None else ""
            yield f"{ladder.seen(row, row.expected)}{of} {row.stage.value};"


def _found(diagnosis: Diagnosis, guess: Guess) -> str:
    """The most telling finding of the request leg; among equals the loudest."""
    said = [f for f in diagnosis.findings if f.leg in (Leg.REQUEST, None)]
    said.sort(key=lambda f: text.LOUDEST_FIRST.index(f.status))
    telling = (f.says for code in guess.codes for f in said if f.code.startswith(code))
    return next(telling, "not looked at")
