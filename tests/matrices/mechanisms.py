"""Causes as the lab's tallies know them: which items each holds, by where they are and what their pushes met.

This is the judge of roles. A cause that has no row here is judged by its stage alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from diagnostics.lab.applications.predictions.closing import ENOUGH
from tests.matrices.truth import START, Answered, Item, Place, Truth

STUCK = frozenset({Place.WAITING, Place.DEAD_LETTERED, Place.DROPPED})
LOST = frozenset({Place.UNROUTED, Place.DROPPED})


@dataclass(frozen=True)
class Mechanism:
    """What a cause does to an item."""

    places: frozenset[Place] = frozenset()
    """Where what it holds is."""
    answers: str = ""
    """Pattern of what a push meets, "by what"; empty: pushes have nothing to do with it."""
    legs: tuple[str, ...] = ("request", "completion")
    bad: bool | None = None
    """Whether the messages are to blame; None: either."""
    also: Callable[[Item], bool] = lambda _: True
    anywhere: bool = False
    """What it holds may be on the other leg than the one it is named for."""
    must_stand: bool = False
    """It holds only while the configuration has it."""
    holds_nothing: bool = False
    """It never holds an item by itself."""

    keeps_waiting: bool = False
    """The worker nacks what it keeps from being reported, and what was never pushed waits behind that."""
    once_enough: bool = False
    """It holds what is left once enough is recorded for the batch to close."""
    of_start_calls: bool = False
    """What meets it are start calls, which belong to no leg, whichever leg its evidence is of."""
    refusals: tuple[str, ...] = ()
    """Codes with which Pub/Sub refuses completions by it."""
    unheard: bool = False
    """Its answers may come after Pub/Sub has hung up: a push that ran into the deadline met it, too."""

    def answered(self, met: Answered, leg: str) -> bool:
        """Whether this answer to a push is its doing."""
        return (
            bool(self.answers)
            and (
                met.leg in self._legs(leg) or (met.leg == START and (leg in ("", "completion") or self.of_start_calls))
            )
            and self.bad in (None, met.bad)
            and re.fullmatch(self.answers, str(met)) is not None
        )

    def holds(self, item: Item, leg: str, failing: Iterable[Answered]) -> bool:
        """Whether it is what holds this item. What waits and was never pushed, or not for as long as all others have met
        something else, waits for what others meet."""
        if item.place not in self.places or not self.also(item):
            return False
        if self.bad and any(self.answered(met, leg) for met in item.met):
            return True  # no worker can do it, whatever its latest push met
        if item.last is not None and self.answers and (item.last in failing or not self._waits_for(item, failing)):
            return self.answered(item.last, leg) or (item.last.what == "deadline" and self.came_late(item, leg))
        if item.place is Place.UNTRIED:
            return True  # no push tells of it: its place is all that is to be known
        if item.leg not in self._legs(leg):
            return False
        if not self.answers:
            return True
        return item.place is not Place.DEAD_LETTERED and any(self.answered(met, leg) for met in failing)

    def came_late(self, item: Item, leg: str) -> bool:
        """Whether pushes of the item met it after Pub/Sub had hung up."""
        return self.unheard and any(self.answered(met, leg) for met in item.late)

    @staticmethod
    def _waits_for(item: Item, failing: Iterable[Answered]) -> bool:
        """Whether what its latest push met is over: it waits, and pushes of its leg have met something else for longer than a message
        rests."""
        return item.place is Place.WAITING and any(met.leg == item.leg for met in failing)

    def _legs(self, leg: str) -> tuple[str, ...]:
        return (leg,) if leg and len(self.legs) > 1 and not self.anywhere else self.legs


REQUEST, COMPLETION = ("request",), ("completion",)
REFUSED_BY_IT = r"application (?!404|405)[45]\d\d"
"""A path that the program does not have is no failure of its work."""
OVER = {"max-instances-saturated": "capacity-blip-drained", "cannot-scale-fast-enough": "capacity-blip-drained"}
"""Causes that are told by another name once they hold nothing any more."""
SET_ASIDE = {
    "reason-that-never-passes": ("failed-items-awaited", "attempts-used-up"),
    "poison-retry-storm": ("failed-items-awaited", "attempts-used-up"),
    "retries-meet-leftovers": ("failed-items-awaited", "attempts-used-up"),
}
"""Causes by which some messages fail, by what they are told by once all that they hold lies in the dead-letter topic."""
LEFT_OVER = (
    "attempts-used-up",
    "attempts-spent-in-an-outage",
    "failed-items-awaited",
    "messages-outlived-retention",
)
"""Causes that account for what no other one does."""
SHOWN_BY_ITEMS = ("filter-drops-messages", "schema-refuses-messages")
"""Causes whose configuration alone says nothing: there are filters that do their work, and schemas that messages match."""
_NEVER_CAME = (Place.UNTRIED, Place.GATED)
KILLED = (500, 503)
"""What Cloud Run answers for a container that went away at work."""
AT_THE_DOOR = ("push-invoker-missing", "push-denied-by-policy", "push-audience-mismatch")
"""Causes that turn pushes away at one door. Where both stand, each push meets both, and Google says one of them."""


def _refused(*codes: str, must_stand: bool = False) -> Mechanism:
    """What Pub/Sub refused with one of these codes as it was published."""
    return Mechanism(
        frozenset({Place.UNPUBLISHED}), legs=REQUEST, also=lambda i: i.refused in codes, must_stand=must_stand
    )


def _unreported(*codes: str) -> Mechanism:
    """Completions that Pub/Sub refuses with one of these codes; those that went to another topic, where that is what it says of a missing
    one."""
    return Mechanism(
        frozenset({Place.WAITING, Place.DEAD_LETTERED, Place.UNPUBLISHED, Place.ELSEWHERE}),
        also=lambda i: (
            (i.refused in codes and i.at != "request unpublished")
            or ("NOT_FOUND" in codes and i.at == "completion elsewhere")
        ),
        anywhere=True,
        keeps_waiting=True,
        refusals=codes,
    )


def _failing(bad: bool | None) -> Mechanism:
    """Work that the program answers with a failure, which may come after Pub/Sub has hung up."""
    return Mechanism(STUCK, REFUSED_BY_IT, legs=REQUEST, bad=bad, also=lambda i: not i.refused, unheard=True)


MECHANISMS: dict[str, Mechanism] = {
    "stale-active-batch-blocks-start": Mechanism(frozenset({Place.NOT_STARTED}), r"application 409", legs=REQUEST),
    "closed-batch-blocks-start": Mechanism(frozenset({Place.NOT_STARTED}), r"application 409", legs=REQUEST),
    "stuck-batch-blocks-start": Mechanism(frozenset({Place.NOT_STARTED}), r"application 409", legs=REQUEST),
    "start-call-not-let-in": Mechanism(frozenset({Place.NOT_STARTED}), r"front end 40[13]", legs=REQUEST),
    "upstream-data-incomplete": Mechanism(frozenset({Place.NOT_STARTED}), r"application 503", legs=REQUEST),
    "start-killed": Mechanism(
        frozenset({Place.NOT_STARTED, Place.UNTRIED}), r"application 50[03]", legs=(START,), of_start_calls=True
    ),
    "start-cut-off-while-loading": Mechanism(
        frozenset({Place.NOT_STARTED}), r"application 504", legs=REQUEST, of_start_calls=True
    ),
    "gate-refuses-everything": Mechanism(frozenset({Place.GATED}), legs=REQUEST),
    "expects-what-nobody-sends": Mechanism(frozenset({Place.UNTRIED}), legs=REQUEST),
    "closing-rule-needs-an-event": Mechanism(frozenset(Place) - {Place.RECORDED}, anywhere=True, once_enough=True),
    "closed-short": Mechanism(holds_nothing=True),
    "gated-batch-never-closes": Mechanism(frozenset({Place.GATED}), legs=REQUEST),
    "start-timed-out-before-publish": Mechanism(frozenset({Place.UNTRIED}), legs=REQUEST),
    "publish-failing": Mechanism(
        frozenset({Place.UNPUBLISHED}), legs=REQUEST, also=lambda i: i.refused != "RESOURCE_EXHAUSTED"
    ),
    "publisher-role-missing": _refused("PERMISSION_DENIED"),
    "publish-denied-by-policy": _refused("PERMISSION_DENIED", must_stand=True),
    "request-topic-missing": _refused("NOT_FOUND"),
    "request-topic-name-wrong": _refused("NOT_FOUND", "PERMISSION_DENIED", must_stand=True),
    "region-not-allowed": _refused("FAILED_PRECONDITION"),
    "schema-refuses-messages": _refused("INVALID_ARGUMENT", must_stand=True),
    "message-too-large": _refused("INVALID_ARGUMENT"),
    "publish-quota-exceeded": Mechanism(
        frozenset({Place.UNPUBLISHED}), legs=REQUEST, also=lambda i: i.refused == "RESOURCE_EXHAUSTED"
    ),
    "published-elsewhere": Mechanism(frozenset({Place.ELSEWHERE}), legs=REQUEST),
    "no-subscription-on-topic": Mechanism(LOST, must_stand=True),
    "subscription-not-attached": Mechanism(LOST, must_stand=True),
    "subscription-expired": Mechanism(LOST, must_stand=True),
    "subscription-deleted": Mechanism(LOST, must_stand=True),
    "subscription-of-another-topic": Mechanism(LOST, must_stand=True),
    "subscription-made-anew": Mechanism(LOST),
    "messages-purged": Mechanism(frozenset({Place.DROPPED})),
    "messages-outlived-retention": Mechanism(frozenset({Place.DROPPED})),
    "service-gone": Mechanism(STUCK, r"nobody unreachable|front end 404", must_stand=True),
    "second-push-subscription": Mechanism(holds_nothing=True),
    "scaled-to-zero-by-hand": Mechanism(STUCK, r"Cloud Run \d\d\d", must_stand=True),
    "filter-drops-messages": Mechanism(frozenset({Place.FILTERED})),
    "left-in-pull-mode": Mechanism(frozenset({Place.WAITING})),
    "push-endpoint-wrong": Mechanism(
        STUCK | {Place.SILENT}, r"nobody unreachable|(front end|application) (30\d|404|405)"
    ),
    "push-invoker-missing": Mechanism(STUCK, r"front end 403"),
    "push-denied-by-policy": Mechanism(STUCK, r"front end 403", must_stand=True),
    "push-audience-mismatch": Mechanism(STUCK, r"front end 401"),
    "push-token-missing": Mechanism(STUCK, r"front end 403", must_stand=True),
    "push-token-not-minted": Mechanism(STUCK, r"Pub/Sub no token", must_stand=True),
    "push-account-gone": Mechanism(STUCK, r"Pub/Sub no token", must_stand=True),
    "iap-in-front": Mechanism(STUCK, r"front end 401", must_stand=True),
    "ingress-closed": Mechanism(STUCK, r"front end 404", must_stand=True),
    "default-url-off": Mechanism(STUCK, r"front end 404", must_stand=True),
    "max-instances-saturated": Mechanism(STUCK, r"Cloud Run 429"),
    "cannot-scale-fast-enough": Mechanism(STUCK, r"Cloud Run 500"),
    "cold-start-exceeds-ack-deadline": Mechanism(STUCK, r"Pub/Sub deadline|Cloud Run 50\d"),
    "work-longer-than-ack-deadline": Mechanism(STUCK, r"Pub/Sub deadline"),
    "work-longer-than-any-deadline": Mechanism(STUCK, r"Pub/Sub deadline"),
    "request-timeout-cuts-work": Mechanism(STUCK, r"Cloud Run 504", unheard=True),
    "out-of-memory": Mechanism(STUCK, r"Cloud Run 500", unheard=True),
    "server-timeout-kills-work": Mechanism(STUCK, r"Cloud Run 503", unheard=True),
    "liveness-probe-kills": Mechanism(STUCK, r"Cloud Run 503", unheard=True),
    "environment-lost-in-deploy": Mechanism(STUCK | {Place.NOT_STARTED}, r"Cloud Run 5\d\d", unheard=True),
    "worker-crashing": Mechanism(STUCK | {Place.NOT_STARTED}, r"Cloud Run (?!504)5\d\d", unheard=True),
    "poison-retry-storm": _failing(bad=True),
    "reason-that-never-passes": _failing(bad=True),
    "retries-meet-leftovers": _failing(bad=True),
    "endpoint-answers-no-ack": Mechanism(STUCK, r"application (20[356]|208|226|3\d\d)"),
    "application-refuses-pushes": Mechanism(STUCK, r"application 40[13]"),
    "work-after-the-response": Mechanism(frozenset({Place.SILENT}), legs=REQUEST),
    "writes-fail-behind-acks": Mechanism(holds_nothing=True),
    "every-item-fails": _failing(bad=False),
    # A 403 that the program is told to answer is its own lack of a right, whatever the message.
    "worker-lacks-a-right": replace(
        _failing(bad=None),
        also=lambda i: not i.refused and (i.last is None or not i.last.bad or i.last.what == "403"),
    ),
    "downstream-limits-worker": _failing(bad=False),
    "downstream-fails": _failing(bad=False),
    "completion-topic-missing": _unreported("NOT_FOUND"),
    "completion-topic-deleted": _unreported("NOT_FOUND"),
    "completion-topic-misnamed": _unreported("NOT_FOUND"),
    "completion-publisher-role-missing": _unreported("PERMISSION_DENIED"),
    "completion-publish-failing": _unreported("INVALID_ARGUMENT", "FAILED_PRECONDITION"),
    "completions-not-awaited": Mechanism(frozenset({Place.SILENT}), legs=REQUEST, also=lambda i: not i.refused),
    "skip-acked-without-completion": Mechanism(frozenset({Place.SILENT}), legs=REQUEST),
    "completions-not-recorded": Mechanism(STUCK, r"application [45]\d\d", legs=COMPLETION),
    "completion-contention": Mechanism(STUCK, r"application [45]\d\d", legs=COMPLETION),
    "batch-record-gone": Mechanism(STUCK, r"application [45]\d\d", legs=COMPLETION),
    "batch-forgotten-at-restart": Mechanism(frozenset({Place.SILENT}), legs=COMPLETION),
    "completions-acked-uncounted": Mechanism(frozenset({Place.SILENT}), legs=COMPLETION),
    "attempts-used-up": Mechanism(frozenset({Place.DEAD_LETTERED})),
    "attempts-spent-in-an-outage": Mechanism(frozenset({Place.DEAD_LETTERED})),
    "failed-items-awaited": Mechanism(frozenset({Place.DEAD_LETTERED})),
    "dead-letter-topic-missing": Mechanism(holds_nothing=True),
    "dead-letters-unread": Mechanism(holds_nothing=True),
    "dead-letter-grants-missing": Mechanism(holds_nothing=True),
    "min-instances-lost-in-deploy": Mechanism(holds_nothing=True),
    "worker-skips-everything": Mechanism(holds_nothing=True),
    "done-without-results": Mechanism(holds_nothing=True),
    "newest-build-not-served": Mechanism(holds_nothing=True),
    "results-missing": Mechanism(holds_nothing=True),
    "results-of-an-unnamed-model": Mechanism(holds_nothing=True),
    "results-for-training-dates": Mechanism(holds_nothing=True),
    "one-value-in-all-results": Mechanism(holds_nothing=True),
    "superseded-results-in-force": Mechanism(holds_nothing=True),
    "downstream-not-made": Mechanism(holds_nothing=True),
    "manifest-contradicts-itself": Mechanism(holds_nothing=True),
    "model-records-behind-manifest": Mechanism(holds_nothing=True),
    "model-variable-ignored": Mechanism(holds_nothing=True),
    "results-of-another-model": Mechanism(holds_nothing=True),
    "wrong-model-configured": Mechanism(holds_nothing=True),
}

FINDINGS: dict[str, Mechanism] = {
    "requested.sign_in": Mechanism(frozenset({Place.NOT_STARTED}), r"front end 40[13]"),
    "delivered.deadline": Mechanism(STUCK, r"Pub/Sub deadline"),
    "processed.errors": Mechanism(STUCK, REFUSED_BY_IT),
    "processed.unreadable": Mechanism(STUCK, r"application 400"),
}
"""What a scenario expects that names no cause of the catalogue but a finding."""

OF_STAGE: dict[str, frozenset[Place]] = {
    "requested": frozenset({Place.NOT_STARTED}),
    "created": frozenset({Place.NOT_STARTED}),
    "published": frozenset({Place.UNTRIED, Place.UNPUBLISHED, Place.ELSEWHERE, Place.GATED}),
    "routed": LOST | {Place.FILTERED, Place.WAITING},
    "delivered": STUCK,
    "processed": STUCK | {Place.SILENT},
    "returned": frozenset(Place) - {Place.RECORDED},
    "recorded": frozenset(Place) - {Place.RECORDED},
    "closed": frozenset(Place) - {Place.RECORDED},
}
"""Where the items are that a cause of this stage may hold."""


def mechanism(code: str, stage: str) -> Mechanism:
    """The cause's row, or what its stage alone says; without a stage, anything that an item may lack."""
    return (
        MECHANISMS.get(code)
        or FINDINGS.get(code)
        or Mechanism(OF_STAGE.get(stage, frozenset(Place) - {Place.RECORDED}))
    )


