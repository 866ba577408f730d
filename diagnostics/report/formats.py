"""One diagnosis, many writers. A format is one entry of `WRITERS`; those for machines take several diagnoses at once, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from diagnostics.conclude.diagnosis import Diagnosis
from diagnostics.report import github, json, markdown, nagios, text
from diagnostics.report.layout import Layout

INSTALL = "pip install 'pubsub-diag[ci]'"


@dataclass(frozen=True)
class Page:
    """What a writer may want to know of where its words go."""

    layout: Layout
    verbose: bool = False
    run: str = ""
    """Name of the kept run, where people read it."""


@dataclass(frozen=True)
class Writer:
    """How one format says diagnoses, and that there is none."""

    render: Callable[[Sequence[Diagnosis], Page], str]
    trouble: Callable[[str, str], str] = lambda _says, _mend: ""
    """What a machine reads of a run that came to no diagnosis, from what it says and what mends it; people read that on stderr."""
    library: str = ""
    """What it needs that a plain install does not bring."""


class NeedsLibraryError(Exception):
    """The format needs a library that is not installed; `INSTALL` brings it."""


def _text(diagnoses: Sequence[Diagnosis], page: Page) -> str:
    return "\n".join(text.render(one, page.layout, verbose=page.verbose, run=page.run) for one in diagnoses)


def _short(diagnoses: Sequence[Diagnosis], page: Page) -> str:
    return "\n".join(text.render_short(one, page.layout) for one in diagnoses)


def _json(diagnoses: Sequence[Diagnosis], _page: Page) -> str:
    return json.render_all(diagnoses) + "\n"


def _junit(diagnoses: Sequence[Diagnosis], _page: Page) -> str:
    from diagnostics.report import junit

    return junit.render(diagnoses)


def _junit_trouble(says: str, mend: str) -> str:
    from diagnostics.report import junit

    return junit.render_trouble(says, mend)


def _html(diagnoses: Sequence[Diagnosis], _page: Page) -> str:
    from diagnostics.report import page

    return page.render(diagnoses)


def _prometheus(diagnoses: Sequence[Diagnosis], _page: Page) -> str:
    from diagnostics.report import prometheus

    return prometheus.render(diagnoses)


def _prometheus_trouble(_says: str, _mend: str) -> str:
    from diagnostics.report import prometheus

    return prometheus.render_trouble()


WRITERS: dict[str, Writer] = {
    "text": Writer(_text),
    "short": Writer(_short),
    "json": Writer(_json),
    "junit": Writer(_junit, _junit_trouble, library="junitparser"),
    "github": Writer(
        lambda diagnoses, _page: github.render(diagnoses), lambda says, mend: github.render_trouble(says, mend) + "\n"
    ),
    "nagios": Writer(lambda diagnoses, _page: nagios.render(diagnoses), nagios.render_trouble),
    "prometheus": Writer(_prometheus, _prometheus_trouble, library="prometheus_client"),
    "markdown": Writer(lambda diagnoses, _page: markdown.render(diagnoses), markdown.render_trouble),
    "html": Writer(_html),
}
"""Name of a format to its writer. A new format is a module and a line here; `Format` of the command line must name it, too."""

FORMATS = tuple(WRITERS)
LIBRARIES = {form: writer.library for form, writer in WRITERS.items() if writer.library}


def require(form: str) -> None:
    """Raises NeedsLibraryError. To be asked before anything is looked at."""
    library = WRITERS[form].library
    if library and find_spec(library) is None:
        raise NeedsLibraryError(f"-o {form} needs {library.replace('_', '-')}, which is not installed")


def render(form: str, diagnoses: Sequence[Diagnosis], layout: Layout, verbose: bool = False, run: str = "") -> str:
    """The diagnoses in this format. Of several, JSON makes a list. Raises KeyError for a format that there is not."""
    return WRITERS[form].render(diagnoses, Page(layout, verbose, run))


def render_trouble(form: str, says: str, mend: str) -> str:
    """What a machine reads of a run that came to no diagnosis; empty for the formats that people read."""
    return WRITERS[form].trouble(says, mend)
