"""The program as anybody runs it, but that the time of the run is the lab's: `python -m tests.contract.front.program NOW ARGUMENTS`."""

from __future__ import annotations

import sys
from datetime import datetime, tzinfo

from diagnostics.cli import main
from diagnostics.transport import session


def pinned(moment: datetime) -> type[datetime]:
    """A datetime whose now is this moment."""

    class Pinned(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    return Pinned


if __name__ == "__main__":
    vars(session)["datetime"] = pinned(datetime.fromisoformat(sys.argv[1]))
    sys.argv = ["pubsub-diag", *sys.argv[2:]]
    main.main()
