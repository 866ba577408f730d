"""Secrets planted in every place that evidence can come from: none comes out, in bundle, report, log, error or terminal.

`PLACES` is the list. Each place gets a secret of its own, so that a leak says where it came from.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.memory import create_connected_server_and_client_session as connected
from msgspec import structs

from diagnostics.cli import main
from diagnostics.cli.do import probe as probing
from diagnostics.cli.do.agents.server import server
from diagnostics.cli.frame.options import Asked
from diagnostics.evidence.model import BatchStatus
from diagnostics.evidence.redact import redact
from diagnostics.evidence.redaction import cleaner
from diagnostics.keep.bundle import load
from diagnostics.lab.audit import Target
from diagnostics.lab.http import Response
from diagnostics.lab.lab import Lab
from diagnostics.lab.model import Binding, Document
from diagnostics.lab.recorder import LogEntry
from diagnostics.lab.scenario import load as scenario
from diagnostics.lab.servers.serve import RunningLab, start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.pipeline import places
from diagnostics.pipeline.load import load_profile
from diagnostics.probe.reach import Waits
from tests.evidence.corpus.planted import unveiled
from tests.sampling import a_share

ROOT = Path(__file__).parents[2]
NIGHT = """
name: a-night-full-of-secrets
story: Somebody logs, labels and configures what should be in a vault.
caller: {lacks: [pubsub.topics.getIamPolicy]}
timeline:
  - {at: -1d, start_batch: {name: last-night, items: 30}}
  - {at: -40m, start_batch: {name: tonight, items: 24, gated: {existing: 4}}}
