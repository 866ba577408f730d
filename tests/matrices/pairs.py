"""Every two faults in one pipeline: `make pairs`, or `python -m tests.matrices.pairs` (--help tells its options).

Both causes have to be named, each in a role that the lab's tallies bear out, and no third one may be confirmed that they do not. A fault
that met no message, since the other one is upstream of it, and that no configuration shows either, need not be named: it is "unmet".
A cause has several scenarios, so two causes meet in many ways: each two are tried in the first few of these (`--most`, 0: all), drawn by
name, so that every scenario has its turn and a new one of an old cause does not double the time.
What was played is kept in `.matrices/`, so a run that was ended goes on where it stopped, and a change of the verdict alone costs seconds.
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
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import ItemMarks, Means, ResultRows, seen
from diagnostics.lab.scenario import Scenario
from diagnostics.run.investigate import investigate
from diagnostics.scoring.expect import Asked
from diagnostics.steps.finding import Status
from tests.matrices import explained, tables
from tests.matrices.answers import Answer, Told
from tests.matrices.captured import scenarios
from tests.matrices.mechanisms import (
    FINDINGS,
    MECHANISMS,
    OVER,
    SET_ASIDE,
    borne_out,
    covered,
    held,
    live,
    mechanism,
    met,
    set_aside,
)
from tests.matrices.merging import merged
from tests.matrices.played import Play, Played, play_all, read
from tests.matrices.singles import Fault, Single, Unfit, alone, in_other_dialect, single
from tests.matrices.truth import Place, Truth

SEEDS = 5
"""Pairs are spread over so many seeds, so that what is not verified differs."""
NOT_NAMED, WRONG, ROLE, FALSE_OK, NO_ANSWER = "not named", "wrong confirmed", "role", "false ok", "no answer"
MOST = 2
"""In so many ways are each two causes tried."""
UNMET = "latent not named"
"""Nothing of the batch met it, but it is there: old messages meet it, or the configuration shows it."""

COULD_NOT_TELL = {
    "gated-batch-never-closes": "closed.open",
    "expects-what-nobody-sends": "closed.open",
    "push-invoker-missing": "push_auth.unseen",
    "push-denied-by-policy": "push_auth.unseen",
    "iap-in-front": "push_auth.unseen",
}
"""Where the evidence does not tell of a fault: the finding that says so, as unknown."""
LEFT_OVER_SEEN = {"messages-outlived-retention": "routed.outlived"}
"""What an answer has to tell all the same where another cause covers the one that accounts for what is left over; by default, the dead
letters."""


class Pair(NamedTuple):
    a: Single
    b: Single
    play: Play


class Miss(NamedTuple):
    pair: str
    kind: str
    what: str
    expected: str
    answer: str
    truth: str
    seed: int
    why: str = ""
    """Empty: it is not explained."""


class Judged(NamedTuple):
    """How a pair was answered."""

    misses: list[Miss]
    unmet: int
    """Faults that met nothing and need not be named."""
    named: int
    by_stage: list[str]
    """Causes that the table of mechanisms does not know."""
    unsure: int = 0
    """Faults of which the answer says that it could not tell."""


# --- which pairs ----------------------------------------------------------------------------------------------------------


def singles(paths: Sequence[Path]) -> tuple[list[Single], Counter[str]]:
    """All scenarios with one fault, and why the others are none."""
    found, unfit = [], Counter[str]()
    for path in paths:
        try:
            one = single(path, seed_of(path.stem))
            if one.fault.finding and one.fault.finding not in FINDINGS:
                raise Unfit("the tallies do not know its finding")
            found.append(one)
        except Unfit as reason:
            unfit[str(reason)] += 1
    return found, unfit


def transplanted(of: Sequence[Single], jobs: int, kept: bool = False) -> dict[str, Single]:
    """Those that are the same fault in the other dialect, too, by the name of the original: the tallies tell."""
    plays, asked = [], []
    for one in of:
        try:
            other = in_other_dialect(one)
            plays.append(_play(other.name, *alone(other)))
            asked.append((one.name, other))
        except Unfit:
            continue
    found = {}
    for (name, other), file in zip(asked, play_all(plays, jobs, kept), strict=True):
        truth = read(file).truth
        if truth is not None and borne_out(truth, other.fault.code or other.fault.finding, other.fault.leg, ""):
            found[name] = other
    return found


def pairs_of(of: Sequence[Single], others: dict[str, Single]) -> tuple[list[Pair], Counter[str]]:
    """Every two that can happen together, and why the others cannot."""
    found, unfit = [], Counter[str]()
    for a, b in combinations(of, 2):
        reasons = []
        for mine, yours in _together(a, b, others):
            try:
                scenario, ask = merged(mine, yours)
            except Unfit as reason:
                reasons.append(str(reason))
                continue
            found.append(Pair(mine, yours, _play(f"{mine.name} + {yours.name}", scenario, ask)))
            reasons = []
            break
        if reasons:
            unfit[reasons[0]] += 1
    return found, unfit


def few(found: Sequence[Pair], most: int) -> list[Pair]:
    """Of each two causes so many pairs, always the same ones; 0: all."""
    tried: Counter[frozenset[tuple[str, str]]] = Counter()
    chosen = []
    for pair in sorted(found, key=lambda pair: zlib.crc32(pair.play.name.encode())):
        two = frozenset((one.fault.code or one.fault.finding, one.fault.leg) for one in pair[:2])
        tried[two] += 1
        if not most or tried[two] <= most:
            chosen.append(pair)
    return chosen


def _together(a: Single, b: Single, others: dict[str, Single]) -> Iterator[tuple[Single, Single]]:
    """Both in one dialect."""
    if a.dialect == b.dialect:
        yield a, b
        return
    if b.name in others:
        yield a, others[b.name]
    if a.name in others:
        yield others[a.name], b
    if a.name not in others and b.name not in others:
        yield a, b


def _play(name: str, scenario: Scenario, ask: Asked) -> Play:
    return Play(name=name, scenario=scenario, ask=ask, seed=seed_of(name))


def seed_of(name: str) -> int:
    """A seed of its own for each name, always the same."""
    return 1 + zlib.crc32(name.encode()) % SEEDS


# --- the judge ------------------------------------------------------------------------------------------------------------


def there(truth: Truth, fault: Fault) -> bool:
    """Whether the fault can be seen: by the tallies, or in the configuration."""
    return live(truth, fault.code or fault.finding, fault.leg, "")


def judge(pair: Pair, file: Path) -> Judged:
    """What is wrong with the answer to a pair."""
    played = read(file)
    assert played.truth is not None
    truth, faults = played.truth, (pair.a.fault, pair.b.fault)
    expected = f"{faults[0]} and {faults[1]}"
    try:
        diagnosis = investigate(played.case)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return Judged([Miss(pair.play.name, NO_ANSWER, what, expected, "", truth.brief(), pair.play.seed)], 0, 0, [])
    answer = Answer.of(diagnosis)
    unnamed = [fault for fault in faults if not named(fault, answer, diagnosis, truth)]
    missing = [fault for fault in unnamed if not _unsure(diagnosis, fault)]
    unmet = [
        fault
        for fault, other in zip(faults, reversed(faults), strict=True)
        if fault in missing
        and (
            not there(truth, fault)
            or (
                covered(truth, fault.code, fault.leg, other.code or other.finding, other.leg)
                and other not in missing
                and _tells(diagnosis, LEFT_OVER_SEEN.get(fault.code, "delivered.dead_lettered"))
            )
        )
    ]
    wrong = [
        *((NOT_NAMED if touched(truth, fault) else UNMET, str(fault)) for fault in missing if fault not in unmet),
        *(
            (WRONG, str(told))
            for told in wrongly_confirmed(answer.causes, truth, (pair.a, pair.b))
            if not _lacks(told, played)
        ),
        *((ROLE, says) for told in answer.causes if (says := wrong_role(told, truth))),
        *((FALSE_OK, f"{answer.status}, exit {answer.exit_code}") for _ in range(_false_ok(answer, truth))),
    ]
    name, seed = pair.play.name, pair.play.seed
    misses = [
        Miss(name, kind, what, expected, str(answer), truth.brief(), seed, explained.why(kind, what, name, str(answer)))
        for kind, what in wrong
    ]
    unknown = [told.code for told in answer.causes if not told.benign and told.code not in MECHANISMS]
    return Judged(misses, len(unmet), 2 - len(unnamed), unknown, len(unnamed) - len(missing))


def touched(truth: Truth, fault: Fault) -> bool:
    """Whether items of the batch met it."""
    return met(truth, fault.code or fault.finding, fault.leg, "") > 0


def named(fault: Fault, answer: Answer, diagnosis: Diagnosis, truth: Truth) -> bool:
    """Whether the answer names it, by itself or as one of several that it may be."""
    over = OVER.get(fault.code, "") if not held(truth, fault.code, fault.leg, "") else ""
    if over and any(told.code == over for told in answer.causes):
        return True
    if fault.finding:
        return _tells(diagnosis, fault.finding)
    aside = SET_ASIDE.get(fault.code, ())
    if any(told.code in aside for told in answer.causes) and set_aside(truth, fault.code, fault.leg):
        return True
    return any(_is(told, fault) or fault.code in told.one_of for told in answer.causes if not told.benign)


def wrongly_confirmed(causes: Sequence[Told], truth: Truth, of: Sequence[Single]) -> Iterator[Told]:
    """What is confirmed, is neither fault, and is not borne out by the tallies."""
    for told in causes:
        expected = told.benign or any(_is(told, one.fault) for one in of)
        unproven = told.confirmed and not expected and not borne_out(truth, told.code, told.leg, told.stage)
        if unproven or (told.code == "done" and not truth.closed):
            yield told


def _lacks(told: Told, played: Played) -> bool:
    """Whether the cause is that results are missing, and the lab's table has them of fewer items than were recorded and not given up."""
    rows = seen(played.case.evidence.get(ResultRows))
    if told.code != "results-missing" or rows is None or played.truth is None:
        return False
    marks = seen(played.case.evidence.get(ItemMarks))
    given_up = {m.item for m in marks.marks if m.means is Means.SKIPPED_ITEM} if marks else set()
    brought = sum(item.place is Place.RECORDED and item.name not in given_up for item in played.truth.items)
    return not rows.days or any(day.written_items is not None and day.written_items < brought for day in rows.days)


