"""What came of batches, beside things that are not it and beside faults of the batch: `make distractors`, `make pairs`, or
`python -m tests.matrices.outcomes distractors` or `pairs` (--help tells its options).

Whatever else there is: what is wrong with the results is still told where the lab's tables have it, and nothing is told that they have
not. A fault of the batch comes first: where it keeps the batch from its results, there is nothing wrong with them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from diagnostics.causes.catalogue import find
from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import ResultRows, seen
from diagnostics.lab.scenario import Scenario
from diagnostics.run.investigate import investigate
from diagnostics.scoring.expect import Asked
from diagnostics.steps.finding import Status
from tests.matrices import tables
from tests.matrices.answers import Answer
from tests.matrices.captured import scenarios
from tests.matrices.distractors import DISTRACTORS
from tests.matrices.merging import merged
from tests.matrices.pairs import seed_of, singles, wrongly_confirmed
from tests.matrices.played import Play, Played, play_all, read
from tests.matrices.singles import Single, Unfit, alone
from tests.matrices.stories import LOST, Story, of_results, story
from tests.matrices.wanting import COULD_NOT_TELL, OF_FINDING, Window, plainly, stands

NOT_TOLD, FALSE, WRONG, NO_ANSWER = "not told", "told falsely", "wrong confirmed", "no answer"


class Case(NamedTuple):
    story: Story
    beside: Single | None
    """The fault of the batch; None: something that is no fault."""
    play: Play


class Miss(NamedTuple):
    case: str
    kind: str
    what: str
    answer: str
    batch: str
    seed: int


class Judged(NamedTuple):
    misses: list[Miss]
    told: int
    """Faults of results that are there and are told."""
    absent: int
    """Those that the other thing keeps from coming about."""
    unsure: int
    """Those that are there and of which the answer says that it could not tell."""


# --- which cases ----------------------------------------------------------------------------------------------------------


def stories(paths: Sequence[Path]) -> tuple[list[Story], Counter[str]]:
    """All scenarios with something wrong with the results, and why the others are none."""
    found, unfit = [], Counter[str]()
    for path in paths:
        try:
            found.append(story(path, seed_of(path.stem)))
        except Unfit as reason:
            unfit[str(reason)] += 1
    return found, unfit


def distracted(of: Sequence[Story]) -> Iterator[Case | str]:
    """Each beside each thing that is not it; where they cannot be together, why."""
    for one in of:
        for distract in DISTRACTORS:
            try:
                yield _case(one, distract.__name__.replace("_", " "), alone(distract(one.one)))
            except Unfit as reason:
                yield str(reason)


def paired(of: Sequence[Story], faults: Sequence[Single]) -> Iterator[Case | str]:
    """Each beside one fault of each stage of a batch, drawn by name, so that each has its turn; the next one where they contradict."""
    by_stage: dict[str, list[Single]] = {}
    for fault in faults:
        by_stage.setdefault(_stage(fault), []).append(fault)
    for one in of:
        for among in by_stage.values():
            yield _first(one, sorted(among, key=lambda fault: zlib.crc32(f"{one.one.name} + {fault.name}".encode())))


def of_a_batch(paths: Sequence[Path]) -> list[Single]:
    """Faults of the batch itself, in the pipeline whose results are told of."""
    found, _ = singles(paths)
    return [one for one in found if one.dialect == "predictions" and not of_results(one.fault.code)]


def _first(one: Story, faults: Iterable[Single]) -> Case | str:
    why = ""
    for fault in faults:
        try:
            return _case(one, fault.name, merged(one.one, fault), fault)
        except Unfit as reason:
            why = why or str(reason)
    return why


def _stage(fault: Single) -> str:
    cause = find(fault.fault.code)
    return f"{fault.fault.leg} {cause.stage}" if cause else fault.fault.finding


def _case(one: Story, name: str, made: tuple[Scenario, Asked], fault: Single | None = None) -> Case:
    full = f"{one.one.name} beside {name}"
    return Case(one, fault, Play(name=full, scenario=made[0], ask=one.asks(made[1]), seed=seed_of(full)))


# --- the judge ------------------------------------------------------------------------------------------------------------


def judge(case: Case, file: Path) -> Judged:
    """What is wrong with the answer to a case."""
    played = read(file)
    assert played.truth is not None and played.left is not None
    try:
        diagnosis = investigate(played.case)
    except Exception as error:
        return Judged([_miss(case, played, NO_ANSWER, f"{type(error).__name__}: {error}", "")], 0, 0, 0)
    answer = Answer.of(diagnosis)
    own, window = case.story.faults, window_of(played)
    wanted = tuple(plainly(own, case.story.ask.command == "model drift", played.left, window)) if window else ()
    named = {code for told in answer.causes if not told.benign for code in (told.code, *told.one_of)}
    missing = [code for code in wanted if not named & ({code, LOST} if code == "results-missing" else {code})]
    unknown = {f.code for f in diagnosis.findings if f.status is Status.UNKNOWN}
    unsure = [code for code in missing if COULD_NOT_TELL.get(code, frozenset()) & unknown]
    nothing = [] if window is None else [code for code in said(diagnosis) if not stands(code, own, played.left, window)]
    beside = [case.story.one, *([case.beside] if case.beside else [])]
    others = [told for told in answer.causes if not of_results(told.code)]
    wrong = [
        *((NOT_TOLD, code) for code in missing if code not in unsure),
        *((FALSE, code) for code in nothing),
        *((WRONG, str(told)) for told in wrongly_confirmed(others, played.truth, beside)),
    ]
    misses = [_miss(case, played, kind, what, str(answer)) for kind, what in wrong]
    return Judged(misses, len(wanted) - len(missing), len(own) - len(wanted), len(unsure))


def said(diagnosis: Diagnosis) -> list[str]:
    """Causes in the results that the answer says are there: named as confirmed, or found. That fewer rows are there than items were done
    says of itself that some may have been given up, but for a fault."""
    causes = [told.code for told in Answer.of(diagnosis).causes if told.confirmed and of_results(told.code)]
    found = [f for f in diagnosis.findings if f.abnormal and f.code in OF_FINDING]
    sure = [f for f in found if OF_FINDING[f.code] not in ("results-missing", LOST) or f.status is Status.FAULT]
    return list(dict.fromkeys([*causes, *(OF_FINDING[f.code] for f in sure)]))


def window_of(played: Played) -> Window | None:
    """The days that were looked at; None: the table was not seen."""
    rows = seen(played.case.evidence.get(ResultRows))
    return Window(rows.since.isoformat(), rows.until.isoformat()) if rows else None


def _miss(case: Case, played: Played, kind: str, what: str, answer: str) -> Miss:
    batch = played.truth.brief() if played.truth else ""
    return Miss(case.play.name, kind, what, answer, batch, case.play.seed)


# --- running --------------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "beside", choices=("distractors", "pairs"), help="things that are no fault, or faults of the batch"
    )
    parser.add_argument("--jobs", type=int, default=0, help="processes at once; 0: one a core")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="a random sample of so many cases")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this text")
    parser.add_argument("--kept", action="store_true", help="take what an earlier lab played, to try another verdict")
    options = parser.parse_args(arguments)
    jobs, began = options.jobs or os.cpu_count() or 1, time.monotonic()
    of, _ = stories(scenarios())
    made = list(paired(of, of_a_batch(scenarios())) if options.beside == "pairs" else distracted(of))
    chosen = [case for case in made if isinstance(case, Case) and options.only in case.play.name]
    if options.limit:
        chosen = random.Random(1).sample(chosen, min(options.limit, len(chosen)))
    unfit = Counter(case for case in made if isinstance(case, str))
    print(f"{len(of)} faults of results, {len(chosen)} cases; not together: {dict(unfit)}", file=sys.stderr)
    files = list(play_all([case.play for case in chosen], jobs, options.kept))
    playable = [(case, file) for case, file in zip(chosen, files, strict=True) if not read(file).error]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        judged = list(pool.map(judge, *zip(*playable, strict=True), chunksize=8)) if playable else []
    misses = [miss for one in judged for miss in one.misses]
    tables.write(f"outcomes-{options.beside}", Miss._fields, misses)
    told, absent, unsure = (sum(getattr(one, name) for one in judged) for name in ("told", "absent", "unsure"))
    print(
        f"\nresults beside {options.beside}: {len(judged)} run, {len(chosen) - len(judged)} cannot be played; ", end=""
    )
    print(
        f"{told} faults of results told, {absent} not there, {unsure} said to be unsure; {len(misses)} misses, ", end=""
    )
    print(f"in {time.monotonic() - began:.0f} s")
    print("by kind: " + (", ".join(f"{kind} {n}" for kind, n in Counter(m.kind for m in misses).items()) or "none"))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
