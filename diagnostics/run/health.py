"""What a health check asks: which deploy it is about, and over which time it looks."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import structs

from diagnostics.evidence.model import EvidenceSet, Leg, Revisions, RevisionSettings, Unseen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import UNKNOWN_START, Ask, Deploy
from diagnostics.sources.collect import collect
from diagnostics.transport.session import Session

WINDOW = timedelta(hours=1)
"""What a health check calls lately, without a deploy."""
LONGEST = timedelta(hours=12)
"""Series are read a point a minute up to here; of an older deploy, only this much of its traffic is judged."""


class NoSuchDeployError(Exception):
    """The deploy that was asked about cannot be found, so there is nothing to compare."""

    def __init__(self, says: str, mend: str = "") -> None:
        super().__init__(says)
        self.says = says
        self.mend = mend


def of_health(session: Session, profile: PipelineProfile, ask: Ask) -> Ask:
    """The question with its deploy found and its window set. Raises NoSuchDeployError."""
    if ask.deploy is not None and ask.deploy.at is None:
        seen = collect(session, profile, {Revisions}, ask)
        ask = structs.replace(ask, deploy=_deploy(seen, ask.deploy.revision, ask.end(session.now)))
    if ask.since is not None:
        return ask
    end = ask.end(session.now)
    begin = ask.deploy.at - UNKNOWN_START if ask.deploy and ask.deploy.at else end - WINDOW
    return structs.replace(ask, since=min(max(begin, end - LONGEST), end - WINDOW))


def _deploy(seen: EvidenceSet, named: str, until: datetime) -> Deploy:
    """The named revision, or the newest one of any service that receives pushes."""
    found: list[RevisionSettings] = []
    hidden: list[Unseen] = []
    for leg in Leg:
        revisions = seen.get(Revisions, leg)
        if isinstance(revisions, Unseen):
            hidden.append(revisions)
        else:
            found += [r for r in revisions.revisions if r.created <= until]
    newest_first = sorted(found, key=lambda r: r.created, reverse=True)
    if named:
        newest_first = [r for r in newest_first if r.name == named]
    if newest_first:
        return Deploy(revision=newest_first[0].name, at=newest_first[0].created)
    if hidden:
        raise NoSuchDeployError(f"when it was deployed could not be seen: {hidden[0].says}", hidden[0].mend)
    known = ", ".join(r.name for r in sorted(found, key=lambda r: r.created, reverse=True)[:4])
    raise NoSuchDeployError(
        f"no revision {named}" if named else "no revision was found", f"the newest are {known}" if known else ""
    )
