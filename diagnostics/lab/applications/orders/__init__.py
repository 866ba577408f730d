"""A made-up second pipeline: a nightly export of invoices, one per order. It logs structured entries and uses attributes."""
