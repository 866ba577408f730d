"""Fetch evidence: everything at once, as soon as its inputs are there, within the run's deadline.

A provider is a plain function of `diagnostics.sources`: its return annotation says what it gives, its parameters what it needs
(the session, the pipeline, the question, the leg, or what other providers give). That is the whole dependency graph.
A provider with a parameter `X` is not called while X is unseen; with `X | Unseen` it takes the absence. `Annotated[X, Leg.REQUEST]`
takes X of that leg, whatever leg the provider works for, and `Annotated[X | Unseen, Leg.REQUEST, BY_THE_WAY]` takes it where anything
else asks for it: for its sake alone nobody is asked.
"""

from __future__ import annotations

import inspect
import queue
import threading
import types
import typing
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from diagnostics.evidence.model import Evidence, EvidenceSet, Key, Leg, SubscriptionConfig, Unseen, Why
from diagnostics.evidence.redact import redact
from diagnostics.evidence.redaction import cleaner
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.question.ask import Ask, Window, window
from diagnostics.transport.call import NotThere

if TYPE_CHECKING:
    from diagnostics.transport.session import Session

__all__ = ["Ask", "Provider", "collect", "requirements"]

Provider = Callable[..., Any]

THREADS = 32
BY_THE_WAY = "by the way"
"""Marks a parameter that takes what is fetched anyhow, and else `Why.NOT_ASKED`."""


def collect(
    session: Session,
    pipeline: PipelineProfile,
    kinds: Iterable[type[Evidence]],
    ask: Ask,
    providers: Iterable[Provider] | None = None,
    known: EvidenceSet | None = None,
) -> EvidenceSet:
    """Fetch these kinds of evidence, for each leg that the pipeline has, and what they depend on.

    What is `known` from an earlier look of the same run is not fetched again, and is in the set as it was.
    Never raises for what a source does: what could not be seen is in the set as `Unseen`. Returns at the session's deadline at
    the latest; a provider that is stuck by then is left behind on its daemon thread.
    """
    from diagnostics import sources
    from diagnostics.transport.session import Session

    legs = tuple(leg for leg in Leg if pipeline.leg(leg) is not None)
    graph = _Graph(sources.PROVIDERS if providers is None else providers)
    given = {Node(kind, leg): value for (kind, leg), value in sources.given(pipeline, ask, session.now).items()}
    given |= dict(graph.nodes(known)) if known else {}
    run = _Run(
        graph,
        constants={Session: session, PipelineProfile: pipeline, Ask: ask},
        known=given,
        legs=legs,
        remaining=session.remaining,
    )
    wanted = [Node(kind, leg) for kind in sorted(set(kinds), key=_name) for leg in (legs if kind.per_leg else (None,))]
    results = run.results(wanted)
    if providers is None:
        results = _told_apart(session, pipeline, results)
    covered = results.get(Node(Window, None), window(ask, session.now))
    clean = cleaner(pipeline.redact.patterns)
    before = dict(known.items()) if known else {}
    seen: dict[Key, Evidence | Unseen] = before | {
        node.key: clean(found)
        for node, found in results.items()
        if node.key not in before and (isinstance(found, Evidence) or node in wanted)
    }
    return EvidenceSet(
        dict(sorted(seen.items(), key=lambda item: (item[0][0], item[0][1] or ""))),
        now=ask.end(session.now),
        looked_at=session.now,
        lookback=ask.end(session.now) - ask.begin(session.now),
        since=covered.since if isinstance(covered, Window) else window(ask, session.now).since,
    )


def _told_apart(session: Session, pipeline: PipelineProfile, results: dict[Node, Any]) -> dict[Node, Any]:
    """The results; where the project is out of sight, it is that, and no permission, which is missing of what was refused."""
    from diagnostics.sources.project import out_of_sight

    refused = [n for n, found in results.items() if isinstance(found, Unseen) and found.permission]
    if not refused or any(isinstance(found, SubscriptionConfig) for found in results.values()):
        return results
    hidden = out_of_sight(session, pipeline)
    if hidden is None:
        return results
    told = {
        n: Unseen(what=n.kind.__name__, leg=n.leg, why=hidden.why, says=hidden.says, mend=hidden.mend) for n in refused
    }
    return {**results, **told}


