"""Names that earlier runs came across, for the shell to complete. Completion reads this file and asks nobody.

The lab's names are kept apart from Google's. Nothing that goes wrong here costs an answer: the file is a convenience.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

MOST = 100
"""Names of a kind; the newest stay."""
BATCHES, SUBSCRIPTIONS = "batches", "subscriptions"


def complete_batch(incomplete: str) -> list[str]:
    return [name for name in _known(BATCHES) if name.startswith(incomplete)]


def complete_subscription(incomplete: str) -> list[str]:
    return [name for name in _known(SUBSCRIPTIONS) if name.startswith(incomplete)]


def remember(*, batches: Iterable[str] = (), subscriptions: Iterable[str] = ()) -> None:
    """Put these first, newest first."""
    new = {BATCHES: list(batches), SUBSCRIPTIONS: list(subscriptions)}
    known = {kind: list(dict.fromkeys([*names, *_known(kind)]))[:MOST] for kind, names in new.items()}
    with contextlib.suppress(OSError, RuntimeError):
        path = _file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(known), encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(path)


def _known(kind: str) -> list[str]:
    """A file that somebody else damaged completes nothing."""
    try:
        names = json.loads(_file().read_text(encoding="utf-8"))[kind]
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return []
    return [name for name in names if isinstance(name, str) and name.isprintable()] if isinstance(names, list) else []


def _file() -> Path:
    """In the XDG cache home. Raises RuntimeError when there is no home directory."""
    home = os.environ.get("XDG_CACHE_HOME")
    folder = Path(home) if home else Path.home() / ".cache"
    return folder / "pubsub-diag" / ("names-lab.json" if os.environ.get("PUBSUB_DIAG_ENDPOINT") else "names.json")
