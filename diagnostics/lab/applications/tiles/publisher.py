"""The script: reads which tiles of a region have changed and publishes each of them."""

from __future__ import annotations

from diagnostics.lab.applications.names import distinct
from diagnostics.lab.applications.script import Script
from diagnostics.lab.applications.tiles import words


class TilePublisher(Script):
    """Counts the tiles before it begins: each message says how many there are."""

    topic = "tiles-to-render"

    def batch_name(self, date: str, number: int) -> str:
        return words.run(date, number)

    def item_names(self, count: int) -> list[str]:
        return distinct(lambda: words.tile(self.setting.rng), count)

    def request_data(self, payload: str, item: str, date: str, batch: str, of: int) -> tuple[bytes, dict[str, str]]:
        del date
        return words.request_data(payload, item, batch, of, self.setting.rng)