"""
PLACES = (
    "text line", "line within JSON", "JSON field", "reason of a marker", "item name", "platform line", "request URL", "request path",
    "user agent", "request text", "audit principal", "audit status", "audit request", "audit environment", "push endpoint query",
    "push endpoint user", "audience query", "subscription label", "service environment", "revision label", "boot error",
    "member", "condition", "message data", "message attribute", "caller", "asked batch", "profile pattern",
    "cookie", "private key", "Google key", "API error",
    "shell variable", "prose", "option", "glued option", "environment dump", "storage signature", "key of a URL", "code of a URL",
    "auth of a URL", "GitLab token", "full-width letters", "zero-width letters", "display name", "JSON key", "JSON list", "YAML",
    "netrc", "header list", "connection string", "URL path", "environment name", "push attribute", "topic label", "custom audience",
    "service label", "profile path", "batch of a note", "until", "marker word", "image", "filter", "command argument",
    "command error", "command text", "command value", "command field", "Firestore value", "Firestore time", "Firestore item",
    "Firestore reason", "status error", "status value", "status path", "status field",
    "profile pattern in a state", "profile pattern in an example",
)  # fmt: skip
"""Every place that evidence can come from."""


def secret(place: str) -> str:
    """What must not come out: unlike any other text there is."""
    return f"S3cr3t{PLACES.index(place):02d}x{place.replace(' ', '')}"


def jwt(place: str) -> str:
    return f"eyJhbGciOiJSUzI1NiJ9.{secret(place)}.c2lnbmF0dXJl"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    file = tmp_path_factory.mktemp("lab") / "night.yaml"
    file.write_text(
        NIGHT
        + f"faults:\n  - {{rpc: Publisher/GetTopic, kind: permission_denied, message: 'no: Bearer {jwt('API error')}'}}\n"
    )
    world = Lab(scenario(file, 3), 3, Telemetry())
    plant(world)
    with start(world, log_reads_per_minute=10_000) as running:
        yield running


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def plant(lab: Lab) -> None:
    """Put a secret in each place; those of the command line and the profile are the test's."""
    now, world, cast = lab.clock.now(), lab.world, lab.cast
    ticks = itertools.count()

    def log(role: str, log: str = "stderr", **payload: object) -> None:
        service = world.services[cast.service(role)]
        labels = {
            "project_id": world.project, "service_name": service.name, "location": service.region,
            "revision_name": service.revisions[-1].name, "configuration_name": service.name,
        }  # fmt: skip
        at = now - 1200 - next(ticks)
        kind = f"run.googleapis.com/{log}"
        entry = LogEntry(kind, at, at + 1, "ERROR", "cloud_run_revision", labels, {"instanceId": "i1"}, **payload)  # type: ignore[arg-type]
        lab.recorder.log(entry)

    log("worker", text=f"calling with Authorization: Bearer {jwt('text line')}")
    log("worker", text='{\\"password\\": \\"' + secret("line within JSON") + ' and more\\"}')
    log("worker", json={"message": f"failed: api_key={secret('JSON field')}", "token": secret("JSON field")})
    log("worker", text=f"Error processing prediction request for someone: token={secret('reason of a marker')}")
    log("worker", text=f"TRANSIENT failure for {secret('item name')}@example.com: rate_limited - returning 500")
    log("worker", "varlog/system", text=f"Container called exit(1). passwd: {secret('platform line')}")
    log("worker", text=f"Set-Cookie: session={secret('cookie')}; HttpOnly")
    log("worker", text=f"-----BEGIN PRIVATE KEY-----\n{secret('private key')}\n-----END PRIVATE KEY-----")
    log("worker", text=f"key AIza{secret('Google key')}{'y' * 30}")
    log("worker", text=f"the vault said {secret('profile pattern')}")
    log("worker", text=f"Successfully generated {secret('profile pattern in an example')} predictions")
    for text in (
        f"starting with DB_PASS={secret('shell variable')}",
        f"logging in, password is {secret('prose')}",
        f"running mysqldump --password {secret('option')} prod",
        f"running mysql -uroot -p{secret('glued option')} prod",
        f"env HOME=/root PATH=/usr/bin PORT=8080 SMTP_LOGIN={secret('environment dump')} K_SERVICE=w",
        f"PUT https://a.blob.core.windows.net/c/b?sv=2022-11-02&sr=b&sig={secret('storage signature')}%3D",
        f"GET https://api.example.com/v1?key={secret('key of a URL')}&page=2",
        f"GET https://api.example.com/v1?code={secret('code of a URL')}",
        f"GET https://api.example.com/v1?auth={secret('auth of a URL')}",
        f"cloning with glpat-{secret('GitLab token')}xx",
        f"says {wide('password=' + secret('full-width letters'))}",
        f"says {chr(0x200B).join('token: ' + secret('zero-width letters'))}",
        f"mail to {secret('display name')} <{secret('display name')}@example.com> bounced",
        f"database:\n  host: db\n  password: {secret('YAML')}\n",
        f"machine api.example.com login bob password {secret('netrc')}",
        f"headers=[('X-Api-Key', '{secret('header list')}')]",
        f"cannot connect to Server=db;User ID=sa;Password={secret('connection string')};",
        f"posting to https://hooks.slack.com/services/T0/B0/{secret('URL path')}",
        f"Error processing prediction request for someone: RuntimeError('db_password={secret('marker word')}')",
    ):
        log("worker", text=text)
        log("coordinator", text=text)
    log("worker", json={"message": "could not sign in", "auth": {"client_secret": secret("JSON key")}})
    log(
        "worker",
        json={"message": f'sent {{"secrets": ["{secret("JSON list")}", "x"]}}', "tokens": [secret("JSON list")]},
    )
    for role in ("worker", "coordinator"):
        url = f"https://x.run.app/start/{jwt('request path')}?key={secret('request URL')}"
        http = {
            "requestMethod": "POST",
            "requestUrl": url,
            "status": 403,
            "latency": 0.1,
            "userAgent": f"curl token={secret('user agent')}",
        }
        log(role, "requests", http=http, text=f"not allowed: Bearer {jwt('request text')}")

    person = f"{secret('audit principal')}@example.com"
    target = Target("subscription", cast.subscription("request"))
    lab.audit.activity(
        target, "UpdateSubscription", person,
        {
            "subscription": {"pushConfig": {"pushEndpoint": f"https://x.run.app/p?key={secret('audit request')}"}},
            "updateMask": "pushConfig",
        },
        refused=(7, f"denied: secret={secret('audit status')}"), at=now - 900,
    )  # fmt: skip
    container = {"env": [{"name": "DB_URL", "value": f"postgres://u:{secret('audit environment')}@db/x"}]}
    deploy = {"service": {"spec": {"template": {"spec": {"containers": [container]}}}}}
    lab.audit.activity(Target("service", cast.service("worker")), "ReplaceService", person, deploy, at=now - 800)

    subscription = world.subscriptions[cast.subscription("request")]
    base = subscription.push.endpoint.removeprefix("https://")
    subscription.push.endpoint = f"https://me:{secret('push endpoint user')}@{base}?key={secret('push endpoint query')}"
    subscription.push.audience = f"https://{base}?sig={secret('audience query')}"
    subscription.labels = {"db-password": secret("subscription label").lower()}
    subscription.policy.bindings.append(
        Binding(
            "roles/viewer", {f"user:{secret('member')}@example.com"}, f'request.auth.token == "{secret("condition")}"'
        )
    )
    worker = world.services[cast.service("worker")]
    revision = worker.revisions[-1]
    revision.env["API_KEY"] = secret("service environment")
    revision.env[f"TOKEN_{secret('environment name')}"] = "x"
    revision.labels["api-token"] = secret("revision label").lower()
    world.topics[subscription.topic].labels = {"smtp-pass": secret("topic label").lower()}
    worker.labels["webhook_secret"] = secret("service label").lower()
    worker.custom_audiences = (f"https://{base}?code={secret('custom audience')}",)
    subscription.push.attributes["x-api-key"] = secret("push attribute")
    revision.boot_error = f"token={secret('boot error')}"
    lab.publish(
        subscription.topic, f'{{"player": "{secret("message data")}"}}'.encode(),
        {"token": secret("message attribute")}, None,
    )  # fmt: skip
    subscription.filter = f'attributes.api_key = "{secret("filter")}"'
    revision.image = f"us-docker.pkg.dev/p/r/worker:glpat-{secret('image')}{'x' * 8}"
    plant_states(lab)


