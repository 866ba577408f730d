"""Types one command of a page into an incident: Pub/Sub's through real gcloud, all others through one translator to the same change.

The translator knows the commands and flags that pages use, and refuses every other one, a project or a region that is not this
incident's, and a name that is not there, as Google would.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from diagnostics.lab.applications.plan import BatchPlan
from diagnostics.lab.model import Revision, Service
from diagnostics.lab.query.sql import BadQuery, Merge
from diagnostics.lab.scenario import ScenarioError
from diagnostics.scoring.expect import LATEST
from diagnostics.shell import commands
from tests.remedies.incident import Incident

TOKEN = "$(gcloud auth print-identity-token)"


class Refused(Exception):
    """A command that does not exist, or that would not do here; says why."""


def type_in(incident: Incident, line: str) -> str:
    """Type it, and return what was printed, as far as that is played. Raises Refused."""
    words = _words(incident, line)
    if words[0] == "pubsub-diag":
        return _ours(incident, words[1:])
    if words[0] == "curl":
        return _curl(incident, words[1:])
    if words[:2] == ["gcloud", "pubsub"]:
        return _pubsub(incident, line)
    if words[0] == "gcloud":
        return _gcloud(incident, words[1:])
    if words[0] == "bq":
        return _bq(incident, words[1:])
    raise Refused(f"no such program: {words[0]}")


def _words(incident: Incident, line: str) -> list[str]:
    line = line.replace(TOKEN, "TOKEN")
    told_by_sed = list[str]()
    while "$(sed " in line:
        inner = line[line.index("$(sed ") + 2 :].partition(")")[0]
        line = line.replace(f"$({inner})", f"SED{len(told_by_sed)}")
        told_by_sed.append(_sed(incident, inner))
    if told_by_sed:
        return [_with(word, told_by_sed) for word in shlex.split(line)]
    while "$(" in line:
        inner = line[line.index("$(") + 2 :]
        end = next(at for at in range(len(inner)) if inner[at] == ")" and commands.is_whole(inner[:at]))
        if not inner.startswith("gcloud "):
            raise Refused(f"a substitution that nobody knows: {inner[:end]}")
        told = _gcloud(incident, shlex.split(inner[:end])[1:]).strip()
        line = line.replace(f"$({inner[:end]})", told)
    return shlex.split(line)


WRITTEN = ("missing.json", "sync.sql")
"""Files that a page has our commands write, or read again."""


def _sed(incident: Incident, line: str) -> str:
    """What sed itself makes of such a file."""
    arguments = [str(incident.folder / word) if word in WRITTEN else word for word in shlex.split(line)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout


def _with(word: str, told: Sequence[str]) -> str:
    for at, text in enumerate(told):
        word = word.replace(f"SED{at}", text)
    return word


def _bq(incident: Incident, words: Sequence[str]) -> str:
    """One MERGE, run by the lab's own engine."""
    world = incident.lab.world
    flags = {"--nouse_legacy_sql", f"--project_id={world.project}", f"--location={world.region}"}
    said = [word for word in words if not word.startswith("--")]
    if unknown := {word for word in words if word.startswith("--")} - flags:
        raise Refused(f"bq {' '.join(sorted(unknown))}: no such project, place or flag here")
    if len(said) != 2 or said[0] != "query" or "--nouse_legacy_sql" not in words:
        raise Refused(f"bq {' '.join(said)[:80]}: the translator knows no such command")
    try:
        changed = Merge(said[1], world.tables, world.project, world.region).run()
    except BadQuery as error:
        raise Refused(f"bq query: {error.message}") from error
    incident.done.append(f"bq query: a MERGE that changed {changed} rows")
    return f"Number of affected rows: {changed}"


# --- ours and Pub/Sub's ----------------------------------------------------------------------------------------------


def _ours(incident: Incident, arguments: Sequence[str]) -> str:
    given = [str(incident.folder / word) if word in WRITTEN else word for word in arguments]
    answered = incident.run(given)
    expected = (
        (0, 1, 2, 3) if arguments[0] == "access" else (0, 1, 2)
    )  # 3: something may not be seen, which is what it is asked for
    if answered.code not in expected:
        raise Refused(f"pubsub-diag {' '.join(arguments)}: exit code {answered.code}: {answered.out or answered.err}")
    return answered.out


