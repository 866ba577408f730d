"""What was seen is kept: bundles that replay offline, and the store of recent runs and notes."""