PROGRAM = f"""
import json, sys
said = {{
    "error": "", "text": "session={secret("command text")}; no JSON",
    "value": json.dumps({{"expected": "token={secret("command value")}"}}),
    "field": json.dumps({{"TOKEN_{secret("command field")}": 1, "done": 2}}),
}}
print(said[sys.argv[1]])
if sys.argv[1] == "error":
    sys.exit("Traceback\\nLoginError: user app, password={secret("command error")} refused")
"""
"""Prints what a program for batch state may print."""
REPLIES = {
    "/broken": (500, f"cannot connect to postgres://app:{secret('status error')}@db/prod"),
    "/odd": (200, json.dumps({"expected": f"api_key={secret('status value')}"})),
    "/other": (200, json.dumps({"session_token": 1, f"sid={secret('status field')}": 2})),
}
"""What the coordinator answers elsewhere than at /status, by path."""


def plant_states(lab: Lab) -> None:
    """Batch state that holds secrets, in Firestore and in what the coordinator answers."""
    kept, call = lab.world.documents, lab.http

    def documents() -> dict[str, Document]:
        found = kept()
        for path in list(found):
            batch = path.rpartition("/")[2]
            told: dict[str, dict[str, Any]] = {
                "values": {"expected": f"Bearer {jwt('Firestore value')}"},
                "times": {"expected": 20, "closed_at": f"password={secret('Firestore time')}"},
                "good": {
                    "batch_id": batch, "expected": 20, "completed": ["player_1", f"token={secret('Firestore item')}"],
                    "closed": True, "forced": f"closed by {secret('profile pattern in a state')}, password is {secret('Firestore reason')}",
                },
            }  # fmt: skip
            now = lab.clock.now()
            found |= {f"{name}/{batch}": Document(fields, now - 60, now - 60) for name, fields in told.items()}
        return found

    def http(host: str, method: str, path: str, *rest: Any, **more: Any) -> Response:
        told = REPLIES.get(path.partition("?")[0])
        return Response(told[0], told[1].encode()) if told else call(host, method, path, *rest, **more)

    lab.world.documents = documents
    lab.http = http  # type: ignore[method-assign]