def _pubsub(incident: Incident, line: str) -> str:
    done = incident.gcloud.shell(line, incident.lab.world.project, incident.rest.address)
    if done.returncode:
        raise Refused(f"{line}: {done.stderr.strip()}")
    said = done.stdout + done.stderr
    verb = " ".join(word for word in shlex.split(line)[2:5] if not word.startswith("-"))
    if not {"describe", "list", "list-subscriptions", "pull"} & set(shlex.split(line)):
        incident.done.append(f"gcloud {verb}{_flags_of(line)}")
    return said


def _flags_of(line: str) -> str:
    told = [word for word in shlex.split(line) if word.startswith("--") and not word.startswith("--project")]
    short = [word.partition("=")[0] if len(word) > 30 else word for word in told]
    return " " + " ".join(short) if short else ""


# --- calls to the coordinator ----------------------------------------------------------------------------------------


def _curl(incident: Incident, arguments: list[str]) -> str:
    method, body, address, headers = "GET", "", "", list[str]()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "-X":
            method = rest.pop(0)
        elif word == "-H":
            headers.append(rest.pop(0))
        elif word == "-d":
            body = rest.pop(0)
        elif word == "--max-time":
            rest.pop(0)
        elif word.startswith("https://"):
            address = word
        elif word != "--fail-with-body":
            raise Refused(f"curl {word}: no such option here")
    if "Authorization: Bearer TOKEN" not in headers or not address:
        raise Refused("curl without a token or an address")
    if body:
        json.loads(body)  # the program would refuse it
    url = urlsplit(address)
    before = incident.before.batch
    plan = BatchPlan(items=(before and before.expected) or 40) if url.path == "/start" else None
    if url.path == "/start":
        incident.asked = msgspec.structs.replace(incident.asked, batch=LATEST)
    status, said = incident.call(url.netloc, method, url.path, body.encode(), plan)
    incident.done.append(f"{method} {url.path}: {status}")
    if status >= 400:
        raise Refused(f"{method} {url.path}: HTTP {status}: {said}")
    return said


# --- gcloud, but for Pub/Sub -----------------------------------------------------------------------------------------

Flags = dict[str, str]
Handler = Callable[[Incident, list[str], Flags], str]


def _gcloud(incident: Incident, words: list[str]) -> str:
    release = words[0] if words[0] in ("beta", "alpha") else ""
    words = words[1:] if release else words
    positionals = [word for word in words if not word.startswith("--")]
    flags = {name: value for name, _, value in (word[2:].partition("=") for word in words if word.startswith("--"))}
    for length in (4, 3, 2):
        command = " ".join(positionals[:length])
        if command in COMMANDS:
            handler, known = COMMANDS[command]
            break
    else:
        raise Refused(f"gcloud {' '.join(positionals)}: the translator knows no such command")
    for name in flags:
        if name not in known and name not in ("project", "region", "format", "limit"):
            raise Refused(f"gcloud {command}: --{name}: the translator knows no such flag")
    world = incident.lab.world
    if flags.get("project", world.project) != world.project:
        raise Refused(f"gcloud {command}: no project {flags['project']}")
    if flags.get("region", world.region) != world.region:
        raise Refused(f"gcloud {command}: nothing is in the region {flags['region']}")
    if command.startswith("run ") and "region" not in flags:
        raise Refused(f"gcloud {command}: without --region it asks back")
    try:
        said = handler(incident, positionals[length:], flags)
    except (ScenarioError, LookupError, ValueError) as error:
        raise Refused(f"gcloud {command}: {error}") from error
    if not {"describe", "list", "read", "get", "get-iam-policy"} & set(command.split()):
        told = [f"--{n}={v}" if v else f"--{n}" for n, v in flags.items() if n not in ("project", "region", "format")]
        incident.done.append(f"{command} {' '.join(told)}".strip())
    return said


def _service(incident: Incident, name: str) -> Service:
    services = incident.lab.world.services
    if name not in services:
        raise LookupError(f"no service {name}; there are {', '.join(services)}")
    return services[name]


def _serving(service: Service) -> Revision:
    name = max(service.traffic, key=lambda row: row[1], default=("", 100, ""))[0]
    return service.revision(name) or service.revisions[-1]


def _pairs(value: str) -> dict[str, str]:
    """NAME=VALUE,NAME=VALUE, as gcloud reads it."""
    named = (pair.partition("=") for pair in value.split(","))
    return {name: worth for name, _, worth in named}


