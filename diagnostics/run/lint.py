"""The configuration of every push subscription of a project, each by itself: the steps of `lint`, with no profile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec import Struct, structs

from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.pipeline.load import profile_of
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.question.ask import Ask
from diagnostics.run.look import look
from diagnostics.sources.pubsub import project_subscriptions
from diagnostics.steps.finding import Finding
from diagnostics.steps.limits.upkeep import ORPHANS, orphans
from diagnostics.transport.session import Session, together

AT_ONCE = 4
"""Subscriptions that are looked at together; each asks some thirty questions at once by itself."""
_WORST_FIRST = (Exit.FAULT, Exit.UNKNOWN, Exit.WARNING, Exit.OK)


class Audit(Struct, frozen=True, kw_only=True):
    """What was found in a project."""

    project: str
    diagnoses: tuple[Diagnosis, ...]
    """One a push subscription, the worst first; `pipeline.pipeline` is its name."""
    project_wide: tuple[Finding, ...] = ()
    """What belongs to no subscription that is pushed."""
    pulled: int = 0
    """Subscriptions without a push endpoint, which are not looked at."""
    note: str = ""
    """Set when not all subscriptions were listed: why."""

    @property
    def exit_code(self) -> Exit:
        """That of the worst; unknown when some may have been left out."""
        codes = {Exit(d.exit_code) for d in self.diagnoses} | ({Exit.UNKNOWN} if self.note else set())
        return next((code for code in _WORST_FIRST if code in codes), Exit.OK)


def audit(session: Session, project: str, region: str = "") -> Audit:
    """Lint every push subscription within the session's deadline; what was not looked at by then is unknown.

    Raises NotSeen when the subscriptions cannot be listed.
    """
    nobody = PipelineProfile(name=project, project=project, request=LegProfile(subscription=""))
    listed = project_subscriptions(session, nobody)
    pushed = sorted(s.name for s in listed.subscriptions if s.push_endpoint)
    found: list[Diagnosis] = []
    for some in _batches(pushed):
        if found and session.remaining() <= 0:
            break
        found += map(_alone, together(*(partial(_lint, session, name, region) for name in some)))
    late = len(pushed) - len(found)
    notes = [] if listed.source.complete else [listed.source.note]
    notes += [f"no time was left for {late} of them; a longer --timeout gets further"] if late else []
    return Audit(
        project=project,
        diagnoses=tuple(sorted(found, key=lambda d: _WORST_FIRST.index(Exit(d.exit_code)))),
        project_wide=tuple(orphans(listed)),
        pulled=len(listed.subscriptions) - len(pushed),
        note="; ".join(notes),
    )


def _batches(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), AT_ONCE):
        yield names[start : start + AT_ONCE]


def _lint(session: Session, subscription: str, region: str) -> Diagnosis:
    alone = session.again(max(session.remaining(), 0.001))
    return look(alone, profile_of(subscription, region=region), "lint", Ask())


def _alone(diagnosis: Diagnosis) -> Diagnosis:
    """Without what is said once for the whole project."""
    own = tuple(f for f in diagnosis.findings if f.code != ORPHANS.name)
    return structs.replace(diagnosis, findings=own)