def _row(truth: Truth, code: str, leg: str, stage: str) -> Mechanism:
    """The cause's row; of causes that turn pushes away at one door and all stand, each holds what either turns away. What the coordinator
    never came to publish is its host's doing only where that ended the start call, its timeout's only where that did, and is awaited only
    where the batch expects it."""
    of = mechanism(code, stage)
    if code == "publish-quota-exceeded" and leg == "completion":
        of = _unreported("RESOURCE_EXHAUSTED")
    if code == "start-timed-out-before-publish" and truth.status in KILLED:
        return replace(of, places=frozenset())
    if code == "start-killed" and truth.status not in KILLED:
        return replace(of, places=of.places - {Place.UNTRIED})
    if code == "expects-what-nobody-sends" and truth.expected <= sum(i.place not in _NEVER_CAME for i in truth.items):
        return replace(of, places=frozenset())
    if code == "publisher-role-missing" and "request-topic-name-wrong" in truth.standing:
        return replace(of, places=frozenset())  # it is another topic that refuses what is published
    if "completion-topic-misnamed@completion" in truth.standing:
        of = _beside_another_topic(truth, code, of)
    standing = [one for one in AT_THE_DOOR if _stands(truth, one, leg)]
    if code in standing:
        return replace(of, answers="|".join(MECHANISMS[one].answers for one in standing))
    return of