READY_S = 20.0
"""`gcloud run services update` comes back when the new revision serves."""
REVISION_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "timeout": ("timeout", lambda value: f"{int(value)}s"),
    "concurrency": ("concurrency", int),
    "min-instances": ("min_instances", int),
    "max-instances": ("max_instances", int),
    "memory": ("memory_mib", lambda value: int(value.removesuffix("Gi")) * 1024),
    "cpu": ("cpu", str),
    "service-account": ("account", str),
    "update-env-vars": ("update_env", _pairs),
    "update-labels": ("labels", _pairs),
}
PROGRAM = {"GUNICORN_CMD_ARGS=--timeout=0": "-server-timeout"}
"""Variables that the server in the container reads, which in the lab is part of the program."""


def _update(incident: Incident, words: list[str], flags: Flags) -> str:
    (name,) = words
    service = _service(incident, name)
    changes: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for flag, value in flags.items():
        if flag in REVISION_FIELDS:
            field, read = REVISION_FIELDS[flag]
            changes[field] = read(value)
    code = service.revisions[-1].code
    if trait := PROGRAM.get(flags.get("update-env-vars", "")):
        changes["code"] = f"{code} {trait}"
    if "liveness-probe" in flags:
        if flags["liveness-probe"]:
            raise ValueError("the lab can only take the probe away")
        changes["code"] = f"{code} -busy-fails-liveness"
    if "no-cpu-throttling" in flags:
        changes["cpu_idle"] = False
    if "cpu-boost" in flags:
        changes["startup"] = f"{max(1, round(service.revisions[-1].startup_s * 0.7))}s"
    if "ingress" in flags:
        settings["ingress"] = flags["ingress"]
    if "default-url" in flags:
        settings["default_uri_disabled"] = False
    if "no-iap" in flags:
        settings["iap"] = False
    if "scaling" in flags:
        settings["manual_instances"] = {"auto": None}[flags["scaling"]]
    if "add-custom-audiences" in flags:
        settings["custom_audiences"] = [*service.custom_audiences, flags["add-custom-audiences"]]
    if changes:
        pinned = service.traffic and service.traffic[0][0]
        incident.happen(deploy={"service": name, "by": "person", "traffic": "keep" if pinned else "latest", **changes})
        incident.lab.advance(READY_S + 3 * service.revisions[-1].startup_s)
    if settings:
        incident.happen(set_service={"service": name, "by": "person", **settings})
    if not changes and not settings:
        raise ValueError("nothing to change")
    return "... is serving 100 percent of traffic."


def _traffic(incident: Incident, words: list[str], flags: Flags) -> str:
    (name,) = words
    service = _service(incident, name)
    if "to-latest" in flags:
        incident.happen(traffic={"service": name, "to": "latest", "by": "person"})
        return "100% LATEST"
    if "update-tags" in flags:
        tag, _, to = flags["update-tags"].partition("=")
        incident.happen(traffic={"service": name, "to": "latest" if to == "LATEST" else to, "tag": tag, "by": "person"})
        return tag
    revision, _, share = flags["to-revisions"].partition("=")
    if share != "100" or service.revision(revision) is None:
        raise LookupError(f"no revision {revision} of {name}")
    incident.happen(traffic={"service": name, "to": revision, "by": "person"})
    return f"100% {revision}"


def _grant(on: Callable[[str], str]) -> Handler:
    def grant(incident: Incident, words: list[str], flags: Flags) -> str:
        (name,) = words
        world = incident.lab.world
        if on(name) == "project" and name != world.project:
            raise LookupError(f"no project {name}")
        member = flags["member"]
        if not re.fullmatch(r"(serviceAccount|user|group):\S+@\S+", member):
            raise ValueError(f"{member} is no member")
        if member.startswith("serviceAccount:") and member.partition(":")[2] not in {
            *world.accounts,
            world.pubsub_agent,
        }:
            raise ValueError(f"Service account {member.partition(':')[2]} does not exist.")
        if on(name) == "project" and flags.get("condition") != "None":
            raise ValueError("a policy with conditions asks back without --condition")
        incident.happen(grant={"on": on(name), "role": flags["role"], "member": member, "by": "person"})
        incident.granted(member)
        kind = {"account": "serviceAccount"}.get(kind := on(name).partition(":")[0], kind)
        return f"Updated IAM policy for {kind} [{name}]."

    return grant


