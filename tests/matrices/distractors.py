"""Each fault beside each thing that is not it: `make distractors`, or `python -m tests.matrices.distractors [--jobs N] [--only TEXT]`.

What blocks must be the same as without it, unless the lab's tallies say that the distraction itself changed what holds items.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from diagnostics.lab.durations import seconds
from diagnostics.run.investigate import investigate
from tests.matrices import tables
from tests.matrices.answers import Answer, Told, listed
from tests.matrices.captured import scenarios
from tests.matrices.mechanisms import held
from tests.matrices.merging import agree, settings
from tests.matrices.pairs import seed_of, singles, wrongly_confirmed
from tests.matrices.played import Play, Played, play_all, read
from tests.matrices.singles import Single, Unfit, alone, at
from tests.matrices.truth import Truth

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
FUTURE = "2027-03-01"
"""Date of other batches: no worker calls it past, and no start of tonight's date is refused because of it."""
PATHS = {
    "predictions": ("/predict", "/complete"),
    "orders": ("/export", "/exported"),
    "thumbnails": ("/v1/scale", "/v1/scaled"),
}
NEVER_DONE = {"predictions": "undecodable", "orders": "transient", "thumbnails": "transient"}
"""Payload class that the dialect's worker answers 500, whatever its build."""

Entries = list[dict[str, Any]]


def uptime_checks(one: Single) -> Single:
    """Two monitors without a token are refused with 403 all day."""
    if one.draw.get("uptime_checks") is False:
        raise Unfit("its story is that there are none")
    return structs.replace(one, draw={**one.draw, "uptime_checks": True})


def old_poison(one: Single) -> Single:
    """Two messages of another day come round and round."""
    allowed = {"request": {"subscription": {"max_delivery_attempts": 100}}}
    bad = {"payloads": {NEVER_DONE[one.dialect]: 2}, "date": FUTURE}
    return _beside(one, [{"at": at(one.starts - 5 * HOUR), "publish_messages": bad}], allowed)


def healed_burst(one: Single) -> Single:
    """Another batch met failures an hour before, for eight minutes, and was done."""
    trouble = {"service": "worker", "for": "8m", "errors": 0.9}
    begin = one.starts - 75 * MINUTE
    return _beside(one, [{"at": at(begin), "downstream": trouble}, _other_batch(begin + 30, 30)])


def foreign_flood(one: Single) -> Single:
    """A large batch of another date is on the same topic, started ten minutes before."""
    return _beside(one, [_other_batch(one.starts - 10 * MINUTE, 150)])


def past_outage(one: Single) -> Single:
    """Two days ago everything failed for an hour, and then was done."""
    begin = one.starts - 2 * DAY
    trouble = {"service": "worker", "for": "1h", "errors": 1.0}
    return _beside(one, [{"at": at(begin), "downstream": trouble}, _other_batch(begin + 5 * MINUTE, 40)])


def past_revocation(one: Single) -> Single:
    """Two days ago somebody took the invoker role from the push account, and gave it back."""
    grant = {"on": "service:worker", "role": "roles/run.invoker", "member": "worker", "by": "person"}
    begin = one.starts - 2 * DAY
    entries = [{"at": at(begin), "revoke": grant}, {"at": at(begin + HOUR), "grant": grant}]
    return _beside(one, [*entries, _other_batch(begin + 5 * MINUTE, 40)])


def idle_deploy(one: Single) -> Single:
    """A deploy of the worker that changes nothing, half an hour before; earlier where the fault itself lies in its deploys."""
    own = [
        seconds(entry["at"])
        for entry in one.events
        if entry.get("deploy", entry.get("traffic", {})).get("service") == "worker"
    ]
    moment = min([one.starts - 30 * MINUTE, *(earlier - HOUR for earlier in own)])
    return _beside(one, [{"at": at(moment), "deploy": {"service": "worker"}}])


def log_noise(one: Single) -> Single:
    """Somebody's scanner, a monitor and a person with curl make both services log errors that are about no item."""
    work, back = PATHS[one.dialect]
    calls = [
        {"service": "coordinator", "path": back, "body": {"hello": "world"}},
        {"service": "coordinator", "method": "GET", "path": "/wp-login.php"},
        {"service": "worker", "method": "GET", "path": "/.env"},
        {"service": "worker", "path": work, "caller": "monitor", "no_token": True},
    ]
    until = max(one.starts + MINUTE, -MINUTE)
    return _beside(
        one,
        [
            {"at": at(one.starts - HOUR - n), "every": f"{4 + n}m", "until": at(until), "call": call}
            for n, call in enumerate(calls)
        ],
    )


DISTRACTORS: tuple[Callable[[Single], Single], ...] = (
    uptime_checks,
    old_poison,
    healed_burst,
    foreign_flood,
    past_outage,
    past_revocation,
    idle_deploy,
    log_noise,
)