_TO_ANOTHER_TOPIC = {
    "completion-topic-deleted": "completion-topic-deleted@completion",
    "completion-publisher-role-missing": "completion-publisher-role-missing@completion",
}
"""What would refuse completions if they went to the pipeline's own topic, and how the configuration has it."""


def _beside_another_topic(truth: Truth, code: str, of: Mechanism) -> Mechanism:
    """The row where the worker names another topic than the pipeline's: whatever refuses there is that topic's, and of the pipeline's own
    what the configuration has not refused nothing."""
    own = [standing for standing in _TO_ANOTHER_TOPIC.values() if standing in truth.standing]
    if code in _TO_ANOTHER_TOPIC and _TO_ANOTHER_TOPIC[code] not in own:
        return replace(of, places=frozenset(), keeps_waiting=False, refusals=())
    if code == "completion-topic-misnamed" and not own:
        return replace(
            of, also=lambda i: (i.refused and i.at != "request unpublished") or i.at == "completion elsewhere"
        )
    return of


def held(truth: Truth, code: str, leg: str, stage: str) -> int:
    """How many items of the batch this cause holds, by the tallies."""
    of = _row(truth, code, leg, stage)
    if of.must_stand and not _stands(truth, code, leg):
        return 0
    recorded = sum(item.place is Place.RECORDED for item in truth.items)
    if of.once_enough and recorded < ENOUGH * truth.expected:
        return 0
    return sum(
        of.holds(item, leg, truth.failing) or _waits_behind(truth, of, item)
        for item in truth.items
        if _missed(truth, item)
    )


