"""Both modes against the lab: what they show, what they refuse, and that nothing is different afterwards."""

from __future__ import annotations

import msgspec
import pytest

from diagnostics.probe import log_entry, recover, switch, traces
from diagnostics.probe.journal import Journal, Phase
from diagnostics.probe.push_config import LABEL, UNTIL
from diagnostics.probe.restore import State
from diagnostics.probe.run import Failed, carry_out
from diagnostics.probe.snapshot import expiration_s
from diagnostics.report.probe import answer, candidates
from tests.probe.conftest import Open, World
from tests.probe.killing import leftovers, losses

REQUESTS = "prediction-request-prod"


def nothing_is_different(world: World, before: dict[str, object]) -> None:
    after = world.truth()
    assert leftovers(after, before) == []
    assert losses(after) == []
    assert list(world.journal.folder.glob("*.json")) == []


@pytest.mark.parametrize("mode", ["snapshot", "switch"])
@pytest.mark.parametrize(("leg", "waiting"), [("request", 5), ("completion", 4)])
def test_every_waiting_message_is_named_and_none_is_lost(world: Open, mode: str, leg: str, waiting: int) -> None:
    with world() as w:
        before = w.truth()
        probed, outcome = w.probe(mode, leg)
        nothing_is_different(w, before)
        assert outcome.state is State.RESTORED
        assert len(probed.messages) == waiting
        assert probed.backlog == waiting
        unreadable = [m for m in probed.messages if m.missing or m.unreadable]
        assert len(unreadable) == (3 if leg == "request" else 4)
        assert len(candidates(probed, probed.source.as_of)) >= len(unreadable)
        assert any(m.attempts for m in probed.messages) is (mode == "switch")
        said = answer(probed, probed.source.as_of, outcome.over)
        assert (said.status, said.exit_code) == ("warning", 1)


def test_a_switch_is_watched_until_a_push_is_seen(world: Open) -> None:
    with world(change_over_s=1) as w:
        _, outcome = w.probe("switch")
        assert "pushes go on: one was seen" in outcome.says
        assert w.truth()["subscriptions"][REQUESTS]["leased"] == 0


def test_a_snapshot_that_brings_nothing_older_is_unknown_and_never_empty(world: Open) -> None:
    with world(snapshot_brings_older=False) as w:
        probed, outcome = w.probe("snapshot")
        said = answer(probed, probed.source.as_of, outcome.over)
        assert (said.status, said.exit_code) == ("unknown", 3)
        assert "unknown, not empty" in said.says and "5" in said.says


def test_the_temporary_subscription_marks_itself_and_expires(world: Open) -> None:
    with world() as w:
        seen: list[dict[str, object]] = []
        w.reach._at = lambda when, name: (
            seen.append(w.truth()) if (when, name) == ("after", "subscriber.seek") else None
        )
        w.probe("snapshot")
        (made,) = [s for name, s in seen[0]["subscriptions"].items() if name.startswith("pubsub-diag-probe-")]  # type: ignore[attr-defined]
        (snapshot,) = seen[0]["snapshots"].values()  # type: ignore[attr-defined]
        for thing in (made, snapshot):
            assert {LABEL, UNTIL} <= set(thing["labels"])
        assert made["push_config"] == {}
        assert expiration_s(600) == 86400
        assert expiration_s(3 * 86400) > 3 * 86400


@pytest.mark.parametrize(
    ("mode", "lacking"),
    [
        ("snapshot", "pubsub.snapshots.create"),
        ("snapshot", "pubsub.subscriptions.delete"),
        ("snapshot", "pubsub.topics.attachSubscription"),
        ("switch", "pubsub.subscriptions.update"),
        ("switch", "iam.serviceAccounts.actAs"),
    ],
)
def test_without_the_permission_to_put_back_nothing_is_begun(world: Open, mode: str, lacking: str) -> None:
    with world(without=(lacking,)) as w:
        made, _ = w.plan(mode)
        assert [r for r in made.forbidden if lacking in r.says]


def test_while_a_probe_is_active_anywhere_another_is_refused(world: Open) -> None:
    with world() as w:
        refused: list[tuple[str, ...]] = []

        def at(when: str, name: str) -> None:
            if (when, name) == ("after", "subscriber.update_subscription") and not refused:
                refused.append(())
                elsewhere = Journal(w.journal.folder / "another-machine")
                for journal in (w.journal, elsewhere):
                    mine, w.journal = w.journal, journal
                    made, _ = w.plan("snapshot")
                    w.journal = mine
                    refused.append(tuple(r.says for r in made.forbidden))

        w.reach._at = at
        w.probe("switch")
        here, there = refused[1], refused[2]
        assert any("active" in says and "journal" in says for says in here)
        assert any("active" in says and "subscription in pull mode" in says for says in there)


