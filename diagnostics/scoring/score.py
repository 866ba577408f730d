"""Run scenarios through the lab, the real client libraries and the whole diagnosis, and compare with what they expect."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.evidence.model import Leg
from diagnostics.keep.bundle import dump, parse, replay
from diagnostics.lab.durations import seconds
from diagnostics.lab.scenario import ScenarioError, load
from diagnostics.lab.servers.serve import LOG_READS_PER_MINUTE
from diagnostics.pipeline.load import profile_of
from diagnostics.pipeline.profile import PipelineProfile, check_states
from diagnostics.question.ask import Ask, Deploy
from diagnostics.run.investigate import Case, investigate
from diagnostics.run.look import lab_profile, see
from diagnostics.scoring import follow
from diagnostics.scoring.compare import disagreements
from diagnostics.scoring.consistent.check import contradictions, read_in_part
from diagnostics.scoring.expect import LATEST, Asked, Wanted, wanted
from diagnostics.scoring.follow import Program
from diagnostics.scoring.metrics import Judged, Noise, judge
from diagnostics.scoring.smallest import says_more, smallest_of
from diagnostics.scoring.world import World, opened, seldom_collect
from diagnostics.steps.finding import Status
from diagnostics.transport.log_reads import USUAL_S
from diagnostics.transport.session import LAB, Options, Session

TIMEOUT_S = 60.0
"""Longer than a person would wait: what is scored is the answer, and the machine may be busy."""

MANY_READS = 6000
"""Log reads a minute where offered commands are followed: time stands still meanwhile, and a person would take longer."""


class NamedCause(Struct, frozen=True, kw_only=True):
    code: str
    leg: Leg | None
    role: str
    confidence: str


class Score(Struct, frozen=True, kw_only=True):
    """How one scenario went with one seed."""

    scenario: str
    seed: int
    passed: bool
    seconds: float
    expected: str = ""
    """Status; of the answer with the smallest profile: what the full one gives."""
    found: str = ""
    smallest: bool = False
    """Asked with the smallest profile."""
    causes: tuple[NamedCause, ...] = ()
    disagreements: tuple[str, ...] = ()
    followed: tuple[follow.Followed, ...] = ()
    """What the offered commands came to, where they were followed."""
    judged: Judged | None = None
    """How right it was, measure by measure; None: it was asked with the smallest profile, or not diagnosed at all."""
    noise: Noise | None = None
    error: str = ""
    """What kept it from being diagnosed at all."""


def score_all(
    paths: Sequence[Path],
    seeds: Sequence[int],
    jobs: int = 0,
    program: Program | None = None,
    smallest: bool = False,
) -> Iterator[Score]:
    """The score of each scenario with each seed, in that order, as they come; `jobs` at once, 0: one a core.

    With a `program`, every command that an answer offers is followed, too. `smallest`: what is scored is the answer with the smallest
    profile, and what it is held against the answer with the full one.
    """
    tasks = [(path, seed) for path in paths for seed in seeds]
    workers = min(jobs or os.cpu_count() or 1, len(tasks))
    one = score_smallest if smallest else partial(score, program=program)
    if workers <= 1:
        yield from (one(path, seed) for path, seed in tasks)
        return
    # Spawned, never forked: gRPC does not survive a fork.
    with ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=seldom_collect
    ) as pool:
        yield from pool.map(one, *zip(*tasks, strict=True))


def score(path: Path, seed: int, program: Program | None = None) -> Score:
    """Diagnose one scenario and compare. Never raises: what goes wrong is a failed score with its reason."""
    return _guarded(path, seed, partial(_scored, program=program))


def score_kept(path: Path, seed: int, kept: Callable[[], tuple[Case, Noise]]) -> Score:
    """The same of what was seen of the scenario before. Never raises, likewise."""
    return _guarded(path, seed, partial(_scored_kept, kept=kept))


def score_smallest(path: Path, seed: int) -> Score:
    """Diagnose one scenario with the smallest profile and compare with what the full one says. Never raises, likewise."""
    return _guarded(path, seed, _scored_smallest)


def _guarded(path: Path, seed: int, scored: Callable[[Path, int], _Scored]) -> Score:
    began = time.monotonic()
    try:
        found = scored(path, seed)
    except ScenarioError as error:
        return Score(scenario=path.stem, seed=seed, passed=False, seconds=time.monotonic() - began, error=str(error))
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"
        return Score(scenario=path.stem, seed=seed, passed=False, seconds=time.monotonic() - began, error=said)
    return Score(
        scenario=path.stem,
        seed=seed,
        passed=not found.wrong,
        seconds=time.monotonic() - began,
        expected=found.expected.value,
        found=found.answer.status.value,
        smallest=found.smallest,
        causes=tuple(
            NamedCause(code=c.code, leg=c.leg, role=c.role, confidence=c.confidence) for c in found.answer.causes
        ),
        disagreements=found.wrong,
        followed=found.followed,
        judged=found.judged,
        noise=found.noise,
    )


class _Scored(NamedTuple):
    expected: Status
    answer: Diagnosis
    wrong: tuple[str, ...]
    followed: tuple[follow.Followed, ...] = ()
    smallest: bool = False
    judged: Judged | None = None
    noise: Noise | None = None


def _scored_smallest(path: Path, seed: int) -> _Scored:
    asked = msgspec.structs.replace(wanted(load(path, seed), path).ask, subscription_alone=False)
    with opened(path, seed, log_reads_per_minute=MANY_READS) as world:
        full = diagnose(world, asked)
        case = observe(world, msgspec.structs.replace(asked, smallest=True))
    found = investigate(case)
    wrong = (*says_more(full, found), *contradictions(found, read_in_part(case.evidence)))
    return _Scored(full.status, found, wrong, smallest=True)


def _scored(path: Path, seed: int, program: Program | None) -> _Scored:
    want = wanted(load(path, seed), path)
    reads = MANY_READS if program else LOG_READS_PER_MINUTE
    with opened(path, seed, log_reads_per_minute=reads) as world:
        case = observe(world, want.ask)
        found = investigate(case)
        followed = _follow(world, want.ask, case, found, program) if program else ()
        noise = noise_of(world)
    return _compared(want, case, found, noise, followed)


def _scored_kept(path: Path, seed: int, kept: Callable[[], tuple[Case, Noise]]) -> _Scored:
    case, noise = kept()
    return _compared(wanted(load(path, seed), path), case, investigate(case), noise)


def _compared(
    want: Wanted, case: Case, found: Diagnosis, noise: Noise, followed: tuple[follow.Followed, ...] = ()
) -> _Scored:
    wrong = (
        *disagreements(want.expect, found),
        *contradictions(found, read_in_part(case.evidence)),
        *unlike_replayed(case, found),
        *follow.disagreements(followed),
    )
    return _Scored(want.expect.status, found, wrong, followed, judged=judge(want.expect, found), noise=noise)


def _follow(world: World, asked: Asked, case: Case, found: Diagnosis, program: Program) -> tuple[follow.Followed, ...]:
    """What the offered commands come to for somebody who has the profile that the answer was given with."""
    whole = asked.batch_state is not None or asked.results is not None
    if not (asked.subscription_alone or asked.smallest or whole):
        return follow.follow(world, found, program)
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(_whole(case.profile) if whole else _named(case.profile))
        file.flush()
        return follow.follow(world, found, program, {"PUBSUB_DIAG_PROFILE": file.name})


def _whole(profile: PipelineProfile) -> str:
    """The profile as TOML, which has no word for nothing."""

    def stated(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stated(inner) for key, inner in value.items() if inner is not None}
        return [stated(inner) for inner in value] if isinstance(value, list | tuple) else value

    return msgspec.toml.encode(stated(msgspec.to_builtins(profile))).decode()


def _named(profile: PipelineProfile) -> str:
    """The profile as TOML that names subscriptions alone."""
    back = f'[completion]\nsubscription = "{profile.completion.subscription}"\n' if profile.completion else ""
    return (
        f'name = "{profile.name}"\nproject = "{profile.project}"\n'
        f'[request]\nsubscription = "{profile.request.subscription}"\n{back}'
    )


def unlike_replayed(case: Case, found: Diagnosis) -> tuple[str, ...]:
    """What a bundle of this case would answer otherwise: nothing, or the run cannot be trusted to last."""
    again = replay(parse(dump(case, found), ours=True))
    fields = found.__struct_fields__
    unlike = [name for name in fields if _json(getattr(again, name)) != _json(getattr(found, name))]
    return (f"replayed: {', '.join(unlike)} came out otherwise",) if unlike else ()


def _json(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def noise_of(world: World) -> Noise:
    return Noise.of(
        world.lab.unverified, max((a.plan.items for a in world.lab.coordinator.attempts.values()), default=0)
    )


def diagnose(world: World, asked: Asked) -> Diagnosis:
    """The diagnosis that the command of the scenario gives, through the real clients."""
    return investigate(observe(world, asked))


def observe(world: World, asked: Asked) -> Case:
    """What that command sees."""
    session = Session.open(Options(timeout_s=TIMEOUT_S), {LAB: world.running.endpoint})
    session.reads_as_s = USUAL_S
    with _file(asked.document) as document:
        return see(
            session,
            _profile(session, asked),
            asked.command,
            msgspec.structs.replace(_ask(world, asked, session.now), document=document),
            (asked.leg,) if asked.leg else None,
        )


@contextmanager
def _file(text: str) -> Iterator[str]:
    """Where a file with this text is; empty: there is none."""
    if not text:
        yield ""
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "MODELS.md"
        path.write_text(text, encoding="utf-8")
        yield str(path)


def _profile(session: Session, asked: Asked) -> PipelineProfile:
    profile = lab_profile(session.project)
    if profile is None:
        raise LookupError(f"no built-in profile fits the lab's project {session.project}")
    if asked.subscription_alone:
        return profile_of(profile.request.subscription, project=profile.project)
    if asked.results is not None:
        profile = msgspec.structs.replace(profile, results=asked.results)
    if asked.batch_state is not None:
        return check_states(msgspec.structs.replace(profile, batch_state=asked.batch_state), "ask")
    return smallest_of(profile) if asked.smallest else profile


def _ask(world: World, asked: Asked, now: datetime) -> Ask:
    batch = ""
    if asked.batch != LATEST:
        batch = world.lab.batches[asked.batch].id
    return Ask(
        batch=batch,
        since=_moment(asked.since, now),
        until=_moment(asked.until, now),
        expect=asked.expect,
        live=asked.live,
        deploy=Deploy() if asked.since_deploy else None,
        require=asked.require,
        days=asked.days,
        max_bytes=asked.max_bytes,
    )


def _moment(text: str, now: datetime) -> datetime | None:
    """As the timeline writes it: -90m before now, or RFC 3339."""
    if not text:
        return None
    if text.startswith("-"):
        return datetime.fromtimestamp(now.timestamp() + seconds(text), now.tzinfo)
    return datetime.fromisoformat(text)