def set_aside(truth: Truth, code: str, leg: str) -> bool:
    """Whether all that this cause holds lies in a dead-letter topic."""
    of = _row(truth, code, leg, "")
    items = [item for item in truth.items if _missed(truth, item) and of.holds(item, leg, truth.failing)]
    return bool(items) and all(item.place is Place.DEAD_LETTERED for item in items)


def _waits_behind(truth: Truth, of: Mechanism, item: Item) -> bool:
    """Whether the item was never pushed, and what other pushes meet instead is that their work cannot be reported, for this reason if the
    batch's own items tell it."""
    waits = item.at == f"request {Place.WAITING}" and item.last is None
    refused = [one for one in truth.items if one.refused and one.at != "request unpublished"]
    its_own = not refused or any(of.also(one) for one in refused)
    return of.keeps_waiting and waits and bool(truth.unreported) and its_own


def met(truth: Truth, code: str, leg: str, stage: str) -> int:
    """How many items of the batch ever met it, those that it holds among them."""
    of = _row(truth, code, leg, stage)
    if of.must_stand:
        return held(truth, code, leg, stage)
    return sum(
        (_missed(truth, item) and (of.holds(item, leg, truth.failing) or _waits_behind(truth, of, item)))
        or any(of.answered(a, leg) for a in item.met)
        or of.came_late(item, leg)
        or bool(set(of.refusals) & set(item.refusals))
        for item in truth.items
    )


