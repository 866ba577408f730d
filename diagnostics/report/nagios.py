"""The diagnosis as the output of a Nagios plugin: a status line with performance data, then the causes.

Form as the Monitoring Plugins development guidelines give it: SERVICE STATUS - text | 'label'=value[unit];[warn];[crit];[min];[max].
The status word is that of the exit code, which is all that Nagios goes by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from diagnostics.conclude.diagnosis import Diagnosis, Exit
from diagnostics.report import text
from diagnostics.report.escape import clean, clean_all
from diagnostics.steps.finding import Status

WORDS = {Exit.OK: "OK", Exit.WARNING: "WARNING", Exit.FAULT: "CRITICAL", Exit.UNKNOWN: "UNKNOWN"}
WORST_FIRST = (Exit.FAULT, Exit.UNKNOWN, Exit.WARNING, Exit.OK)
SERVICE = "PUBSUB-DIAG"
UNFIT = "a command with a bar in it, which cannot stand here: pubsub-diag batch -o text prints it"


class Measure(NamedTuple):
    label: str
    value: float | None
    """None: not known, written U."""
    unit: str = ""
    most: float | None = None


def render(diagnoses: Sequence[Diagnosis]) -> str:
    """One status line for all, that of the worst; the others follow as long text."""
    said = sorted(map(clean_all, diagnoses), key=lambda d: WORST_FIRST.index(Exit(d.exit_code)))
    first, several = said[0], len(said) > 1
    lines = [f"{_status(first)} | {' '.join(_perfdata(d, several) for d in said)}"]
    for diagnosis in said:
        lines += [_plain(_status(diagnosis))] if several else []
        lines += [_plain(line) for line in _long(diagnosis)]
    return "\n".join(lines) + "\n"


def render_trouble(says: str, mend: str) -> str:
    mended = f"{clean(mend) if '|' not in mend else UNFIT}\n" if mend else ""
    return f"{SERVICE} {WORDS[Exit.UNKNOWN]} - {_plain(clean(says))}\n{mended}"


def _status(said: Diagnosis) -> str:
    below = f"({said.status.value}) " if said.exit_code == Exit.OK and said.status is Status.WARNING else ""
    return f"{SERVICE} {WORDS[Exit(said.exit_code)]} - {below}{_plain(said.headline)}"


def _long(said: Diagnosis) -> Iterator[str]:
    if told := text.finishes(said):
        yield f"finishes alone? {told}"
    for level in said.levels:
        yield f"{level.name.value} {level.status.value}: {level.says}"
    for cause in said.causes:
        leg = f" ({cause.leg.value})" if cause.leg else ""
        yield f"{cause.does} {cause.code}{leg} {cause.confidence.value}: {cause.says}"
    for suppressed in said.suppressed:
        yield f"accepted {text.acceptance(suppressed)}"
    for step in said.next:
        yield f"do now: {step if '|' not in step else UNFIT}"


def _perfdata(said: Diagnosis, several: bool) -> str:
    prefix = f"{said.pipeline.pipeline} {said.pipeline.command} " if several else ""
    return " ".join(_written(m._replace(label=prefix + m.label)) for m in _measures(said))


def _measures(said: Diagnosis) -> Iterator[Measure]:
    batch = said.batch
    if batch is not None:
        yield Measure("items_done", batch.done, most=batch.expected)
        yield Measure("items_expected", batch.expected)
        yield Measure("batch_age", _since(batch.started, said.as_of), "s")
        yield Measure("idle", _since(batch.last_progress, said.as_of), "s")
    for found in said.subscriptions:
        yield Measure(f"{found.leg.value}_unacked", found.waiting)
        yield Measure(f"{found.leg.value}_oldest_age", found.oldest_age_s, "s")
        share = found.failing_share
        yield Measure(f"{found.leg.value}_failing", None if share is None else 100 * share, "%", most=100)
    yield Measure("causes", len(said.causes))
    yield Measure("faults", sum(f.status is Status.FAULT for f in said.findings))
    yield Measure("warnings", sum(f.status is Status.WARNING for f in said.findings))
    yield Measure("not_seen", sum(gap.matters for gap in said.unknown))
    yield Measure("accepted", sum(not s.over for s in said.suppressed))
    yield Measure("time", said.pipeline.seconds, "s")


def _since(moment: datetime | None, now: datetime) -> float | None:
    return max(0.0, (now - moment).total_seconds()) if moment else None


def _written(measure: Measure) -> str:
    """Without a unit when the value is unknown: U takes none. Labels may hold neither a quote nor an equals sign."""
    label = measure.label.replace("'", "_").replace("=", "_").replace("|", "_")
    quoted = f"'{label}'" if " " in label else label
    if measure.value is None:
        return f"{quoted}=U"
    most = f";{_number(measure.most)}" if measure.most is not None else ""
    return f"{quoted}={_number(measure.value)}{measure.unit};;;0{most}"


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _plain(words: str) -> str:
    """Text without the character at which Nagios begins to read performance data."""
    return words.replace("|", "¦")