def wrong_role(told: Told, truth: Truth) -> str:
    """How the role of a cause differs from what the tallies say; empty: it does not. In a closed batch nothing is held any more. Of several
    that cannot be told apart one is the cause, and the role is that one's."""
    if told.benign:
        return ""
    each = [_wrong_role(structs.replace(told, code=code, one_of=()), truth) for code in (told.code, *told.one_of)]
    return each[0] if all(each) else ""


def _wrong_role(told: Told, truth: Truth) -> str:
    holds = held(truth, told.code, told.leg, told.stage)
    if told.blocks:
        return "" if holds else f"{told}: it holds no item"
    if truth.closed or mechanism(told.code, told.stage).holds_nothing:
        return ""
    if told.role == "latent":
        return f"{told}: it holds {holds} items" if holds else ""
    return "" if met(truth, told.code, told.leg, told.stage) else f"{told}: no item met it"


def _tells(diagnosis: Diagnosis, finding: str) -> bool:
    return any(f.code == finding and f.abnormal for f in diagnosis.findings)


def _unsure(diagnosis: Diagnosis, fault: Fault) -> bool:
    """Whether the answer says that it could not tell of this one."""
    code = COULD_NOT_TELL.get(fault.code)
    return any(f.code == code and f.status is Status.UNKNOWN and fault.leg in ("", f.leg) for f in diagnosis.findings)


