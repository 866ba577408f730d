"""What names of Google's resources look like in a profile: of BigQuery and of Cloud Storage."""

from __future__ import annotations

import re

_PROJECT = r"(?:(?P<project>(?:[a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]*)\.)?"
"""An old one has its domain before it: example.com:name."""
_BUCKET = r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])"

DATASET = re.compile(rf"{_PROJECT}(?P<dataset>\w+)", re.ASCII)
"""A dataset of BigQuery."""
TABLE = re.compile(rf"{DATASET.pattern}\.(?P<table>[\w-]+)", re.ASCII)
"""A table of BigQuery."""
WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""One of its columns; an environment variable."""
OBJECT = re.compile(rf"{_BUCKET}/(?P<name>[^\x00-\x1f]+)")
"""An object of Cloud Storage."""
PREFIX = re.compile(rf"{_BUCKET}(?:/(?P<prefix>[^\x00-\x1f]*?))?/*")
"""A bucket of Cloud Storage, or what begins in it with a prefix."""
