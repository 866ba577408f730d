"""The README's recipes do what they say: each is run as it is written, with the lab behind it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diagnostics.scoring.world import World, find, opened
from tests.sampling import a_share

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BIN = Path(sys.executable).parent
STUB = """#!/bin/sh
{ echo "$0 $*"; [ -t 0 ] || cat; } >> "$CALLS"
"""


def recipes(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def recipe(language: str, having: str) -> str:
    (found,) = [text for text in recipes(language) if having in text]
    return found


class Machine:
    """What runs recipes: pubsub-diag is real and asks the lab; pip and mail only write down how they were called."""

    def __init__(self, home: Path, world: World) -> None:
        self.home = home
        self.world = world
        self.calls = home / "calls"
        self.summary = home / "summary.md"
        tools = home / "bin"
        tools.mkdir()
        for name in ("pip", "mail"):
            (tools / name).write_text(STUB)
            (tools / name).chmod(0o755)
        (tools / "pubsub-diag").symlink_to(BIN / "pubsub-diag")
        self.environment = {
            "PATH": f"{tools}:/usr/bin:/bin",
            "HOME": str(home),
            "CALLS": str(self.calls),
            "XDG_STATE_HOME": str(home / "state"),
            "PUBSUB_DIAG_ENDPOINT": world.running.endpoint,
        }

    def run(self, script: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **(more or {})}
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, World]]:
    names = ("idle-since-deploy", "drops-invoker")
    stack = [opened(find(name), seed=1, log_reads_per_minute=10_000) for name in names]
    try:
        yield {name: context.__enter__() for name, context in zip(names, stack, strict=True)}
    finally:
        for context in stack:
            context.__exit__(None, None, None)


@pytest.fixture(params=a_share(["drops-invoker", "idle-since-deploy"], of=2))
def machine(request: pytest.FixtureRequest, worlds: dict[str, World], tmp_path: Path) -> Machine:
    return Machine(tmp_path, worlds[request.param])


def broken(machine: Machine) -> bool:
    return machine.world.scenario.name == "drops-invoker"


def test_the_cloud_build_step(machine: Machine) -> None:
    file = (ROOT / ".github" / "cloudbuild-health.yaml").read_text(encoding="utf-8")
    assert recipe("yaml", "entrypoint") == file, "the README shows the file"
    step = msgspec.yaml.decode(file)["steps"][0]
    assert set(step) <= {"id", "name", "entrypoint", "args", "env", "waitFor"}
    worker = machine.world.lab.world.services[machine.world.lab.cast.worker]
    commit = worker.revisions[-1].labels["commit-sha"][:7]
    arguments = [_substituted(a, {"_PUBSUB_DIAG": "diag.whl", "SHORT_SHA": commit}) for a in step["args"]]
    assert not any("$" in a for a in arguments), "a substitution that Cloud Build does not make"
    done = subprocess.run(
        [step["entrypoint"], *arguments],
        cwd=machine.home,
        env=machine.environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == (2 if broken(machine) else 0), done.stdout + done.stderr
    assert "pip install --quiet diag.whl" in machine.calls.read_text()
    wrong = [a.replace(commit, "0000000") for a in arguments]
    assert (
        subprocess.run(
            [step["entrypoint"], *wrong], cwd=machine.home, env=machine.environment, check=False, capture_output=True
        ).returncode
        == 2
    )


def _substituted(text: str, values: Mapping[str, str]) -> str:
    """As Cloud Build does before a step runs: $NAME and ${NAME}."""
    for name, value in values.items():
        text = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", value, text)
    return text


@pytest.mark.parametrize("options", ["", "--timeout 25 --require config"])
def test_the_github_action(machine: Machine, options: str) -> None:
    """The README's job uses the action of this repository, whose steps are run as they stand there."""
    workflow: Any = msgspec.yaml.decode(recipe("yaml", "runs-on"))
    *before, last = workflow["jobs"]["health"]["steps"]
    assert [s["uses"].partition("@")[0] for s in before] == [
        "actions/checkout",
        "actions/setup-python",
        "google-github-actions/auth",
    ]
    assert last["uses"] == "OWNER/pubsub-diag/.github@main"
    action: Any = msgspec.yaml.decode((ROOT / ".github" / "action.yml").read_text(encoding="utf-8"))
    assert action["runs"]["using"] == "composite"
    given = {"package": _expanded(last["with"]["package"], {"vars.PUBSUB_DIAG": "diag.whl"}), "options": options}
    assert set(last["with"]) <= set(action["inputs"])
    values = {f"inputs.{name}": given.get(name, str(one.get("default", ""))) for name, one in action["inputs"].items()}
    machine.environment |= {"GITHUB_STEP_SUMMARY": str(machine.summary), "GITHUB_ACTIONS": "true"}
    results = []
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash" and "${{" not in step["run"], "what is put into a script is run as one"
        results.append(machine.run(step["run"], {k: _expanded(v, values) for k, v in step["env"].items()}))
    assert "pip install --quiet diag.whl" in machine.calls.read_text()
    assert results[0].returncode == 0
    if not options:
        assert results[-1].returncode == (2 if broken(machine) else 0), results[-1].stderr
        assert any(line.startswith("::error") for line in results[-1].stdout.splitlines()) is broken(machine)
    assert machine.summary.read_text().strip()


def _expanded(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda m: values[m[1]], text)


def test_the_cron_line(machine: Machine) -> None:
    line = recipe("cron", "pubsub-diag").strip()
    assert "%" not in line, "cron makes a newline of it"
    *when, command = line.split(maxsplit=5)
    assert len(when) == 5
    (machine.home / "pipeline").mkdir()
    done = machine.run(command)
    assert (done.stdout, done.stderr) == ("", ""), "cron mails whatever is printed"
    if broken(machine):
        mailed = machine.calls.read_text()
        assert "mail -s pipeline health oncall@example.com" in mailed
        assert "FAULT  path: " in mailed
    else:
        assert not machine.calls.exists()
        assert (machine.home / "pipeline" / "health.txt").read_text().startswith("IDLE  ")


def test_the_nagios_command(machine: Machine) -> None:
    text = recipe("nagios", "define command")
    line = re.search(r"^ *command_line +(.*)$", text, re.MULTILINE)
    assert line
    done = machine.run(line[1].replace("$USER1$", str(machine.home / "bin")).replace("$ARG1$", "nba-predictions"))
    assert done.returncode == (2 if broken(machine) else 0)
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"PUBSUB-DIAG {'CRITICAL' if broken(machine) else 'OK'} - ")
    assert " | " in first
    assert done.stderr == ""


def test_no_recipe_is_left_untried() -> None:
    assert {language: len(recipes(language)) for language in ("yaml", "cron", "nagios")} == {
        "yaml": 2,
        "cron": 1,
        "nagios": 1,
    }