def _is(told: Told, fault: Fault) -> bool:
    return told.code == fault.code and fault.leg in ("", told.leg)


def _false_ok(answer: Answer, truth: Truth) -> bool:
    return answer.all_clear and not truth.closed and any(item.place != "recorded" for item in truth.items)


# --- running --------------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="scenarios; default: those of this project")
    parser.add_argument("--jobs", type=int, default=0, help="processes at once; 0: one a core")
    parser.add_argument("--most", type=int, default=MOST, metavar="N", help="of each two causes so many pairs; 0: all")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="a random sample of so many pairs")
    parser.add_argument("--only", default="", metavar="TEXT", help="pairs whose name holds this text")
    parser.add_argument("--again", action="store_true", help="only pairs that were answered wrongly the last time")
    parser.add_argument("--kept", action="store_true", help="take what an earlier lab played, to try another verdict")
    options = parser.parse_args(arguments)
    jobs = options.jobs or os.cpu_count() or 1
    began = time.monotonic()
    paths = [file for folder in options.folders for file in sorted(folder.rglob("*.yaml"))] or scenarios()
    of, unfit = singles(paths)
    print(f"{len(of)} scenarios with one fault; the others: {_counted(unfit)}", file=sys.stderr)
    found, contradictions = pairs_of(of, transplanted(of, jobs, options.kept))
    missed = tables.column("pairs", "pair") if options.again else set()
    chosen = [pair for pair in (found if options.again else few(found, options.most)) if options.only in pair.play.name]
    chosen = [pair for pair in chosen if not options.again or pair.play.name in missed]
    if options.limit:
        chosen = random.Random(1).sample(chosen, min(options.limit, len(chosen)))
    print(f"{len(chosen)} of {len(found)} pairs; no pairs: {_counted(contradictions)}", file=sys.stderr)
    files = list(play_all([pair.play for pair in chosen], jobs, options.kept))
    playable = [(pair, file) for pair, file in zip(chosen, files, strict=True) if not read(file).error]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        judged = list(pool.map(judge, *zip(*playable, strict=True), chunksize=8)) if playable else []
    report(judged, chosen, files)
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if any(not miss.why for one in judged for miss in one.misses) else 0


