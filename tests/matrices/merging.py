"""Two scenarios with one fault each, in one pipeline: the differences of both, the events of both, one start call.

Both tell their story around a start call. Both are moved in time so that the two calls become one, at the earlier of the two moments:
each fault keeps its distance from the batch, and has at least the time that it had. One call then has the items, the gate and the
messages of both. Of the plain batches before it, those of one scenario are kept: where the last good one lies further back, so that
both faults came after it. What sets one thing to two values is no pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from diagnostics.lab.durations import seconds
from diagnostics.lab.scenario import Scenario
from diagnostics.scoring.expect import Asked
from tests.matrices.singles import ASKED, Single, Unfit, at, built

UNITED = ("topics", "subscriptions", "roles", "grants", "without")
"""Lists of a pipeline that are put together."""
WHOLE_ENV = "*"
LASTING = ("downstream", "quota")
"""Events that end by themselves."""

ANSWERS_ALL = frozenset(
    {
        "every-item-fails",
        "worker-lacks-a-right",
        "downstream-limits-worker",
        "downstream-fails",
        "endpoint-answers-no-ack",
    }
)
"""Causes by which the program answers every item in one way."""


def scripted(one: Single) -> bool:
    """Whether it says in so many words what the program answers to each item of the batch."""
    return sum(int(each["items"]) for each in one.start.get("outcomes", ())) >= int(one.start["items"])


def merged(a: Single, b: Single) -> tuple[Scenario, Asked]:
    """Both in one. Raises Unfit when they are the same fault or contradict each other."""
    if a.fault.same(b.fault):
        raise Unfit("the same fault")
    if a.dialect != b.dialect:
        raise Unfit("another dialect")
    if any(scripted(one) and other.fault.code in ANSWERS_ALL for one, other in ((a, b), (b, a))):
        raise Unfit("both say what the program answers to every item")
    agree(dict(settings(a)), dict(settings(b)))
    begin = min(a.starts, b.starts)
    good = min((one for one in (a, b) if one.good), key=lambda one: one.since + begin - one.starts, default=a)
    timeline = [
        *_events(a, begin - a.starts, "a"),
        *_events(b, begin - b.starts, "b"),
        *(_moved(entry, begin - good.starts, "good") for entry in good.good),
    ]
    timeline.sort(key=lambda entry: seconds(entry["at"]))
    _carry_code(timeline, {tag: _codes(one) for tag, one in (("a", a), ("b", b))})
    jitter = a.jitter if a.starts <= b.starts else b.jitter
    pipeline = _both(a.pipeline, b.pipeline, "pipeline")
    start = _start(a.start, b.start)
    if pipeline.get("coordinator", {}).get("service", {}).get("ingress", "all") != "all":
        start.pop(
            "caller", None
        )  # a person outside does not get in, and nothing would tell that one tried: the scheduler does
    timeline.append({"at": at(begin), "jitter": jitter, "start_batch": {**start, "name": ASKED}})
    return built(
        f"{a.name} + {b.name}",
        a.dialect,
        pipeline,
        _both(a.draw, b.draw, "draw"),
        _same(a.now, b.now, "now"),
        [{key: value for key, value in entry.items() if key != "of"} for entry in timeline],
        a.asks_latest and b.asks_latest,
    )


# --- what each sets -------------------------------------------------------------------------------------------------------


def settings(one: Single) -> Iterator[tuple[tuple[str, str], Any]]:
    """Everything that a scenario sets, from the beginning or later: (thing, field) and value, the last one last."""
    for name, spec in one.pipeline.items():
        if name in ("request", "completion"):
            yield from _fields(f"subscription {name}", spec.get("subscription", {}))
            yield from _fields(f"subscription {name}", {k: v for k, v in spec.items() if k != "subscription"})
        elif name in ("coordinator", "worker"):
            yield from _revision(f"service {name}", spec.get("revision", {}))
            yield from _fields(f"service {name}", spec.get("service", {}))
        elif name in ("topics", "subscriptions"):
            for new in spec:
                yield (f"{name.removesuffix('s')} {new['name']}", "there"), new
        elif name in ("above", "groups", "denied", "tags", "balancers", "models", "tables"):
            yield ("project", name), spec
        elif name == "roles":
            for new in spec:
                yield from _fields(f"role {new['role']}", new)
        else:
            for grant in spec:
                yield _grant(grant), name == "grants"
    for entry in sorted(one.events, key=lambda e: seconds(e["at"])):
        for name, event in entry.items():
            if isinstance(event, dict):
                yield from _changes(name, event)


def _changes(name: str, event: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    match name:
        case "deploy":
            service = f"service {event['service']}"
            yield from _revision(service, {k: v for k, v in event.items() if k not in ("service", "by", "resets_min")})
            if event.get("resets_min"):
                yield (service, "min_instances"), 0
        case "traffic":
            yield (f"service {event['service']}", "traffic"), event.get("tag") or event.get("to", "previous")
        case "set_service":
            yield from _fields(f"service {event['service']}", event)
        case "delete_service":
            yield (f"service {event['service']}", "there"), False
        case "set_subscription" | "set_topic":
            thing = name.removeprefix("set_")
            yield from _fields(f"{thing} {event[thing]}", event)
        case "create_subscription" | "create_topic":
            yield (f"{name.removeprefix('create_')} {event['name']}", "there"), event
        case "delete_subscription" | "expire_subscription" | "detach" | "seek":
            yield (f"subscription {event['subscription']}", "there"), name
        case "delete_topic":
            yield (f"topic {event['topic']}", "there"), False
        case "set_role":
            yield from _fields(f"role {event['role']}", event)
        case "grant" | "revoke":
            yield _grant(event), name == "grant"
        case "deny":
            yield ("project", "denied"), event
        case "disable_account" | "enable_account" | "delete_account":
            yield (f"account {event['account']}", "state"), name


def _fields(thing: str, changes: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    yield from (((thing, name), value) for name, value in changes.items() if name not in ("by", *thing.split()))


def _revision(thing: str, changes: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    env = {
        **changes.get("set_env", {}),
        **changes.get("update_env", {}),
        **dict.fromkeys(changes.get("remove_env", ())),
    }
    yield from (((f"{thing} env", name), value) for name, value in env.items())
    if "set_env" in changes:
        yield (f"{thing} env", WHOLE_ENV), True
    rest = {k: v for k, v in changes.items() if not k.endswith("_env") and k != "code"}
    yield from _fields(thing, rest)


def _grant(grant: dict[str, Any]) -> tuple[str, str]:
    return f"grant of {grant['role']} on {grant['on']}", grant["member"]


def agree(a: dict[tuple[str, str], Any], b: dict[tuple[str, str], Any]) -> None:
    """Raises Unfit where two scenarios set one thing to two values."""
    for key in a.keys() & b.keys():
        if a[key] != b[key]:
            raise Unfit(f"both set {' '.join(key)}")
    for mine, yours in ((a, b), (b, a)):
        for thing, name in mine:
            replaced = (thing, WHOLE_ENV) in yours and (thing, name) not in yours
            if thing.endswith(" env") and name != WHOLE_ENV and replaced and mine[thing, name] is not None:
                raise Unfit(f"one sets {thing} {name}, the other replaces all")


# --- putting together -----------------------------------------------------------------------------------------------------


def _both(a: dict[str, Any], b: dict[str, Any], where: str) -> dict[str, Any]:
    """What either says; of what both say, the same or both."""
    whole = {**a, **b}
    for key in a.keys() & b.keys():
        mine, yours = a[key], b[key]
        if key == "code":
            whole[key] = _words(mine, yours)
        elif isinstance(mine, dict) and isinstance(yours, dict):
            whole[key] = _both(mine, yours, f"{where}.{key}")
        elif key in UNITED:
            whole[key] = [*mine, *(one for one in yours if one not in mine)]
        else:
            whole[key] = _same(mine, yours, f"{where}.{key}")
    return whole


def _same(mine: Any, yours: Any, where: str) -> Any:
    if mine and yours and mine != yours:
        raise Unfit(f"both set {where}")
    return mine or yours


def _words(mine: str, yours: str) -> str:
    """A build with the traits of both."""
    words = dict.fromkeys(word for word in (*mine.split(), *yours.split()) if word != "head")
    for word in words:
        if f"-{word}" in words:
            raise Unfit(f"both set the trait {word}")
    return " ".join(words) or "head"


def _start(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """One call with what both have; as many items as the one with special ones has, else as the larger one."""
    special = [one["items"] for one in (a, b) if one.keys() & {"gated", "payloads", "outcomes"}]
    mine, yours = ({k: v for k, v in one.items() if k not in ("items", "caller", "mode")} for one in (a, b))
    whole = _both(mine, yours, "start")
    items = special[0] if len(special) == 1 else max(a["items"], b["items"])
    if "gated" in a and "gated" in b:
        raise Unfit("both have a gate")
    published = items - sum(whole.get("gated", {}).values())
    if sum(whole.get("payloads", {}).values()) > published:
        raise Unfit("more special messages than the gate lets through")
    more: dict[str, Any] = {key: one[key] for one in (b, a) for key in ("caller", "mode") if key in one}
    return {"items": items, **whole, **more}


def _events(one: Single, shift: float, tag: str) -> list[dict[str, Any]]:
    return [_moved(entry, shift, tag) for entry in one.events]


def _moved(entry: dict[str, Any], shift: float, tag: str) -> dict[str, Any]:
    """The entry so much earlier, its batches named apart from the other scenario's."""
    moved = {**entry, "at": at(seconds(entry["at"]) + shift), "of": tag}
    if "until" in entry:
        moved["until"] = at(seconds(entry["until"]) + shift)
    if "start_batch" in entry:
        named = entry["start_batch"].get("name", f"before-{entry['at']}")
        moved["start_batch"] = {**entry["start_batch"], "name": f"{tag}-{named}"}
    for name in LASTING:
        if (
            name in entry and seconds(entry["at"]) + seconds(entry[name]["for"]) >= 0
        ):  # it goes on now, and is to go on then
            moved[name] = {**entry[name], "for": f"{seconds(entry[name]['for']) - min(shift, 0):.0f}s"}
    if "clear_batch" in entry and entry["clear_batch"]["batch"] != ASKED:
        moved["clear_batch"] = {"batch": f"{tag}-{entry['clear_batch']['batch']}"}
    return moved


def _codes(one: Single) -> dict[str, str]:
    """The build of each service at the beginning."""
    return {name: one.pipeline.get(name, {}).get("revision", {}).get("code", "") for name in ("coordinator", "worker")}


def _carry_code(timeline: list[dict[str, Any]], codes: dict[str, dict[str, str]]) -> None:
    """A deploy of one scenario that brings another build keeps the traits of the build that the other scenario has by then."""
    for entry in timeline:
        deploy = entry.get("deploy")
        if deploy is None or "code" not in deploy or deploy["service"] not in ("coordinator", "worker"):
            continue
        service, other = deploy["service"], "b" if entry["of"] == "a" else "a"
        codes[entry["of"]][service] = deploy["code"]
        entry["deploy"] = {**deploy, "code": _words(deploy["code"], codes[other][service])}
