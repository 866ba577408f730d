"""Where in a text the secrets and the people are: by shape, by name, by what they stand in."""