def report(judged: Sequence[Judged], chosen: Sequence[Pair], files: Sequence[Path]) -> None:
    misses = [miss for one in judged for miss in one.misses]
    tables.write(
        "pairs", Miss._fields, [*(miss for miss in misses if not miss.why), *(miss for miss in misses if miss.why)]
    )
    unplayable = Counter(error.partition(": ")[2] for file in files if (error := read(file).error))
    run = len(judged)
    if not run:
        print("no pairs")
        return
    named = sum(one.named == 2 for one in judged)
    fine = sum(not any(m.kind in (NOT_NAMED, UNMET, NO_ANSWER) for m in one.misses) for one in judged)
    print(f"\n{run} pairs run of {len(chosen)}, {len(unplayable)} cannot happen together: {_counted(unplayable)}")
    print(f"both named {100 * named / run:.1f} %; named or unmet {100 * fine / run:.1f} %", end="")
    unsure = sum(one.unsure for one in judged)
    print(f" ({sum(one.unmet for one in judged)} faults unmet, of {unsure} the answer says that it could not tell)")
    for kind in (WRONG, ROLE, FALSE_OK, NO_ANSWER, NOT_NAMED, UNMET):
        of = [miss for miss in misses if miss.kind == kind]
        worst = Counter(miss.what.partition(":")[0].split(" ")[0] for miss in of)
        print(f"{kind}: {len(of)} in {len({m.pair for m in of})} pairs" + (f": {_counted(worst)}" if of else ""))
    for why, count in Counter(miss.why for miss in misses).most_common():
        print(f"{count:>4}  {why or 'NOT EXPLAINED'}")
    if by_stage := Counter(code for one in judged for code in one.by_stage):
        print(f"judged by their stage alone: {_counted(by_stage)}")


def _counted(of: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in of.most_common(12)) or "none"


if __name__ == "__main__":
    sys.exit(main())
