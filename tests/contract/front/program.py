"""The program as anybody runs it, but that the time of the run is the lab's, if one is named.

`python -m tests.contract.front.program NOW ARGUMENTS` is one run. Without arguments it has imported everything once and forks a child
for each run that a line on stdin asks for, so that a run costs no imports; the answer to each is a line: exit code, seconds, and for how
many of these its main thread waited for a processor that others had. It opens no channel itself: gRPC does not survive a fork once it has
one.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import sys
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from diagnostics.cli import main
from diagnostics.transport import session, sign_in
from tests.children import Queued, exit_code


def pinned(moment: datetime) -> type[datetime]:
    """A datetime whose now is this moment."""

    class Pinned(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    return Pinned


def run(now: str, arguments: list[str]) -> None:
    if now:
        vars(session)["datetime"] = pinned(datetime.fromisoformat(now))
    sys.argv = ["pubsub-diag", *arguments]
    main.main()


def serve() -> None:
    """Fork a child for each line, and tell how it ended."""
    from diagnostics.cli import do
    from diagnostics.run import investigate  # noqa: F401
    from diagnostics.transport.clients import load
    from tests.contract.front.messages import installed

    for module, _ in installed():
        load(module)
    for module in (
        "google.auth.transport.requests",
        "google.auth.impersonated_credentials",
        "google.oauth2.service_account",
    ):
        load(module)
    for command in pkgutil.iter_modules(do.__path__, f"{do.__name__}."):
        load(command.name)
    _once()
    gc.freeze()
    for line in sys.stdin:
        task = json.loads(line)
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            _child(task)
        queued = Queued(child)
        code = exit_code(child, task["timeout_s"], queued.look)
        print(json.dumps({"code": code, "seconds": time.monotonic() - begun, "queued": queued.seconds}), flush=True)


def _once() -> None:
    """A command that asks nothing: what reads the command line is then imported, too."""
    sys.argv = [
        "pubsub-diag",
        "alerts",
        "--project=a-project",
        "--subscription=a-subscription",
        "--runbooks=https://example.com",
    ]
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.suppress(SystemExit):
        main.main()


def _child(task: dict[str, Any]) -> None:
    """One run in its own environment, folder and files; ends the process."""
    code: object = 1
    try:
        os.environ.clear()
        os.environ.update(task["environ"])
        os.chdir(task["folder"])
        for number, name in ((0, os.devnull), (1, task["out"]), (2, task["err"])):
            os.dup2(os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        _reread()
        run(task["now"], task["arguments"])
    except SystemExit as ended:
        code = ended.code
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _reread() -> None:
    """What google.auth reads of the environment when it is imported."""
    from google.auth.compute_engine import _metadata

    sign_in.prepare(os.environ)
    importlib.reload(_metadata)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1], sys.argv[2:])
    else:
        serve()
