"""`pubsub-diag selftest`: what is strange in an answer is told, what is somebody's own never gets into the file."""

from __future__ import annotations

import json
import os
import re
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.cloud.audit import audit_log_pb2
from google.cloud.logging_v2 import types as logging_types
from google.cloud.run_v2 import types as run_types
from google.protobuf import any_pb2, json_format
from google.pubsub_v1 import types as pubsub_types
from hypothesis import given, settings
from hypothesis import strategies as st

from diagnostics.cli import main
from diagnostics.lab.servers.errors import RpcError
from diagnostics.lab.servers.front import Front
from diagnostics.lab.unverified import Unverified
from diagnostics.pipeline.load import load_profile
from diagnostics.run.selftest import words as words_module
from diagnostics.run.selftest.document import SelfTest, names_of
from diagnostics.run.selftest.entries import Entries
from diagnostics.run.selftest.facts import FACTS
from diagnostics.run.selftest.shape import Shape
from diagnostics.run.selftest.words import VOCABULARY, WORD, Words, form
from diagnostics.scoring.world import World, find, opened
from tests.interruptible import interruptible
from tests.sampling import a_share, examples

Change = Callable[[Any, Callable[[Any], Any]], Any]
"""From a request and what answers it to another answer."""
OUT = "said.json"


@pytest.fixture(scope="module")
def night() -> Iterator[World]:
    with opened(find("2026-02-08-backfill-stall"), seed=1, log_reads_per_minute=10_000) as world:
        yield world


@pytest.fixture
def lab(night: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", night.running.endpoint)
    monkeypatch.chdir(tmp_path)
    return night


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Change]], None]:
    """Have RPCs of the lab, by the last part of their names, answered otherwise."""

    def put(changes: dict[str, Change]) -> None:
        honest = Front._answer

        def answer(self: Front, method: Any, request: Any, wait: Any) -> Any:
            change = changes.get(method.name.rpartition("/")[2])
            if change is None:
                return honest(self, method, request, wait)
            return change(request, lambda asked: _copy(honest(self, method, asked, wait)))

        monkeypatch.setattr(Front, "_answer", answer)

    return put


def _copy(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())


def self_tested(*arguments: str) -> tuple[int, SelfTest]:
    code = main.run(["selftest", "-q", "--out", OUT, *arguments])
    return code, msgspec.json.decode(Path(OUT).read_bytes(), type=SelfTest)


# --- what is strange ------------------------------------------------------------------------------------------------------


def each(field: str, change: Callable[[Any], None]) -> Change:
    """Change every message in this field of the answer; empty: the answer itself."""

    def changed(request: Any, honest: Callable[[Any], Any]) -> Any:
        answer = honest(request)
        for one in getattr(answer, field) if field else (answer,):
            change(one)
        return answer

    return changed


def refused(_request: Any, _honest: Callable[[Any], Any]) -> Any:
    raise RpcError("PERMISSION_DENIED", "The moon is not in the right phase for orders-of-acme.", "MOON_PHASE")


def other_method(entry: Any) -> None:
    payload = audit_log_pb2.AuditLog()
    if entry.proto_payload.Unpack(payload):
        payload.method_name = "google.cloud.run.v1.Services.FrobnicateService"
        entry.proto_payload.Pack(payload)


def no_sentence(entry: Any) -> None:
    if entry.HasField("http_request"):
        entry.http_request.status = 503
        entry.text_payload = "The container had something else to do."


