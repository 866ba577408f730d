"""The runbooks: read, filled in, searched."""
