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


def complete_code(incomplete: str) -> list[str]:
    """Codes of causes and names of steps, which have pages."""
    return sorted(name for name in pages() if name.startswith(incomplete))


def complete_scenario(incomplete: str) -> list[str]:
    return sorted(name for name in scenarios() if name.startswith(incomplete))


def complete_run(incomplete: str) -> list[str]:
    """`last`, and kept runs, newest first."""
    from diagnostics.pipeline.places import state_dir

    with contextlib.suppress(OSError, RuntimeError):
        kept = [path.stem for path in sorted((state_dir() / "runs").glob("[0-9]*.gz"), reverse=True)]
        return [name for name in ["last", *kept] if name.startswith(incomplete) and name.isprintable()][:MOST]
    return []


def complete_profile(incomplete: str) -> list[str]:
    """Profiles that come along, and TOML files here."""
    along = (Path(__file__).parents[2] / "pipeline" / "profiles").glob("*.toml")
    with contextlib.suppress(OSError):
        here = [path.name for path in Path().glob("*.toml") if path.name.isprintable()]
        return sorted(name for name in [*(path.stem for path in along), *here] if name.startswith(incomplete))
    return []


def pages() -> list[str]:
    from diagnostics.pipeline.places import runbooks

    return [path.stem for path in runbooks().rglob("*.md")]


def scenarios() -> list[str]:
    """Those that come along."""
    from diagnostics.pipeline.places import scenarios as folder

    return [path.stem for path in folder().rglob("*.yaml")]


def known_scenario(name: str) -> str:
    """The name, or the file, of a scenario. Refuses one that is not there before the lab is loaded, with the nearest that is."""
    if Path(name).suffix in (".yaml", ".yml") or name in scenarios() or os.path.lexists(name):
        return name
    from difflib import get_close_matches

    from diagnostics.cli.frame.trouble import Trouble

    near = get_close_matches(name, scenarios(), 1, 0.5)
    raise Trouble(f'no scenario "{name}"' + (f"; did you mean {near[0]}?" if near else ""), "pubsub-diag lab list")


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