def _other_batch(moment: float, items: int) -> dict[str, Any]:
    return {"at": at(moment), "start_batch": {"name": "other", "items": items, "date": FUTURE}}


def _beside(one: Single, entries: Entries, pipeline: dict[str, Any] | None = None) -> Single:
    """The scenario with these entries and settings. Raises Unfit where they contradict it."""
    more = structs.replace(one, pipeline=pipeline or {}, events=tuple(entries))
    agree(dict(settings(one)), dict(settings(more)))
    whole = dict(one.pipeline)
    for leg, spec in (pipeline or {}).items():
        own = whole.get(leg, {})
        whole[leg] = {**own, "subscription": {**own.get("subscription", {}), **spec["subscription"]}}
    return structs.replace(one, pipeline=whole, events=(*one.events, *entries))


# --- the judge ------------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    one: Single
    distraction: str
    play: Play
    plain: Play


class Miss(NamedTuple):
    scenario: str
    distraction: str
    kind: str
    what: str
    without: str
    beside: str
    truth: str
    seed: int


def judge(case: Case, plain: Path, beside: Path) -> list[Miss]:
    """How the answer beside the distraction differs in what blocks, and what it confirms that is not there."""
    before, after = read(plain), read(beside)
    assert before.truth is not None and after.truth is not None
    without, found = _answer(before), _answer(after)
    lost = [told for told in without.causes if told.blocks and told.where not in found.blocking]
    new = [told for told in found.causes if told.blocks and told.where not in without.blocking]
    wrong = [
        *(("no longer blocks", told) for told in lost if _holds(told, after.truth)),
        *(("blocks, too", told) for told in new if not _holds(told, after.truth)),
        *(("wrong confirmed", told) for told in wrongly_confirmed(found.causes, after.truth, (case.one,))),
    ]
    return [
        Miss(
            case.one.name,
            case.distraction,
            kind,
            listed([told]),
            str(without),
            str(found),
            after.truth.brief(),
            case.play.seed,
        )
        for kind, told in wrong
    ]


def _answer(played: Played) -> Answer:
    return Answer.of(investigate(played.case))


def _holds(told: Told, truth: Truth) -> bool:
    return held(truth, told.code, told.leg, told.stage) > 0


# --- running --------------------------------------------------------------------------------------------------------------


def cases(of: Sequence[Single]) -> tuple[list[Case], Counter[str]]:
    """Each fault beside each distraction with the same seed, and why some cannot be."""
    found, unfit = [], Counter[str]()
    for one in of:
        seed = seed_of(one.name)
        scenario, ask = alone(one)
        plain = Play(name=one.name, scenario=scenario, ask=ask, seed=seed)
        for distract in DISTRACTORS:
            name = distract.__name__.replace("_", " ")
            try:
                scenario, ask = alone(distract(one))
            except Unfit as reason:
                unfit[f"{name}: {reason}"] += 1
                continue
            found.append(
                Case(one, name, Play(name=f"{one.name} beside {name}", scenario=scenario, ask=ask, seed=seed), plain)
            )
    return found, unfit


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=0, help="processes at once; 0: one a core")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds this text")
    parser.add_argument("--kept", action="store_true", help="take what an earlier lab played, to try another verdict")
    options = parser.parse_args(arguments)
    jobs = options.jobs or os.cpu_count() or 1
    began = time.monotonic()
    of, _ = singles(scenarios())
    found, unfit = cases(of)
    chosen = [case for case in found if options.only in case.play.name]
    print(f"{len(of)} faults, {len(found)} cases; not together: {dict(unfit)}", file=sys.stderr)
    plain = list(play_all([case.plain for case in chosen], jobs, options.kept))
    beside = list(play_all([case.play for case in chosen], jobs, options.kept))
    playable = [
        row for row in zip(chosen, plain, beside, strict=True) if not read(row[1]).error and not read(row[2]).error
    ]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        judged = list(pool.map(judge, *zip(*playable, strict=True), chunksize=8)) if playable else []
    misses = [miss for one in judged for miss in one]
    tables.write("distractors", Miss._fields, misses)
    same = sum(not any("block" in miss.kind for miss in one) for one in judged)
    print(
        f"\n{len(judged)} run, {len(chosen) - len(judged)} cannot be played; what blocks is the same in {same}", end=""
    )
    print(f" ({100 * same / max(len(judged), 1):.1f} %), in {time.monotonic() - began:.0f} s")
    for what, counted in (
        ("kind", Counter(miss.kind for miss in misses)),
        ("distraction", Counter(miss.distraction for miss in misses)),
    ):
        print(f"by {what}: " + (", ".join(f"{name} {count}" for name, count in counted.most_common()) or "none"))
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
