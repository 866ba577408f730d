"""The shell completes what earlier runs came across, from a file and from nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from diagnostics.cli.frame import names

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PUBSUB_DIAG_ENDPOINT", raising=False)
    return tmp_path / "pubsub-diag" / "names.json"


def test_the_newest_come_first_and_none_twice(cache: Path) -> None:
    names.remember(batches=["b1"], subscriptions=["s1"])
    names.remember(batches=["b2", "b1"], subscriptions=["other"])
    assert names.complete_batch("b") == ["b2", "b1"]
    assert names.complete_subscription("s") == ["s1"]
    assert cache.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in cache.parent.iterdir()] == ["names.json"]


def test_only_so_many_are_kept() -> None:
    for n in range(130):
        names.remember(batches=[f"b{n}"])
    assert len(names.complete_batch("")) == names.MOST
    assert names.complete_batch("")[0] == "b129"


def test_the_lab_keeps_its_names_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    names.remember(batches=["real"])
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", "127.0.0.1:1")
    assert names.complete_batch("") == []


@pytest.mark.parametrize("text", ["", "[]", '{"batches": 3}', '{"batches": [1, "a\\u001b[2J", "fine"]}', "{", "\udcff"])
def test_a_damaged_file_costs_nothing(cache: Path, text: str) -> None:
    cache.parent.mkdir()
    cache.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert names.complete_batch("") in ([], ["fine"])
    names.remember(batches=["b"])
    assert names.complete_batch("b") == ["b"]


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    names.remember(batches=["b"])
    assert names.complete_batch("") == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pubsub-diag batch b", ["b1"]),
        ("pubsub-diag delivery --subscription s", ["s1"]),
        ("pubsub-diag delivery b", ["b1"]),
    ],
)
def test_the_shell_gets_them_without_any_of_googles_packages(cache: Path, line: str, expected: list[str]) -> None:
    names.remember(batches=["b1"], subscriptions=["s1"])
    program = (
        "import atexit, json, sys; from diagnostics.cli import main\n"
        "atexit.register(lambda: print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})), file=sys.stderr))\n"
        "main.main()"
    )
    words = line.split()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(cache.parent.parent),
        "_PUBSUB_DIAG_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.split() == expected
    assert not {"google", "grpc", "diagnostics.lab"} & set(json.loads(done.stderr.splitlines()[-1]))