def states(program: Path) -> str:
    """Places of batch state as a profile names them: all but the last fail, each in its own way."""
    run = f'kind = "command"\ncommand = ["{sys.executable}", "{program}"'
    fields = 'completed = "completed"\nclosed = "closed"\nclosed_at = "closed_at"\nforced = "forced"'
    places = [
        f'{run}, "error", "--password", "{secret("command argument")}", "{{batch}}"]',
        *(f'{run}, "{what}", "{{batch}}"]' for what in ("text", "value", "field")),
        *(f'kind = "firestore"\ndocument = "{name}/{{batch}}"\n{fields}' for name in ("values", "times")),
        f'path = "/broken?key={secret("status path")}&batch_id={{batch}}"',
        *(f'path = "{path}?batch_id={{batch}}"' for path in ("/odd", "/other")),
        f'kind = "firestore"\ndocument = "good/{{batch}}"\n{fields}',
    ]
    return "".join(f"[[batch_state]]\n{place}\n\n" for place in places)


SAID_INSTEAD = (
    "ended with 1: LoginError: user app, password=[redacted", "is no JSON: session=[redacted", 'expected is "token=[redacted',
    "its fields: TOKEN_[redacted", 'expected is "Bearer [redacted', 'closed_at is "password=[redacted',
    "it answered 500 with cannot connect to postgres://[redacted]@db", 'expected is "api_key=[redacted', "session_token, sid=[redacted",
)  # fmt: skip


class Heard(NamedTuple):
    """All that came out of the commands, anywhere, and where their files are."""

    text: str
    folder: Path