def requirements(
    kind: type, leg: Leg | None, known: Container[tuple[type, Leg | None]], providers: Iterable[Provider] | None = None
) -> set[type]:
    """All kinds without which this one cannot be seen, itself included. What is `known` needs nothing."""
    from diagnostics import sources

    graph = _Graph(sources.PROVIDERS if providers is None else providers)
    found: set[type] = set()
    left = [Node(kind, leg if getattr(kind, "per_leg", False) else None)]
    while left:
        node = left.pop()
        if node.kind in found or (node.kind, node.leg) in known or not graph.gives(node.kind):
            continue
        found.add(node.kind)
        left += [need.of(node) for need in graph.giving(node.kind)[1] if not need.tolerant and graph.gives(need.kind)]
    return found


class Node(NamedTuple):
    """One thing to get: a kind, for a leg or for the whole run."""

    kind: type
    leg: Leg | None

    @property
    def key(self) -> Key:
        return (self.kind.__name__, self.leg)


class _Need(NamedTuple):
    """One parameter of a provider."""

    name: str
    kind: type
    leg: Leg | None
    """The leg that its annotation fixes; None: the provider's own."""
    tolerant: bool
    """Whether it takes an Unseen."""
    by_the_way: bool = False
    """Whether it is fetched only where something else needs it."""

    def of(self, node: Node) -> Node:
        """What this parameter needs when the provider works for `node`."""
        if not getattr(self.kind, "per_leg", False):
            return Node(self.kind, None)
        leg = self.leg or node.leg
        if leg is None:
            raise TypeError(
                f"{node.kind.__name__} is not of a leg, so its {self.name} has to say which leg's {self.kind.__name__}"
            )
        return Node(self.kind, leg)


