"""What the exporter leaves in BigQuery: one row an export. An order that is exported again has two; nothing takes one out of force."""

from __future__ import annotations

from diagnostics.lab.model import Revision, Table, World

TABLE = "billing.exported_invoices"
COLUMNS = {
    "order_id": "STRING",
    "export_date": "DATE",
    "batch": "STRING",
    "lines": "INTEGER",
    "exported_at": "TIMESTAMP",
    "exporter_build": "STRING",
}


def tables() -> dict[str, Table]:
    """The table as it is before the first batch."""
    return {TABLE: Table(TABLE, COLUMNS, partition="export_date", filter_required=True)}


def write(world: World, revision: Revision, order: str, date: str, batch: str, lines: int, now: float) -> None:
    """The worker's write of one order; nobody has to merge it."""
    table = world.tables.get(TABLE)
    if table is None or not date:
        return
    assert isinstance(table.rows, list), "whatever changes the table by hand makes a list of it"
    build = revision.env.get("BUILD_COMMIT")
    table.rows.append(
        {
            "order_id": order,
            "export_date": date,
            "batch": batch,
            "lines": lines,
            "exported_at": now,
            "exporter_build": build,
        }
    )
