"""The runbooks: list, fill in, find."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from diagnostics.cli import configuration, output
from diagnostics.cli.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.evidence.model import Leg
from diagnostics.pipeline import places
from diagnostics.pipeline.load import load_profile
from diagnostics.pipeline.profile import LegProfile, PipelineProfile, ProfileError
from diagnostics.report.escape import clean

PLACEHOLDERS = (
    "project", "number", "region", "subscription", "topic", "service", "push_account", "dead_letter_topic", "batch", "since",
    "completion_subscription", "completion_topic", "coordinator", "worker",
)  # fmt: skip
"""What runbooks write in braces. Subscription, topic, service and push account are those of the leg that is shown."""


class Front(Struct, frozen=True, kw_only=True):
    """Front matter of a runbook."""

    title: str
    code: str = ""
    """Of a cause."""
    step: str = ""
    """Of a step; exactly one of the two."""
    stage: str = ""
    symptoms: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.code or self.step


class Runbook(Struct, frozen=True, kw_only=True):
    family: str
    """Folder: a family of causes, or "steps"."""
    front: Front
    body: str


def print_list() -> int:
    books = _all()
    rows = [[b.family, b.front.name, b.front.stage, b.front.title] for b in books]
    output.answer(output.page().table(["family", "code", "stage", "about"], rows) + "\n")
    return int(Exit.OK)


def show(code: str, profile: str | None, leg: Leg, given: Mapping[str, str]) -> int:
    book = next((b for b in _all() if b.front.name == code), None)
    if book is None:
        raise Trouble(f'no runbook "{code}"{_nearest(code)}', "pubsub-diag runbook list")
    known = {**_from_profile(_profile(profile), leg), **given}
    output.answer(fill(f"# {book.front.title}\n\n{book.body}", known))
    return int(Exit.OK)


def find(text: str) -> int:
    """Exit code 3 when nothing was found."""
    words = text.lower().split()
    hits = [b for b in _all() if all(w in _everything(b) for w in words)]
    if not hits:
        output.tell(f'no runbook speaks of "{clean(text)}"; pubsub-diag runbook list names them all')
        return int(Exit.UNKNOWN)
    rows = [[b.front.name, b.front.title, _line_with(b, words)] for b in hits]
    output.answer(output.page().table(["code", "about", "says"], rows) + "\n")
    return int(Exit.OK)


def prevent(code: str, profile: PipelineProfile, leg: Leg, batch: str) -> str:
    """What the runbook of a cause advises against a next time, filled in, in one line; empty when it has no such section."""
    body = next((b.body for b in _all() if b.front.name == code), "")
    _, _, section = body.partition("\n## Prevent\n")
    section = section.partition("\n## ")[0]
    return " ".join(fill(section, {**_from_profile(profile, leg), "batch": batch}).split())


def fill(body: str, known: Mapping[str, str]) -> str:
    """The text with `{project}` and its like replaced by what is known, by PROJECT and its like where it is not."""

    def value(match: re.Match[str]) -> str:
        return clean(known.get(match[1]) or match[1].upper())

    return re.sub(rf"\{{({'|'.join(PLACEHOLDERS)})\}}", value, body).rstrip() + "\n"


def read(path: Path) -> Runbook:
    """One runbook file. Raises ValueError when its front matter is not as it has to be."""
    text = path.read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2) if text.startswith("---\n") and text.count("---\n") > 1 else ("", "", "")
    if not front:
        raise ValueError(f"{path.name}: expected front matter between two lines of ---")
    book = Runbook(family=path.parent.name, front=msgspec.yaml.decode(front, type=Front), body=body.strip())
    if bool(book.front.code) == bool(book.front.step):
        raise ValueError(f"{path.name}: expected either code or step in the front matter")
    return book


def _all() -> list[Runbook]:
    paths = sorted(places.runbooks().rglob("*.md"))
    if not paths:
        raise Trouble("no runbooks came with this installation", "install pubsub-diag again")
    return [read(path) for path in paths]


def _nearest(code: str) -> str:
    import difflib

    near = difflib.get_close_matches(code, [b.front.name for b in _all()], 1)
    return f"; did you mean {near[0]}?" if near else ""


def _profile(named: str | None) -> PipelineProfile | None:
    named = named or configuration.pipeline()
    try:
        return load_profile(named) if named else None
    except ProfileError as error:
        raise Trouble(str(error), "pubsub-diag runbook show works without a profile, too") from error


def _from_profile(profile: PipelineProfile | None, leg: Leg) -> dict[str, str]:
    if profile is None:
        return {}
    completion = profile.completion or LegProfile(subscription="")
    shown, receiver = (profile.request, profile.worker) if leg is Leg.REQUEST else (completion, profile.coordinator)
    return {
        "project": profile.project,
        "region": receiver.region or profile.region,
        "subscription": shown.subscription,
        "topic": shown.topic,
        "service": receiver.service,
        "push_account": shown.push_account,
        "completion_subscription": completion.subscription,
        "completion_topic": completion.topic,
        "coordinator": profile.coordinator.service,
        "worker": profile.worker.service,
    }


def _everything(book: Runbook) -> str:
    return " ".join((book.front.name, book.front.title, *book.front.symptoms, book.body)).lower()


def _line_with(book: Runbook, words: list[str]) -> str:
    lines = [*book.front.symptoms, *(line.strip("#*-| ") for line in book.body.splitlines())]
    return next((line for line in lines if any(w in line.lower() for w in words)), "")
