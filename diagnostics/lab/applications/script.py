"""A script that publishes a batch from outside: on somebody's machine or in a job, with a service account. Its lines are in no log."""

from __future__ import annotations

from collections.abc import Callable

from diagnostics.lab.applications.plan import Attempt, BatchState
from diagnostics.lab.applications.store import BatchStore
from diagnostics.lab.http import PublishError
from diagnostics.lab.schedule import after

READS_S = (2.0, 8.0)
"""How long it looks for what there is to do."""
PACE_S = 0.01
"""Pause after each message."""


class Script(BatchStore):
    """Publishes one message an item and forgets them. Base of the scripts; what it says of a batch is its dialect's."""

    topic = ""
    """The topic that it publishes to."""
    stores = False
    """Whether it writes a document of the batch before it publishes; if not, the lab alone knows how the batch stands."""

    def batch_name(self, date: str, number: int) -> str:
        """Name of the number-th batch of a date."""
        raise NotImplementedError

    def item_names(self, count: int) -> list[str]:
        raise NotImplementedError

    def request_data(self, payload: str, item: str, date: str, batch: str, of: int) -> tuple[bytes, dict[str, str]]:
        """Data and attributes of an item's message; `of`: how many items the batch has."""
        raise NotImplementedError

    def run(self, plan_id: str, date: str, account: str) -> None:
        """Begin; every later step is scheduled by the one before it. `account`: e-mail that it publishes as."""
        self._after(self.setting.rng.uniform(*READS_S), lambda: self._begin(self.attempts[plan_id], date, account))

    def finished(self, batch: str, item: str, brought: int) -> None:
        """An item of it is done and, where that is kept anywhere, counted."""
        state, now = self.batches.get(batch), float(self.setting.env.now)
        if state is None or state.closed:
            return
        state.completed[item], state.updated = brought, now
        if len(state.completed) >= state.expected:
            state.close(now)

    def _begin(self, attempt: Attempt, date: str, account: str) -> None:
        plan, now = attempt.plan, float(self.setting.env.now)
        attempt.received = now
        number = 1 + sum(b.date == date for b in self.batches.values())
        batch = attempt.batch_id = plan.batch_id or self.batch_name(date, number)
        passed = self.select(attempt, batch, self.item_names(plan.items))
        self.batches[batch] = BatchState(batch, date, now, len(passed), updated=now, stored=self.stores)
        self._publish(attempt, date, account, self.to_send(attempt, passed), 0)

    def _publish(self, attempt: Attempt, date: str, account: str, items: list[str], number: int) -> None:
        if number == len(items):
            return
        item, batch = items[number], attempt.batch_id
        payload = self.casebook.of(batch, item)
        data, attributes = self.request_data(payload, item, date, batch, self.batches[batch].expected)
        try:
            self.setting.publish(self.topic, data, attributes, account)
            attempt.published += 1
        except PublishError:
            pass  # whoever runs it sees it; the lab shows it in the topic's metric
        self._after(PACE_S, lambda: self._publish(attempt, date, account, items, number + 1))

    def _after(self, delay_s: float, call: Callable[[], None]) -> None:
        after(self.setting.env, delay_s, call)
