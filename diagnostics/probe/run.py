"""One probe from its first write to its last, whatever ends it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from diagnostics.evidence.model import Probed, Provenance
from diagnostics.evidence.unseen import NotSeen
from diagnostics.pipeline.profile import PipelineProfile
from diagnostics.probe import log_entry, snapshot, switch
from diagnostics.probe.journal import Entry, Journal, Mode, Phase
from diagnostics.probe.messages import read
from diagnostics.probe.peek import Peek, peek, release
from diagnostics.probe.plan import Plan
from diagnostics.probe.reach import Clock, Reach, Refused, Unclear
from diagnostics.probe.restore import Outcome, State, restore
from diagnostics.probe.signals import Signals
from diagnostics.probe.watchdog import Watchdog
from diagnostics.shell.commands import command
from diagnostics.transport.call import NotThere

Tell = Callable[[str], None]
TELL_S = 15.0
"""Whoever waits for messages is told so often how many came."""
LONGEST_FLOW_S = 60.0
"""The longest pause of push flow control where no retry policy is set (push page)."""


class Failed(Exception):
    """The probe did not get to see anything. Says why, and how things stand."""

    def __init__(self, says: str, outcome: Outcome) -> None:
        super().__init__(says)
        self.says = says
        self.outcome = outcome


def carry_out(
    reach: Reach,
    profile: PipelineProfile,
    plan: Plan,
    source: Any,
    journal: Journal,
    tell: Tell,
    impersonate: str = "",
    watchdog: Callable[..., Watchdog] = Watchdog,
    warn: Tell | None = None,
) -> tuple[Probed, Outcome]:
    """What was seen, and how things stand afterwards. `source`: the subscription as Google described it to the plan; `tell` is told
    what is being done, `warn` (else `tell`) what could not be put back.

    Raises Failed, or Interrupted, after everything was put back or what is left was told.
    """
    run = _Run(reach, profile, plan, source, journal, tell, warn or tell, impersonate, watchdog)
    error: Exception | None = None
    with Signals() as signals:
        # Two finallys: a signal that arrives on the way into the inner one still meets the outer one, and no second one interrupts.
        try:
            try:
                run.look()
            except (Refused, Unclear, NotThere, NotSeen, OSError, TimeoutError) as failed:
                error = failed
            finally:
                signals.hold()
        finally:
            outcome = run.put_back()
    if error is not None:
        raise Failed(str(error), outcome) from error
    if plan.order.mode is Mode.SWITCH and outcome.over:
        outcome = run.watched(outcome)
    return run.seen(outcome), outcome


class _TooMany(Refused):
    """Another probe is about to switch the same subscription."""

    def __init__(self, other: Entry) -> None:
        where = f" on {other.host}" if other.host else ""
        super().__init__(
            f"another probe has begun since the plan was made, run {other.run}{where}: nothing was switched"
        )


class _Run:
    """What has been done so far, for whoever has to undo it."""

    def __init__(
        self,
        reach: Reach,
        profile: PipelineProfile,
        plan: Plan,
        source: Any,
        journal: Journal,
        tell: Tell,
        warn: Tell,
        impersonate: str,
        watchdog: Callable[..., Watchdog],
    ) -> None:
        self._reach, self._profile, self._plan, self._source = reach, profile, plan, source
        self._journal, self._tell, self._warn = journal, tell, warn
        self._impersonate, self._make_watchdog = impersonate, watchdog
        self._entry: Entry = plan.entry
        self._watchdog: Watchdog | None = None
        self._written = self._logged = self._sure = False
        self._guarded = Clock(math.inf)
        self._told: Clock | None = None
        self._peek = Peek()
        self._counted: int | None = None

    # --- doing --------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Journal, log entry, watchdog, and only then the first change. Raises Refused, Unclear, NotThere, NotSeen, OSError."""
        with self._journal.alone():
            others = [e for e in self._journal.entries(self._entry.world)[0] if e.project == self._entry.project]
            if others and not self._plan.order.force:
                raise Refused(f"another probe has begun since the plan was made, run {others[0].run}: nothing was done")
            self._written = True  # also where writing fails: what it then may have left is taken away
            self._journal.write(self._entry)
        if self._plan.logged:
            self._log()
        self._guard()
        self._entry = msgspec.structs.replace(self._entry, phase=Phase.CHANGING)
        self._journal.write(self._entry)
        if self._entry.mode is Mode.SNAPSHOT:
            self._look_at_copy()
        else:
            self._look_itself()

    def _log(self) -> None:
        self._tell("writing the entry to Cloud Logging, and reading it back")
        force = self._plan.order.force
        try:
            log_entry.write(self._reach, self._entry, log_entry.BEGINS)
            self._logged = True
            if said := log_entry.read_back(self._reach, self._entry):
                if (others := log_entry.rivals(said, self._entry)) and not force:
                    raise _TooMany(others[0])
                return
            says = f"the entry in Cloud Logging could not be read back within {self._reach.waits.readback_s:.0f} s"
        except _TooMany:
            raise
        except (Refused, Unclear, NotThere, NotSeen) as failed:
            says = f"the entry in Cloud Logging: {failed}"
        if not force:
            raise Refused(f"{says}: nothing was switched; with --force, only this machine could restore")
        self._tell(f"{says}; going on: only this machine can restore")

    def _guard(self) -> None:
        """From the watchdog's start on, the death of this process is noticed."""
        waits = self._reach.waits
        seconds = waits.peek_s + waits.restore_s + 6 * waits.rpc_s
        encoded = msgspec.json.encode(waits)
        self._watchdog = self._make_watchdog(self._entry, self._journal.folder, seconds, self._impersonate, encoded)
        self._guarded = Clock(seconds)

    def _may(self) -> bool:
        """Whether it is watched, and its time is not over: a process that was stopped for long wakes up after both."""
        if self._watchdog is not None and not self._watchdog.alive():
            self._tell("the watchdog is gone: nothing more is done without one")
            return False
        if not self._guarded.left:
            self._tell("the time of this probe is over: nothing more is done")
            return False
        return True

    def _may_look(self) -> bool:
        """Also tells from time to time whoever waits."""
        if self._told is not None and not self._told.left:
            waiting = self._plan.measured.waiting
            of = f" of {waiting}" if waiting is not None else ""
            self._tell(f"{len(self._peek.came)}{of} came so far; still looking")
            self._told = Clock(TELL_S)
        return self._may()

    def _may_pull(self) -> bool:
        """Also whether the subscription itself still is as this probe has set it."""
        if not self._may_look():
            return False
        if why := switch.lost(self._reach, self._entry):
            self._tell(f"no more is pulled: {why}")
            return False
        return True

    def _look_at_copy(self) -> None:
        measured, wanted = self._plan.measured, self._plan.order.peek
        self._tell(f"looking, for at most {self._reach.waits.peek_s:.0f} s")
        self._told = Clock(TELL_S)
        snapshot.look(
            self._peek,
            self._reach,
            self._entry,
            self._source,
            wanted,
            measured.waiting,
            measured.oldest_s,
            self._may_look,
        )
        self._counted = snapshot.counted(self._reach, self._entry)
        self._sure = True

    def _look_itself(self) -> None:
        try:
            switch.switch(self._reach, self._entry, self._may)
        except switch.NotBegun:
            self._entry = msgspec.structs.replace(self._entry, phase=Phase.PREPARED)
            raise
        except Refused as refused:
            if not self._plan.order.force:
                raise
            self._tell(f"{refused}; trying without labels: on other machines nobody sees that a probe is active")
            self._entry = msgspec.structs.replace(self._entry, marked=False)
            self._journal.write(self._entry)
            if self._logged:
                log_entry.write(self._reach, self._entry, log_entry.BEGINS)
            switch.switch(self._reach, self._entry, self._may)
        self._sure = True
        wait = f"looking, for at most {self._reach.waits.peek_s:.0f} s; the change-over to pull may take minutes"
        self._tell(f"switched to pull; {wait}")
        self._told = Clock(TELL_S)
        settings, measured = self._plan.settings, self._plan.measured
        peek(
            self._peek,
            self._reach,
            self._entry.subscription,
            self._plan.order.peek,
            waiting=measured.waiting,
            lease_s=settings.ack_deadline_s,
            goes_on=self._may_pull,
        )

    # --- undoing ------------------------------------------------------------------------------------------------------

    def put_back(self) -> Outcome:
        """Restore, hand back, forget. What cannot be put back stays in the journal, and the watchdog goes on trying. Raises nothing."""
        if not self._written:
            return Outcome(run=self._entry.run, state=State.UNTOUCHED, says="nothing was done")
        if self._entry.phase is Phase.PREPARED:
            outcome = Outcome(run=self._entry.run, state=State.UNTOUCHED, says="nothing was changed")
        else:
            self._tell("putting everything back")
            outcome = restore(self._reach, self._entry, unsure=not self._sure)
        if self._entry.mode is Mode.SWITCH and self._peek.came:
            self._hand_back()
        if outcome.over:
            self._forget()
        else:
            self._warn(f"NOT RESTORED: {outcome.says}")
            for line in outcome.by_hand:
                self._warn(f"  {line}")
            self._warn(
                "a watchdog goes on trying; pubsub-diag probe status tells, pubsub-diag probe restore tries at once"
            )
        return outcome

    def _hand_back(self) -> None:
        """After the push config is back, so that what is handed back is pushed at once. It costs no more attempts than a lapsed lease."""
        if failed := release(self._reach, self._entry.subscription, self._peek):
            self._tell(f"messages could not be handed back ({failed}): they come again when their lease is over")

    def _forget(self) -> None:
        """The journal first: without it nobody else restores anything."""
        try:
            self._journal.remove(self._entry.run)
        except OSError as error:
            path = self._journal.path(self._entry.run)
            self._warn(f"all is put back, but the journal could not be removed ({error}): once it can, rm {path}")
        if self._watchdog is not None:
            self._watchdog.dismiss()
        if self._logged and (failed := log_entry.say_over(self._reach, self._entry)):
            self._tell(f"Cloud Logging was not told that it is over ({failed}); it is")

    # --- telling ------------------------------------------------------------------------------------------------------

    def watched(self, outcome: Outcome) -> Outcome:
        """The outcome with what is known of pushes since."""
        self._tell(
            f"{outcome.says}; waiting for a push, at most {self._reach.waits.watch_s:.0f} s (Ctrl-C is safe now)"
        )
        waiting = self._plan.measured.waiting
        due = True if self._peek.came else False if waiting == 0 else None
        try:
            said = switch.watch(self._reach, self._profile, self._plan.order.leg, due)
        except KeyboardInterrupt:
            said = "whether pushes go on was not waited for"
        return msgspec.structs.replace(outcome, says=f"{outcome.says}; {said}")

    def seen(self, outcome: Outcome) -> Probed:
        """The evidence."""
        order, settings, now = self._plan.order, self._plan.settings, self._reach.now()
        leg = self._profile.leg(order.leg)
        backoff = settings.retry.max_s if settings.retry else LONGEST_FLOW_S
        _, project, _, name = settings.name.split("/")
        return Probed(
            source=Provenance(
                source=f"probe ({order.mode.value})",
                query=settings.name,
                by_hand=command(
                    "gcloud pubsub subscriptions describe {name} --project={project}", name=name, project=project
                ),
                fetched_at=now,
                as_of=now,
            ),
            mode=order.mode.value,
            subscription=settings.name,
            messages=read(self._peek, leg.message if leg else None, order.show_data, self._profile.redact.patterns),
            asked_for=order.peek,
            pulls=self._peek.pulls,
            empty_pulls=self._peek.empty,
            unanswered_pulls=self._peek.unanswered,
            backlog=self._plan.measured.waiting,
            snapshot=self._counted,
            tried_s=2 * (settings.ack_deadline_s + backoff),
            restored=outcome.says,
        )
