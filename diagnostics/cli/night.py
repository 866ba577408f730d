"""What `pubsub-diag demo` does: the lab on one side, the same `batch` as ever on the other."""

from __future__ import annotations

from typing import NamedTuple

from diagnostics.causes.diagnosis import Diagnosis, Exit
from diagnostics.cli import output
from diagnostics.cli.trouble import Trouble
from diagnostics.evidence.model import Leg
from diagnostics.lab.scenario import ScenarioError
from diagnostics.report import text
from diagnostics.report.escape import clean
from diagnostics.scoring.compare import disagreements
from diagnostics.scoring.expect import wanted
from diagnostics.scoring.score import diagnose
from diagnostics.scoring.world import find, opened

NIGHT = "2026-02-08-backfill-stall"
SECOND_STORY = "2026-02-08-storm-that-holds"


class Guess(NamedTuple):
    """One of the four things that the engineers of that night wanted to check, and the step that checks it."""

    asks: str
    step: str


GUESSES = (
    Guess("Is the coordinator calling publish?", "published"),
    Guess("What do the Pub/Sub delivery metrics say?", "delivered"),
    Guess("Do the messages exist in the subscription?", "routed"),
    Guess("Do min-instances=0 and cold starts make pushes fail?", "cold_start"),
)


def show(scenario: str, seed: int, verbose: bool) -> int:
    """Diagnose the scenario. Exit code 0 when the diagnosis is what the scenario expects, else 2."""
    try:
        path = find(scenario)
        output.tell(f"simulating {path.stem}: days of a Google Cloud project, on this machine alone")
        with opened(path, seed) as world:
            want = wanted(world.scenario, path)
            output.tell(f"its APIs answer on {world.running.endpoint}; running: pubsub-diag {want.ask.command}\n")
            diagnosis = diagnose(world, want.ask)
    except ScenarioError as error:
        raise Trouble(str(error), "pubsub-diag lab list") from error
    layout = output.page()
    output.answer(text.render(diagnosis, layout, verbose=verbose))
    if path.stem == NIGHT:
        output.answer("\nWhat was guessed that night\n" + "".join(f"{line}\n" for line in _answers(diagnosis)))
        output.answer(f"\nThe same symptom, another cause:  pubsub-diag demo {SECOND_STORY}\n")
    wrong = disagreements(want.expect, diagnosis)
    for line in wrong:
        output.tell(f"not as the scenario expects: {line}")
    return int(Exit.FAULT if wrong else Exit.OK)


def _answers(diagnosis: Diagnosis) -> list[str]:
    """Each guess with what its own step found."""
    layout = output.page()
    lines = []
    for number, guess in enumerate(GUESSES, 1):
        lines.append(f"{number}  {guess.asks}")
        lines.append(layout.wrap("   ", clean(_found(diagnosis, guess.step)), indent=3))
    return lines


def _found(diagnosis: Diagnosis, step: str) -> str:
    """The weightiest thing that the step says of the request leg."""
    said = [f for f in diagnosis.findings if f.code.startswith(f"{step}.") and f.leg in (Leg.REQUEST, None)]
    said.sort(key=lambda f: text.LOUDEST_FIRST.index(f.status))
    return said[0].says if said else "not looked at"
