"""Cloud Storage in the lab, asked by Google's own client: written once, listed page by page, and as strict as Google."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from diagnostics.keep import names, shared
from diagnostics.keep.shared import Bucket, Gone, StoreError
from diagnostics.lab.lab import Lab
from diagnostics.lab.scenario import parse
from diagnostics.lab.servers import storage
from diagnostics.lab.servers.serve import start
from diagnostics.lab.telemetry.store import Telemetry
from diagnostics.scoring.world import World
from diagnostics.transport.session import Options, Session

SCENE = """
name: a-shared-store
story: A pipeline at rest, and a bucket for what the team keeps.
now: "2026-02-09T12:00:00Z"
pipeline: {buckets: [team-evidence]}
caller: {holds: [storage.objects.create]}
"""
NAME = names.of_run(names.RUNS, "20260208T142107Z-59e4b7604de5", b"a run")


def other(number: int) -> names.Name:
    return names.of_run(names.RUNS, f"20260208T14{number // 60:02d}{number % 60:02d}Z-59e4b7604de5", b"x")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    scenario = parse(SCENE, "a scene", 1)
    lab = Lab(scenario, 1, Telemetry())
    with start(lab) as running:
        yield World(scenario, lab, running)


@pytest.fixture
def bucket(world: World, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("PUBSUB_DIAG_ENDPOINT", world.running.endpoint)
    monkeypatch.setattr("diagnostics.transport.call.PAUSES_S", (0.0, 0.0))
    for key in [key for key in world.lab.world.objects if key.startswith("team-evidence/")]:
        del world.lab.world.objects[key]
    return Bucket(Session.open(Options(timeout_s=60)), "team-evidence", "diag")


def held(world: World) -> dict[str, bytes]:
    return {k: o.content for k, o in world.lab.world.objects.items() if k.startswith("team-evidence/")}


def faulty(world: World, *faults: dict[str, object]) -> None:
    url = f"http://{world.running.endpoint}/lab/faults"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(faults).encode(), method="POST"), timeout=10).close()


def test_an_object_is_written_once_and_never_over_another(world: World, bucket: Bucket) -> None:
    assert bucket.names() == ([], ())
    bucket.put(NAME, b"a run")
    bucket.put(NAME, b"another, that must not take its place")
    assert held(world) == {f"team-evidence/diag/{NAME.whole}": b"a run"}
    assert bucket.names() == ([NAME], ()) and bucket.get(NAME) == b"a run"
    with pytest.raises(Gone):
        bucket.get(other(1))


def test_more_than_eight_mebibytes_go_in_several_requests(world: World, bucket: Bucket) -> None:
    large = b"x" * (8 * 2**20 + 1)
    bucket.put(NAME, large)
    bucket.put(NAME, large + b"y")
    assert held(world) == {f"team-evidence/diag/{NAME.whole}": large}
    assert bucket.get(NAME) == large, "more than a manifest may have"


def test_who_may_only_create_is_told_of_what_is_there_that_it_may_not_be_deleted(world: World, bucket: Bucket) -> None:
    """Google's pages do not say which comes first, the condition or the permission to replace: either way it is there already."""
    message = "oncall does not have storage.objects.delete access to the Google Cloud Storage object."
    before = len(world.running.rpcs)
    faulty(world, {"rpc": "InsertObject", "kind": "permission_denied", "message": message})
    bucket.put(NAME, b"a run")
    faulty(world)
    assert [call.status for call in world.running.rpcs[before:]] == ["403"], "it was asked, refused, and is content"
    assert held(world) == {}


def test_an_answer_that_was_lost_does_not_write_twice(world: World, bucket: Bucket) -> None:
    faulty(world, {"rpc": "InsertObject", "kind": "lost", "calls": 1})
    before = len(world.running.rpcs)
    bucket.put(NAME, b"a run")
    faulty(world)
    assert [call.status for call in world.running.rpcs[before:]] == ["0", "412"]
    assert held(world) == {f"team-evidence/diag/{NAME.whole}": b"a run"}


