"""What a pipeline left behind, from BigQuery. It comes with the extra `outcome`."""
