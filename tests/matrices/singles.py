"""Scenarios with one fault, as differences from a healthy pipeline and as events around one start call; also in the other dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, UNSET, Struct, structs

from diagnostics.lab.defaults import SHAPES
from diagnostics.lab.durations import seconds
from diagnostics.lab.scenario import Scenario, load
from diagnostics.scoring.expect import LATEST, Asked, Wanted, wanted
from diagnostics.steps.finding import Status

ASKED = "asked"
"""Name of the start call that is asked about."""
PLAIN = frozenset({"items", "name", "caller", "mode", "loading"})
"""Keys of a start call that is nothing but a batch."""
OTHER = {"predictions": "orders", "orders": "predictions"}
ENV = (("PREDICTION_REQUEST_TOPIC", "QUEUE_TOPIC"), ("PUBSUB_READY_TOPIC", "RECEIPT_TOPIC"))


class Unfit(Exception):
    """A scenario that is no single fault, or two that cannot happen together; says why."""


class Fault(Struct, frozen=True, kw_only=True):
    """What a scenario must be told to have."""

    code: str = ""
    leg: str = ""
    """Empty: of whichever leg."""
    finding: str = ""
    """Set instead of a code: no cause of the catalogue is expected, but this finding."""

    def __str__(self) -> str:
        return self.finding or (f"{self.code}@{self.leg}" if self.leg else self.code)

    def same(self, other: Fault) -> bool:
        """Whether both may be the same thing."""
        legs = self.leg == other.leg or not self.leg or not other.leg
        return legs and (self.code, self.finding) == (other.code, other.finding)


class Single(Struct, frozen=True, kw_only=True):
    """A scenario with one fault. Times are seconds before now, negative."""

    name: str
    dialect: str
    fault: Fault
    allow: tuple[str, ...]
    """Causes that its answer may name beside it."""
    asks_latest: bool
    pipeline: dict[str, Any]
    draw: dict[str, Any]
    now: str
    start: dict[str, Any]
    """Its start call, without a name."""
    starts: float
    jitter: str
    good: tuple[dict[str, Any], ...]
    """Entries of plain batches before it."""
    events: tuple[dict[str, Any], ...]
    """All other entries."""

    @property
    def since(self) -> float:
        """When its latest plain batch before was started."""
        return max((seconds(entry["at"]) for entry in self.good), default=float("-inf"))


def single(path: Path, seed: int) -> Single:
    """The scenario, if it asks for the batch of one start call and expects one fault. Raises Unfit."""
    scenario = load(path, seed)
    want = wanted(scenario, path)
    _asks_a_batch(want.ask)
    if SHAPES[scenario.pipeline.dialect].completion is None:
        raise Unfit("nothing comes back in its pipeline, and the tallies judge two legs")
    if scenario.caller.lacks or scenario.caller.holds or scenario.faults:
        raise Unfit("not all may be seen")
    fault = fault_of(want)
    entries = [said(entry) for entry in scenario.timeline]
    if any(not entry[key].startswith("-") for entry in entries for key in ("at", "until") if key in entry):
        raise Unfit("it has moments of the calendar")
    found = around(scenario, want, fault, entries, f"{path.parent.name}/{path.stem}")
    if found.starts < -_TODAY_S:
        raise Unfit("its batch is of a day that is past, whose failures the worker gives up")
    return found


def around(scenario: Scenario, want: Wanted, fault: Fault, entries: list[dict[str, Any]], name: str) -> Single:
    """The scenario around the start call that is asked about. Raises Unfit where there is none."""
    asked = _asked(entries, want.ask)
    pointed = {entry["clear_batch"]["batch"] for entry in entries if "clear_batch" in entry}
    starts = seconds(asked["at"])
    good = [e for e in entries if e is not asked and _plain(e, pointed) and seconds(e["at"]) < starts]
    events = [
        _pointing_at(e, asked["start_batch"].get("name", "")) for e in entries if e is not asked and e not in good
    ]
    pipeline = said(scenario.pipeline)
    dialect = pipeline.pop("dialect", "predictions")
    return Single(
        name=name,
        dialect=dialect,
        fault=fault,
        allow=want.expect.allow,
        asks_latest=want.ask.batch == LATEST,
        pipeline=pipeline,
        draw=dict(scenario.draw),
        now=scenario.now,
        start={key: value for key, value in asked["start_batch"].items() if key != "name"},
        starts=starts,
        jitter=asked.get("jitter", "0s"),
        good=tuple(good),
        events=tuple(events),
    )


def alone(one: Single) -> tuple[Scenario, Asked]:
    """The scenario by itself, as the merged ones are built."""
    return built(
        one.name, one.dialect, one.pipeline, one.draw, one.now, [*one.good, *one.events, start_of(one)], one.asks_latest
    )


def start_of(one: Single) -> dict[str, Any]:
    return {"at": at(one.starts), "jitter": one.jitter, "start_batch": {**one.start, "name": ASKED}}


def at(moment: float) -> str:
    return f"-{-moment:.3f}s"


def built(
    name: str,
    dialect: str,
    pipeline: dict[str, Any],
    draw: dict[str, Any],
    now: str,
    timeline: list[dict[str, Any]],
    latest: bool,
) -> tuple[Scenario, Asked]:
    """A scenario and what is asked. Raises Unfit for what no scenario may say."""
    document = {
        "name": name.replace("/", "-"),
        "story": "Made by machine.",
        "pipeline": {"dialect": dialect, **pipeline},
        "timeline": timeline,
        "draw": draw,
        "now": now,
    }
    try:
        scenario = msgspec.convert(document, Scenario)
    except msgspec.ValidationError as error:
        raise Unfit(f"no scenario says this: {error}") from error
    newest = max(timeline, key=lambda entry: seconds(entry["at"]) if "start_batch" in entry else float("-inf"))
    last = newest["start_batch"]["name"] == ASKED
    return scenario, Asked(batch=LATEST if latest and last else ASKED)


def in_other_dialect(one: Single) -> Single:
    """The same story told of the other pipeline: names that stand in it are exchanged for their counterparts. Raises Unfit for a schema,
    which refuses all that the other one says, for a call of a path, which the other one does not have, and for a pipeline of another
    shape."""
    if any("call" in event or b"schema_fields" in msgspec.json.encode(event) for event in one.events):
        raise Unfit("its schema or its calls are of its dialect")
    to = OTHER.get(one.dialect)
    if to is None:
        raise Unfit("its pipeline has no counterpart")
    text = msgspec.json.encode([one.pipeline, one.start, one.good, one.events, one.draw]).decode()
    for here, there in sorted(_names(one.dialect, to), key=lambda pair: -len(pair[0])):
        text = text.replace(here, there)
    pipeline, start, good, events, draw = msgspec.json.decode(text)
    return structs.replace(
        one,
        name=f"{one.name} ({to})",
        dialect=to,
        pipeline=pipeline,
        start=start,
        good=tuple(good),
        events=tuple(events),
        draw=draw,
    )


def said(value: Any) -> Any:
    """A struct of a scenario as its YAML has it: what is not said is left out."""
    if isinstance(value, Struct):
        return {
            f.encode_name: said(held) for f in structs.fields(value) if not _default(f, held := getattr(value, f.name))
        }
    if isinstance(value, tuple | list):
        return [said(one) for one in value]
    if isinstance(value, dict):
        return {key: said(one) for key, one in value.items()}
    return value


def _default(known: structs.FieldInfo, value: Any) -> bool:
    if value is UNSET:
        return True
    if known.default is not NODEFAULT:
        return bool(value == known.default)
    return known.default_factory is not NODEFAULT and bool(value == known.default_factory())


def _asks_a_batch(ask: Asked) -> None:
    if ask.command != "batch":
        raise Unfit("it asks another command")
    if ask.since or ask.until or ask.leg or ask.expect or ask.live or ask.subscription_alone:
        raise Unfit("it asks with options")
    if ask.batch_state is not None or ask.results is not None:
        raise Unfit("its profile reads batch state or results elsewhere, and a pair has the profile of its dialect")


def fault_of(want: Wanted) -> Fault:
    expect = want.expect
    causes = (*expect.blocks, *expect.worsens, *expect.latent)
    if len(causes) > 1 or expect.one_of:
        raise Unfit("it has several causes")
    if causes:
        code, _, leg = causes[0].partition("@")
        return Fault(code=code, leg=leg)
    if expect.status is Status.FAULT and expect.findings:
        return Fault(finding=expect.findings[0])
    raise Unfit("it has no fault")


def _asked(entries: list[dict[str, Any]], ask: Asked) -> dict[str, Any]:
    starts = [entry for entry in entries if "start_batch" in entry]
    if ask.batch != LATEST:
        starts = [entry for entry in starts if entry["start_batch"].get("name") == ask.batch]
    if not starts:
        raise Unfit("its batch is not started in the timeline")
    if any("every" in entry for entry in starts):
        raise Unfit("it starts batches again and again")
    return max(starts, key=lambda entry: seconds(entry["at"]))


_TODAY_S = 20 * 3600.0
"""A batch that was started before that is of another day."""


def _pointing_at(entry: dict[str, Any], asked: str) -> dict[str, Any]:
    """The entry, with the start call that is asked about under its new name."""
    if entry.get("clear_batch", {}).get("batch") == asked:
        return {**entry, "clear_batch": {"batch": ASKED}}
    return entry


def _plain(entry: dict[str, Any], pointed: set[str]) -> bool:
    start = entry.get("start_batch")
    return start is not None and start.keys() <= PLAIN and start.get("name") not in pointed and "every" not in entry


def _names(here: str, there: str) -> list[tuple[str, str]]:
    a, b = SHAPES[here], SHAPES[there]
    assert a.coordinator and a.completion and b.coordinator and b.completion
    pairs = [
        (a.project, b.project),
        (a.coordinator.name, b.coordinator.name),
        (a.worker.name, b.worker.name),
        (a.person, b.person),
        *((env[::-1] if here == "orders" else env) for env in ENV),
    ]
    for mine, yours in ((a.request, b.request), (a.completion, b.completion)):
        pairs += [
            (mine.subscription, yours.subscription),
            (mine.topic, yours.topic),
            (mine.dead_letter_topic, yours.dead_letter_topic),
            (mine.path, yours.path),
        ]
    return [(mine, yours) for mine, yours in pairs if mine != yours]
