"""What `pubsub-diag access` does: permissions, where, what is hidden without them; how fresh the sources are; which APIs are on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from diagnostics.cli.frame import opening, output
from diagnostics.cli.frame.options import Asked, Format
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.conclude.diagnosis import Exit
from diagnostics.conclude.say import WOULD_SAY
from diagnostics.evidence.model import (
    BatchMarks,
    Evidence,
    ItemMarks,
    Leg,
    OpenBatches,
    ProjectSubscriptions,
    ServiceConfig,
    StartCalls,
    SubscriptionConfig,
)
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe import rpcs as probe
from diagnostics.report.escape import clean
from diagnostics.report.json import pretty
from diagnostics.report.layout import Layout, clock
from diagnostics.run.access import ACCOUNT, PROJECT, SUBSCRIPTION, TOPIC, Permission, Rights, Want, access, needs
from diagnostics.run.freshness import Freshness, Newest, freshness
from diagnostics.run.investigate import COMMANDS, kinds_for
from diagnostics.run.look import everything
from diagnostics.sources.collect import requirements
from diagnostics.steps.words import span
from diagnostics.transport.rpcs import (
    APIS,
    LOG_ENTRIES,
    TEST_ACCOUNT,
    TEST_PROJECT,
    TEST_SERVICE,
    TEST_SUBSCRIPTION,
    TEST_TOPIC,
    TIME_SERIES,
)
from diagnostics.transport.session import CallRecord, Session, together

ANSWER_S = 3.0
"""What did not answer by then is unknown: this is what one runs first."""
QUICK_S = 0.3
"""Within so long an API answers where nothing holds it up."""
LATE = "DeadlineExceeded"
"""How a call is noted that had no time left."""
ASKS = (TEST_TOPIC, TEST_SUBSCRIPTION, TEST_SERVICE, TEST_ACCOUNT, TEST_PROJECT, LOG_ENTRIES, TIME_SERIES)
"""What it asks."""
HELD = {True: "held", False: "lacking", None: "unknown"}
PREDEFINED = {
    ".getIamPolicy": "roles/iam.securityReviewer",
    "pubsub.": "roles/pubsub.viewer",
    "run.routes.invoke": "roles/run.invoker",
    "run.": "roles/run.viewer",
    "logging.logEntries.": "roles/logging.viewer",
    "monitoring.": "roles/monitoring.viewer",
    "getOpenIdToken": "roles/iam.serviceAccountOpenIdTokenCreator",
    "bigquery.jobs.": "roles/bigquery.jobUser",
    "bigquery.tables.": "roles/bigquery.dataViewer",
    "storage.objects.": "roles/storage.objectViewer",
    "datastore.entities.": "roles/datastore.viewer",
}
"""What is in the name of a permission to read, and the predefined role of Google's that has it; the first that fits."""
MINTS = "iamcredentials.googleapis.com"
"""Answers nothing but requests for a token, and none is minted to find out."""
DOCUMENTS = "firestore.googleapis.com"
"""Answers nothing but requests for documents; whether one may be read is asked of the project."""

SNAPSHOT, SWITCH = "probe run", "probe run --mode switch"
PROBE: tuple[Want, ...] = (
    *(
        Want(SNAPSHOT, PROJECT, name)
        for name in (
            probe.CREATE_SNAPSHOT.permission,
            probe.DELETE_SNAPSHOT.permission,
            probe.CREATE_SUBSCRIPTION.permission,
            probe.DELETE_SUBSCRIPTION.permission,
            probe.SEEK_SNAPSHOT,
            probe.CONSUME,
        )
    ),
    Want(SNAPSHOT, SUBSCRIPTION, probe.CONSUME),
    Want(SNAPSHOT, TOPIC, probe.ATTACH),
    Want(SWITCH, SUBSCRIPTION, probe.UPDATE_SUBSCRIPTION.permission),
    Want(SWITCH, SUBSCRIPTION, probe.CONSUME),
    Want(SWITCH, ACCOUNT, probe.ACT_AS),
    Want(SWITCH, PROJECT, probe.WRITE_LOG.permission),
)
"""What a probe changes, and with which right; it asks again, for its very subscription, before it does anything."""


def reading() -> dict[str, set[type[Evidence]]]:
    """Every command that reads, and the kinds of evidence that it reads."""
    return {
        **{command: kinds_for(command) for command in COMMANDS},
        "lint --all": kinds_for("lint") | {ProjectSubscriptions},
        "batches": {BatchMarks, StartCalls, ItemMarks, OpenBatches},
        "profile test": {BatchMarks, ItemMarks},
        "init": {SubscriptionConfig, ServiceConfig, BatchMarks, ItemMarks, StartCalls},
        "capture": everything(),
        "selftest": everything(),
    }


