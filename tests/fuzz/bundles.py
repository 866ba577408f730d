"""Coverage-guided fuzzing of what a bundle may hold: whatever comes in, one line comes out, or a bundle that replays.

`make fuzz` runs it for a minute (FUZZ_SECONDS=n). An input that ends it in any other way is a finding: keep it in corpus/bundles/, where
`tests/keep/test_bundle.py` reads it again on every run.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["diagnostics", "msgspec"]):
    from diagnostics.keep.bundle import BundleError, parse, replay

KEPT = Path(__file__).parent / "corpus" / "bundles"
OLD = Path(__file__).parents[1] / "data" / "bundles"


def one(data: bytes) -> None:
    """Raw bytes as they are, and as the JSON inside: most mutations of a compressed file only break the compression."""
    for packed in (data, gzip.compress(data, 1)):
        assert "\n" not in refusal(packed)


def refusal(packed: bytes) -> str:
    """What is said of it; empty: it replays."""
    try:
        replay(parse(packed))
    except BundleError as refused:
        return str(refused)
    return ""


def seeds(folder: Path) -> None:
    """The bundles under test, unpacked: what the fuzzer mutates."""
    for number, path in enumerate(sorted(OLD.glob("*.gz"))):
        (folder / f"seed-{number}.json").write_bytes(gzip.decompress(path.read_bytes()))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as work:
        seeds(Path(work))
        bounds = ["-max_len=1000000", "-timeout=30"]
        atheris.Setup([sys.argv[0], *bounds, *sys.argv[1:], f"-artifact_prefix={KEPT}/", work, str(KEPT)], one)
        atheris.Fuzz()