def _describe_service(incident: Incident, words: list[str], flags: Flags) -> str:
    service = _service(incident, words[0])
    revision = service.revisions[-1]
    told = {
        "value(status.url)": lambda: incident.url(service.name),
        "value(spec.template.spec.timeoutSeconds)": lambda: f"{revision.timeout_s:.0f}",
        "value(spec.template.spec.serviceAccountName)": lambda: revision.account,
        "value(spec.template.spec.containerConcurrency)": lambda: str(revision.concurrency),
        "yaml(spec.template.spec.containers[0].env)": lambda: json.dumps(revision.env),
        "value(spec.template.spec.containers[0].env)": lambda: json.dumps(revision.env),
    }
    return told[flags["format"]]()


def _describe_revision(incident: Incident, words: list[str], flags: Flags) -> str:
    found = [r for s in incident.lab.world.services.values() for r in s.revisions if r.name == words[0]]
    if not found or flags["format"] != "yaml(spec.containers[0].env)":
        raise LookupError(f"no revision {words[0]}, or another format")
    return json.dumps(found[0].env)


def _list_revisions(incident: Incident, words: list[str], flags: Flags) -> str:
    del words
    return "\n".join(r.name for r in reversed(_service(incident, flags["service"]).revisions))


def _policy_of_service(incident: Incident, words: list[str], flags: Flags) -> str:
    del flags
    return str(_service(incident, words[0]).policy)


def _enable_account(incident: Incident, words: list[str], flags: Flags) -> str:
    del flags
    incident.happen(enable_account={"account": words[0], "by": "person"})
    return f"Enabled service account [{words[0]}]."


def _deny_policy(incident: Incident, words: list[str], flags: Flags) -> str:
    """What is read; an update writes what the page says to add to it: an exception for the push account."""
    world = incident.lab.world
    if flags["attachment-point"] != f"cloudresourcemanager.googleapis.com%2Fprojects%2F{world.project}":
        raise LookupError(f"no policies are attached to {flags['attachment-point']}")
    if flags["kind"] != "denypolicies":
        raise ValueError(flags["kind"])
    found = [policy for policy in world.denied if policy.name == words[0]]
    if not found:
        raise LookupError(f"no deny policy {words[0]}; there are {', '.join(p.name for p in world.denied)}")
    if "policy-file" in flags:
        account = incident.lab.cast.account("coordinator" if "pubsub" in found[0].permission else "worker")
        spared = f"principal://iam.googleapis.com/projects/-/serviceAccounts/{account}"
        found[0].excepted = (*found[0].excepted, spared)
    return found[0].name


def _project(incident: Incident, words: list[str], flags: Flags) -> str:
    if words[0] != incident.lab.world.project or flags["format"] != "value(projectNumber)":
        raise LookupError(words[0])
    return incident.lab.world.number


def _log(incident: Incident, words: list[str], flags: Flags) -> str:
    """Filters are read by the lab's own reader; what it would print is of no consequence here."""
    del flags
    from diagnostics.lab.query import logging as lql

    lql.parse(words[0], incident.lab.world.project)
    return "entries"


COMMANDS: dict[str, tuple[Handler, frozenset[str]]] = {
    "run services update": (
        _update,
        frozenset(
            {*REVISION_FIELDS, "cpu-boost", "ingress", "default-url", "no-iap", "scaling", "add-custom-audiences"}
            | {"liveness-probe", "no-cpu-throttling"}
        ),
    ),
    "run services update-traffic": (_traffic, frozenset({"to-revisions", "to-latest", "update-tags"})),
    "run services describe": (_describe_service, frozenset()),
    "run services get-iam-policy": (_policy_of_service, frozenset()),
    "run services add-iam-policy-binding": (_grant(lambda name: f"service:{name}"), frozenset({"member", "role"})),
    "run revisions describe": (_describe_revision, frozenset()),
    "run revisions list": (_list_revisions, frozenset({"service"})),
    "projects add-iam-policy-binding": (_grant(lambda _: "project"), frozenset({"member", "role", "condition"})),
    "projects describe": (_project, frozenset()),
    "iam service-accounts add-iam-policy-binding": (
        _grant(lambda name: f"account:{name}"),
        frozenset({"member", "role"}),
    ),
    "iam service-accounts enable": (_enable_account, frozenset()),
    "iam policies get": (_deny_policy, frozenset({"attachment-point", "kind"})),
    "iam policies update": (_deny_policy, frozenset({"attachment-point", "kind", "policy-file"})),
    "logging read": (_log, frozenset({"freshness", "order"})),
}
"""Command to what it changes, and the flags that it takes beside --project, --region, --format and --limit."""
