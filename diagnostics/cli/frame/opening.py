"""What every command that looks begins with: which pipeline, and access to it. All that can go wrong here is Trouble."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from diagnostics.cli.frame import configuration, sharing
from diagnostics.cli.frame.options import Access, Asked
from diagnostics.cli.frame.output import tell
from diagnostics.cli.frame.trouble import Trouble
from diagnostics.pipeline.load import load_profile, override, profile_of
from diagnostics.pipeline.places import NoHomeError, state_dir
from diagnostics.pipeline.profile import PipelineProfile, ProfileError
from diagnostics.run.look import lab_profile
from diagnostics.shell.commands import either, noted
from diagnostics.sources.project import by_id
from diagnostics.transport.log_reads import PER_MINUTE
from diagnostics.transport.session import LAB, LabError, Options, Session, SignInError

HOW_TO_DESCRIBE = noted(
    "pubsub-diag init --subscription S", "writes one; or name the subscription alone: --project P --subscription S"
)


class Opened(NamedTuple):
    session: Session
    profile: PipelineProfile


def opened(asked: Access) -> Opened:
    """Access, and the profile of the pipeline that is meant."""
    if isinstance(asked, Asked) and asked.bundle:
        raise Trouble("this command cannot read a bundle: it has to ask Google Cloud", "leave --from out")
    profile = stated(asked)
    if profile is None and not asked.subscription and not os.environ.get(LAB):
        raise Trouble(
            "which pipeline? There is no --profile, no pubsub-diag.toml here and no --subscription", HOW_TO_DESCRIBE
        )
    session = session_of(asked, profile.project if profile else "")
    if profile is None or (session.lab and not asked.profile and profile.project != session.project):
        profile = _derived(asked, session)
    checked = _checked(asked, profile)
    home = by_id(session, checked.project, checked.request.subscription)
    sharing.meet(checked, lambda: session, asked.quiet)
    return Opened(session, structs.replace(checked, project=home))


def described(asked: Access) -> PipelineProfile:
    """The profile alone, without signing in where that can be done without."""
    profile = stated(asked)
    if profile is None and asked.subscription and asked.project and not os.environ.get(LAB):
        profile = _smallest(asked, asked.project)
    return _checked(asked, profile) if profile and not os.environ.get(LAB) else opened(asked).profile


def session_of(asked: Access, payer: str = "") -> Session:
    """Access alone. `payer`: the project to count calls against, where nothing else names one."""
    options = Options(
        project=asked.project or "",
        timeout_s=asked.timeout,
        impersonate=asked.impersonate or "",
        payer=payer,
        state=_state(),
        log_reads=_log_reads(),
    )
    try:
        session = Session.open(options)
    except SignInError as error:
        raise Trouble(error.says, either(error.mend)) from error
    except LabError as error:
        raise Trouble(
            str(error), noted("pubsub-diag lab up SCENARIO", "starts one", "or: unset PUBSUB_DIAG_ENDPOINT")
        ) from error
    session.project = by_id(session, session.project, asked.subscription or "")
    if session.ignored:
        tell(f"{', '.join(session.ignored)} is ignored: Google Cloud is asked, not an emulator", asked.quiet)
    if session.asked_at:
        tell(f"asked at {', '.join(session.asked_at)}, as CLOUDSDK_API_ENDPOINT_OVERRIDES_… says", asked.quiet)
    session.tell = lambda text: tell(text, asked.quiet)
    return session


LOG_READS = "PUBSUB_DIAG_LOG_READS"
"""Log reads a minute that the project allows, where its quota was raised."""


def _log_reads() -> int:
    said = os.environ.get(LOG_READS, "")
    if said and not (said.isdigit() and int(said)):
        raise Trouble(f"{LOG_READS}={said}: expected a number", f"unset {LOG_READS}")
    return int(said) if said else PER_MINUTE


def _state() -> Path | None:
    try:
        return state_dir()
    except NoHomeError:
        return None


def stated(asked: Access) -> PipelineProfile | None:
    """The profile that the command line, the environment or the configuration names."""
    named = asked.profile or configuration.pipeline()
    if not named:
        return None
    try:
        return load_profile(named)
    except ProfileError as error:
        raise Trouble(
            str(error), noted("pubsub-diag init --subscription S", "writes a new one; or mend the file")
        ) from error


def _derived(asked: Access, session: Session) -> PipelineProfile:
    """A profile of the subscription alone; in the lab, the one that fits the pipeline that it plays."""
    played = lab_profile(session.project) if session.lab else None
    if asked.subscription and (played is None or asked.subscription != played.request.subscription):
        return _smallest(asked, session.project)
    if played is None:
        raise Trouble(f"no built-in profile fits the project {session.project} of the lab", "name one with --profile")
    return played


def _smallest(asked: Access, project: str) -> PipelineProfile:
    try:
        return profile_of(asked.subscription or "", project=project, region=asked.region or "")
    except ProfileError as error:
        raise Trouble(str(error), "pubsub-diag … --project P --subscription S") from error


def _checked(asked: Access, profile: PipelineProfile) -> PipelineProfile:
    try:
        return override(
            profile,
            project=asked.project or "",
            region=asked.region or "",
            subscription=asked.subscription or "",
        )
    except ProfileError as error:
        raise Trouble(str(error), HOW_TO_DESCRIBE) from error
