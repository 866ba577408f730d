"""The same case told otherwise gets the same verdict: `make sameness`, or `python -m tests.matrices.sameness [--jobs N] [--only TEXT]`.

Captured cases are renamed, moved in time, shuffled, and read with clocks that differ by less than a second. Scenarios are also played
with pages of three entries, and with other seeds, which draw other counts, times and names, and what nobody has verified. What the story
leaves to the draw may be there or not with another seed, and a run that came to see less of the log may be less sure.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from diagnostics.lab.servers import pages
from diagnostics.readings.wholeness import wholeness
from diagnostics.run.investigate import investigate
from tests.matrices import tables
from tests.matrices.answers import Answer
from tests.matrices.blindness import cases
from tests.matrices.captured import capture, case_of, expected, scenarios
from tests.matrices.likenesses import likenesses

SHORT_PAGE = 3
SEEDS = (2, 3)


class Difference(NamedTuple):
    case: str
    how: str
    what: str
    answer: str
    other: str


def verdict(answer: Answer, may_be: Collection[str] = (), sure: bool = True) -> dict[str, Any]:
    """What has to be the same. Benign causes may depend on the noise that a seed draws. `may_be`: causes that may be there or not;
    `sure`: whether it has to be as sure, too."""
    told = [c for c in answer.causes if not c.benign and not {c.code, c.where} & set(may_be)]
    return {
        "status": answer.status,
        "state": answer.state,
        "here": answer.here,
        "causes": sorted(str(c) if sure else f"{c.where} {c.role}" for c in told),
    }


def unlike(
    answer: Answer, other: Answer, either: Collection[str] = (), may_be: Collection[str] = (), sure: bool = True
) -> str:
    """Which parts of the verdict differ, those left out that may be either."""
    mine, yours = (verdict(one, may_be, sure) for one in (answer, other))
    return ", ".join(name for name in mine if mine[name] != yours[name] and name not in either)


def told_otherwise(name: str, bundle: Path) -> tuple[int, list[Difference]]:
    """How many likenesses of a captured case were asked, and which of them are answered otherwise."""
    case = case_of(bundle)
    answer = Answer.of(investigate(case))
    found = []
    tried = 0
    for how, like in likenesses(case):
        tried += 1
        try:
            other = Answer.of(investigate(like))
        except Exception as error:
            found.append(Difference(name, how, "no answer", str(answer), f"{type(error).__name__}: {error}"))
            continue
        if what := unlike(answer, other):
            found.append(Difference(name, how, what, str(answer), str(other)))
    return tried, found


def played_otherwise(path: Path) -> tuple[int, list[Difference]]:
    """The same of a scenario played with short pages and with other seeds."""
    name = f"{path.parent.name}/{path.stem}"
    first = capture(path)
    answer = _answer(first)
    with short_pages():
        paged = _answer(capture(path, otherwise=f"pages-{SHORT_PAGE}"))
    tried = [(f"pages of {SHORT_PAGE}", paged, unlike(answer, paged))]
    told = expected(path).expect
    either = ("state",) if len(told.states) > 1 else ()  # the story says that a seed decides
    for seed in SEEDS:
        bundle = capture(path, seed)
        it, sure = _answer(bundle), _cut(bundle) == _cut(first)
        tried.append((f"seed {seed}", it, unlike(answer, it, either, told.allow, sure)))
    return len(tried), [Difference(name, how, what, str(answer), str(other)) for how, other, what in tried if what]


def _cut(bundle: Path) -> frozenset[Any]:
    """What of the evidence was read in part."""
    return wholeness(case_of(bundle).evidence).cut


def short_pages() -> AbstractContextManager[object]:
    """Lists of configuration come in pages of a few, as Google may give them whatever was asked for."""
    return mock.patch.object(pages.slice_page, "__kwdefaults__", {"most": SHORT_PAGE})


def _answer(bundle: Path) -> Answer:
    return Answer.of(investigate(case_of(bundle)))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=0, help="processes at once; 0: one a core")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose folder/name holds this text")
    parser.add_argument("--captured", action="store_true", help="captured cases only: seconds instead of minutes")
    options = parser.parse_args(arguments)
    jobs = options.jobs or os.cpu_count() or 1
    began = time.monotonic()
    named = list(cases(options.only, jobs))
    paths = [] if options.captured else [p for p in scenarios() if options.only in f"{p.parent.name}/{p.stem}"]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        results = [*pool.map(told_otherwise, *zip(*named, strict=True)), *pool.map(played_otherwise, paths)]
    tried, found = sum(count for count, _ in results), [one for _, more in results for one in more]
    tables.write("sameness", Difference._fields, found)
    print(
        f"\n{len(named)} cases, {tried} likenesses, the same in {100 * (1 - len(found) / max(tried, 1)):.1f} %,", end=""
    )
    print(f" in {time.monotonic() - began:.0f} s")
    print("by likeness: " + (", ".join(f"{n} {c}" for n, c in Counter(d.how for d in found).most_common()) or "none"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