@pytest.fixture(scope="module")
def heard(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Heard:
    folder = tmp_path_factory.mktemp("heard")
    profile = (Path(load_profile.__code__.co_filename).parent / "profiles" / "nba-predictions.toml").read_text()
    own = "\n[redact]\npatterns = ['S3cr3t[0-9]+xprofilepattern[a-z]*', 'own-name-[a-z]+']\n"
    (folder / "pubsub-diag.toml").write_text(profile + own)
    program = folder / "state.py"
    program.write_text(PROGRAM)
    alone = profile[: profile.index("[batch_state]")] + profile[profile.index("[closing]") :]
    (folder / "states.toml").write_text(alone + states(program) + own)
    asked = f"token={secret('asked batch')}"
    lines = (
        ["note", f"used password={secret('caller')} of {secret('profile pattern')}", "--at", "5m"],
        ["note", "rolled back", "--batch", f"token={secret('batch of a note')}"],
        ["batch"], ["batch", "-v"], ["batch", "-o", "json"], ["batch", "--items"], ["batch", asked, "-v"], ["batches"],
        ["delivery", "-v"], ["worker", "-v"], ["changes", "-v"], ["push-auth", "-v"], ["cold-start", "-v"], ["published", "-v"],
        ["capture", "--out", "all.gz"], ["bundle", "show", "all.gz"], ["bundle", "verify", "all.gz"], ["bundle", "list"],
        ["profile", "test", "--days", "1"], ["access"], ["batch", "--from", "all.gz", "-v"], ["batch", "--from", asked],
        ["batch", "-o", "short", "-v"], ["batch", "-o", "junit"], ["batch", "-o", "github"], ["batch", "-o", "markdown"],
        ["health", "-v"], ["health", "-o", "nagios"], ["health", "-o", "prometheus"], ["lint", "-v"], ["lint", "--all"],
        ["watch", "--for", "1s"], ["runbook", "show", "push-invoker-missing"], ["alerts"],
        ["profile", "test", "--days", "1", "--profile", "states.toml"], ["capture", "--profile", "states.toml", "--out", "states.gz"],
        ["batch", "--from", "states.gz", "-v"], ["batch", "--profile", "states.toml", "-o", "json"],
        ["postmortem", "--out", "p.md"], ["postmortem", "--out", "p.html"], ["selftest", "--out", "self.json"],
        ["batch", "--profile", f"token={secret('profile path')}.toml"], ["batch", "--until", f"password={secret('until')}"],
        ["batch", "-v", "--since", f"Bearer {jwt('caller')}"], ["init", "--subscription", "prediction-request-prod", "--out", "p.toml"],
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as own_place:
        for home in ("STATE", "CACHE", "CONFIG"):
            own_place.setenv(f"XDG_{home}_HOME", str(folder / home.lower()))
        own_place.setenv("PUBSUB_DIAG_ENDPOINT", lab.endpoint)
        own_place.setenv("COORDINATOR_API_KEY", secret("caller"))
        own_place.chdir(folder)
        text = run_all(a_share(lines, of=10, always=lambda line: "--out" in line or line[0] == "note"), [folder])
        text += agents_hear(asked)
    return Heard(text, folder)


def agents_hear(asked: str) -> str:
    """What the tools for agents reply, in their words and in their structures."""
    replies: list[str] = []
    calls: tuple[tuple[str, dict[str, str]], ...] = (
        ("diagnose_batch", {}), ("diagnose_batch", {"batch": asked}), ("list_batches", {}), ("delivery", {}), ("lint", {}), ("health", {}),
        ("runbook", {"code": f"token={secret('caller')}"}), ("postmortem", {}), ("outcome", {"batch": asked}), ("model_drift", {}),
    )  # fmt: skip

    async def ask() -> None:
        async with connected(server(Asked(quiet=True))) as session:
            for name, arguments in calls:
                replies.append((await session.call_tool(name, arguments)).model_dump_json())

    anyio.run(ask)
    assert "FAULT" in "".join(replies) or "WARNING" in "".join(replies)
    return "\n".join(replies)


def run_all(lines: Iterable[Sequence[str]], folders: Iterable[Path]) -> str:
    """What these command lines say, and what all files of these folders hold afterwards, unpacked, but for what was there before."""
    before = {file for folder in folders for file in folder.rglob("*")}
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        for line in lines:
            main.run(line)
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file() and file not in before]
    kept = [file.read_bytes() for file in files]
    texts = [gzip.decompress(k) if k[:2] == b"\x1f\x8b" else k for k in kept]
    return "\n".join([said.getvalue(), *(t.decode() for t in texts)])


def test_no_secret_comes_out_anywhere(heard: Heard) -> None:
    said = heard.text
    assert "FAULT" in said or "WARNING" in said
    plain = f"{said}\n{unveiled(said)}".lower()
    leaked = [place for place in PLACES if secret(place).lower() in plain]
    assert leaked == [], [plain[max(0, plain.find(secret(p).lower()) - 300) :][:400] for p in leaked]


def test_what_was_planted_was_seen(heard: Heard) -> None:
    """The evidence did pass by the secrets; otherwise the test above proves nothing."""
    said, folder = heard
    bundle = load(folder / "all.gz")
    assert "[redacted]" in said
    assert "[redacted by profile]" in said
    for name in ("p.md", "p.html", "self.json"):
        assert (folder / name).stat().st_size > 500
    out = bundle.redactions
    assert out.kinds.keys() >= {"password", "token", "key", "GitLab token", "webhook", "part of an URL"}
    assert sum(out.kinds.values()) == out.secrets
    assert out.secrets > 15
    assert out.people > 3
    assert out.by_profile >= 1
    kinds = {where.partition(" ")[0] for where in out.where}
    assert kinds >= {
        "PlatformLines",
        "RequestLog",
        "ChangeLog",
        "SubscriptionConfig",
        "SubscriptionPolicy",
        "ItemMarks",
    }


def test_every_place_of_batch_state_was_asked(heard: Heard) -> None:
    """And each said what it was to say, without the secret in it."""
    state = load(heard.folder / "states.gz").case.evidence.get(BatchStatus)
    assert isinstance(state, BatchStatus), state
    told = "\n".join(state.instead)
    for says in SAID_INSTEAD:
        assert says in told, told
    assert state.forced.startswith("closed by ") and "[redacted" in state.forced


WAITING = (
    "password of a message", "token in its attributes", "shell in its data", "query of the endpoint", "webhook in its attributes",
    "person in its data", "name of an attribute", "error of a dead letter", "own pattern in its data", "own pattern in its attributes",
    "own pattern as its item", "header of the completions", "argument of a command",
)  # fmt: skip
"""What the probe looks at, and what it goes by."""


def hidden(place: str) -> str:
    return f"Hidd3n{WAITING.index(place):02d}x{place.replace(' ', '')}"


@pytest.fixture
def peeked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """All that the probe says and leaves."""
    told = scenario(ROOT / "tests" / "probe" / "probed.yaml", 2)
    told = structs.replace(
        told, draw={**told.draw, "snapshot_brings_older": True, "seek_settles_s": 0, "short_pulls": 0.0}
    )
    world = Lab(told, 2, Telemetry())
    subscription = world.world.subscriptions[world.cast.subscription("request")]
    data = {
        "password": hidden("password of a message"), "log": f"DB_PASS={hidden('shell in its data')}",
        "by": f"{hidden('person in its data')}@example.com", "msisdn": "+14155552671",
        "of": f"{'x' * 60} {hidden('own pattern in its data')}", "player_lookup": hidden("own pattern as its item"),
    }  # fmt: skip
    attributes = {
        "x-auth-token": hidden("token in its attributes"),
        "reply": f"https://hooks.slack.com/services/T0/B0/{hidden('webhook in its attributes')}",
        f"TOKEN_{hidden('name of an attribute')}": "x",
        "CloudPubSubDeadLetterSourceDeliveryErrorMessage": f"401: api_key={hidden('error of a dead letter')}",
        "of": f"{'x' * 60} {hidden('own pattern in its attributes')}",
    }
    world.publish(subscription.topic, json.dumps(data).encode(), attributes, None)
    subscription.push.endpoint += f"?key={hidden('query of the endpoint')}"
    completions = world.world.subscriptions[world.cast.subscription("completion")]
    completions.push.attributes["x-api-key"] = hidden("header of the completions")
    built_in = (Path(load_profile.__code__.co_filename).parent / "profiles" / "nba-predictions.toml").read_text()
    state = f'[batch_state]\nkind = "command"\ncommand = ["true", "{hidden("argument of a command")}", "{{batch}}"]\n\n'
    profile = built_in[: built_in.index("[batch_state]")] + state + built_in[built_in.index("[closing]") :]
    (tmp_path / "pubsub-diag.toml").write_text(f"{profile}\n[redact]\npatterns = ['Hidd3n[0-9]+xownpattern[a-z]+']\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        probing, "Waits",
        lambda peek_s: Waits(peek_s=min(peek_s, 12), between_pulls_s=0.05, settle_s=0.1, watch_s=1, between_looks_s=0.2),
    )  # fmt: skip
    with start(world, pace=20, log_reads_per_minute=10_000) as running:
        monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", running.endpoint)
        lines = (
            ["run", "--yes", "--show-data"],
            ["run", "--yes", "-o", "json", "--show-data"],
            ["run", "--mode", "switch", "--dry-run"],
            ["run", "--mode", "switch", "--dry-run", "-o", "json"],
            ["run", "--mode", "switch", "--leg", "completion", "--dry-run"],
            ["run", "--mode", "switch", "--leg", "completion", "--dry-run", "-o", "json"],
            ["status"],
            ["status", "-o", "json"],
            ["restore", "-o", "json"],
        )
        return run_all([*(["probe", *line] for line in lines), ["batch", "-v"]], [places.state_dir()])


def test_the_probe_shows_messages_without_their_secrets(peeked: str) -> None:
    assert "[redacted password]" in peeked and "[redacted phone number]" in peeked
    assert peeked.count("[redacted by profile]") >= 6 and "nothing goes to Cloud Logging" in peeked
    found = f"{peeked}\n{unveiled(peeked)}\n{decoded(peeked)}".lower()
    leaked = [place for place in WAITING if hidden(place).lower() in found]
    assert leaked == [], [found[max(0, found.find(hidden(p).lower()) - 300) :][:400] for p in leaked]
    assert "4155552671" not in peeked


def decoded(text: str) -> str:
    """What stands in base64 in a text, such as messages of Google's APIs in their wire format."""
    found = re.findall(r"(?:[A-Za-z0-9+/]{4}){10,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text)
    return "\n".join(base64.b64decode(one).decode("latin-1") for one in found)


@given(
    st.text(max_size=200) | st.from_regex(r"(token|password|cookie)['\"\\]*[:=] ?['\"\\]*[\w$-]{1,12}", fullmatch=True)
)
def test_what_is_redacted_stays_as_it_is(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
    assert cleaner()(once) == once
