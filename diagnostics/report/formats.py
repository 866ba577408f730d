"""One diagnosis, many writers: the formats by name. Those for machines take several diagnoses at once, too."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.report import github, json, markdown, nagios, text
from diagnostics.report.layout import Layout

FORMATS = ("text", "short", "json", "junit", "github", "nagios", "prometheus", "markdown")
LIBRARIES = {"junit": "junitparser", "prometheus": "prometheus_client"}
"""What a format needs that a plain install does not bring."""
INSTALL = "pip install 'pubsub-diag[ci]'"


class NeedsLibraryError(Exception):
    """The format needs a library that is not installed; `INSTALL` brings it."""


def require(form: str) -> None:
    """Raises NeedsLibraryError. To be asked before anything is looked at."""
    library = LIBRARIES.get(form)
    if library and find_spec(library) is None:
        raise NeedsLibraryError(f"-o {form} needs {library.replace('_', '-')}, which is not installed")


def render(form: str, diagnoses: Sequence[Diagnosis], layout: Layout, verbose: bool = False, run: str = "") -> str:
    """The diagnoses in this format. Of several, JSON makes a list. `run` names the kept run, where people read it."""
    match form:
        case "text":
            return "\n".join(text.render(one, layout, verbose=verbose, run=run) for one in diagnoses)
        case "short":
            return "\n".join(text.render_short(one, layout) for one in diagnoses)
        case "json":
            return json.render_all(diagnoses) + "\n"
        case "github":
            return github.render(diagnoses)
        case "nagios":
            return nagios.render(diagnoses)
        case "markdown":
            return markdown.render(diagnoses)
        case "junit":
            from diagnostics.report import junit

            return junit.render(diagnoses)
        case "prometheus":
            from diagnostics.report import prometheus

            return prometheus.render(diagnoses)
    raise ValueError(f"no such format: {form}")


def render_trouble(form: str, says: str, mend: str) -> str:
    """What a machine reads of a run that came to no diagnosis; empty for the formats that people read."""
    match form:
        case "github":
            return github.render_trouble(says, mend) + "\n"
        case "nagios":
            return nagios.render_trouble(says, mend)
        case "markdown":
            return markdown.render_trouble(says, mend)
        case "junit":
            from diagnostics.report import junit

            return junit.render_trouble(says, mend)
        case "prometheus":
            from diagnostics.report import prometheus

            return prometheus.render_trouble()
    return ""
