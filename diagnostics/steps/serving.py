"""Is what serves what was deployed last: newest revision, all traffic, the image that its label promises?

A label says what was intended, the image digest what runs; only both together show a stale build.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from diagnostics.evidence.model import Leg, Revisions, RevisionSettings, ServiceConfig, ServiceSettings, Stage, Unseen
from diagnostics.question.ask import Ask, Expected
from diagnostics.steps import subjects
from diagnostics.steps.finding import Code, Finding, Status, Telling
from diagnostics.steps.tells import Tells
from diagnostics.steps.words import clock, span


class Behind(Tells, frozen=True, kw_only=True):
    service: str
    revision: str
    """The newest one."""
    serving: str
    """The one that serves."""


class OldImage(Tells, frozen=True, kw_only=True):
    service: str
    revision: str
    """The one that serves."""
    image_of: str
    """The older one whose image it runs."""
    at: str
    """When that was made, in words."""


NEWEST = Code("serving.newest", Stage.PROCESSED, "the newest revision serves")
BEHIND = Telling("serving.behind", Stage.PROCESSED, "the newest revision gets no traffic", tells=Behind)
NOT_READY = Telling("serving.not_ready", Stage.PROCESSED, "the newest revision does not become ready", tells=Behind)
SPLIT = Code("serving.split", Stage.PROCESSED, "traffic is split between revisions")
GONE = Code("serving.gone", Stage.PROCESSED, "the service does not exist")
OLD_IMAGE = Telling("serving.old_image", Stage.PROCESSED, "an older image serves under a newer label", tells=OldImage)
EXPECTED = Code("serving.expected", Stage.PROCESSED, "what has to be serving")

COMMIT_LABELS = ("commit-sha", "commit_sha", "git-sha", "git-commit")
"""The first is what Cloud Run's continuous deployment sets ("Continuous deployment from Git" page); the others are usual by hand."""
SHORTEST_COMMIT = 7


def serving(
    leg: Leg, now: datetime, ask: Ask, service: ServiceConfig, revisions: Revisions | Unseen
) -> Iterator[Finding]:
    """Reads the traffic split, the newest revision's state, labels and image digests."""
    settings = service.settings
    if settings is None:
        yield GONE.says(
            Status.FAULT,
            f"service {service.name} does not exist",
            leg=leg,
            subject=subjects.service(service.name),
            rests_on=("ServiceConfig",),
        )
        return
    listed = () if isinstance(revisions, Unseen) else revisions.revisions
    known = next((r for r in listed if r.name == settings.serving), settings.template)
    now_serving = known if known.name == settings.serving else None
    yield from _traffic(leg, ask, settings, listed, now)
    if now_serving is not None:
        yield from _old_image(leg, ask, settings, now_serving, listed, now)
    for wanted in ask.expected:
        if wanted.service in ("", "worker" if leg is Leg.REQUEST else "coordinator"):
            yield from _expected(leg, settings, now_serving, wanted, now)


def _traffic(
    leg: Leg, ask: Ask, settings: ServiceSettings, listed: Sequence[RevisionSettings], now: datetime
) -> Iterator[Finding]:
    """Whether the newest revision serves. Where it does not, that may be meant (`changes.no_traffic` tells); right after a deploy
    it is not."""
    newest = settings.latest_created or settings.latest_ready
    shares = {t.revision or settings.latest_ready: 0 for t in settings.traffic}
    for t in settings.traffic:
        shares[t.revision or settings.latest_ready] += t.percent
    share = shares.get(newest, 0) if settings.traffic else 100
    made = next((r for r in listed if r.name == newest), None)
    since = made.created if made else None
    asked = ask.deploy is not None and (not ask.deploy.at or since is None or since >= ask.deploy.at)
    rests = ("ServiceConfig", "Revisions")
    tells = Behind(service=settings.name, revision=newest, serving=settings.serving)
    about = subjects.service(settings.name)
    if newest != settings.latest_ready and asked:
        failed = made is not None and made.ready == "failed"
        why = made.message or made.reason if made else ""
        state = "failed to become ready" if failed else "is not ready yet"
        says = f"{newest} {state}{f' ({why})' if why else ''}; {settings.serving} still serves"
        status = Status.FAULT if failed else Status.UNKNOWN
        yield NOT_READY.says(status, says, leg=leg, since=since, subject=about, rests_on=rests, tells=tells)
    elif share == 0 and asked:
        by = f", made {clock(since, now)}," if since else ""
        says = f"{newest}{by} gets no traffic: {settings.serving} serves {settings.name}"
        yield BEHIND.says(Status.FAULT, says, leg=leg, since=since, subject=about, rests_on=rests, tells=tells)
    elif 0 < share < 100:
        split = ", ".join(f"{name} {percent} %" for name, percent in shares.items() if percent)
        yield SPLIT.says(Status.OK, f"traffic of {settings.name}: {split}", leg=leg, subject=about, rests_on=rests)
    elif share:
        age = f", made {clock(since, now)}" if since else ""
        says = f"{newest} is the newest revision and serves all traffic{age}"
        yield NEWEST.says(Status.OK, says, leg=leg, subject=about, rests_on=rests)


