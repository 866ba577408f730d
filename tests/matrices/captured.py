"""What the command of each scenario sees, captured once a seed: the matrices ask it again and again, in milliseconds.

A capture is good for as long as the scenario, what the command reads, and everything that plays or fetches it stay as they are. What
concludes from evidence is free to change.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import msgspec

import diagnostics
from diagnostics.keep.bundle import BundleError, dump, load
from diagnostics.lab.scenario import load as load_scenario
from diagnostics.pipeline import places
from diagnostics.run.investigate import Case, kinds_for
from diagnostics.scoring.expect import Wanted, wanted
from diagnostics.scoring.metrics import Noise
from diagnostics.scoring.score import noise_of, observe
from diagnostics.scoring.world import files, opened
from tests.matrices.tables import HOME

SEED = 1
KEPT = Path(__file__).parents[1] / "data" / "bundles"
PACKAGE = Path(diagnostics.__file__).parent
FETCHING = ("lab", "sources", "transport", "evidence", "pipeline", "question")
"""Rooms of the package that a capture depends on."""


def scenarios() -> list[Path]:
    return files([places.scenarios()])


def bundles() -> list[Path]:
    """Runs that were kept, of whatever version."""
    return sorted(KEPT.glob("*.gz"))


def capture_all(paths: Sequence[Path], jobs: int) -> Iterator[tuple[Path, Path]]:
    """Each scenario and the bundle of its case, as they come; captured where that has not been done."""
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from zip(paths, pool.map(capture, paths), strict=True)


def capture(path: Path, seed: int = SEED, otherwise: str = "") -> Path:
    """The bundle of what the scenario's command sees; `otherwise` names how the lab is other than it is at home."""
    want = expected(path, seed)
    told = "".join(f".{how}" for how in ("" if seed == SEED else str(seed), otherwise) if how)
    name = f"{path.parent.name}-{path.stem}{told}"
    bundle = HOME / "cases" / f"{name}-{_key(path, want)}.gz"
    if not _readable(bundle):
        bundle.parent.mkdir(parents=True, exist_ok=True)
        for old in bundle.parent.glob(f"{name}-????????????.*"):
            old.unlink(missing_ok=True)
        with opened(path, seed) as world:
            _write(_noise(bundle), msgspec.json.encode(noise_of(world)))
            _write(bundle, dump(observe(world, want.ask), None))
    return bundle


def _write(file: Path, content: bytes) -> None:
    made = file.with_suffix(f".{os.getpid()}")
    made.write_bytes(content)
    made.replace(file)


def expected(path: Path, seed: int = SEED) -> Wanted:
    return wanted(load_scenario(path, seed), path)


def case_of(bundle: Path) -> Case:
    return load(bundle, ours=True).case


def noise_beside(bundle: Path) -> Noise:
    """What the draw kept from view or put in the way of what was captured."""
    return msgspec.json.decode(_noise(bundle).read_bytes(), type=Noise)


def _noise(bundle: Path) -> Path:
    return bundle.with_suffix(".json")


def _readable(bundle: Path) -> bool:
    try:
        return bundle.is_file() and _noise(bundle).is_file() and case_of(bundle) is not None
    except BundleError:
        return False


def _key(path: Path, want: Wanted) -> str:
    return hashlib.sha256(path.read_bytes() + kinds_read(want.ask.command) + fetching()).hexdigest()[:12]


def kinds_read(command: str) -> bytes:
    """What the command reads, by name."""
    return repr(sorted(kind.__name__ for kind in kinds_for(command))).encode()


@cache
def fetching() -> bytes:
    """A sum over everything that plays a scenario or fetches evidence."""
    read = sorted(f for room in FETCHING for f in (PACKAGE / room).rglob("*") if f.suffix in (".py", ".toml"))
    return hashlib.sha256(b"".join(f.read_bytes() for f in read)).digest()