def test_a_probe_that_another_machine_has_just_announced_is_active_too(world: Open) -> None:
    with world() as w:
        announced = msgspec.structs.replace(w.plan("switch")[0].entry, host="elsewhere")
        log_entry.write(w.reach, announced, log_entry.BEGINS)
        assert log_entry.read_back(w.reach, announced)
        made, _ = w.plan("snapshot")
        assert any("active" in r.says and "log entry" in r.says for r in made.forbidden)


def test_without_a_readable_log_entry_nothing_is_switched(world: Open) -> None:
    with world(without=("logging.logEntries.create",)) as w:
        before = w.truth()
        with pytest.raises(Failed) as failed:
            w.probe("switch")
        assert "nothing was switched" in failed.value.says
        nothing_is_different(w, before)


def test_a_push_config_that_changed_since_the_plan_is_left_alone(world: Open) -> None:
    with world() as w:
        made, source = w.plan("switch")
        w.lab.world.subscriptions[REQUESTS].push.audience = "https://changed.example"
        before = w.truth()
        with pytest.raises(Failed) as failed:
            carry_out(w.reach, w.profile, made, source, w.journal, w.told.append)
        assert "changed since the plan" in failed.value.says
        assert failed.value.outcome.state is State.UNTOUCHED
        nothing_is_different(w, before)


def test_an_old_backlog_is_said_before_google_refuses_the_snapshot(world: Open) -> None:
    with world(pace=0) as w:
        waiting = w.lab.world.subscriptions[REQUESTS]
        waiting.dead_letter_topic, waiting.retry = "", (600.0, 600.0)
        w.lab.advance(6.97 * 86400)
        made, _ = w.plan("snapshot")
        assert any("6 d 23 h" in r.says and not r.forcible for r in made.forbidden)


def test_few_attempts_left_forbid_a_switch(world: Open) -> None:
    with world() as w:
        w.lab.world.subscriptions[REQUESTS].max_delivery_attempts = 5
        made, _ = w.plan("switch")
        assert any("dead-letter" in r.says and r.forcible for r in made.forbidden)
        forced, _ = w.plan("switch", force=True)
        assert not forced.forbidden


def test_without_a_retry_policy_nobody_knows_how_many_attempts_are_left(world: Open) -> None:
    """Redelivery is immediate then, and the newest pushes are not in the metric yet."""
    with world() as w:
        w.lab.world.subscriptions[REQUESTS].retry = None
        made, _ = w.plan("switch")
        assert any("not known" in r.says and r.forcible for r in made.forbidden)


def test_an_endpoint_with_a_query_never_reaches_the_log(world: Open) -> None:
    with world() as w:
        push = w.lab.world.subscriptions[REQUESTS].push
        push.endpoint += "?token=s3cret"
        made, _ = w.plan("switch")
        assert not made.logged
        assert any("only this machine" in note for note in made.notes)
        assert "s3cret" not in "".join((*made.does, *made.costs, *made.undo, *made.notes))
        before = w.truth()
        w.probe("switch")
        assert not [r for r in w.running.rpcs if r.name.endswith("WriteLogEntries")]
        nothing_is_different(w, before)


def test_a_dead_machine_is_mended_from_another_one(world: Open) -> None:
    """The probe is stopped in the middle; its journal is lost; the label leads to the log entry."""
    with world() as w:
        before = w.truth()
        made, _ = w.plan("switch")
        log_entry.write(w.reach, made.entry, log_entry.BEGINS)
        assert log_entry.read_back(w.reach, made.entry)
        switch.switch(w.reach, made.entry)
        another = Journal(w.journal.folder / "another-machine")
        project, place = w.profile.project, w.running.endpoint
        listed = traces.traces(w.reach, another, project, place)
        assert next(t.what for t in listed.found if t.name.endswith(REQUESTS)) == traces.SWITCHED
        outcomes, _ = recover.recover(w.reach, another, project, place, force=True)
        assert [o.state for o in outcomes] == [State.RESTORED]
        nothing_is_different(w, before)
        assert traces.traces(w.reach, another, project, place).found == ()


def test_a_probe_that_may_still_run_is_not_undone_without_force(world: Open) -> None:
    with world(pace=0) as w:
        made, _ = w.plan("switch")
        switch.switch(w.reach, made.entry)
        another = Journal(w.journal.folder / "another-machine")
        outcomes, _ = recover.recover(w.reach, another, w.profile.project, w.running.endpoint)
        assert not outcomes[0].over and "--force" in outcomes[0].says
        assert made.entry.phase is Phase.PREPARED