def answer(asked: Asked, names: Sequence[str], role: bool) -> int:
    """Exit code 0 when all that the commands read with is held, 1 when something is lacking, 3 when that could not be told.

    What only the probe needs counts when the probe is named.
    """
    commands = {command: kinds for command, kinds in reading().items() if _named(command, names)}
    wants = [want for want in PROBE if _named(want.command, names)]
    if not commands and not wants:
        raise Trouble(f"no command {' '.join(names)} reads anything", f"those there are: {', '.join(reading())}")
    if role:
        output.answer(custom_role(commands, wants if names else (), opening.stated(asked)), asked.out)
        output.tell("gcloud iam roles create pubsubDiag --project=PROJECT --file=FILE makes it of this", asked.quiet)
        return int(Exit.OK)
    session, profile = opening.opened(asked)
    tested, fresh = _asked(session, profile, commands, wants)
    code = _code(tested, count_changes=bool(names))
    if asked.output is Format.JSON:
        output.answer(pretty(msgspec.json.encode(_json(session, tested, fresh, code))) + "\n", asked.out)
        return int(code)
    layout = output.page(to_file=asked.out is not None)
    read = [p for p in tested.permissions if p.commands]
    held = sum(p.held is True for p in read)
    who = clean(session.principal or "the caller")
    blocks = [f"{who} holds {held} of {len(read)} permissions to read with in {clean(profile.project)}"]
    blocks += [_of_place(on, read, commands, layout) for on in _places(read)]
    changing = [p for p in tested.permissions if p.changes]
    blocks += [_changing(changing, layout) if names else _consent(changing, layout)] if changing else []
    blocks += ["\n".join(_state(session, tested, fresh, layout))]
    output.answer("\n\n".join(blocks) + "\n", asked.out)
    return int(code)


def _asked(
    session: Session, profile: PipelineProfile, commands: Mapping[str, Iterable[type[Evidence]]], wants: Sequence[Want]
) -> tuple[Rights, Freshness]:
    """What is held, and how fresh all is: within three seconds, in which Google's clients are not made. What did not answer by then is
    asked once more: for as long again; where most of what was asked came late, with the time of the command, for then the way or this
    machine is slow, and no API hangs."""
    for client in {rpc.client for rpc in ASKS}:
        session.clients.get(client)
    answers = _within(_brief(session), profile, commands, wants)
    made = list(session.calls)
    if not any(call.note == LATE for call in made):
        return answers
    return _within(session if _slow(made) else _brief(session), profile, commands, wants)


def _brief(session: Session) -> Session:
    return session.again(min(ANSWER_S, max(session.remaining(), 0.001)))


def _within(
    session: Session, profile: PipelineProfile, commands: Mapping[str, Iterable[type[Evidence]]], wants: Sequence[Want]
) -> tuple[Rights, Freshness]:
    questions: tuple[Callable[[], Any], ...] = (
        lambda: access(session, profile, commands, wants),
        lambda: freshness(session, profile),
    )
    tested, fresh = together(*questions)
    return tested, fresh


def _slow(calls: Sequence[CallRecord]) -> bool:
    """Whether fewer answered quickly than did not: an API that hangs does so beside others that answer at once."""
    quick = sum(call.ok and call.seconds < QUICK_S for call in calls)
    return 2 * quick < len(calls)


def custom_role(commands: Iterable[str], wants: Sequence[Want] = (), pipeline: PipelineProfile | None = None) -> str:
    """The smallest role that lets these commands see all that they look at, as `gcloud iam roles create --file` takes it.

    Where the batch state of the `pipeline` is kept, it holds what that takes; of none, what a coordinator's status call takes.
    """
    kinds: set[type[Evidence]] = set().union(*(reading()[command] for command in commands))
    rest_on = kinds.union(*(requirements(kind, leg, ()) for kind in kinds for leg in Leg))
    names = {name for kind in rest_on for _, name in needs(kind, pipeline)} | {want.name for want in wants}
    lines = [
        "title: pubsub-diag",
        f"description: What pubsub-diag {'reads and changes' if wants else 'reads'}",
        "stage: GA",
        "includedPermissions:",
        *(f"- {name}" for name in sorted(names)),
    ]
    return "\n".join(lines) + "\n"


def _named(command: str, names: Sequence[str]) -> bool:
    """Whether the command is meant: by its name or by the first word of it; without names, every one is."""
    return not names or command == " ".join(names) or command.split()[0] in names


def _code(tested: Rights, count_changes: bool) -> Exit:
    counted = [p for p in tested.permissions if p.commands or count_changes]
    if not counted or any(p.held is None for p in counted):
        return Exit.UNKNOWN
    return Exit.WARNING if any(p.held is False for p in counted) else Exit.OK


