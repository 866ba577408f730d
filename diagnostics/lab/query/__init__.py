"""The query languages that Google's APIs take, as far as the lab understands them. What it does not understand, it refuses."""