def borne_out(truth: Truth, code: str, leg: str, stage: str) -> bool:
    """Whether the cause is or was there at all: it holds items, pushes of whatever message met it, or the configuration has it."""
    of = mechanism(code, stage)
    return (
        live(truth, code, leg, stage)
        or met(truth, code, leg, stage) > 0
        or any(of.answered(answer, leg) for answer in truth.ever)
        or _stands(truth, code, leg)
        or (code == "every-item-fails" and _all_failed(truth))
        or (code == "subscription-deleted" and any(item.place is Place.UNROUTED for item in truth.items))
    )


def _all_failed(truth: Truth) -> bool:
    """Whether each item that was pushed at all met an error of the program, whatever it is made of."""
    tried = [item.met for item in truth.items if item.met]
    return bool(tried) and all(any(answer.by == "application" for answer in met) for met in tried)


def live(truth: Truth, code: str, leg: str, stage: str) -> bool:
    """Whether the cause is there now and can be seen: the batch meets it, pushes lately did, or the configuration has it.

    Pushes that go to another service altogether show nothing of what the right one would refuse.
    """
    of = mechanism(code, stage)
    astray = code in AT_THE_DOOR and _stands(truth, "push-endpoint-wrong", leg)
    stands = _stands(truth, code, leg) and not astray and code not in SHOWN_BY_ITEMS
    now = any(of.answered(answer, leg) for answer in truth.failing)
    if code in OVER:
        return stands or held(truth, code, leg, stage) > 0
    return stands or now or (not truth.closed and met(truth, code, leg, stage) > 0) or held(truth, code, leg, stage) > 0


