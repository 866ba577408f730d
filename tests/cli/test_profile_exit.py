"""How `profile test` ends: wrong is a warning, what could not be asked is unknown."""

from __future__ import annotations

import pytest

from diagnostics.cli.do.profile import fits
from diagnostics.conclude.diagnosis import Exit
from diagnostics.evidence.model import Means
from diagnostics.run.markers import MarkerTest
from diagnostics.run.states import StateTest

READ = MarkerTest(service="worker", means=Means.DONE_ITEM, contains="done", pattern="done", matched=3)
KNOWS = StateTest(place="endpoint", says="expects 3", knows=True)
NO_SUCH = StateTest(place="endpoint", says="it knows no such batch")
WRONG = StateTest(place="endpoint", says="403", fits=False)
UNASKED = StateTest(place="firestore", says="not permitted", answered=False)


@pytest.mark.parametrize(
    ("states", "ends"),
    [
        ((), Exit.OK),
        ((KNOWS,), Exit.OK),
        ((UNASKED, KNOWS), Exit.OK),
        ((UNASKED,), Exit.UNKNOWN),
        ((NO_SUCH,), Exit.WARNING),
        ((NO_SUCH, UNASKED), Exit.WARNING),
        ((WRONG, KNOWS), Exit.WARNING),
        ((WRONG, UNASKED), Exit.WARNING),
    ],
)
def test_what_could_not_be_asked_is_unknown(states: tuple[StateTest, ...], ends: Exit) -> None:
    assert fits((READ,), states) is ends
    assert fits((), states) is Exit.UNKNOWN