STRANGE: dict[str, tuple[str, Change, str]] = {
    "constant": ("GetService", each("", lambda s: setattr(s, "ingress", 9)), r"ingress has the value 9, which google.cloud.run"),
    "field": ("GetSubscription", each("", lambda s: s.MergeFromString(b"\xba\x3e\x01x")), "field with the number 999"),
    "label of a metric": (
        "ListTimeSeries", each("time_series", lambda s: s.metric.labels.update(delivery_zone="x")),
        "push_request_count has the label delivery_zone, which its description lacks",
    ),
    "label of a resource": (
        "ListLogEntries", each("entries", lambda e: e.resource.labels.update(worker_pool="x")),
        "has the label worker_pool of its resource",
    ),
    "audit method": ("ListLogEntries", each("entries", other_method), r"method that is not known: google.cloud.run.v1.Services.…Service"),
    "severity": ("ListLogEntries", each("entries", lambda e: setattr(e, "severity", 350)), "severity 350"),
    "sentence": ("ListLogEntries", each("entries", no_sentence), "503 and a sentence that is not known: The container had something"),
    "reason": ("GetTopic", refused, r"GetTopic|publisher.get_topic was refused for a reason that is not known: .*The … is not in"),
    "member": (
        "GetIamPolicy", each("", lambda p: p.bindings.add(role="roles/run.invoker", members=["spaceship:enterprise"])),
        "a member of a kind that is not known",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("what", a_share(STRANGE, of=6))
def test_what_is_strange_is_told(what: str, answering: Callable[[dict[str, Change]], None]) -> None:
    rpc, change, says = STRANGE[what]
    answering({rpc: change})
    code, found = self_tested()
    assert code in (1, 3)
    assert any(re.search(says, odd) for odd in found.odd), found.odd


@pytest.mark.usefixtures("lab")
def test_nothing_is_strange_in_the_lab_itself() -> None:
    code, found = self_tested()
    assert (code, found.odd, found.unseen, found.failed_samples) == (0, {}, (), ())


@pytest.mark.usefixtures("lab")
def test_an_empty_page_with_a_token_is_counted(answering: Callable[[dict[str, Change]], None]) -> None:
    def unfinished(request: Any, honest: Callable[[Any], Any]) -> Any:
        if not request.page_token:
            return logging_types.ListLogEntriesResponse.pb()(next_page_token="go on")
        asked = _copy(request)
        asked.page_token = ""
        return honest(asked)

    answering({"ListLogEntries": unfinished})
    _, found = self_tested()
    assert found.facts["short_log_pages"]["seen"]["empty, and more to come"] > 0
    assert found.calls["logging.list_log_entries"]["pages"]["empty, and more to come"] > 0
    assert any("read as" in line for line in found.markers), "the sample is read beyond them"


@pytest.mark.usefixtures("lab")
def test_a_metric_that_is_not_known_is_named(answering: Callable[[dict[str, Change]], None]) -> None:
    def missing(request: Any, honest: Callable[[Any], Any]) -> Any:
        if "request_latency/pending" in request.filter:
            raise RpcError(
                "NOT_FOUND", 'Cannot find metric(s) that match type = "run.googleapis.com/request_latency/pending".'
            )
        return honest(request)

    answering({"ListTimeSeries": missing})
    _, found = self_tested()
    assert found.facts["metrics_begin_unknown"]["seen"] == {"run.googleapis.com/request_latency/pending": 1}


def test_every_question_that_the_lab_draws_from_its_seed_is_asked() -> None:
    codes = [fact.code for fact in FACTS]
    assert set(Unverified.__dataclass_fields__) <= set(codes)
    assert len(codes) == len(set(codes))


@pytest.mark.usefixtures("lab")
def test_open_questions_are_answered_by_what_is_seen() -> None:
    _, found = self_tested()
    codes = set(found.facts["push_code_style"]["seen"])
    assert "push_request_count: 429" in codes
    assert found.facts["idle_full"]["seen"] == "cannot be told by reading"
    assert "end" in found.facts["request_log_time"]["seen"], "the seed stamps requests with their end"
    assert found.facts["hosts"]["seen"] == {"Cloud Run by hash, region code wl": 4}
    assert found.entries["requests"]["callers"]["CloudPubSub"] > 100


def test_rows_that_are_known_in_public_are_told_as_they_are() -> None:
    shapes = json.loads((Path(__file__).parents[1] / "data" / "google" / "requests.json").read_text(encoding="utf-8"))
    entries = Entries(Words())
    rows = [json_format.ParseDict(case["shape"], logging_types.LogEntry.pb()()) for case in shapes]
    for number, row in enumerate(rows):
        row.insert_id = str(number)
    entries.add([*rows, *rows])
    told = entries.told()
    assert sum(told["requests"]["answers"].values()) == len(rows), "each is counted once"
    assert told["requests"]["timestamp"]["begin"] == 4
    assert told["requests"]["of a load balancer"] == {
        "502: backend_connection_closed_before_data_sent_to_client": 1,
        "403: denied_by_security_policy": 1,
    }
    assert told["requests"]["callers"]["APIs-Google"] == 6
    assert list(entries.odd) == []
    (unknown,) = (r for r in rows if "project exceeded its quota" in r.text_payload)
    unknown.insert_id = "another"
    unknown.text_payload = "The request failed because the instance was found to be too busy."
    entries.add([unknown])
    assert [what.partition(":")[0] for what in entries.odd] == [
        "a request was answered with 503 and a sentence that is not known"
    ]


# --- what must not get out ------------------------------------------------------------------------------------------------

SECRETS = (
    "hunter2hunter2",
    "Zebulon",
    "Quartermaine",
    "zq-ledger-77",
    "ya29.plantedplanted",
    "4929117700331122",
    "Blåbær",
)


def planted(entry: Any) -> None:
    text = " ".join(SECRETS)
    entry.labels[SECRETS[3]] = text
    entry.trace = f"projects/{SECRETS[3]}/traces/{SECRETS[0]}"
    entry.insert_id = SECRETS[0]
    if entry.HasField("http_request"):
        http = entry.http_request
        http.request_url = f"https://{SECRETS[3]}.example.com/{SECRETS[1]}?token={SECRETS[4]}"
        http.user_agent = f"{SECRETS[1]}/1 ({text})"
        http.referer, http.remote_ip = text, SECRETS[5]
        entry.text_payload = f"The request of {text} was not authenticated for '{SECRETS[3]}'."
    elif entry.WhichOneof("payload") == "text_payload":
        entry.text_payload += f" password={SECRETS[0]} {text}"
        if len(entry.text_payload) % 2:
            entry.json_payload.update({SECRETS[1]: text, "message": text, "user": {"name": SECRETS[2]}})
    else:
        payload = audit_log_pb2.AuditLog()
        if entry.proto_payload.Unpack(payload):
            payload.authentication_info.principal_email = f"{SECRETS[1]}.{SECRETS[2]}@example.com"
            payload.status.message = text
            payload.request.update({SECRETS[2]: text, "labels": {SECRETS[1]: text}})
            payload.resource_name = f"projects/{SECRETS[3]}/topics/{SECRETS[2]}"
            entry.proto_payload.Pack(payload)


def planted_subscription(found: Any) -> None:
    found.labels[SECRETS[1]] = SECRETS[3]
    found.filter = f'attributes.owner = "{SECRETS[2]}"'
    found.push_config.attributes[SECRETS[2]] = SECRETS[0]
    found.message_transforms.add().javascript_udf.code = " ".join(SECRETS)


def planted_service(found: Any) -> None:
    found.labels[SECRETS[1]] = found.annotations[SECRETS[2]] = SECRETS[3]
    found.template.containers[0].env.add(name=SECRETS[1], value=SECRETS[0])
    found.template.containers[0].image = f"gcr.io/{SECRETS[3]}/{SECRETS[2]}"
    found.terminal_condition.message = " ".join(SECRETS)
    found.creator = f"{SECRETS[1]}@example.com"


def planted_policy(found: Any) -> None:
    binding = found.bindings.add(
        role=f"projects/{SECRETS[3]}/roles/{SECRETS[2]}", members=[f"user:{SECRETS[1]}@example.com"]
    )
    binding.condition.expression = binding.condition.title = " ".join(SECRETS)
    found.bindings.add(role=f"roles/{SECRETS[1]}", members=[f"{SECRETS[2]}:{SECRETS[1]}"])


def planted_error(_request: Any, _honest: Callable[[Any], Any]) -> Any:
    text = (
        f"Permission 'run.{SECRETS[1]}.get' denied on {SECRETS[3]} for {SECRETS[1]} {SECRETS[2]} (or it may not exist)."
    )
    raise RpcError("PERMISSION_DENIED", text, SECRETS[1].upper(), metadata={"permission": " ".join(SECRETS)})


def test_nothing_that_is_somebodys_own_is_in_the_file_or_printed(
    lab: World, answering: Callable[[dict[str, Change]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    answering(
        {
            "ListLogEntries": each("entries", planted),
            "GetSubscription": each("", planted_subscription),
            "ListSubscriptions": each("subscriptions", planted_subscription),
            "GetService": each("", planted_service),
            "GetIamPolicy": each("", planted_policy),
            "ListRevisions": planted_error,
            "ListTimeSeries": each("time_series", lambda s: s.metric.labels.update({SECRETS[1]: SECRETS[2]})),
        }
    )
    assert main.run(["selftest", "--out", OUT]) == 3
    said = capsys.readouterr()
    written = Path(OUT).read_text(encoding="utf-8")
    assert "denied" in written, "the rest of a sentence is there"
    world = lab.lab.world
    names = [*SECRETS, "example.com", *names_of(load_profile("nba-predictions")), world.project, world.number]
    for text in (written, said.out, said.err):
        for name in names:
            assert name.lower() not in text.lower(), name
            assert json.dumps(name)[1:-1].lower() not in text.lower(), name


LETTERS = string.ascii_letters + string.digits + "äßЖ界'\"=:/@._- \n"
strange_texts = st.text(LETTERS, min_size=4, max_size=60)


OURS = {
    word.lower()
    for file in Path(words_module.__file__).parent.glob("*.py")
    for word in WORD.findall(file.read_text(encoding="utf-8"))
}
"""Words that the program itself says, whatever the text."""


def leaked(text: str, out: str) -> list[str]:
    """Words of a text that are in no list of ours, and are in what came out."""
    words = {w for w in WORD.findall(text) if len(w) > 3 and w.lower() not in VOCABULARY | OURS}
    theirs = set(WORD.findall(out))
    return sorted(words & theirs)


@settings(max_examples=examples(200), deadline=None)
@given(strange_texts)
def test_no_word_that_is_not_in_the_list_gets_out(text: str) -> None:
    words = Words()
    for shown in (
        words.name(text),
        words.sentence(text),
        form(text),
        form(f"https://{text}"),
        form(f"projects/{text}"),
    ):
        plain = re.sub(r"#[0-9a-f]{6}", "", shown)
        assert leaked(text, plain) == [], shown


@settings(max_examples=examples(60), deadline=None)
@given(strange_texts)
def test_no_field_of_a_message_lets_a_text_out(text: str) -> None:
    words = Words()
    messages = [full(pubsub_types.Subscription.pb()(), text), full(run_types.Service.pb()(), text)]
    entry = full(logging_types.LogEntry.pb()(), text)
    audit = full(logging_types.LogEntry.pb()(), text)
    packed = any_pb2.Any()
    packed.Pack(full(audit_log_pb2.AuditLog(), text))
    audit.proto_payload.CopyFrom(packed)
    shape, entries = Shape(words), Entries(words)
    for message in (*messages, entry, audit):
        shape.add(message)
    entries.add([entry, audit])
    out = json.dumps([shape.fields, shape.odd, entries.told(), entries.odd], ensure_ascii=False)
    ours = {w for m in (*messages, entry, audit) for w in field_words(m.DESCRIPTOR, 3)}
    shown = [w for w in leaked(text, re.sub(r"#[0-9a-f]{6}", "", out)) if w.lower() not in ours]
    assert shown == []


def full(message: Any, text: str, depth: int = 0) -> Any:
    """The message with this text in every text of it, keys of maps included."""
    for field in message.DESCRIPTOR.fields:
        repeated = field.is_repeated
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                getattr(message, field.name)[text] = text
        elif field.message_type is not None:
            if depth < 3 and field.message_type.full_name not in ("google.protobuf.Any", "google.protobuf.Timestamp"):
                inner = getattr(message, field.name).add() if repeated else getattr(message, field.name)
                if field.message_type.full_name == "google.protobuf.Struct":
                    inner.update({text: text, "message": text})
                else:
                    full(inner, text, depth + 1)
                    if not repeated:
                        inner.SetInParent()
        elif field.type == field.TYPE_STRING:
            if repeated:
                getattr(message, field.name).append(text)
            else:
                setattr(message, field.name, text)
    return message


def field_words(descriptor: Any, depth: int) -> set[str]:
    """Words of the names of fields, which are Google's."""
    found: set[str] = set()
    for field in descriptor.fields:
        found |= {w.lower() for w in WORD.findall(field.name)}
        if field.message_type is not None and depth:
            found |= field_words(field.message_type, depth - 1)
    return found


# --- the file -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("lab")
def test_the_file_is_its_owners_and_never_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["selftest", "-q"]) == 0
    (file,) = Path().glob("pubsub-diag-selftest-*Z.json")
    assert file.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().out
    assert f"written to {file}" in said and "nothing was sent" in said
    assert "the file holds" in said and "it does not hold" in said
    before = file.read_bytes()
    assert main.run(["selftest", "-q", "--out", str(file)]) == 3
    assert file.read_bytes() == before


@pytest.mark.usefixtures("lab")
def test_json_prints_what_the_file_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["selftest", "-q", "-o", "json", "--out", OUT]) == 0
    assert capsys.readouterr().out == Path(OUT).read_text(encoding="utf-8")


@pytest.mark.usefixtures("lab")
def test_a_subscription_alone_is_enough() -> None:
    code, found = self_tested("--subscription", "prediction-ready-prod-sub")
    assert (code, found.unseen, found.failed_samples) == (0, (), ())
    assert found.calls["subscriber.get_subscription"]["outcomes"]["answered"] > 0
    assert found.entries["logs"]["run.googleapis.com/requests"]


@pytest.mark.usefixtures("lab")
def test_what_is_refused_is_told_and_the_rest_is_read(answering: Callable[[dict[str, Change]], None]) -> None:
    answering({"ListLogEntries": refused})
    code, found = self_tested()
    assert code == 3
    assert any("lines of the worker" in says for says in found.failed_samples)
    assert {s.kind for s in found.unseen} >= {"ItemMarks", "RequestLog", "ChangeLog"}
    assert found.calls["subscriber.get_subscription"]["outcomes"]["answered"] > 0


def test_it_is_bounded_in_time_and_in_reads_of_logs(lab: World, answering: Callable[[dict[str, Change]], None]) -> None:
    def endless(_request: Any, _honest: Callable[[Any], Any]) -> Any:
        return logging_types.ListLogEntriesResponse.pb()(next_page_token="go on")

    def hangs(request: Any, honest: Callable[[Any], Any]) -> Any:
        time.sleep(15)
        return honest(request)

    answering({"ListLogEntries": endless, "GetTopic": hangs})
    before = len(lab.running.rpcs)
    began = time.monotonic()
    self_tested("--timeout", "3")
    assert time.monotonic() - began < 10
    read = [rpc for rpc in lab.running.rpcs[before:] if "ListLogEntries" in str(rpc)]
    assert 0 < len(read) <= 30


@pytest.mark.usefixtures("lab")
def test_who_interrupts_leaves_nothing_behind(answering: Callable[[dict[str, Change]], None], tmp_path: Path) -> None:
    def hangs(request: Any, honest: Callable[[Any], Any]) -> Any:
        time.sleep(5)
        return honest(request)

    answering({"ListLogEntries": hangs})
    with interruptible():
        child = subprocess.Popen(
            [sys.executable, "-m", "diagnostics.cli.main", "selftest", "--out", OUT],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
    assert child.stderr is not None
    assert "reading a little from every source" in child.stderr.readline()
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scenario", ["push-auth-audience", "orders-nightly-export"])
def test_other_pipelines_are_read_too(scenario: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(find(scenario), seed=2) as world:
        monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
        code, found = self_tested()
    assert code in (0, 1)
    assert sum(source.seen for source in found.sources) > 50
