"""What `pubsub-diag runbook` does: list the pages, show one filled in, find text in them."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from diagnostics.cli.frame import configuration, output
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.evidence.model import Leg
from diagnostics.keep import store
from diagnostics.keep.bundle import BundleError, load
from diagnostics.pipeline import places
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import PipelineProfile, ProfileError
from diagnostics.report import terminal
from diagnostics.report.escape import clean
from diagnostics.runbook import incident, pages, search
from diagnostics.runbook.pages import Runbook
from diagnostics.shell.commands import noted


def print_list() -> int:
    rows = [[b.family, b.front.name, b.front.stage, b.front.title] for b in _all()]
    output.answer(output.page().listing(["family", "code", "stage", "about"], rows) + "\n")
    return int(Exit.OK)


def print_symptoms() -> int:
    """What one sees, and the page for it, by family."""
    rows = [[book.family, symptom, book.front.name] for book in _all() for symptom in book.front.symptoms]
    output.answer(output.page().listing(["family", "one sees", "code"], rows) + "\n")
    return int(Exit.OK)


def show(code: str, profile: str | None, leg: Leg, given: Mapping[str, str], raw: bool = False) -> int:
    """Laid out on a terminal; as Markdown, which it is written in, where that is wanted or nobody looks."""
    text = page(code, profile, leg, given)
    output.answer(text if raw or not sys.stdout.isatty() else terminal.page(text, output.page()))
    return int(Exit.OK)


def page(code: str, profile: str | None, leg: Leg, given: Mapping[str, str]) -> str:
    """The page as Markdown, with the names of the profile, of the last run and of the caller."""
    book = _book(code)
    named = _profile(profile)
    known = {**pages.known_from(named, leg), **_of_last_run(named, leg), **given}
    notes = "".join(f"{note}.\n\n" for note in pages.left_out(known))
    return pages.fill(f"# {book.front.title}\n\n{notes}{book.body}", known)


def print_address(code: str, base: str | None) -> int:
    book = _book(code)
    base = base or str(configuration.stated().get("runbooks", ("",))[0])
    if urlsplit(base).scheme not in ("http", "https"):
        raise Trouble(
            f"{base}: expected an address that begins with https://"
            if base
            else "nothing says where the runbooks are published",
            noted("pubsub-diag runbook show CODE", "prints it here", "or: --base-url URL, or runbooks in [settings]"),
        )
    folder = f"causes/{book.family}" if book.front.code else "steps"
    output.answer(f"{base.rstrip('/')}/{folder}/{book.front.name}.md\n")
    return int(Exit.OK)


def find(text: str) -> int:
    """Exit code 3 when nothing was found."""
    _all()
    rows = [[hit.page.front.name, hit.page.front.title, hit.line] for hit in search.find(text)]
    if not rows:
        output.tell(f'no runbook speaks of "{clean(text)}"; pubsub-diag runbook list names them all')
        return int(Exit.UNKNOWN)
    output.answer(output.page().listing(["code", "about", "says"], rows) + "\n")
    return int(Exit.OK)


def _of_last_run(named: PipelineProfile | None, leg: Leg) -> dict[str, str]:
    """What the newest kept run tells of the placeholders, if it is of this pipeline or none is named. Says whose names they are."""
    try:
        newest = next((path for path in reversed(store.runs())), None)
        run = load(newest, ours=True) if newest else None
    except (OSError, BundleError, places.NoHomeError):
        return {}
    if run is None or not _same(named, run.case.profile):
        return {}
    about = incident.batch_of(run.case, run.batch)
    known = incident.known_of(run.case, about, leg) | {"revision": incident.replaced(run.case, leg)}
    batch = f" of {clean(about)}" if about else ""
    output.tell(f"names are those of the run{batch} at {run.made_at:%Y-%m-%d %H:%M}Z; options name others")
    return known


def _same(named: PipelineProfile | None, seen: PipelineProfile) -> bool:
    if named is None:
        return True
    return (named.project, named.request.subscription) == (seen.project, seen.request.subscription)


def _book(code: str) -> Runbook:
    book = next((b for b in _all() if b.front.name == code), None)
    if book is None:
        raise Trouble(f'no runbook "{code}"{_nearest(code)}', "pubsub-diag runbook list")
    return book


def _all() -> list[Runbook]:
    books = pages.every()
    if not books:
        raise Trouble("no runbooks came with this installation", "install pubsub-diag again")
    return books


def _nearest(code: str) -> str:
    near = difflib.get_close_matches(code, [b.front.name for b in _all()], 1)
    return f"; did you mean {near[0]}?" if near else ""


def _profile(named: str | None) -> PipelineProfile | None:
    named = named or configuration.pipeline()
    try:
        return load_profile(named) if named else None
    except ProfileError as error:
        raise Trouble(
            str(error), noted("pubsub-diag runbook list", "works without a profile, and so does runbook show")
        ) from error
