"""Whoever sees less says less: `make blindness`, or `python -m tests.matrices.blindness [--jobs N] [--only TEXT]`.

Of each case, scenario or kept run, each kind of evidence is taken away on each leg, each log and list is read in part, each window of
metrics is shortened. The answer has to get weaker or stay: no other cause is confirmed and none more surely, nothing is cleared that was
not, and it is never an all-clear. Of a batch that is done whatever is hidden, what would have been a warning for the next one may stay
unsaid, if the answer says what it did not see.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from diagnostics.causes.catalogue import CATALOGUE
from diagnostics.evidence.model import EvidenceSet, Key
from diagnostics.readings.wholeness import wholeness
from diagnostics.run.investigate import investigate
from tests.matrices import tables
from tests.matrices.answers import Answer, listed
from tests.matrices.blinds import blinds
from tests.matrices.captured import bundles, capture_all, case_of, scenarios

HOPEFUL = frozenset(cause.code for cause in CATALOGUE if cause.hopeful)


class Violation(NamedTuple):
    case: str
    taken: str
    rule: str
    more: str
    """What the answer says that it must not."""
    whole: Answer | None
    blind: Answer | None
    """None: there was no answer."""


def violations(name: str, bundle: Path) -> tuple[int, list[Violation]]:
    """How many ways of seeing less of this case were tried, and where the answer then says more."""
    case = case_of(bundle)
    whole = Answer.of(investigate(case))
    found: list[Violation] = []
    tried = 0
    for taken, less in blinds(case):
        tried += 1
        try:
            found_blind = investigate(less)
            answer = Answer.of(found_blind)
        except Exception as error:
            found.append(Violation(name, taken, "no answer", f"{type(error).__name__}: {error}", whole, None))
            continue
        said = gone(case.evidence, less.evidence) <= {(missing.what, missing.leg) for missing in found_blind.unknown}
        found += [Violation(name, taken, rule, more, whole, answer) for rule, more in says_more(whole, answer, said)]
    return tried, found


def gone(whole: EvidenceSet, less: EvidenceSet) -> frozenset[Key]:
    """What was taken away or cut."""
    return wholeness(less).gaps - wholeness(whole).gaps


def says_more(whole: Answer, blind: Answer, said: bool = False) -> Iterator[tuple[str, str]]:
    """What an answer to less evidence says more than the answer to all of it: the rule that it breaks, and with what.

    `said`: it names all that was taken. That a batch moves ("still running") is no claim about what holds it.
    """
    known = {c.where: c.certainty for c in whole.causes}
    sure = {c.where for c in whole.causes if c.confirmed}
    if another := [c for c in blind.causes if c.confirmed and c.where not in sure | HOPEFUL]:
        yield "another confirmed", listed(another)
    if surer := [c for c in blind.causes if not c.confirmed and c.certainty > known.get(c.where, c.certainty)]:
        yield "higher confidence", listed(surer)
    done_anyway = whole.status == "warning" and whole.state == blind.state == "done" and said
    if blind.all_clear and not whole.all_clear and not done_anyway:
        yield "all-clear", f"{blind.status}, exit {blind.exit_code}"
    elif blind.state == "done" and whole.state != "done":
        yield "all-clear", f"done, was {whole.state}"
    if blind.finishes_alone and not whole.finishes_alone:
        yield "finishes alone", f"yes, was {'no' if whole.finishes_alone is False else 'not known'}"
    if cleared := blind.cleared - whole.cleared:
        yield "cleared", ", ".join(sorted(cleared))


def cases(only: str, jobs: int) -> Iterator[tuple[str, Path]]:
    """All cases by name: scenarios, captured, and runs that were kept."""
    paths = [path for path in scenarios() if only in f"{path.parent.name}/{path.stem}"]
    if paths:
        yield from ((f"{path.parent.name}/{path.stem}", bundle) for path, bundle in capture_all(paths, jobs))
    yield from ((f"kept/{path.name.split('.')[0]}", path) for path in bundles() if only in f"kept/{path.name}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=0, help="processes at once; 0: one a core")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose folder/name holds this text")
    options = parser.parse_args(arguments)
    jobs = options.jobs or os.cpu_count() or 1
    began = time.monotonic()
    named = list(cases(options.only, jobs))
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = list(pool.map(violations, *zip(*named, strict=True)))
    tried, found = sum(count for count, _ in results), [v for _, more in results for v in more]
    tables.write("blindness", ("case", "taken", "rule", "says more", "whole answer", "blinded answer"), found)
    print(f"\n{len(named)} cases, {tried} ways of seeing less, {len({v[:2] for v in found})} violated ", end="")
    print(f"in {len({v.case for v in found})} cases, in {time.monotonic() - began:.0f} s")
    for what, counted in (("rule", Counter(v.rule for v in found)), ("taken", Counter(v.taken for v in found))):
        print(f"by {what}: " + ", ".join(f"{name} {count}" for name, count in counted.most_common(12)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
