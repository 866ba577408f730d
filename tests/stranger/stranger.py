"""The stranger, played: a wheel is built and installed into an empty environment, and nothing else of this repository is there.

For each scenario: a lab of that wheel, `init` in an empty folder with its proposals taken as they are, `batch`; the answer is compared
with what the scenario expects.

python -m tests.stranger.stranger [SCENARIO …]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.stranger.played import BATCH, INIT, scenarios, wrong

ROOT = Path(__file__).parents[2]
LONGEST_S = 60
"""How long one command may take on a busy machine."""


def installed(folder: Path) -> Path:
    """The program in an environment of its own, made of a wheel and of the index that pip asks. Raises CalledProcessError."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq")
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([str(python), *pip[1:], "install", str(wheel)], check=True, cwd=folder)
    return python.with_name("pubsub-diag")


def surroundings(home: Path) -> dict[str, str]:
    """What the program finds in its environment: as good as nothing."""
    return {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8"}


@contextmanager
def lab(program: Path, path: Path, env: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The lab of the wheel, playing the scenario; where it answers."""
    line = [str(program), "lab", "up", str(path)]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(env), cwd=folder, text=True
    ) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip().partition("PUBSUB_DIAG_ENDPOINT=")[2]
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(LONGEST_S)


def play(program: Path, path: Path, folder: Path) -> tuple[str, ...]:
    """What the stranger got wrong; empty: nothing."""
    folder.mkdir()
    env = surroundings(folder)
    with lab(program, path, env, folder) as endpoint:
        if not endpoint:
            return ("the lab does not start",)
        for words in (INIT, BATCH):
            done = subprocess.run(
                [str(program), *words],
                env=env | {"PUBSUB_DIAG_ENDPOINT": endpoint},
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
            if words == INIT and done.returncode:
                return (f"init: exit code {done.returncode}: {done.stderr.strip()}",)
    return wrong(path, done.stdout)


def main(names: list[str]) -> int:
    """One line for each scenario; 1 where one is wrong."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="stranger-") as there:
        folder = Path(there)
        program = installed(folder)
        for path in scenarios():
            if names and path.stem not in names:
                continue
            began = time.monotonic()
            found = play(program, path, folder / path.stem)
            failed += bool(found)
            print(f"{'WRONG' if found else 'right'}  {path.stem}  {time.monotonic() - began:.1f} s", flush=True)
            for one in found:
                print(f"       {one}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