def _places(found: Sequence[Permission]) -> list[str]:
    """The resources, those where something is lacking or unknown first."""
    return sorted({p.on: None for p in found}, key=lambda on: all(p.held for p in found if p.on == on))


def _of_place(on: str, found: Sequence[Permission], commands: Iterable[str], layout: Layout) -> str:
    there = sorted((p for p in found if p.on == on), key=lambda p: p.held is True)  # what lacks first
    rows = [[HELD[p.held], p.name, _for(p, set(commands))] for p in there]
    return f"{clean(on)}\n{layout.table(rows[0], rows[1:])}"


def _for(permission: Permission, commands: set[str]) -> str:
    """Which commands want it; where it is not held, what they do not see without it."""
    those = set(permission.commands)
    needed = "all" if those == commands else ", ".join(sorted(those))
    if permission.held:
        return f"for {needed}"
    hidden = list(dict.fromkeys(WOULD_SAY.get(kind, kind) for kind in permission.evidence))
    why = f"; {permission.says}" if permission.says else ""
    role = next((role for part, role in PREDEFINED.items() if part in permission.name), "")
    has = f"; {role} has it" if role and permission.held is False else ""
    return f"for {needed}{why}; not seen without it: {'; '.join(hidden)}{has}"


def _changing(found: Sequence[Permission], layout: Layout) -> str:
    word = {True: "held", False: "not held", None: "unknown"}
    rows = [[word[p.held], p.name, f"on {p.on}, for {', '.join(p.changes)}"] for p in found]
    return f"to change something, which is asked for first\n{layout.table(rows[0], rows[1:])}"


def _consent(found: Sequence[Permission], layout: Layout) -> str:
    """What the probe may, in a line a mode: most who only look may not, and need not."""
    lines = []
    for command in sorted({command for p in found for command in p.changes}):
        those = [p for p in found if command in p.changes]
        held = sum(p.held is True for p in those)
        lines.append(
            layout.wrap("", f"{command} would change something: {held} of {len(those)} permissions for that are held")
        )
    return "\n".join([*lines, "pubsub-diag access probe lists them"])


def _state(session: Session, tested: Rights, fresh: Freshness, layout: Layout) -> Iterable[str]:
    yield layout.wrap("metrics  ", f"newest point {_age(session, fresh.metrics)}")
    yield layout.wrap("logs     ", f"newest entry {_age(session, fresh.logs)}")
    yield layout.wrap("clock    ", _clock(fresh))
    for name, mend in sorted(_off(tested, fresh).items()):
        yield layout.command(f"OFF      {name}: ", mend, indent=9)
    yield layout.wrap("APIs     ", " · ".join(_apis(tested, fresh)))


def _age(session: Session, newest: Newest) -> str:
    if newest.at is None:
        return f"unknown: {newest.says}"
    age = max((session.now - newest.at).total_seconds(), 0)
    return f"{clock(newest.at, session.now, seconds=True)}, {span(age)} old"


def _clock(fresh: Freshness) -> str:
    ahead = fresh.clock.ahead_s
    if ahead is None:
        return f"unknown: {fresh.clock.says}"
    if abs(ahead) < 2:
        return "agrees with Google's"
    way = f"{span(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} Google's"
    return f"{way}: windows would be cut wrongly, set it" if fresh.clock.skewed else way


def _apis(tested: Rights, fresh: Freshness) -> list[str]:
    off = _off(tested, fresh)
    on = _on(tested, fresh)
    quiet = sorted(set(APIS.values()) - on - set(off) - {MINTS, DOCUMENTS})
    short = [name.removesuffix(".googleapis.com") for name in sorted(on)]
    return [
        *([f"on: {', '.join(short)}"] if short else []),
        *([f"did not say: {', '.join(quiet)}"] if quiet else []),
        f"not asked: {MINTS} (it only mints tokens)",
    ]


def _on(tested: Rights, fresh: Freshness) -> set[str]:
    return {*tested.answered, *(n.api for n in (fresh.metrics, fresh.logs) if n.answered)}


def _off(tested: Rights, fresh: Freshness) -> dict[str, str]:
    return tested.off | {n.api: n.mend for n in (fresh.metrics, fresh.logs) if n.mend}


def _json(session: Session, tested: Rights, fresh: Freshness, code: Exit) -> dict[str, Any]:
    return {
        "principal": session.principal,
        "exit_code": int(code),
        "permissions": tested.permissions,
        "metrics_newest": fresh.metrics.at,
        "logs_newest": fresh.logs.at,
        "clock_ahead_s": fresh.clock.ahead_s,
        "clock_skewed": fresh.clock.skewed,
        "apis": {"on": sorted(_on(tested, fresh)), "off": _off(tested, fresh)},
    }
