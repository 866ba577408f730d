"""What happened, kept so that it can be shown the way Google shows it: with its names, units, delays and blind spots."""
