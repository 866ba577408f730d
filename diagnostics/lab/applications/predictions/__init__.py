"""The example pipeline: one prediction per player of a slate. It logs plain text."""
