"""Parts of a push endpoint."""

TAG = "---"
"""Between a traffic tag and the service in a run.app host."""


def host(url: str) -> str:
    return url.split("://", 1)[-1].split("/", 1)[0].lower()


def path(url: str) -> str:
    """With its leading slash and without the query."""
    return "/" + url.split("://", 1)[-1].partition("/")[2].partition("?")[0]


def tag(url: str) -> str:
    """The traffic tag that the host names; empty: none."""
    before, dashes, _ = host(url).partition(TAG)
    return before if dashes else ""


def untagged(url: str) -> str:
    """The host of the service itself."""
    return host(url).split(TAG)[-1]