def test_names_come_page_by_page_and_those_of_others_are_left_alone(
    world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LARGEST_PAGE", 2)
    for number in range(5):
        bucket.put(other(number), b"x")
    world.lab.world.objects["team-evidence/diag/readme.txt"] = world.lab.world.objects[
        "team-evidence/diag/" + other(0).whole
    ]
    world.lab.world.objects["team-evidence/diagonal/x"] = world.lab.world.objects["team-evidence/diag/readme.txt"]
    assert bucket.names() == ([other(number) for number in range(5)], ())


def test_a_list_that_is_cut_short_is_told_and_cuts_no_other_kind_short(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "LARGEST_PAGE", 2)
    monkeypatch.setattr(shared, "MOST_PAGES", 2)
    captures = [names.of_run(names.BUNDLES, other(number).stem[:29], b"x") for number in range(5)]
    for name in (*captures, *map(other, range(4))):
        bucket.put(name, b"x")
    listed = bucket.names()
    assert listed.names == [*map(other, range(4)), *captures[:4]]
    assert [trouble.says for trouble in listed.troubles] == [
        "it has more than 4 bundles, and the newest of them were not looked for"
    ]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("permission_denied", "storage.objects.create is missing"),
        ("unavailable", "cannot be reached"),
        ("resource_exhausted", "a quota of storage.googleapis.com is used up"),
        ("garbage", "cannot be reached"),
    ],
)
def test_what_a_bucket_refuses_is_said(world: World, bucket: Bucket, kind: str, says: str) -> None:
    faulty(world, {"rpc": "InsertObject", "kind": kind})
    with pytest.raises(StoreError, match=says):
        bucket.put(NAME, b"a run")
    faulty(world)
    assert held(world) == {}


def test_a_bucket_that_is_not_there_is_not_made(world: World, bucket: Bucket) -> None:
    del world
    elsewhere = Bucket(bucket._session, "no-such-bucket", "")
    for act in (elsewhere.names, lambda: elsewhere.put(NAME, b"a run")):
        with pytest.raises(StoreError, match="no such bucket"):
            act()


def test_a_caller_that_dies_over_an_upload_leaves_nothing(world: World, bucket: Bucket) -> None:
    del bucket
    host, port = world.running.endpoint.split(":")
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(
            b"POST /upload/storage/v1/b/team-evidence/o?uploadType=multipart&ifGenerationMatch=0 HTTP/1.1\r\n"
            b"Host: 127.0.0.1\r\nContent-Type: multipart/related; boundary=x\r\nContent-Length: 1000\r\n\r\n"
            b'--x\r\ncontent-type: application/json\r\n\r\n{"name": "half"}\r\n--x\r\n\r\nhalf a r'
        )
        caller.shutdown(socket.SHUT_WR)
        assert caller.recv(100) == b""
    assert held(world) == {}


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "says"),
    [
        ("GET", "/storage/v1/b/team-evidence/o?fields=items(name),nextPageToken&delimiter=/", b"", 400, "delimiter"),
        ("GET", "/storage/v1/b/team-evidence/o", b"", 400, "names only"),
        ("GET", "/storage/v1/b/team-evidence/o?fields=items(name),nextPageToken&maxResults=0", b"", 400, "maxResults"),
        ("POST", "/upload/storage/v1/b/team-evidence/o?uploadType=media", b"", 400, "uploadType"),
        ("POST", "/upload/storage/v1/b/team-evidence/o?uploadType=multipart", b"rubbish", 400, "multipart"),
        ("POST", "/upload/storage/v1/b/team-evidence/o?uploadType=resumable", b'{"nam": 1}', 400, "Required"),
        ("POST", "/upload/storage/v1/b/team-evidence/o?uploadType=resumable", b'{"name": "x", "acl": 1}', 400, "acl"),
        ("POST", "/upload/storage/v1/b/none/o?uploadType=resumable", b'{"name": "x"}', 404, "bucket does not exist"),
        ("PUT", "/upload/storage/v1/b/team-evidence/o?uploadType=resumable&upload_id=1", b"x", 404, "Upload not found"),
    ],
)
def test_what_it_does_not_understand_is_refused(
    world: World, bucket: Bucket, method: str, target: str, body: bytes, status: int, says: str
) -> None:
    del bucket
    request = urllib.request.Request(f"http://{world.running.endpoint}{target}", body or None, method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    said = json.loads(refused.value.read())
    assert refused.value.code == status == said["error"]["code"]
    assert says in said["error"]["message"]
    assert held(world) == {}


def test_without_a_condition_what_is_there_is_replaced_only_by_who_may_delete(world: World, bucket: Bucket) -> None:
    bucket.put(NAME, b"a run")
    body = json.dumps({"name": f"diag/{NAME.whole}"}).encode()
    target = f"http://{world.running.endpoint}/upload/storage/v1/b/team-evidence/o?uploadType=resumable"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(target, body, method="POST"), timeout=10)
    assert refused.value.code == 403 and b"storage.objects.delete" in refused.value.read()
