"""Does a profile's batch state fit? Each place that it names is asked for one batch, and says what came of it."""

from __future__ import annotations

from msgspec import Struct, structs

from diagnostics.evidence.model import BatchMarks, BatchStatus, Unseen, Why
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile, StateKind
from diagnostics.question.ask import Ask
from diagnostics.sources import PROVIDERS, marks
from diagnostics.sources.collect import collect
from diagnostics.transport.session import Session


class StateTest(Struct, frozen=True, kw_only=True):
    """What one place said of the batch."""

    place: str
    says: str
    """What it counts, or why it could not be read."""
    knows: bool = False
    answered: bool = True
    """False: it could not be asked, so nothing is known of what the profile says of it."""
    fits: bool = True
    """False: it answered, and not as the profile describes."""
    mend: str = ""


def states_test(session: Session, profile: PipelineProfile, batch: str) -> tuple[StateTest, ...]:
    """Ask each place apart for this batch."""
    tested = []
    for state in profile.batch_states:
        if state.kind is StateKind.LOG:
            continue
        alone = structs.replace(profile, batch_state=(state,))
        found = collect(session, alone, {BatchStatus}, Ask(batch=batch), _PROVIDERS).get(BatchStatus)
        tested.append(_told(state.name, found))
    return tuple(tested)


def _no_log() -> BatchMarks:
    """The batch is named: no line is needed to find it."""
    raise NotSeen(Why.NOT_ASKED, "no line is read")


_PROVIDERS = (_no_log, *(provider for provider in PROVIDERS if provider is not marks.batch_marks))


def _told(place: str, found: BatchStatus | Unseen) -> StateTest:
    if isinstance(found, Unseen):
        answered = found.why is Why.FAILED
        return StateTest(place=place, says=found.says, answered=answered, fits=not answered, mend=found.mend)
    if not found.exists:
        return StateTest(place=place, says="it knows no such batch")
    counts = [f"expects {found.expected}" if found.expected is not None else "does not say what it expects"]
    counts += [f"{found.completed} done" if found.completed is not None else "does not say what is done"]
    counts += [{True: "closed", False: "open", None: "does not say whether it is closed"}[found.closed]]
    counts += [f"closed with work missing: {found.forced}"] if found.forced else []
    return StateTest(place=place, says=", ".join(counts), knows=True)
