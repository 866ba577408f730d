"""What `pubsub-diag postmortem` does: gather the runs, notes and advice, and write them down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from diagnostics.cli.frame import output, replaying
from diagnostics.cli.frame.others import Others
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.evidence.model import Evidence, Leg
from diagnostics.keep import store
from diagnostics.keep.bundle import Bundle, BundleError, Note, load
from diagnostics.keep.names import NO_BATCH, Name
from diagnostics.readings.nearest import nearest
from diagnostics.report.postmortem import charts, html, markdown
from diagnostics.report.postmortem.build import build, signed
from diagnostics.report.postmortem.merged import ABOUT_A_BATCH
from diagnostics.report.postmortem.model import Postmortem
from diagnostics.runbook import pages
from diagnostics.shell.commands import command, either, noted
from diagnostics.shell.files import is_there

EARLIER = 200
"""So many of the newest kept runs are asked whether it happened before."""
AFTER = timedelta(hours=12)
"""Notes that name no batch belong to it for so long after the last look: the mending is noted when it is done."""
AT_ONCE = 20
"""So many of the newest runs in a store are fetched at a time, until one is about a batch: between two of these a scheduled `health` may
have left any number."""
SECOND = timedelta(seconds=1)
"""Names tell moments to the second."""
_CAPTURE = noted("pubsub-diag capture BATCH_ID --out FILE", "keeps all that can still be seen")


class Kept(NamedTuple):
    """All that the postmortem is written from."""

    runs: Sequence[Bundle]
    notes: Sequence[Note]


def write(
    which: Sequence[str],
    *,
    as_html: bool,
    out: Path | None,
    project: str,
    profile: str | None,
    quiet: bool,
    severity: str = "",
    authors: Sequence[str] = (),
) -> int:
    if as_html:
        try:
            charts.require()
        except charts.NeedsLibraryError as error:
            raise Trouble(str(error), either((charts.INSTALL, "pubsub-diag postmortem -o markdown"))) from error
    said = signed(told(which, project, profile, quiet), severity, authors)
    output.answer(html.render(said) if as_html else markdown.render(said), out)
    output.tell("what stands as ____ is yours to fill in", quiet)
    return int(Exit.OK)


def told(which: Sequence[str], project: str, profile: str | None, quiet: bool) -> Postmortem:
    """The postmortem of what is named, from what is kept of it here and in the store that the profile names."""
    others = Others(profile, quiet)
    with replaying.reading_kept():
        kept = _gathered(which, project, others)
    for run in kept.runs:
        replaying.tell(run, quiet)
    with replaying.reading_kept():
        return _built(kept, others)


def _built(kept: Kept, others: Others) -> Postmortem:
    batch = next((run.batch for run in kept.runs if run.batch), "")
    project = kept.runs[0].case.profile.project
    earlier = [run for run in _readable(_of_others(batch, project, others)) if run.batch != batch]
    about = [run for run in earlier if run.case.profile.project == project]
    try:
        return build(kept.runs, kept.notes, about, _prevent(kept.runs))
    except (
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:  # no run that was kept makes these
        raise Trouble(f"no postmortem can be written of these runs: {error}", _CAPTURE) from error


def _of_others(batch: str, project: str, others: Others) -> list[Path]:
    """The newest runs of the project that may be about another batch, oldest first: so many of those here, whatever is in the store, and
    so many of those there."""

    def chosen(listed: list[Name]) -> list[Name]:
        return [n for n in listed if n.may_be_about("", project) and not n.may_be_about(batch, "")][-EARLIER:]

    here = [path for path in store.runs() if not store.may_be_about(path.name, batch, project)]
    return _in_order([*here[-EARLIER:], *(one.path for one in others.runs(chosen))])


def _in_order(paths: Iterable[Path]) -> list[Path]:
    """Oldest first."""
    return sorted(paths, key=lambda path: store.in_order(path.name))


def _gathered(which: Sequence[str], project: str, others: Others) -> Kept:
    """Bundles that are named, and all that is kept of the batch that is named; of the newest one if nothing is."""
    named = [_bundle(name, others) for name in which]
    batches = [name for name, bundle in zip(which, named, strict=True) if bundle is None]
    runs = [bundle for bundle in named if bundle is not None]
    if not which:
        batches = [_newest(project, others)]
    for batch in batches:
        found = _of_batch(batch, project, others)
        if not found:
            raise Trouble(
                f"{batch}: neither a file, nor a kept run, nor a batch of which a run is kept", _way_on(batch)
            )
        runs += found
    runs = [_concluded(run) for run in _once(runs)]
    _agree(runs)
    return Kept(runs, _notes(batches[0], runs, others) if batches else ())


def _once(runs: Iterable[Bundle]) -> list[Bundle]:
    """Each look once: a capture is a file and a kept run. Of two that looked at the same moment the one that saw more, wherever they are
    kept and in whatever order they come."""
    once: dict[object, Bundle] = {}
    for run in runs:
        look = _look(run)
        if look not in once or _saw(run) > _saw(once[look]):
            once[look] = run
    return list(once.values())


def _look(run: Bundle) -> object:
    return run.made_at, run.case.command, run.case.ask


def _saw(run: Bundle) -> tuple[int, str]:
    return sum(isinstance(found, Evidence) for _, found in run.case.evidence.items()), run.case.header.principal


def _way_on(batch: str) -> str:
    """The batch that may have been meant, of those of which the newest runs are kept."""
    near = nearest(batch, (run.batch for run in _readable(store.runs()[-EARLIER:])))
    return command("pubsub-diag postmortem {batch}", batch=near) if near else _CAPTURE


def _of_batch(batch: str, project: str, others: Others) -> list[Bundle]:
    """Every run about the batch that is kept here or in the store, oldest first. Of a look that is kept here none of the store: whoever
    may write there could claim to have seen more."""
    here = list(_readable(store.kept(batch, project)))
    looks = {_look(run) for run in here}
    shared = others.runs(lambda listed: [name for name in listed if name.may_be_about(batch, project)])
    there = [run for run in _readable(one.path for one in shared) if _look(run) not in looks]
    about = [run for run in there if run.batch == batch and project in ("", run.case.profile.project)]
    return sorted([*here, *about], key=lambda run: run.made_at)


def _bundle(name: str, others: Others) -> Bundle | None:
    """The bundle that goes by this name; None when it has to be a batch."""
    if is_there(Path(name)) or (name and store.find(name) is not None) or others.find(name) is not None:
        return replaying.opened(name, others)
    return None


def _newest(project: str, others: Others) -> str:
    def about(paths: Iterable[Path]) -> Iterator[Bundle]:
        for run in _readable(paths):
            if run.batch and run.case.command in ABOUT_A_BATCH and project in ("", run.case.profile.project):
                yield run

    here = next(about(reversed(store.runs())), None)
    there = next(about(_since(here.made_at if here else None, project, others)), None)
    newest = max((run for run in (here, there) if run), key=lambda run: run.made_at, default=None)
    if newest is None:
        raise Trouble("no run about a batch is kept", _CAPTURE)
    return newest.batch


def _since(begin: datetime | None, project: str, others: Others) -> Iterator[Path]:
    """The runs of the project in the store that looked then or later, newest first, fetched a few at a time."""
    left: list[Name] | None = None

    def chosen(listed: list[Name]) -> list[Name]:
        nonlocal left
        if left is None:
            left = [n for n in listed if n.may_be_about("", project) and (begin is None or n.moment() > begin - SECOND)]
        some, left = left[-AT_ONCE:], left[:-AT_ONCE]
        return some[::-1]

    while left or left is None:
        before, found = left, others.runs(chosen)
        yield from reversed(_in_order(one.path for one in found))
        if left is before:  # there is no store, or it did not answer
            return


def _concluded(run: Bundle) -> Bundle:
    """With what this version concludes of it."""
    if run.then is None or run.case.command not in ABOUT_A_BATCH:
        return run
    return msgspec.structs.replace(run, diagnosis=replaying.concluded(run))


def _agree(runs: Iterable[Bundle]) -> None:
    """One postmortem, one batch of one project."""
    batches = sorted({run.batch or "a start that made no batch" for run in runs if run.batch or _of_no_batch(run)})
    projects = sorted({run.case.profile.project for run in runs})
    if len(projects) > 1:
        raise Trouble(f"these runs are of several projects: {', '.join(projects)}", "name one with --project")
    if len(batches) > 1:
        raise Trouble(f"these runs are about several batches: {', '.join(batches)}", "write one postmortem for each")


def _of_no_batch(run: Bundle) -> bool:
    return run.case.command in ABOUT_A_BATCH and run.then is not None and run.then.batch is not None


def _notes(batch: str, runs: Sequence[Bundle], others: Others) -> list[Note]:
    """What was noted about the batch, or about none in particular while it was looked at and was mended."""
    begin = min(run.case.evidence.since for run in runs) - store.BEFORE
    end = max(run.made_at for run in runs) + AFTER

    def of_it(name: Name) -> bool:
        about_none = name.whose == NO_BATCH and begin - SECOND <= name.moment() <= end
        return about_none or name.whose == store.of_batch(batch)

    here = others.as_sent(store.notes())
    notes = sorted([*here, *others.notes(of_it, here)], key=lambda said: said.at)
    return [n for n in notes if n.batch == batch or (not n.batch and begin <= n.at <= end)]


def _readable(paths: Iterable[Path]) -> Iterator[Bundle]:
    for path in paths:
        try:
            yield load(path, ours=store.is_here(path))
        except BundleError:
            continue


def _prevent(runs: Sequence[Bundle]) -> dict[str, str]:
    """What the runbooks of the named causes say under Prevent, filled in for this batch."""
    named = {cause.code: cause.leg for run in runs if run.diagnosis for cause in run.diagnosis.causes}
    batch = next((run.batch for run in runs if run.batch), "")
    profile = runs[0].case.profile
    return {code: pages.prevent(code, profile, leg or Leg.REQUEST, batch) for code, leg in named.items()}
