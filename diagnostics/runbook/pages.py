"""Runbook pages: one a cause, one a step, with placeholders for what an incident is about."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from diagnostics.evidence.model import Leg
from diagnostics.pipeline import places
from diagnostics.pipeline.profile import LegProfile, PipelineProfile
from diagnostics.report.escape import clean
from diagnostics.shell import commands

PLACEHOLDERS = (
    "project", "number", "region", "subscription", "topic", "service", "push_account", "dead_letter_topic", "batch", "since",
    "completion_subscription", "completion_topic", "coordinator", "worker", "topic_env", "completion_topic_env",
    "revision",
)  # fmt: skip
"""What runbooks write in braces. Subscription, topic, service, push account and the variable that names the topic (topic_env) are those
of the leg that is shown; the revision is the one of its service that a deploy replaced."""


class Front(Struct, frozen=True, kw_only=True):
    """Front matter of a runbook."""

    title: str
    code: str = ""
    """Of a cause."""
    step: str = ""
    """Of a step; exactly one of the two."""
    stage: str = ""
    symptoms: tuple[str, ...] = ()
    one_line: bool = False
    """The one command of the first step of its mitigation mends it alone, and nobody has to be asked before."""

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


def prevent(code: str, profile: PipelineProfile, leg: Leg, batch: str) -> str:
    """What the runbook of a cause advises against a next time, filled in, in one line; empty when it has no such section."""
    body = next((page.body for page in every() if page.front.name == code), "")
    _, _, section = body.partition("\n## Prevent\n")
    section = section.partition("\n## ")[0]
    return " ".join(fill(section, {**known_from(profile, leg), "batch": batch}).split())


def fix(code: str, known: Mapping[str, str]) -> str:
    """The command that mends a cause alone, filled in, in one line; empty where no single one does, or a name of it is not known."""
    try:
        text = next((path.read_text(encoding="utf-8") for path in places.runbooks().rglob(f"{code}.md")), "")
    except (OSError, ValueError):  # a page that cannot be read must not cost the answer
        return ""
    front, _, body = text.partition("\n---\n")  # a line of the front matter tells, whatever else stands there
    if "one_line: true" not in front.splitlines():
        return ""
    section = body.partition("\n## Mitigation\n")[2].partition("\n## ")[0]
    block = _BLOCK.search(section)
    names = {hole[1] for hole in _HOLE.finditer(block[0])} if block else set()
    if block is None or any(not _fits(known.get(name) or "") for name in names):
        return ""
    filled = fill(textwrap.dedent(block[0]), known)
    return re.sub(r"\\\n\s*", "", "".join(filled.splitlines(keepends=True)[1:-1])).strip()


def fill(body: str, known: Mapping[str, str]) -> str:
    """The text with `{project}` and its like replaced by what is known, by PROJECT and its like where it is not, or where it fits in no
    command (`left_out`). In a command about a service the project is the service's, which `known` names as service_project,
    worker_project and coordinator_project."""
    filled, pending, fence = list[str](), list[str](), ""
    for line in body.split("\n"):
        pending.append(line)
        opening = re.match(r" *```(\w*)$", line)
        if opening and not fence:
            fence = opening[1] or "text"
        elif opening:
            fence = ""
        elif _goes_on("\n".join(pending) if fence == "sh" else line, fence):
            continue
        filled.append(_filled("\n".join(pending), known, fence))
        pending = []
    return "\n".join([*filled, *pending]).rstrip() + "\n"


def left_out(known: Mapping[str, str]) -> Iterator[str]:
    """What a page says of names that it is asked to fill in and that stand in CAPITALS all the same."""
    for name in PLACEHOLDERS:
        if known.get(name) and not _fits(known[name]):
            yield f"{name.upper()} stands for a name that {commands.CANNOT_BE_TYPED}"


def _fits(name: str) -> bool:
    """Whether a command can hold it wherever a page names it."""
    return commands.typeable(name) and not name.startswith("-")


def _goes_on(text: str, fence: str) -> bool:
    """Whether a command goes on in the next line: after a backslash, or inside quotes."""
    return text.endswith("\\") or (fence == "sh" and not commands.is_whole(text))


def _filled(text: str, known: Mapping[str, str], fence: str) -> str:
    whose = next((who for who in ("service", "worker", "coordinator") if f"{{{who}}}" in text), "")
    known = {**known, "project": known.get(f"{whose}_project") or known.get("project", "")}
    if fence == "sh":
        return commands.filled(text, lambda name, before: _in_shell(_known(name, known), before), _HOLE)
    if fence == "promql":
        return _HOLE.sub(lambda hole: _in_string(_known(hole[1], known)), text)
    parts = text.split("`")
    return "`".join(_prose(part, known, is_code=at % 2 == 1) for at, part in enumerate(parts))


def _prose(text: str, known: Mapping[str, str], is_code: bool) -> str:
    def shown(name: str, _: str = "") -> str:
        fits = not is_code or _fits(known.get(name) or "")
        return known[name] if known.get(name) and fits and "`" not in known[name] else name.upper()

    if is_code and commands.is_command(text):
        return commands.filled(text, shown, _HOLE)
    return _HOLE.sub(lambda hole: clean(shown(hole[1])), text)


def _known(name: str, known: Mapping[str, str]) -> str:
    return known[name] if _fits(known.get(name) or "") else name.upper()


def _in_shell(worth: str, before: str) -> str:
    """The name as it has to be inside of what the shell hands on: part of an address, or of a string in a filter."""
    if _ADDRESS.search(before):
        return quote(worth, safe="")
    last = before.rpartition("'")[2]
    return _in_string(worth) if commands.is_quoted(before) and last.count('"') % 2 else worth


def _in_string(worth: str) -> str:
    """In double quotes, as filters of logs and PromQL write strings."""
    return worth.replace("\\", "\\\\").replace('"', '\\"')


_HOLE = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")
_BLOCK = re.compile(r"^ *```sh\n.*?^ *```$", re.M | re.S)
_ADDRESS = re.compile(r"(?:https?:/|\))/[^\s\"']*$")
"""Where an address goes on: one that is written out, or that a command in $( … ) tells."""


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
        "topic_env": shown.topic_env,
        "completion_topic_env": completion.topic_env,
        "coordinator": profile.coordinator.service,
        "worker": profile.worker.service,
        "service_project": receiver.project,
        "worker_project": profile.worker.project,
        "coordinator_project": profile.coordinator.project,
    }
