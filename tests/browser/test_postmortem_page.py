"""The postmortem of the night as Chromium shows it: silent, alone, readable for everybody. `make browser` runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnostics.cli import main
from diagnostics.keep.bundle import load, replay
from diagnostics.report.postmortem.build import build
from diagnostics.report.postmortem.model import Postmortem
from diagnostics.scoring.world import find, opened
from tests.browser.chromium import Tab, tab

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium")
NIGHT = "2026-02-08-backfill-stall"
HERE = Path(__file__).parent
VIOLATIONS = """
document.querySelectorAll("details").forEach(d => d.open = true);
axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v =>
  v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map(n => n.target.join(" ") + " " + n.failureSummary).join("; ")))
"""
CONTRAST = "axe.run(document, {runOnly: ['color-contrast']}).then(r => [r.violations.length, r.passes.length])"
"""Violations and passes: a rule that ran over nothing passes nothing."""


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that can be seen of the night that `pubsub-diag demo` looks at."""
    path = tmp_path_factory.mktemp("captured") / "night.gz"
    with opened(find(NIGHT), seed=1) as world, pytest.MonkeyPatch.context() as environment:
        environment.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
        environment.setenv("XDG_STATE_HOME", str(path.parent))
        environment.delenv("PUBSUB_DIAG_PROFILE", raising=False)
        assert main.run(["capture", "-q", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def said(captured: Path) -> Postmortem:
    bundle = load(captured)
    return build([msgspec.structs.replace(bundle, diagnosis=replay(bundle))])


@pytest.fixture(scope="session")
def page(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "night.html"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(path.parent))
        assert main.run(["postmortem", "-q", str(captured), "-o", "html", "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The accessibility checker, from npm."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: apt-get install npm")
    folder = tmp_path_factory.mktemp("npm")
    shutil.copy(HERE / "package.json", folder)
    line = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    made = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if made.returncode:
        pytest.skip(f"npm could not install axe-core: {made.stderr.strip().splitlines()[-1:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def shown(page: Path, tmp_path: Path) -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with tab(CHROMIUM, tmp_path / "profile") as open_tab:
        open_tab.open(page)
        yield open_tab


def test_it_is_silent_and_asks_for_nothing(shown: Tab, page: Path) -> None:
    assert shown.run("document.readyState") == "complete"
    assert shown.messages == []
    assert [url for url in shown.requests if not url.startswith("data:")] == [page.as_uri()]


def test_its_policy_is_in_force(shown: Tab) -> None:
    """The listener above would have heard it: an image and a script that are put in are refused, and that is said."""
    shown.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x.png\">')")
    shown.run("{const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)}")
    shown.run("new Promise(done => setTimeout(done, 300))")
    assert shown.run("window.ran === undefined")
    assert len([m for m in shown.messages if "Content Security Policy" in m]) >= 2


def test_it_has_the_expected_headings(shown: Tab, said: Postmortem) -> None:
    assert shown.run("document.querySelector('h1').innerText") == f"Postmortem: {said.batch}"
    headings = shown.run("[...document.querySelectorAll('h2')].map(h => h.innerText)")
    assert (
        headings[0] == "Summary"
        and headings[-1] == "Appendix: the record"
        and "Timeline" in headings
        and len(headings) == 11
    )
    assert "START OF IMPACT" in shown.run("document.querySelector('tr.mark').innerText")


def test_each_chart_is_drawn_with_the_right_number_of_points(shown: Tab, said: Postmortem) -> None:
    drawn: list[Any] = shown.run(
        "[...document.querySelectorAll('figure svg')].map(s => [s.getBoundingClientRect().width, s.getBoundingClientRect().height,"
        " [...s.querySelectorAll('.layer_0_marks path')].map(p => p.getAttribute('d')).join('')])"
    )
    wanted_points = [sum(v is not None for line in c.lines for v in line.values) for c in said.charts if not c.missing]
    assert [len(re.findall("[ML]", d)) for _, _, d in drawn] == wanted_points
    assert len(wanted_points) == 6
    assert all(width > 500 and height > 150 for width, height, _ in drawn)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing(shown: Tab, axe: str, scheme: str) -> None:
    shown.emulate(scheme)
    shown.run(f"{axe}; 0")
    assert shown.run(VIOLATIONS) == []
    assert shown.run(CONTRAST) == [0, 1]


def test_lines_of_charts_stand_out_in_light_and_dark(shown: Tab) -> None:
    """WCAG 1.4.11 asks 3:1 of graphics; the checker looks at text alone."""
    for scheme in ("light", "dark"):
        shown.emulate(scheme)
        contrasts = shown.run(_CONTRASTS)
        assert len(contrasts) >= 8
        assert min(contrasts) >= 3, (scheme, contrasts)


def test_nothing_sticks_out_of_a_narrow_window(page: Path, shown: Tab) -> None:
    shown.events.clear()
    shown.open(page, width=400)
    assert shown.run("document.documentElement.scrollWidth") <= 400


def test_pictures_are_taken_in_light_dark_and_print(shown: Tab, tmp_path_factory: pytest.TempPathFactory) -> None:
    """To be looked at: the paths are printed with -s."""
    folder = tmp_path_factory.mktemp("pictures")
    pictures = {}
    for name, scheme, media in (("light", "light", "screen"), ("dark", "dark", "screen"), ("print", "dark", "print")):
        shown.emulate(scheme, media)
        pictures[name] = shown.screenshot(folder / f"{name}.png")
        print(folder / f"{name}.png")
        background = shown.run("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") is (name != "dark")
    assert len({bytes(p) for p in pictures.values()}) == 3
    assert all(len(p) > 100_000 for p in pictures.values())


_CONTRASTS = """
(() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const probe = document.body.appendChild(document.createElement("i"));
  const colour = name => { probe.style.color = `var(${name})`; return light(getComputedStyle(probe).color); };
  const page = light(getComputedStyle(document.body).backgroundColor);
  const found = ["--text", "--limit", "--mark", 0, 1, 2, 3, 4, 5].map(n => typeof n === "number" ? `--line-${n}` : n)
    .map(colour).map(c => (Math.max(c, page) + 0.05) / (Math.min(c, page) + 0.05));
  probe.remove();
  return found;
})()
"""