def covered(truth: Truth, code: str, leg: str, by: str, by_leg: str) -> bool:
    """Whether a cause that accounts for what is left over has nothing left: the other one holds each of its items, or stands yet and
    refused until they were too old what of them was pushed at all."""
    mine, yours = mechanism(code, ""), mechanism(by, "")
    own = [item for item in truth.items if mine.holds(item, leg, truth.failing)]
    aged = [item for item in own if item.place is Place.DROPPED] if _stands(truth, by, by_leg) else []
    met_by_all = all(item.last is None or yours.answered(item.last, by_leg) for item in aged)
    if not (met_by_all and any(item.last for item in aged)):
        aged = []
    return code in LEFT_OVER and all(item in aged or yours.holds(item, by_leg, truth.failing) for item in own)


def _stands(truth: Truth, code: str, leg: str) -> bool:
    return bool({code, *(f"{code}@{one}" for one in ((leg,) if leg else mechanism(code, "").legs))} & truth.standing)


def _missed(truth: Truth, item: Item) -> bool:
    """Whether the batch lacks it: what the gate kept back is lacking only while the batch waits for it, or where nothing else is left."""
    passed = sum(i.place is not Place.GATED for i in truth.items)
    return item.place is not Place.GATED or passed == 0 or (truth.expected > passed and not truth.closed)
