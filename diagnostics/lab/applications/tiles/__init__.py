"""A made-up pipeline without a coordinator: somebody's script publishes the map tiles of a region, and one worker renders them.

Nothing comes back and nobody keeps count. What a run is stands in its messages alone, and in what the renderer prints of them: plain
lines of key=value pairs.
"""
