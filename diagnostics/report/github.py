"""The diagnosis as GitHub Actions workflow commands, which become annotations of the run.

Escapes as github.com documents them under "Workflow commands" and actions/toolkit applies them. Limits: ten annotations of each
level a step, 4096 characters a message (both in actions/runner, which drops what is more without a word), 255 a title (REST
reference of check runs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from diagnostics.causes.model import Role
from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.evidence.model import Leg
from diagnostics.report import text
from diagnostics.report.escape import clean, clean_all
from diagnostics.steps.finding import Status

PER_LEVEL, MESSAGE, TITLE = 10, 4096, 255
ERROR, WARNING, NOTICE = "error", "warning", "notice"
LEVELS = (ERROR, WARNING, NOTICE)

_OF_EXIT = {Exit.OK: NOTICE, Exit.WARNING: WARNING, Exit.FAULT: ERROR, Exit.UNKNOWN: ERROR}
_OF_ROLE = {Role.BLOCKS: ERROR, Role.WORSENS: WARNING, Role.LATENT: WARNING, Role.BENIGN: NOTICE}
_OF_STATUS = {Status.FAULT: ERROR, Status.UNKNOWN: WARNING, Status.WARNING: WARNING, Status.ADVICE: NOTICE}


class Annotation(NamedTuple):
    level: str
    title: str
    message: str


def render(diagnoses: Sequence[Diagnosis]) -> str:
    """One command a line. What exceeds GitHub's limits is counted in the last annotation of its level."""
    annotations = [a for diagnosis in diagnoses for a in _annotations(clean_all(diagnosis))]
    return "".join(f"{command(a)}\n" for level in LEVELS for a in _within([a for a in annotations if a.level == level]))


def render_trouble(says: str, mend: str) -> str:
    return command(
        Annotation(ERROR, "pubsub-diag could not run", "\n".join(s for s in (clean(says), clean(mend)) if s))
    )


def command(annotation: Annotation) -> str:
    """The workflow command, in one line that the runner reads as no other."""
    title = _property(_cut(annotation.title, TITLE))
    return f"::{annotation.level} title={title}::{_data(_cut(annotation.message, MESSAGE))}"


def _annotations(said: Diagnosis) -> Iterator[Annotation]:
    """The verdict first. Nothing is an error in a run that ends in 0 or 1."""
    for annotation in (_verdict(said), *_causes(said), *_findings(said), *_gaps(said), *_accepted(said)):
        calm = annotation.level == ERROR and said.exit_code in (Exit.OK, Exit.WARNING)
        yield annotation._replace(level=WARNING) if calm else annotation


def _verdict(said: Diagnosis) -> Annotation:
    told = text.finishes(said)
    lines = [said.headline, f"Finishes alone? {told}" if told else "", *said.next]
    title = f"{said.status.value.upper()} {said.pipeline.command} {said.pipeline.pipeline}"
    return Annotation(_OF_EXIT[Exit(said.exit_code)], title, "\n".join(line for line in lines if line))


def _causes(said: Diagnosis) -> Iterator[Annotation]:
    for cause in said.causes:
        title = f"{cause.does}: {_of(cause.code, cause.leg)} ({cause.confidence.value})"
        yield Annotation(
            _OF_ROLE[cause.role], title, "\n".join([cause.says, *cause.because, *cause.hence, *cause.next])
        )


def _findings(said: Diagnosis) -> Iterator[Annotation]:
    """Of the whole investigation only what no cause explains; of its parts all that is not ok."""
    shown = said.unexplained if said.causes else said.findings
    for finding in sorted(shown, key=lambda f: text.LOUDEST_FIRST.index(f.status)):
        if finding.status in _OF_STATUS:
            yield Annotation(_OF_STATUS[finding.status], _of(finding.code, finding.leg), finding.says)


def _gaps(said: Diagnosis) -> Iterator[Annotation]:
    for gap in said.unknown:
        if gap.matters:
            level = WARNING if said.exit_code == Exit.UNKNOWN else NOTICE
            would = f"would say {gap.would_say}" if gap.would_say else ""
            told = [gap.says, would, gap.permission, gap.mend]
            yield Annotation(level, f"not seen: {_of(gap.what, gap.leg)}", "\n".join(t for t in told if t))


def _accepted(said: Diagnosis) -> Iterator[Annotation]:
    for suppressed in said.suppressed:
        yield Annotation(NOTICE, f"accepted: {_of(suppressed.code, suppressed.leg)}", text.acceptance(suppressed))


def _within(annotations: Sequence[Annotation]) -> Iterable[Annotation]:
    if len(annotations) <= PER_LEVEL:
        return annotations
    left = annotations[PER_LEVEL - 1 :]
    names = ", ".join(a.title for a in left)
    return [*annotations[: PER_LEVEL - 1], Annotation(left[0].level, f"and {len(left)} more", names)]


def _of(code: str, leg: Leg | None) -> str:
    return f"{code} ({leg.value})" if leg else code


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _data(words: str) -> str:
    return words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(words: str) -> str:
    return _data(words).replace(":", "%3A").replace(",", "%2C")
