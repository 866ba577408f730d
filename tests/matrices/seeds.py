"""Each scenario with many seeds, scored: `make seeds SEEDS=n SEED_BASE=b`, or `python -m tests.matrices.seeds [--seeds N] [--seed-base B]`.

What `lab score --seeds` says, too; here each is played once and kept, so that a change of what concludes is held against thousands of
plays within minutes. Without a base one is drawn and printed: seeds that nobody chose.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from diagnostics.run.investigate import Case
from diagnostics.scoring import show
from diagnostics.scoring.metrics import Noise
from diagnostics.scoring.score import Score, score_kept
from diagnostics.scoring.world import files, seldom_collect
from tests.matrices.captured import capture, case_of, noise_beside, scenarios


def scored(path: Path, seed: int) -> Score:
    return score_kept(path, seed, partial(_seen, path, seed))


def _seen(path: Path, seed: int) -> tuple[Case, Noise]:
    bundle = capture(path, seed)
    return case_of(bundle), noise_beside(bundle)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="other folders of scenarios than our own")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed-base", type=int, default=0, help="the first seed; 0: one is drawn")
    parser.add_argument("--jobs", type=int, default=0, help="processes at once; 0: one a core")
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios whose folder/name holds this text")
    options = parser.parse_args(arguments)
    base = options.seed_base or random.SystemRandom().randrange(10, 1_000_000)
    print(f"seeds {base} to {base + options.seeds - 1}", flush=True)
    began = time.monotonic()
    paths = files(options.folders) if options.folders else scenarios()
    paths = [p for p in paths if options.only in f"{p.parent.name}/{p.stem}"]
    tasks = [(path, seed) for seed in range(base, base + options.seeds) for path in paths]
    scores = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs or os.cpu_count() or 1, mp_context=spawn, initializer=seldom_collect) as pool:
        for one in pool.map(scored, *zip(*tasks, strict=True)):
            scores.append(one)
            if not one.passed:
                print(show.line(one), flush=True)
    print(f"{show.totals(scores)} in {time.monotonic() - began:.0f} s")
    return 0 if all(s.passed for s in scores) else 1


if __name__ == "__main__":
    sys.exit(main())
