"""What a cause says of this incident: its clause with this pipeline's names in the place of "the service" and its like, and, for one
sentence that has to stand alone, the finding that says which value is wrong where the clause tells none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from diagnostics.causes.match import Match
from diagnostics.evidence.model import EvidenceSet, Leg, ServiceConfig, Stage, SubscriptionConfig, seen
from diagnostics.evidence.model.pubsub import DELETED_TOPIC
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.steps.finding import Kind
from diagnostics.steps.words import short

LONGEST = 260
"""Letters of a finding that may stand in a headline; one that says more stands with the cause's reasons alone."""


@dataclass(frozen=True)
class Names:
    """What the parts of a leg are called; empty: not known."""

    receiver: str = ""
    subscription: str = ""
    topic: str = ""
    coordinator: str = ""
    worker: str = ""
    completion_topic: str = ""
    item: str = ""
    """What an item is called, where nothing comes back of it: the worker itself counts what it has done."""

    @property
    def all(self) -> tuple[str, ...]:
        named = (self.receiver, self.subscription, self.topic, self.coordinator, self.worker, self.completion_topic)
        return tuple(filter(None, named))

    def put_into(self, clause: str) -> str:
        """The clause with a name in the place of each part, the first time that it speaks of it. It is a template still: what evidence
        says is not in it yet."""
        for part, name in self._parts():
            if name:
                said = name.replace("{", "{{").replace("}", "}}")
                clause = re.sub(rf"\b{part}\b", lambda _, said=said: said, clause, count=1)  # type: ignore[misc]
        return clause

    def _parts(self) -> Iterator[tuple[str, str]]:
        """How clauses call a part, and what stands there instead."""
        yield "the completion topic", self.completion_topic and f"completion topic {self.completion_topic}"
        yield "the topic has no", self.topic and f"topic {self.topic} has no"
        yield "the subscription", self.subscription and f"subscription {self.subscription}"
        yield "the push endpoint", self.subscription and f"the push endpoint of {self.subscription}"
        yield "the serving revision", self.receiver and f"the serving revision of {self.receiver}"
        yield "^containers", self.receiver and f"containers of {self.receiver}"
        yield "^instances", self.receiver and f"instances of {self.receiver}"
        for part in ("the service", "the receiver", "the program"):
            yield part, self.receiver
        yield "the coordinator", self.coordinator
        yield "the worker", self.worker
        yield "another completion", self.item and f"another {self.item}"
        yield "completions", self.item and f"{self.item}s"


_OF_MESSAGES = (Stage.ROUTED, Stage.DELIVERED, Stage.PROCESSED, Stage.RETURNED)


class Clauses:
    """The clauses of one run."""

    def __init__(self, profile: PipelineProfile, evidence: EvidenceSet) -> None:
        self._names = {leg: _names(profile, evidence, leg) for leg in Leg}

    def of(self, match: Match) -> str:
        return clause(match, self._of(match))

    def alone(self, match: Match) -> str:
        """The same for a headline. A clause without a value of its own leaves it to the one thing that was found to be set up wrong: that
        says which account, which address, from what to what."""
        said = self.of(match)
        wrong = [f.says for f in match.because if f.kind is Kind.MECHANISM and f.abnormal and f.until is None]
        if not match.over and "{" not in match.cause.says and len(wrong) == 1 and len(said) < len(wrong[0]) <= LONGEST:
            said = wrong[0].rstrip(".")
        return self._placed(match, said)

    def _of(self, match: Match) -> Names:
        """Where nothing comes back, the worker is what keeps count."""
        names = self._names[match.leg]
        return replace(names, coordinator=names.worker) if names.item and match.cause.stage is Stage.RECORDED else names

    def _placed(self, match: Match, said: str) -> str:
        """With the subscription before what happens to its messages, where nothing of the pipeline is named."""
        names = self._names[match.leg]
        if match.cause.stage not in _OF_MESSAGES or not names.subscription or any(name in said for name in names.all):
            return said
        return f"subscription {names.subscription}: {said}"


def clause(match: Match, names: Names | None = None) -> str:
    """What the cause says, with this incident's numbers and names; its title where one of them was not seen."""
    values: dict[str, str] = {}
    for finding in match.because:
        values |= {name: f"{number:.0f}" for name, number in finding.numbers.items()} | finding.words
    said = match.cause.said if match.over else match.cause.says
    try:
        return (names or Names()).put_into(said).format_map(values)
    except KeyError:
        return match.cause.title[:1].lower() + match.cause.title[1:]


def _names(profile: PipelineProfile, evidence: EvidenceSet, leg: Leg) -> Names:
    """What the profile calls the parts, else what the configuration that was seen calls them."""
    worker, coordinator = (_receiver(profile, evidence, on) for on in (Leg.REQUEST, Leg.COMPLETION))
    named = profile.leg(leg)
    return Names(
        receiver=worker if leg is Leg.REQUEST else coordinator,
        subscription=short(named.subscription) if named else "",
        topic=_topic(profile, evidence, leg),
        coordinator=coordinator,
        worker=worker,
        completion_topic=_topic(profile, evidence, Leg.COMPLETION),
        item="" if profile.comes_back else profile.item,
    )


def _receiver(profile: PipelineProfile, evidence: EvidenceSet, leg: Leg) -> str:
    config = seen(evidence.get(ServiceConfig, leg))
    return (profile.worker if leg is Leg.REQUEST else profile.coordinator).service or (config.name if config else "")


def _topic(profile: PipelineProfile, evidence: EvidenceSet, leg: Leg) -> str:
    """The pipeline's topic, whatever a subscription is attached to now."""
    named = profile.leg(leg)
    if named is None or named.topic:
        return short(named.topic) if named else ""
    config = seen(evidence.get(SubscriptionConfig, leg))
    topic = config.settings.topic if config and config.settings else ""
    return "" if topic == DELETED_TOPIC else short(topic)