def _old_image(
    leg: Leg,
    ask: Ask,
    settings: ServiceSettings,
    here: RevisionSettings,
    listed: Sequence[RevisionSettings],
    now: datetime,
) -> Iterator[Finding]:
    """The same digest under an earlier commit: the label moved on and the image did not."""
    digest, commit = digest_of(here), commit_of(here)
    if not digest or not commit:
        return
    older = [r for r in listed if r.created < here.created and digest_of(r) == digest]
    other = [r for r in older if (c := commit_of(r)) and not same_commit(c, commit)]
    if not other:
        return
    first = min(other, key=lambda r: r.created)
    yield OLD_IMAGE.says(
        Status.FAULT if ask.deploy or ask.expected else Status.WARNING,
        f"{here.name} is labelled {commit[:12]} and runs the image of {first.name} ({commit_of(first)[:12]}), "
        f"{span((here.created - first.created).total_seconds())} older",
        leg=leg,
        since=here.created,
        rests_on=("Revisions",),
        subject=subjects.service(settings.name),
        tells=OldImage(service=settings.name, revision=here.name, image_of=first.name, at=clock(first.created, now)),
    )


def _expected(
    leg: Leg, settings: ServiceSettings, here: RevisionSettings | None, wanted: Expected, now: datetime
) -> Iterator[Finding]:
    about = subjects.service(settings.name)
    if here is None:
        says = f"{settings.serving} serves {settings.name}, and its settings could not be seen"
        yield EXPECTED.says(Status.UNKNOWN, says, leg=leg, subject=about, rests_on=("Revisions",))
        return
    told = f"{here.name} serves {settings.name}, made {clock(here.created, now)}"
    pairs = []
    if wanted.commit:
        pairs.append(("commit", wanted.commit, commit_of(here), same_commit(commit_of(here), wanted.commit)))
    if wanted.image:
        digest = digest_of(here)
        pairs.append(("image", wanted.image, digest, digest == wanted.image.rpartition("@")[2]))
    for what, expected, found, same in pairs:
        source = "label" if what == "commit" else "digest"
        if not found:
            status, says = Status.UNKNOWN, f"{told}; no {source} tells which {what} it is"
        elif same:
            status, says = Status.OK, f"{told}: {what} {found[:19]}, as expected"
        else:
            status, says = Status.FAULT, f"{told}: {what} {found[:19]} instead of {expected[:19]}"
        yield EXPECTED.says(status, says, leg=leg, subject=about, rests_on=("ServiceConfig", "Revisions"))


def commit_of(revision: RevisionSettings) -> str:
    """The commit that the revision's labels name; empty: none does."""
    return next((revision.labels[name] for name in COMMIT_LABELS if revision.labels.get(name)), "")


def digest_of(revision: RevisionSettings) -> str:
    """Digest of the image, sha256:…; empty when Google shows a tag alone."""
    return revision.image.partition("@")[2]


def same_commit(one: str, other: str) -> bool:
    """Whether both name one commit, written out or abbreviated."""
    short = min(len(one), len(other))
    return short >= SHORTEST_COMMIT and one[:short].lower() == other[:short].lower()
