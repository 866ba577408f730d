"""Runbook pages: one a cause, one a step, with placeholders for what an incident is about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from diagnostics.evidence.model import Leg
from diagnostics.pipeline import places
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
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


def every() -> list[Runbook]:
    """All pages that came with this installation; none if they are missing."""
    return [read(path) for path in sorted(places.runbooks().rglob("*.md"))]


def find(text: str) -> Iterator[tuple[Runbook, str]]:
    """Pages that hold all these words, each with the first line that holds one."""
    words = text.lower().split()
    for page in every():
        if all(word in _everything(page) for word in words):
            yield page, _line_with(page, words)


def prevent(code: str, profile: PipelineProfile, leg: Leg, batch: str) -> str:
    """What the runbook of a cause advises against a next time, filled in, in one line; empty when it has no such section."""
    body = next((page.body for page in every() if page.front.name == code), "")
    _, _, section = body.partition("\n## Prevent\n")
    section = section.partition("\n## ")[0]
    return " ".join(fill(section, {**known_from(profile, leg), "batch": batch}).split())


def fill(body: str, known: Mapping[str, str]) -> str:
    """The text with `{project}` and its like replaced by what is known, by PROJECT and its like where it is not. In a command about a
    service the project is the service's, which `known` names as service_project, worker_project and coordinator_project."""
    filled, command = [], ""
    for line in body.split("\n"):
        command = f"{command}{line}"
        whose = next((who for who in ("service", "worker", "coordinator") if f"{{{who}}}" in command), "")
        project = known.get(f"{whose}_project") or known.get("project", "")
        filled.append(_filled(line, {**known, "project": project}))
        command = command if line.endswith("\\") else ""
    return "\n".join(filled).rstrip() + "\n"


def _filled(line: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return clean(known.get(match[1]) or match[1].upper())

    return re.sub(rf"\{{({'|'.join(PLACEHOLDERS)})\}}", value, line)


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


def known_from(profile: PipelineProfile | None, leg: Leg) -> dict[str, str]:
    """What a profile tells of the placeholders, for this leg."""
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
        "service_project": receiver.project,
        "worker_project": profile.worker.project,
        "coordinator_project": profile.coordinator.project,
    }


def _everything(book: Runbook) -> str:
    return " ".join((book.front.name, book.front.title, *book.front.symptoms, book.body)).lower()


def _line_with(book: Runbook, words: list[str]) -> str:
    lines = [*book.front.symptoms, *(line.strip("#*-| ") for line in book.body.splitlines())]
    return next((line for line in lines if any(w in line.lower() for w in words)), "")
