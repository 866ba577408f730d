"""What gcloud itself gives: tokens of whoever is logged in there."""

from __future__ import annotations

import shutil
import subprocess

from diagnostics.evidence.redact import redact

GCLOUD_S = 7.0
"""gcloud takes a second or two; what takes longer hangs."""


class GcloudError(Exception):
    """gcloud gave nothing; says why in one sentence."""


def gcloud(*arguments: str, within_s: float = GCLOUD_S) -> str:
    """The last line that gcloud prints. Raises GcloudError when there is no gcloud, or it refuses."""
    program = shutil.which("gcloud")  # on Windows it is gcloud.cmd
    if program is None:
        raise GcloudError("there is no gcloud")
    try:
        done = subprocess.run(
            [program, *arguments, "--quiet"],
            capture_output=True,
            text=True,
            timeout=min(within_s, GCLOUD_S),
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise GcloudError(f"gcloud gave no answer within {min(within_s, GCLOUD_S):.0f} s") from error
    except OSError as error:
        raise GcloudError(f"gcloud cannot be run: {error.strerror}") from error
    if done.returncode or not done.stdout.strip():
        raise GcloudError(f"gcloud refused: {_reason(done.stderr)}")
    return done.stdout.strip().splitlines()[-1]


def _reason(stderr: str) -> str:
    """The line of what gcloud complains about that says why; its last one where none does."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith("ERROR:")), lines[-1] if lines else "it says nothing")
    return redact(said.removeprefix("ERROR:").strip(), 200)
