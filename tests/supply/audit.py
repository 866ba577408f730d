"""`make audit`: does any pinned dependency have a known vulnerability?

pip-audit asks PyPI. Exit code 1: there is one, named. What could not be asked (no network, or an index without advisories) is said
and is not called sound: the last line counts both.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

AUDIT = (sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--format", "json")
AUDIT_S = 180
"""How long one file may take."""


class Asked(NamedTuple):
    """What is known of the packages of one lock file."""

    sound: tuple[str, ...]
    not_asked: dict[str, str]
    """Package: why nothing is known."""
    vulnerable: dict[str, str]
    """Package and version: the advisories, and what mends it."""


def read(document: str) -> Asked:
    """pip-audit's JSON. Raises ValueError when it is none."""
    packages: list[dict[str, Any]] = json.loads(document)["dependencies"]
    sound, not_asked, vulnerable = [], {}, {}
    for package in packages:
        if why := package.get("skip_reason"):
            not_asked[package["name"]] = why
        elif found := package["vulns"]:
            vulnerable[f"{package['name']} {package['version']}"] = "; ".join(map(_advisory, found))
        else:
            sound.append(package["name"])
    return Asked(tuple(sound), not_asked, vulnerable)


def audit(lock: Path) -> Asked:
    """Ask about one lock file. Raises OSError, subprocess.TimeoutExpired, ValueError: it could not be asked."""
    done = subprocess.run([*AUDIT, "-r", str(lock)], capture_output=True, text=True, timeout=AUDIT_S, check=False)
    if not done.stdout.strip():
        raise ValueError(
            done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
        )
    return read(done.stdout)


def main(locks: Iterable[str]) -> int:
    """Prints what was found; 1 where something is vulnerable."""
    sound, not_asked, vulnerable = set[str](), set[str](), set[str]()
    for lock in locks:
        try:
            asked = audit(Path(lock))
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            print(f"{lock}: NOT AUDITED: {error}")
            continue
        sound.update(asked.sound)
        not_asked.update(asked.not_asked)
        for package, says in asked.vulnerable.items():
            vulnerable.add(package)
            print(f"{lock}: {package}: {says}")
    print(
        f"audit: {len(vulnerable)} vulnerable, {len(sound)} without a known vulnerability, {len(not_asked)} NOT AUDITED"
    )
    return 1 if vulnerable else 0


def _advisory(found: dict[str, Any]) -> str:
    mended = ", ".join(found.get("fix_versions", ()))
    return f"{found['id']}, {f'mended in {mended}' if mended else 'not mended yet'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