class _Graph:
    """Who gives what, and from what."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._giving: dict[type, tuple[Provider, tuple[_Need, ...]]] = {}
        for provider in providers:
            hints = typing.get_type_hints(provider, include_extras=True)
            kind = hints["return"]
            if kind in self._giving:
                raise TypeError(f"{self._giving[kind][0].__name__} and {provider.__name__} both give {kind.__name__}")
            self._giving[kind] = (provider, tuple(_need(n, hints[n]) for n in inspect.signature(provider).parameters))

    def gives(self, kind: type) -> bool:
        return kind in self._giving

    def nodes(self, known: EvidenceSet) -> Iterator[tuple[Node, Evidence | Unseen]]:
        """What is known, by what it is; of what nobody gives, nothing."""
        kinds = {kind.__name__: kind for kind in self._giving}
        yield from ((Node(kinds[name], leg), found) for (name, leg), found in known.items() if name in kinds)

    def giving(self, kind: type) -> tuple[Provider, tuple[_Need, ...]]:
        if kind not in self._giving:
            raise TypeError(f"no provider gives {kind.__name__}")
        return self._giving[kind]


class _Run:
    """One collection under way. Only the collecting thread touches its state; the workers answer through a queue."""

    def __init__(
        self,
        graph: _Graph,
        constants: Mapping[type, Any],
        known: Mapping[Node, Any],
        legs: tuple[Leg, ...],
        remaining: Callable[[], float],
    ) -> None:
        self._graph = graph
        self._constants = constants
        self._legs = legs
        self._remaining = remaining
        self._results: dict[Node, Any] = dict(known)
        self._waiting: dict[Node, None] = {}
        self._running: set[Node] = set()
        self._todo: queue.SimpleQueue[tuple[Node, Provider, dict[str, Any]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Node, Any]] = queue.SimpleQueue()

    def results(self, wanted: Iterable[Node]) -> dict[Node, Any]:
        for node in wanted:
            self._plan(node)
        self._leave_unasked()
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(THREADS, len(self._waiting)))]
        for thread in threads:
            thread.start()
        try:
            while self._start_ready():
                node, value = self._done.get(timeout=max(self._remaining(), 0.001))
                self._running.discard(node)
                self._results[node] = value
        except queue.Empty:
            for node in (*self._running, *self._waiting):
                self._results[node] = _timed_out(node)
        finally:
            for _ in threads:
                self._todo.put(None)
        return self._results

    def _plan(self, node: Node) -> None:
        """Note that `node` has to be got, and all that it needs."""
        if node in self._results or node in self._waiting:
            return
        if node.leg is not None and node.leg not in self._legs:
            says = f"the pipeline names no {node.leg} subscription"
            self._results[node] = Unseen(what=node.kind.__name__, leg=node.leg, why=Why.NOT_CONFIGURED, says=says)
            return
        self._waiting[node] = None
        for need in self._graph.giving(node.kind)[1]:
            if need.kind not in self._constants and need.kind is not Leg and not need.by_the_way:
                self._plan(need.of(node))

    def _leave_unasked(self) -> None:
        """Settle what is needed by the way alone, once all that is needed otherwise is planned."""
        for node in list(self._waiting):
            for need in self._graph.giving(node.kind)[1]:
                if need.by_the_way and (of := need.of(node)) not in self._waiting:
                    says = "nothing else asks for it"
                    unasked = Unseen(what=of.kind.__name__, leg=of.leg, why=Why.NOT_ASKED, says=says)
                    self._results.setdefault(of, unasked)

    def _start_ready(self) -> bool:
        """Hand every node whose inputs are there to the workers. False when there is nothing left to wait for."""
        before = -1
        while before != len(self._results):  # a node settled without asking may settle others
            before = len(self._results)
            for node in list(self._waiting):
                self._try(node)
        if self._waiting and not self._running:
            raise TypeError(f"these need each other: {', '.join(node.kind.__name__ for node in self._waiting)}")
        return bool(self._running)

    def _try(self, node: Node) -> None:
        provider, needs = self._graph.giving(node.kind)
        arguments: dict[str, Any] = {}
        for need in needs:
            if need.kind in self._constants:
                arguments[need.name] = self._constants[need.kind]
            elif need.kind is Leg:
                arguments[need.name] = node.leg
            elif need.of(node) not in self._results:
                return
            else:
                arguments[need.name] = self._results[need.of(node)]
        del self._waiting[node]
        missing = [a for need in needs if isinstance(a := arguments[need.name], Unseen) and not need.tolerant]
        if missing:
            self._results[node] = _depends(node, missing[0])
        else:
            self._running.add(node)
            self._todo.put((node, provider, arguments))

    def _work(self) -> None:
        for node, provider, arguments in iter(self._todo.get, None):
            self._done.put((node, _call(node, provider, arguments)))


def _call(node: Node, provider: Provider, arguments: dict[str, Any]) -> Any:
    try:
        return provider(**arguments)
    except NotSeen as not_seen:
        return Unseen(
            what=node.kind.__name__,
            leg=node.leg,
            why=not_seen.why,
            says=not_seen.says,
            permission=not_seen.permission,
            mend=not_seen.mend,
        )
    except NotThere as gone:
        says = f"what it is asked of does not exist: {gone}"
        return Unseen(what=node.kind.__name__, leg=node.leg, why=Why.FAILED, says=says)
    except Exception as error:  # whatever an answer held that we did not foresee must not take the other evidence along
        says = f"reading the answer failed: {type(error).__name__}: {redact(str(error))}"
        return Unseen(what=node.kind.__name__, leg=node.leg, why=Why.FAILED, says=says)


def _depends(node: Node, missing: Unseen) -> Unseen:
    says = missing.says if missing.why is Why.DEPENDS else f"not asked because {missing.says}"
    return Unseen(
        what=node.kind.__name__,
        leg=node.leg,
        why=Why.DEPENDS,
        says=says,
        permission=missing.permission,
        mend=missing.mend,
    )


def _timed_out(node: Node) -> Unseen:
    says = "no answer before the end of the run (--timeout)"
    return Unseen(what=node.kind.__name__, leg=node.leg, why=Why.TIMED_OUT, says=says)


def _need(name: str, hint: Any) -> _Need:
    leg, more = None, []
    if typing.get_origin(hint) is Annotated:
        hint, leg, *more = typing.get_args(hint)
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = [option for option in options if option is not Unseen]
    return _Need(name, kinds[0], leg, tolerant=Unseen in options, by_the_way=BY_THE_WAY in more)


def _name(kind: type) -> str:
    return kind.__name__
