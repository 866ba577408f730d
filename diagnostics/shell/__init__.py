"""Command lines for people to copy: the one place that makes them."""
