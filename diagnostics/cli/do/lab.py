"""What `pubsub-diag lab` does."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from diagnostics.cli.frame import output
from diagnostics.cli.frame.inside import CommandLine
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.lab.scenario import ScenarioError, load, of_size
from diagnostics.pipeline import places
from diagnostics.report.escape import clean
from diagnostics.report.json import pretty
from diagnostics.scoring import show
from diagnostics.scoring.schema import schema_text
from diagnostics.scoring.score import score_all
from diagnostics.scoring.world import files, find, seldom_collect, served
from diagnostics.shell.commands import noted

NO_SCENARIO = noted("pubsub-diag lab list", "names those that come along")


def up(scenario: str, seed: int, pace: bool, port: int, items: int | None) -> int:
    """Serve a scenario until interrupted."""
    seldom_collect()
    try:
        told = load(find(scenario), seed)
        told = told if items is None else of_size(told, items)
        with served(told, seed, port, pace, judged=False) as world:
            output.answer(f"export PUBSUB_DIAG_ENDPOINT={world.running.endpoint}\n")
            output.tell(f"{world.scenario.name}, seed {seed}, in project {world.lab.world.project}; Ctrl-C ends it")
            output.tell(f"subscriptions: {clean(', '.join(sorted(world.lab.world.subscriptions)))}")
            output.tell("in another terminal: the line above, then pubsub-diag batch")
            threading.Event().wait()
    except ScenarioError as error:
        raise Trouble(str(error), NO_SCENARIO) from error
    except OSError as error:
        raise Trouble(f"cannot listen on port {port}: {error.strerror}", "choose another with --port") from error
    return int(Exit.OK)


def print_list() -> int:
    rows = []
    for path in _places([]):
        scenario = load(path)
        rows.append([path.parent.name, scenario.name, " ".join(scenario.story.split())])
    output.answer(output.page().listing(["family", "scenario", "story"], rows) + "\n")
    return int(Exit.OK)


def print_schema() -> int:
    output.answer(schema_text() + "\n")
    return int(Exit.OK)


def score(
    folders: Sequence[Path],
    seeds: int,
    seed_base: int,
    jobs: int,
    follow: bool,
    smallest: bool,
    json_output: bool,
) -> int:
    """Score scenarios; each line is printed as it comes."""
    if follow and smallest:
        raise Trouble("--follow and --smallest are two questions", "ask them one after the other")
    began = time.monotonic()
    scores = []
    program = CommandLine() if follow else None
    for one in score_all(_places(folders), range(seed_base, seed_base + seeds), jobs, program, smallest):
        scores.append(one)
        if not json_output:
            output.answer(f"{show.line(one)}\n")
    passed = sum(s.passed for s in scores)
    if json_output:
        said = {"passed": passed, "failed": len(scores) - passed, "scores": scores}
        output.answer(pretty(msgspec.json.encode(said)) + "\n")
    else:
        output.answer(f"{show.totals(scores)} in {time.monotonic() - began:.0f} s\n")
    return int(Exit.OK if passed == len(scores) else Exit.FAULT)


def _places(folders: Sequence[Path]) -> list[Path]:
    try:
        return files(folders or [places.scenarios()])
    except ScenarioError as error:
        raise Trouble(str(error), NO_SCENARIO) from error
